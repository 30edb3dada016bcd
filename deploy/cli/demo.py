"""`tracegrad demo`: the whole loop, watched, against a simulated world in a process of its own.

The only difference to production is the addresses: Langfuse and the model are reached over the same protocols, and the
cycle runs through the same workflow as the daemon's. Every number that it prints is simulated.
"""

import asyncio
import json
import shlex
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
from deploy.cli.exits import COULD_NOT_RUN, DONE
from deploy.cli.once import Stages, run_once, watching
from deploy.cli.options import Options
from deploy.cli.order import Wanted, order_of
from deploy.cli.show import COLOUR, before_and_after, render
from deploy.clock import SystemClock
from deploy.gating.handwritten import Change, Till, judged
from deploy.releases.at_once import obey
from deploy.settings import Settings, load
from deploy.store.orders import OrderKind
from deploy.wiring import open_store, opened
from gates.rendering.document import as_document
from optimizer.errors import BadSettings, Permanent
from optimizer.types import Verdict

PROMPT = "support-assistant"

FIRST_LINE = "# Written by `tracegrad demo`; the addresses are those of its last run.\n"

SETTINGS = """\
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
    rules:
      - {{kind: numeric, score: user-feedback, below: 0.5}}
      - {{kind: boolean, score: resolved, bad: false}}
      - {{kind: correction}}
    gate:
      datasets: [support-regression]
      replayed: 60
      sealed: 100  # production inputs that are kept for the proof
      evaluator: contains
      latency_margin: 20  # a simulated model answers at once: what would be compared is this machine's noise
state_dir: {state}
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
    config = folder / "tracegrad.yaml"
    make_room(folder, config, fresh=fresh)
    terminal.say("Tracegrad demo", style="bold")
    terminal.say("Every number below comes from a simulated model and says nothing about yours.")
    terminal.say()
    with simulated_world(folder, terminal) as world:
        state = json.dumps(str(folder / "state"))
        config.write_text(FIRST_LINE + SETTINGS.format(**world, state=state), encoding="utf-8")
        demo = Demo(folder=folder, config=config, settings=load(config), terminal=terminal)
        return watch(demo, world)


def make_room(folder: Path, config: Path, *, fresh: bool) -> None:
    """The demo's folder; with `fresh` without what an earlier demo left. Nothing else in it is ever touched."""
    if config.exists() and not config.read_text(encoding="utf-8", errors="replace").startswith(FIRST_LINE):
        raise BadSettings(f"{config} is not the demo's", "choose an empty folder with `--folder`")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadSettings(f"{folder} cannot be made ({error.strerror})", "choose another `--folder`") from error
    if fresh and config.exists():
        for mine in (folder / "state", folder / "sandbox"):
            shutil.rmtree(mine, ignore_errors=True)


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
    say("A simulated shop's assistant has answered customers, and some of them complained.")
    say(f"Langfuse (simulated)  {world['langfuse']}")
    say(f"Model (simulated)     {world['model']}")
    say()
    say(f"1. One cycle on the prompt '{PROMPT}', as the daemon runs it", style="bold")
    cycle_id = asyncio.run(run_once(demo.settings, PROMPT, demo.terminal))
    shown = overview.cycle(open_store(demo.settings, SystemClock()), demo.settings, cycle_id)
    render(shown, demo.terminal)
    refused: list[dict[str, Any]] = []
    if shown["state"] == "done" and shown["verdict"] == Verdict.PASS:
        released = approve(demo)
        shown = overview.cycle(open_store(demo.settings, SystemClock()), demo.settings, cycle_id)
        refused = asyncio.run(refuse(demo))
        sum_up(shown, released, refused, demo.terminal)
    else:
        skipped = "An earlier run of the demo did the work. To see it from the start:"
        say(skipped if shown["state"] == "skipped" else "That is not how the demo should go. To start over:")
        say(f"  tracegrad demo --fresh --folder {shlex.quote(str(demo.folder))}", whole=True)
        say()
    where_to_look(demo, cycle_id)
    demo.terminal.give({"cycle": shown, "refused": refused, "config": str(demo.config)})
    as_promised = shown["state"] == "skipped" or (refused and all(one["verdict"] != Verdict.PASS for one in refused))
    return DONE if as_promised else COULD_NOT_RUN


def approve(demo: Demo) -> str:
    """A person lets the proposal go on, as with `tracegrad approve`; what came of it."""
    say, store = demo.terminal.say, open_store(demo.settings, SystemClock())
    say("2. A person reads the proposal and approves it", style="bold")
    wanted = Wanted(kind=OrderKind.APPROVE, target=PROMPT, why="reads well")
    order = store.orders.give(order_of(store, demo.settings, wanted, SystemClock().now()))
    say(f"  tracegrad approve {PROMPT}, by {order.actor}")
    asyncio.run(obey(demo.settings, PROMPT))
    row = store.releases.get(order.run_id)
    say(f"  {row.state}: {row.reason}", style="green")
    say()
    return f"{row.state}: {row.reason}"


async def refuse(demo: Demo) -> list[dict[str, Any]]:
    """A null edit and a worse edit of the published version, through the same gate."""
    say = demo.terminal.say
    say("3. The same gate on two edits that a person might make to the new version", style="bold")
    found = []
    for name, line in (("An edit that changes nothing that matters", NULL_LINE), ("A worse edit", WORSE_LINE)):
        with watching(demo.terminal) as progress:
            report = await gate_line(demo, line, progress)
        say()
        say(f"  {name}")
        say(f"  + {line}", style="green")
        say(f"      {report['verdict']}, not published", style=COLOUR[report["verdict"]])
        say(f"      {before_and_after(report)}")
        say(f"      {report['reasons'][0]}", style="dim")
        kept = ("verdict", "reasons", "baseline_mean", "candidate_mean", "usage")
        found.append({"edit": line, **{key: report[key] for key in kept}})
    say()
    return found


async def gate_line(demo: Demo, line: str, progress: Stages) -> dict[str, Any]:
    """The gate's report on the production version with one line added."""
    async with opened(demo.settings, progress=progress) as house:
        prompt = house.settings.prompt(PROMPT)
        body = (await house.registry.head(PROMPT)).production.body
        assert isinstance(body, str)
        change = Change(prompt=prompt, candidate=f"{body.rstrip()}\n{line}\n", claim=True)
        return dict(as_document((await judged(house, change, Till())).report))


def sum_up(shown: dict[str, Any], released: str, refused: list[dict[str, Any]], terminal: Terminal) -> None:
    """What came of it, in four lines."""
    more = sum(one["usage"]["cost_usd"] for one in refused)
    calls = sum(one["usage"]["calls"] for one in refused)
    terminal.say("4. What came of it (simulated)", style="bold")
    terminal.say(f"  Outcome    {released}", hang=11)
    terminal.say(f"  Gate       {before_and_after(shown['report'])}", hang=11)
    terminal.say(f"  Cost       {shown['cost']} for the cycle's {shown['calls']} model calls", hang=11)
    terminal.say(f"             ${more:.4f} more for the {calls} calls that judged the two refused edits", hang=0)
    terminal.say()


def where_to_look(demo: Demo, cycle_id: str) -> None:
    """Commands that show more."""
    say = demo.terminal.say
    config, sandbox = shlex.quote(str(demo.config)), shlex.quote(str(demo.folder / "sandbox"))
    say("Where to look (tracegrad is in .venv/bin)", style="bold")
    say(f"  tracegrad -c {config} show {cycle_id}", whole=True)
    say(f"  tracegrad -c {config} releases {PROMPT}", whole=True)
    say(f"  tracegrad -c {config} blame {PROMPT}", whole=True)
    say("    (while the simulated Langfuse runs)", style="dim")
    say(f"  tracegrad sandbox --folder {sandbox}", whole=True)
    say("    runs this simulated Langfuse alone, to point an application at", style="dim")
