"""`tracegrad demo`: the whole loop, watched, against a simulated world in a process of its own.

The only difference to production is the addresses: Langfuse, model and promptfoo are reached over the same protocols,
and the cycle runs through the same workflow as the daemon's. Every number that it prints is simulated.
"""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy import overview
from deploy.cli.console import Terminal
from deploy.cli.main import COULD_NOT_RUN, DONE, Options
from deploy.cli.once import Stages, run_once, watching
from deploy.cli.show import COLOUR, render
from deploy.clock import SystemClock
from deploy.collecting import recent_inputs
from deploy.gating import gate_cases, prove
from deploy.settings import Settings, load
from deploy.store.facade import Store
from deploy.wiring import opened
from optimizer.errors import Permanent
from optimizer.types import GateReport, Verdict

PROMPT = "support-assistant"

SETTINGS = """\
# Written by `tracegrad demo`; the addresses are those of its last run.
langfuse: {{host: "{langfuse}", public_key: {public_key}, secret_key: {secret_key}, requests_per_minute: 0}}
model:
  base_url: "{model}"
  api_key: {api_key}
  task: sim-task
  critic: sim-critic
  judge: sim-judge
  prices:  # simulated, like the models
    sim-task: {{input_usd_per_mtok: 0.25, output_usd_per_mtok: 2}}
    sim-critic: {{input_usd_per_mtok: 1.25, output_usd_per_mtok: 10}}
    sim-judge: {{input_usd_per_mtok: 1.25, output_usd_per_mtok: 10}}
prompts:
  - name: support-assistant
    publish_label: production
    rules:
      - {{kind: numeric, score: user-feedback, below: 0.5}}
      - {{kind: boolean, score: resolved, bad: false}}
      - {{kind: correction}}
    gate:
      datasets: [support-regression]
      replayed: 60
      match: contains
      assertions: [{{type: not-contains, value: "As an AI", weight: 0.1}}]
state_dir: {state}
node_dir: {node}
"""

NULL_LINE = "Be polite, and keep a friendly tone throughout."
WORSE_LINE = "Answer with one word only and never give details."


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """Where the demo lives."""

    folder: Path
    config: Path
    settings: Settings
    terminal: Terminal


def command(options: Options, *, folder: Path, fresh: bool) -> int:
    """Seed, run a cycle, show two edits refused, say where to look."""
    terminal = Terminal(as_json=options.as_json)
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    terminal.say("Tracegrad demo. Every number below comes from a simulated model and says nothing about yours.")
    with simulated_world(folder, terminal) as world:
        config = folder / "tracegrad.yaml"
        config.write_text(SETTINGS.format(**world, state=folder / "state", node=Path(".node")), encoding="utf-8")
        demo = Demo(folder=folder, config=config, settings=load(config), terminal=terminal)
        return watch(demo, world)


@contextmanager
def simulated_world(folder: Path, terminal: Terminal) -> Iterator[dict[str, str]]:
    """The sandbox as a process of its own; yields where it listens and its keys."""
    command = [sys.argv[0], "sandbox", "--folder", str(folder / "sandbox"), "--langfuse-port", "0", "--model-port", "0"]
    with terminal.progress("Starting a simulated Langfuse and a simulated model"):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        line = process.stdout.readline()
    if not line:
        raise Permanent("the sandbox did not start", "run `tracegrad --debug sandbox` to see why")
    try:
        yield json.loads(line)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def watch(demo: Demo, world: dict[str, str]) -> int:
    """The demo's acts, in order."""
    say = demo.terminal.say
    say(f"Langfuse (simulated) at {world['langfuse']}, model (simulated) at {world['model']}.")
    say()
    say(f"One cycle on the prompt '{PROMPT}', as the daemon runs it:", style="bold")
    cycle_id = asyncio.run(run_once(demo.settings, PROMPT, demo.terminal))
    store = Store.open(demo.settings.database_url, SystemClock())
    shown = overview.cycle(store, demo.settings, cycle_id)
    render(shown, demo.terminal)
    refused: list[dict[str, Any]] = []
    if shown["state"] == "done" and shown["verdict"] == Verdict.PASS:
        refused = asyncio.run(refuse(demo))
    elif shown["state"] == "skipped":
        say("An earlier run of the demo did the work; see it again from the start with `tracegrad demo --fresh`.")
    where_to_look(demo, cycle_id)
    demo.terminal.give({"cycle": shown, "refused": refused, "config": str(demo.config)})
    as_promised = shown["state"] == "skipped" or (refused and all(one["verdict"] != Verdict.PASS for one in refused))
    return DONE if as_promised else COULD_NOT_RUN


async def refuse(demo: Demo) -> list[dict[str, Any]]:
    """A null edit and a worse edit of the published version, through the same gate."""
    demo.terminal.say("The same gate on two edits that a person might make to the new version:", style="bold")
    found = []
    for name, line in (("an edit that changes nothing that matters", NULL_LINE), ("a worse edit", WORSE_LINE)):
        with watching(demo.terminal) as progress:
            report = await gate_line(demo, line, progress)
        demo.terminal.say(f'  {name}: + "{line}"')
        demo.terminal.say(f"    {report.verdict}, not published", style=COLOUR[report.verdict])
        for reason in report.reasons:
            demo.terminal.say(f"    {reason}", style="dim")
        found.append({"edit": line, "verdict": report.verdict, "reasons": report.reasons})
    demo.terminal.say()
    return found


async def gate_line(demo: Demo, line: str, progress: Stages) -> GateReport:
    """The gate's report on the production version with one line added."""
    async with opened(demo.settings, progress=progress) as house:
        prompt = house.settings.prompt(PROMPT)
        head = await house.registry.head(PROMPT)
        body = head.production.body
        assert isinstance(body, str)
        ids = await recent_inputs(house, prompt, house.clock.now())
        recorded = house.store.traces.generations([str(generation_id) for generation_id in ids])
        cases = await gate_cases(prompt, house.cases, house.registry, recorded, gradient_sources=())
        evaluator = house.evaluator(prompt, house.model, b"demo")
        return await prove(prompt, evaluator, head.production, f"{body.rstrip()}\n{line}\n", cases)


def where_to_look(demo: Demo, cycle_id: str) -> None:
    """Commands that show more."""
    say = demo.terminal.say
    say("Where to look:", style="bold")
    say(f"  tracegrad -c {demo.config} show {cycle_id}")
    say(f"  tracegrad -c {demo.config} status")
    say(f"  tracegrad sandbox --folder {demo.folder / 'sandbox'}    the simulated Langfuse, to point an application at")
    say("  (tracegrad is in .venv/bin)", style="dim")
