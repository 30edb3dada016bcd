"""One run of one optimizer on one simulated task: a server and a program, each in a process of its own.

What a run cost is counted at the server, and what its prompt is worth is computed by the grader on rows that no program
was given. Nothing that the program says about itself is used but its final prompt.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sandbox.model.app import create_app
from sandbox.model.families import Kind, family
from sandbox.model.grader import hits
from sandbox.model.reading import Shuffle
from sandbox.serving import serve

ROOT = Path(__file__).resolve().parents[1]
TRAIN, VALIDATION, HELD_OUT, TASK_CALLS = 60, 40, 200, 400
OURS = "ours"
NEAR = 0.90
"""Share of the oracle's accuracy at which a prompt counts as found."""
_TIMEOUT_S = 600


@dataclass(frozen=True, kw_only=True)
class Family:
    """A task family by its kind and seed."""

    kind: Kind
    seed: int

    @property
    def name(self) -> str:
        return f"{self.kind.value}-{self.seed}"


@dataclass(frozen=True, kw_only=True)
class Control:
    """Switches of the simulated model; none in a plain run."""

    name: str = ""
    shuffle: Shuffle = Shuffle.NONE
    garble: float = 0.0
    faults: float = 0.0


PLAIN = Control()
CONTROLS = (
    Control(name="replies of another task", shuffle=Shuffle.TASKS),
    Control(name="replies of another trace", shuffle=Shuffle.TRACES),
    Control(name="5% malformed, 7% faults", garble=0.05, faults=0.07),
)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to run."""

    system: str
    family: Family
    seed: int
    latency_s: float
    control: Control = PLAIN


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of it.

    Attributes:
        hits: 1 or 0 for each held-out row, under the final, the seed's and the oracle's prompt.
        near_s: seconds to the first task call of a prompt with 90% of the oracle's accuracy, since the first request;
            None when there was none. `near_from_start_s` counts from the start of the process.
        near_task_calls: task calls that had been answered by then.
        failed: why there is no final prompt; the seed prompt then stands for it.
    """

    job: Job
    prompt: str
    hits: tuple[int, ...]
    seed_hits: tuple[int, ...]
    oracle_hits: tuple[int, ...]
    near_s: float | None
    near_from_start_s: float | None
    near_task_calls: int | None
    wall_s: float
    span_s: float
    calls: dict[str, int] = field(default_factory=dict)
    tokens: int = 0
    in_flight_max: int = 0
    failed: str = ""

    @property
    def overdrawn(self) -> int:
        """Task calls beyond the budget; tries that the server failed are not counted against anybody."""
        return max(0, self.calls.get("task", 0) - TASK_CALLS - self.calls.get("faults", 0))


def program(system: str, peers_python: str) -> list[str]:
    """The command of a system's program, without its task."""
    if system == OURS:
        return [sys.executable, str(ROOT / "benchmarks" / "quality_ours.py")]
    return [peers_python, str(ROOT / "benchmarks" / "peers" / f"{system}_run.py")]


def run(job: Job, peers_python: str) -> Outcome:
    """Serve, run, count and grade."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=_serve, args=(job, there))
    server.start()
    there.close()
    try:
        base_url = here.recv()
        started = time.monotonic()
        prompt, failed = _ran(job, program(job.system, peers_python), base_url)
        wall_s = time.monotonic() - started
        seen, tried = _get(f"{base_url}/sandbox/calls"), _get(f"{base_url}/sandbox/prompts")
    finally:
        here.close()
        server.join()
    return _graded(job, prompt, failed, started, wall_s, seen, tried)


def _serve(job: Job, parent: Connection) -> None:
    """Serve until the parent closes its end; sends the address first."""
    control = job.control
    app = create_app(
        world=family(job.family.kind, job.family.seed),
        seed=job.seed,
        latency_s=job.latency_s,
        shuffle=control.shuffle,
        garble=control.garble,
        faults=control.faults,
    )
    with serve(app) as base_url:
        parent.send(base_url)
        parent.poll(None)


def _ran(job: Job, command: list[str], base_url: str) -> tuple[str, str]:
    """The program's final prompt, and why there is none."""
    told = {
        "kind": job.family.kind.value,
        "family_seed": job.family.seed,
        "seed": job.seed,
        "train": TRAIN,
        "validation": VALIDATION,
        "task_calls": TASK_CALLS,
        "base_url": f"{base_url}/v1",
    }
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            [*command, json.dumps(told)], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return "", f"it did not end within {_TIMEOUT_S} s"
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return "", (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
    try:
        return json.loads(lines[-1])["prompt"], ""
    except (ValueError, KeyError, TypeError):
        return "", "it printed no prompt"


def _graded(
    job: Job, prompt: str, failed: str, started: float, wall_s: float, seen: dict[str, Any], tried: dict[str, Any]
) -> Outcome:
    world = family(job.family.kind, job.family.seed)
    cases = world.cases(HELD_OUT, seed=job.seed, stream="held out")

    def right(text: str) -> tuple[int, ...]:
        return hits(world, cases, seed=job.seed, prompt=text)

    oracle = right(world.oracle_prompt)
    near = next((one for one in tried["prompts"] if sum(right(one["text"])) >= NEAR * sum(oracle)), None)
    return Outcome(
        job=job,
        prompt=prompt or world.base_prompt,
        hits=right(prompt or world.base_prompt),
        seed_hits=right(world.base_prompt),
        oracle_hits=oracle,
        near_s=near["at"] - tried["first_at"] if near else None,
        near_from_start_s=near["at"] - started if near else None,
        near_task_calls=near["task_call"] if near else None,
        wall_s=wall_s,
        span_s=tried["last_at"] - tried["first_at"],
        calls={**seen["calls"], "faults": seen["faults"]},
        tokens=seen["prompt_tokens"] + seen["completion_tokens"],
        in_flight_max=seen["in_flight_max"],
        failed=failed,
    )


def _get(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(address, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found
