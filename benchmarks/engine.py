"""What the engine adds to the calls that it makes: time over the longest dependency chain, time and CPU over a replay.

    .venv/bin/python benchmarks/engine.py [--small] [--peers-python PATH]

A loopback server in a process of its own answers every call after 200 ms, or at once for the CPU figures. One step is
forward through some stages, a judged loss, backward and a rewrite of every prompt, for a batch of samples at once.
*Bare* replays the very same requests, in the same dependency levels, with a plain `AsyncOpenAI` on its aiohttp
transport; both sides keep replies in a dictionary. Figures are medians over the quieter half of interleaved rounds.
Exits with 1 when a target is missed, or when the engine makes other calls than the graph needs or makes them one after
the other. A figure beyond its target is undecided when it may be so because this process waited for a processor that
others had; run it again then. Other optimizers do the same work in the same run when there is a Python that has them.
Never talks to anything but 127.0.0.1.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from engine_server import serving
from engine_work import RUBRIC, Journalled, Levels, Work, bodies, replay, step
from httpx2 import Limits
from openai import AsyncOpenAI, DefaultAioHttpClient

from connectors.openai import CallRules, OpenAIModel
from connectors.pricing import Prices
from deploy.clock import SystemClock
from deploy.store.facade import Store
from deploy.store.fence import Run
from deploy.store.journalled import JournalledModel

LATENCY_S = 0.2
KEY = "sk-benchmark"
IN_FLIGHT = 512
"""More than any step here sends at once: the limit is not what is measured."""

MOST_OVER_CHAIN = 1.25
MOST_OVER_REPLAY = 1.15
MOST_CPU = 1.25

HERE = Path(__file__).parent
SCHEDULED = Path("/proc/self/schedstat")
CHAINS = tuple(Work(samples=samples, stages=stages) for stages in (1, 3) for samples in (3, 16))
LARGE = Work(samples=64, stages=1)
PEERS = ("textgrad", "gepa")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    rounds: int
    cpu_rounds: int
    steps: int
    chains: tuple[Work, ...]
    replayed: tuple[Work, ...]
    peers: tuple[Work, ...]


FULL = Size(rounds=5, cpu_rounds=9, steps=3, chains=CHAINS, replayed=(LARGE, Work(samples=64, stages=3)), peers=CHAINS)
SMALL = Size(rounds=3, cpu_rounds=3, steps=1, chains=CHAINS[1::2], replayed=(LARGE,), peers=CHAINS[:1])


@dataclass(frozen=True, slots=True)
class Spent:
    """Time and CPU of this process, and how long it was ready to run while others had the processors."""

    wall_s: float
    cpu_s: float
    queued_s: float

    @property
    def own_s(self) -> float:
        """What it would have taken with a processor of its own."""
        return self.wall_s - self.queued_s


async def spent(work: Callable[[], Awaitable[object]]) -> Spent:
    """What the work takes."""
    wall_s, cpu_s, queued_s = time.perf_counter(), time.process_time(), queued()
    await work()
    return Spent(time.perf_counter() - wall_s, time.process_time() - cpu_s, queued() - queued_s)


def queued() -> float:
    """Seconds that this process has waited for a processor; 0 where nobody counts them."""
    try:
        return int(SCHEDULED.read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def quiet(rounds: Sequence[tuple[Spent, ...]]) -> list[tuple[Spent, ...]]:
    """The half of the rounds that waited least for a processor: a busy machine says nothing about an engine."""
    least_first = sorted(rounds, key=lambda sides: sum(side.queued_s for side in sides))
    return least_first[: (len(rounds) + 1) // 2]


def ours(base_url: str) -> OpenAIModel:
    """The client that the product uses."""
    return OpenAIModel(base_url, KEY, prices=Prices(base_url), rules=CallRules(concurrency=IN_FLIGHT))


def bare(base_url: str) -> AsyncOpenAI:
    """The SDK alone."""
    http = DefaultAioHttpClient(limits=Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT))
    return AsyncOpenAI(base_url=base_url, api_key=KEY, max_retries=0, http_client=http)


async def fresh_step(model: OpenAIModel, work: Work) -> None:
    """One step of ours with an empty journal."""
    await step(Journalled(model), work)


@dataclass(frozen=True, slots=True)
class Figure:
    """A ratio and its target; `own` is the least that it can have been without other processes' work."""

    raw: float
    own: float
    most: float

    @property
    def missed(self) -> bool:
        """True when a busy machine cannot be the reason."""
        return self.own > self.most

    def __str__(self) -> str:
        if self.raw <= self.most:
            verdict = "held"
        elif self.missed:
            verdict = "MISSED"
        else:
            verdict = f"undecided: the machine was busy, it is between {self.own:.2f} and this"
        return f"{self.raw:5.2f}  (at most {self.most:.2f}: {verdict})"


async def levels_of(work: Work) -> list[list[dict[str, Any]]]:
    """The step's requests by dependency level. Raises RuntimeError when they are not what the graph needs."""
    levels = await Levels.of(lambda model: step(model, work))
    calls = sum(map(len, levels))
    if (len(levels), calls) != (work.chain, work.calls):
        raise RuntimeError(f"{work}: {calls} calls in {len(levels)} rounds, {work.calls} in {work.chain} expected")
    return bodies(levels)


async def chains(model: OpenAIModel, size: Size) -> bool:
    """Wall time of small steps over the time that their longest chain takes anywhere."""
    print(f"{LATENCY_S * 1000:.0f} ms per call, one step, over chain x latency")
    times: dict[Work, list[tuple[Spent, ...]]] = {work: [] for work in size.chains}
    for _ in range(size.rounds):
        for work, rounds in times.items():
            rounds.append((await spent(partial(fresh_step, model, work)),))
    held = True
    for work, rounds in times.items():
        sides, least_s = [side for (side,) in quiet(rounds)], work.chain * LATENCY_S
        wall_s, own_s = statistics.median(s.wall_s for s in sides), statistics.median(s.own_s for s in sides)
        figure = Figure(wall_s / least_s, own_s / least_s, MOST_OVER_CHAIN)
        held &= not figure.missed
        print(f"  {told(work)}  {wall_s:6.2f} s  {figure}")
    return held


async def replays(model: OpenAIModel, client: AsyncOpenAI, size: Size) -> bool:
    """Wall time of large steps over a bare replay of the same calls."""
    print(f"{LATENCY_S * 1000:.0f} ms per call, one step, over a bare replay of its calls in the same levels")
    held = True
    for work in size.replayed:
        levels = await levels_of(work)
        pairs: list[tuple[Spent, ...]] = []
        for number in range(size.rounds):
            pairs.append(await paired(partial(fresh_step, model, work), partial(replay, client, levels), number))
        raw = statistics.median(mine.wall_s / other.wall_s for mine, other in quiet(pairs))
        own = statistics.median(mine.own_s / other.own_s for mine, other in quiet(pairs))
        figure = Figure(raw, own, MOST_OVER_REPLAY)
        held &= not figure.missed
        mine_s, other_s = (statistics.median(pair[side].wall_s for pair in quiet(pairs)) for side in (0, 1))
        print(f"  {told(work)}  {mine_s:6.2f} s, bare {other_s:.2f} s  {figure}")
    return held


def told(work: Work) -> str:
    """A step's size in words."""
    return f"{work.samples:3} samples, {work.stages} stages: {work.calls:4} calls, chain of {work.chain}"


async def paired(
    mine: Callable[[], Awaitable[object]], other: Callable[[], Awaitable[object]], number: int
) -> tuple[Spent, Spent]:
    """Both, one after the other; who goes first changes from round to round."""
    if number % 2:
        last = await spent(other)
        return await spent(mine), last
    return await spent(mine), await spent(other)


async def overhead(base_url: str, size: Size) -> bool:
    """CPU of a large step over a bare replay at zero latency, and what the durable journal costs on top."""
    work = LARGE
    levels = await levels_of(work)
    async with ours(base_url) as model, bare(base_url) as client:

        async def repeated(one: Callable[[], Awaitable[object]]) -> None:
            for _ in range(size.steps):
                await one()

        pairs: list[tuple[Spent, ...]] = []
        for number in range(-1, size.cpu_rounds):  # the first round warms both up
            pair = await paired(
                partial(repeated, partial(fresh_step, model, work)),
                partial(repeated, partial(replay, client, levels)),
                number,
            )
            pairs += [pair] if number >= 0 else []
        calls = work.calls * size.steps
        ratio = statistics.median(mine.cpu_s / other.cpu_s for mine, other in pairs)
        mine_ms, other_ms = (statistics.median(pair[side].cpu_s for pair in pairs) / calls * 1000 for side in (0, 1))
        print(f"no latency, {work.samples} samples, {work.stages} stage: CPU per call")
        print(f"  ours {mine_ms:.2f} ms, bare {other_ms:.2f} ms  {Figure(ratio, ratio, MOST_CPU)}")
        kept = await durable(model, work, size)
        print(
            f"  the durable journal adds {kept.cpu_s / work.calls * 1000 - mine_ms:.2f} ms of CPU per call; "
            f"{kept.wall_s / work.calls * 1000:.2f} ms of wall time per call with it"
        )
    return ratio <= MOST_CPU


async def durable(model: OpenAIModel, work: Work, size: Size) -> Spent:
    """A step whose calls are kept in a database of their own, as the daemon keeps them."""
    with tempfile.TemporaryDirectory() as folder:
        store = await asyncio.to_thread(Store.open, f"sqlite:///{folder}/tracegrad.db", SystemClock())
        with store.engine.begin() as connection:  # the lease that DBOS would have given
            connection.execute(sa.text("create table workflow_status (workflow_uuid text primary key, owner_xid text)"))
            connection.execute(sa.text("insert into workflow_status values ('bench', 'mine')"))
        results = []
        for number in range(size.steps):
            run = Run(cycle_id=f"bench@{number}", prompt="bench", workflow_id="bench", token="mine")
            kept = JournalledModel(model, store.journal, run, capacity=asyncio.Semaphore(IN_FLIGHT))
            results.append(await spent(partial(step, kept, work)))
        store.close()
    return min(results, key=lambda result: result.wall_s)


def peers(python: Path, base_url: str, works: tuple[Work, ...]) -> None:
    """One step of every other optimizer on the same work, each in a process of its own."""
    print(f"{LATENCY_S * 1000:.0f} ms per call, other optimizers, one step each, over chain x latency of ours;")
    print("  GEPA's step rewrites from the judge's words alone, without a criticism of each sample")
    for name in PEERS:
        for work in works:
            said = {"base_url": base_url, "prompts": work.prompts, "questions": work.questions, "rubric": RUBRIC}
            with tempfile.TemporaryDirectory() as folder:
                done = subprocess.run(
                    [python, HERE / "peers" / f"engine_{name}.py"],
                    input=json.dumps(said),
                    capture_output=True,
                    text=True,
                    cwd=folder,
                    env={**os.environ, "HOME": folder, "XDG_CACHE_HOME": folder, "OPENAI_API_KEY": KEY},
                    timeout=600,
                    check=False,
                )
            print(f"  {name:9} {work.samples:3} samples, {work.stages} stages: {outcome(done, work)}", flush=True)


def outcome(done: subprocess.CompletedProcess[str], work: Work) -> str:
    """What a runner said in its last line, or that it failed."""
    if done.returncode:
        return f"failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}"
    found = json.loads(done.stdout.strip().splitlines()[-1])
    ratio = found["wall_s"] / (work.chain * LATENCY_S)
    return (
        f"{found['calls']:4} calls, at most {found['peak']:3} at once  {found['wall_s']:6.2f} s  {ratio:5.2f}"
        f"   {found['cpu_s'] / found['calls'] * 1000:.1f} ms CPU per call"
    )


async def measured(size: Size, slow_url: str, fast_url: str) -> bool:
    """All of our own figures; False when a target is missed."""
    for work in size.chains:
        await levels_of(work)
    async with ours(slow_url) as model, bare(slow_url) as client:
        warm = CHAINS[0]
        await fresh_step(model, warm)
        await replay(client, await levels_of(warm))
        results = [await chains(model, size), await replays(model, client, size)]
    return all([*results, await overhead(fast_url, size)])


def main() -> None:
    """Everything, one part after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--small", action="store_true", help="under 30 seconds, for CI")
    parser.add_argument(
        "--peers-python",
        type=Path,
        default=HERE / "peers" / ".venv" / "bin" / "python",
        help="a Python that has textgrad and gepa",
    )
    chosen = parser.parse_args()
    size = SMALL if chosen.small else FULL
    with serving(LATENCY_S) as slow, serving(0.0) as fast:
        held = asyncio.run(measured(size, f"{slow}/v1", f"{fast}/v1"))
        if chosen.peers_python.exists():
            peers(chosen.peers_python.absolute(), f"{slow}/v1", size.peers)
        else:
            print("no textgrad and no gepa here: set up benchmarks/peers as its README says, or give --peers-python")
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
