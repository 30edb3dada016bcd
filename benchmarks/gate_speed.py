"""What a gate's comparison takes beside promptfoo alone on the same configuration: 1,000 cases, both arms.

    .venv/bin/python benchmarks/gate_speed.py [--small] [--rounds N]

The simulated model answers every call after 50 ms, in a process of its own. *Alone* is promptfoo with both prompts, the
questions as variables and its own OpenAI client on that model; *ours* is `PromptfooEvaluator`, whose cases travel by id
and whose answers come through the gateway and our model client. Both have the same assertions, the same number of calls
in flight and the same runtime, and take turns. With *looks* the same cases come in the gate's portions, each of which
starts promptfoo anew; `DirectEvaluator` needs no promptfoo. Every score of ours has to be the one that promptfoo gave.
Exits with 1 when a target is missed. Needs promptfoo (`tracegrad setup-node`). Never talks to anything but 127.0.0.1.
"""

import argparse
import asyncio
import itertools
import json
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from connectors.direct import DirectEvaluator
from connectors.judges.matching import Match, MatchingJudge
from connectors.openai import CallRules, OpenAIModel
from connectors.promptfoo.evaluator import PromptfooEvaluator
from connectors.promptfoo.process import run
from connectors.promptfoo.runtime import Runtime, locate
from connectors.promptfoo.settings import EvaluatorSettings
from gates.screen import LOOKS
from optimizer.prompts import Message, PromptVersion
from optimizer.types import Arm, Case, CaseInput, CaseOrigin, Evidence, Scored
from sandbox.model.app import API_KEY, create_app
from sandbox.serving import serve

LATENCY_S = 0.05
IN_FLIGHT = 16
MOST = 1.3
LONGEST = 5
"""Rounds at most, where the first ones missed the target."""
TASK_MODEL = "sim-task"
PROMPTS = {
    Arm.BASELINE: "You answer the customers of an outdoor shop.",
    Arm.CANDIDATE: "You answer the customers of an outdoor shop. Name the day on which a parcel arrives.",
}
EXPECTED = "order"
NEVER = "As an AI"
SETTINGS = EvaluatorSettings(
    task_model=TASK_MODEL, assertions=({"type": "not-contains", "value": NEVER},), concurrency=IN_FLIGHT
)
NODE = Path(__file__).parents[1] / ".node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    cases: int
    rounds: int


FULL = Size(cases=1000, rounds=3)
SMALL = Size(cases=100, rounds=1)


def questions(number: int) -> list[str]:
    """What customers ask, each a little different."""
    asked = ("Where is my order {}?", "Can I return order {} after five weeks?", "Is the tent of order {} waterproof?")
    return [asked[place % len(asked)].format(1000 + place) for place in range(number)]


def cases(number: int) -> list[Case]:
    """The same questions as cases of a dataset."""
    return [
        Case(
            id=f"case-{place:05}",
            origin=CaseOrigin.DATASET,
            input=CaseInput(history=(Message(role="user", content=question),)),
            reference=EXPECTED,
            source_key=f"source-{place}",
        )
        for place, question in enumerate(questions(number))
    ]


def arms() -> dict[Arm, PromptVersion]:
    """Both prompts."""
    return {arm: PromptVersion(name="support", version=1, body=text) for arm, text in PROMPTS.items()}


def alone(base_url: str, number: int) -> dict[str, Any]:
    """The configuration that somebody writes who has promptfoo and nothing else."""
    model = {"apiBaseUrl": base_url, "apiKey": API_KEY, "temperature": 0, "max_tokens": SETTINGS.max_tokens}
    user = {"role": "user", "content": "{{question}}"}
    return {
        "prompts": [
            {"label": arm.value, "raw": json.dumps([{"role": "system", "content": text}, user])}
            for arm, text in PROMPTS.items()
        ],
        "providers": [{"id": f"openai:chat:{TASK_MODEL}", "config": model}],
        "defaultTest": {
            "assert": [{"type": "icontains", "value": EXPECTED}, {"type": "not-contains", "value": NEVER}],
        },
        "tests": [{"vars": {"question": question}} for question in questions(number)],
        "sharing": False,
    }


async def promptfoo_alone(runtime: Runtime, base_url: str, number: int) -> list[float]:
    """One run of it. Gives the scores, sorted. Raises RuntimeError when an answer is missing."""
    folder = Path(tempfile.mkdtemp(prefix="gate-speed-"))
    try:
        config = folder / "promptfooconfig.json"
        config.write_text(json.dumps(alone(base_url, number)), encoding="utf-8")
        out = folder / "results.json"
        ended = await run(runtime, folder, config, out, concurrency=IN_FLIGHT, timeout_s=900.0)
        if ended.code not in (0, 100):
            raise RuntimeError(f"promptfoo alone ended with {ended.code}")
        rows = json.loads(out.read_text(encoding="utf-8"))["results"]["results"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if any(row["failureReason"] == 2 for row in rows) or len(rows) != 2 * number:
        raise RuntimeError("promptfoo alone did not get every answer")
    return sorted(row["score"] for row in rows)


def scores(found: Evidence) -> list[float]:
    """The scores of a comparison, sorted. Raises RuntimeError when one is missing."""
    results = [arm.result for pair in found.pairs for arm in (pair.baseline, pair.candidate)]
    if not found.complete or not all(isinstance(result, Scored) for result in results):
        raise RuntimeError(f"a comparison of ours is not complete: {found.note or 'unscored answers'}")
    return sorted(result.value for result in results if isinstance(result, Scored))


def portions(listed: list[Case]) -> Iterator[list[Case]]:
    """The cases in the portions in which a gate takes them, and the rest."""
    edges = [0, *(look for look in LOOKS if look < len(listed)), len(listed)]
    return (listed[start:end] for start, end in itertools.pairwise(edges))


async def in_looks(evaluator: PromptfooEvaluator, listed: list[Case]) -> list[float]:
    """One comparison after the other."""
    return sorted([score for part in portions(listed) for score in scores(await evaluator.compare(arms(), part))])


async def timed(work: Callable[[], Awaitable[list[float]]]) -> tuple[float, list[float]]:
    """Wall time of some work, and the scores that it gave."""
    started = time.perf_counter()
    found = await work()
    return time.perf_counter() - started, found


async def measured(runtime: Runtime, base_url: str, size: Size) -> dict[str, list[float]]:
    """Wall times by who was timed, one for each round. Raises RuntimeError when somebody's scores differ."""
    listed = cases(size.cases)
    spent: dict[str, list[float]] = {}
    async with OpenAIModel(base_url, API_KEY, rules=CallRules(concurrency=IN_FLIGHT)) as model:
        judge = MatchingJudge(Match.CONTAINS)
        ours = PromptfooEvaluator(runtime, model, judge, SETTINGS)
        direct = DirectEvaluator(model, judge, task_model=TASK_MODEL, concurrency=IN_FLIGHT)

        async def compared() -> list[float]:
            return scores(await ours.compare(arms(), listed))

        async def directly() -> list[float]:
            return scores(await direct.compare(arms(), listed))

        async def looked() -> list[float]:
            return await in_looks(ours, listed)

        async def foreign() -> list[float]:
            return await promptfoo_alone(runtime, base_url, size.cases)

        await promptfoo_alone(runtime, base_url, 4)  # the first start reads everything from the disk
        for _ in range(size.rounds):
            given = {}
            for name, work in (("alone", foreign), ("ours", compared), ("looks", looked), ("direct", directly)):
                wall_s, given[name] = await timed(work)
                spent.setdefault(name, []).append(wall_s)
            if not given["alone"] == given["ours"] == given["looks"]:
                raise RuntimeError("the same answers got other scores")
    return spent


def served(pipe: Connection) -> None:
    """The simulated model, until the pipe is closed."""
    with serve(create_app(latency_s=LATENCY_S)) as url:
        pipe.send(url)
        with suppress(EOFError):
            pipe.recv()


@contextmanager
def model_server() -> Iterator[str]:
    """The address of a simulated model in a process of its own."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=served, args=(there,), daemon=True)
    process.start()
    there.close()
    try:
        yield f"{here.recv()}/v1"
    finally:
        here.close()
        process.join()


def ratio(spent: dict[str, list[float]], name: str) -> float:
    """The median over the rounds of what a way took, to promptfoo alone in the same round."""
    return statistics.median(mine / other for mine, other in zip(spent[name], spent["alone"], strict=True))


def told(spent: dict[str, list[float]], size: Size) -> bool:
    """Print the figures; False when the target is missed."""
    best_s = 2 * size.cases * LATENCY_S / IN_FLIGHT
    alone_s = statistics.median(spent["alone"])
    print(f"{size.cases} cases, both arms, {LATENCY_S * 1000:.0f} ms a call, {IN_FLIGHT} in flight ({best_s:.1f} s)")
    print(f"  promptfoo alone          {alone_s:6.1f} s")
    held = True
    names = {"ours": "ours over promptfoo", "looks": "ours, in looks", "direct": "ours, without promptfoo"}
    for name, words in names.items():
        times, verdict = ratio(spent, name), ""
        if name == "ours":
            held = times <= MOST
            verdict = f"  (at most {MOST}: {'held' if held else 'MISSED'})"
        print(f"  {words:24} {statistics.median(spent[name]):6.1f} s   {times:4.2f} of promptfoo alone{verdict}")
    return held


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--small", action="store_true", help="100 cases, one round, for CI")
    parser.add_argument("--rounds", type=int, default=0, help="so many rounds instead")
    chosen = parser.parse_args()
    size = SMALL if chosen.small else FULL
    size = Size(cases=size.cases, rounds=chosen.rounds or size.rounds)
    runtime = locate(NODE)
    with model_server() as base_url:
        spent = asyncio.run(measured(runtime, base_url, size))
        # on a machine that is busy with other things, one round says little: the median of more decides
        while ratio(spent, "ours") > MOST and len(spent["ours"]) < LONGEST:
            more = asyncio.run(measured(runtime, base_url, replace(size, rounds=2)))
            spent = {name: [*walls, *more[name]] for name, walls in spent.items()}
    held = told(spent, size)
    print(f"  load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
