"""How fast the evaluation endpoint answers, alone and while a cycle runs: 2,000 evaluations a second.

    .venv/bin/python benchmarks/ofrep.py [--small] [--rounds N]

The endpoint is the daemon's: a process of its own over a database with twenty splits. Questions are prebuilt bytes on
kept connections, in an open loop: each has a planned moment, and its latency counts from there, so that a slow answer
cannot slow the questions down. Every answer has to be the one that the hash says. *Statistics* is a process that
computes gate intervals without a pause; *cycle* is `tracegrad demo`, a whole cycle with the simulated Langfuse and the
simulated model on this machine too. Exits with 1 when the target is missed (not with --small, which has no cycle and
tells ratios only) or when an answer is wrong. Never talks to anything but 127.0.0.1.
"""

import argparse
import asyncio
import gc
import json
import multiprocessing
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from deploy.clock import SystemClock
from deploy.ofrep.process import answering
from deploy.settings import PromptSettings, Settings
from deploy.store.facade import Store
from deploy.store.splits import Splits
from gates.statistics import interval
from optimizer.rollouts import canary, point

RATE = 2000
P99_MS = 50.0
PROMPTS, USERS, CONNECTIONS = 20, 500, 64
SALT = "benchmark"
LENGTH = re.compile(rb"content-length: (\d+)")
COMMAND = Path(sys.executable).with_name("tracegrad")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    seconds: float
    rounds: int
    cycle: bool


FULL = Size(seconds=5.0, rounds=3, cycle=True)
SMALL = Size(seconds=1.5, rounds=1, cycle=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One phase. Latencies in milliseconds, from the planned moment."""

    rate: float
    p50: float
    p99: float
    longest: float
    wrong: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The bytes of one evaluation, and what has to come back at the end of the answer."""

    sent: bytes
    expected: bytes


class Asker(asyncio.Protocol):
    """One kept connection with at most one question on it."""

    def __init__(self, done: Callable[["Asker", bool], None]) -> None:
        self._done = done
        self._got = b""
        self._question = Question(sent=b"", expected=b"")
        self.planned = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, question: Question, planned: float) -> None:
        self._question, self.planned, self._got = question, planned, b""
        self.transport.write(question.sent)

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        told = LENGTH.search(head)
        if end and told and len(body) >= int(told.group(1)):
            self._done(self, head.startswith(b"HTTP/1.1 200 ") and body == self._question.expected)


class Load:
    """An open loop: questions at fixed moments, on whichever connection is free."""

    def __init__(self, questions: list[Question]) -> None:
        self._questions = questions
        self._free: deque[Asker] = deque()
        self._waiting: deque[tuple[Question, float]] = deque()
        self._latencies: list[float] = []
        self._wrong = 0

    async def connect(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            _, asker = await loop.create_connection(lambda: Asker(self._answered), host, port)
            self._free.append(asker)

    async def run(self, seconds: float) -> Figures:
        loop, total = asyncio.get_running_loop(), round(RATE * seconds)
        self._latencies, self._wrong = [], 0
        began, sent = loop.time(), 0
        gc.disable()  # the generator's pauses would be told as the endpoint's
        while len(self._latencies) < total:
            due = min(total, int((loop.time() - began) * RATE) + 1)
            for number in range(sent, due):
                self._ask(self._questions[number % len(self._questions)], began + number / RATE)
            sent = due
            await asyncio.sleep(0.0005)
        spent = loop.time() - began
        gc.enable()
        ordered = sorted(self._latencies)
        return Figures(
            rate=total / spent,
            p50=ordered[total // 2],
            p99=ordered[int(0.99 * total)],
            longest=ordered[-1],
            wrong=self._wrong,
        )

    def _ask(self, question: Question, planned: float) -> None:
        if self._free:
            self._free.popleft().ask(question, planned)
        else:
            self._waiting.append((question, planned))

    def _answered(self, asker: Asker, right: bool) -> None:
        self._latencies.append(1000 * (asyncio.get_running_loop().time() - asker.planned))
        self._wrong += not right
        if self._waiting:
            asker.ask(*self._waiting.popleft())
        else:
            self._free.append(asker)


def questions() -> list[Question]:
    """Every prompt for many users, in a fixed order, and the protocol's answers."""
    made = []
    for user in range(USERS):
        for prompt in names():
            version = canary(prompt, SALT, version=8, share=0.5).at(point(SALT, f"user-{user}"))
            body = json.dumps({"context": {"targetingKey": f"user-{user}", "plan": "gold"}}).encode()
            path = f"/ofrep/v1/evaluate/flags/{quote(prompt, safe='')}"
            head = f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
            answer = {
                "key": prompt,
                "value": version,
                "reason": "SPLIT",
                "variant": "candidate" if version else "production",
                "metadata": {"serial": 2},
            }
            expected = json.dumps(answer, separators=(",", ":")).encode()
            made.append(Question(sent=f"{head}\r\n\r\n".encode() + body, expected=expected))
    random.Random(7).shuffle(made)
    return made


def names() -> list[str]:
    """Of the prompts."""
    return [f"team/prompt-{number}" for number in range(PROMPTS)]


def prepared(folder: Path) -> Settings:
    """Settings of an owner with a rollout on every prompt."""
    settings = Settings(
        prompts=tuple(PromptSettings(name=name) for name in names()), state_dir=folder, ofrep={"port": 0}
    )
    store = Store.open(settings.database_url, SystemClock())
    splits, now = Splits(store.engine), datetime.now(UTC)
    for name in names():
        base = splits.start(name, SALT, now)
        splits.write(canary(name, SALT, version=8, share=0.5), base, now)
    store.close()
    return settings


def compute() -> None:
    """What a gate computes, without a pause, in a session of its own like the daemon."""
    os.setsid()
    chance = random.Random(11)
    while True:
        interval([chance.uniform(-1, 1) for _ in range(800)])


@contextmanager
def computing() -> Iterator[None]:
    """Gate statistics in a process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=compute, daemon=True)
    process.start()
    time.sleep(1.0)  # until it has imported and computes
    try:
        yield
    finally:
        process.kill()
        process.join()


@contextmanager
def cycling() -> Iterator["subprocess.Popen[bytes]"]:
    """A whole cycle, with the world that it needs."""
    with tempfile.TemporaryDirectory(prefix="ofrep-cycle-") as folder:
        command = [str(COMMAND), "demo", "--fresh", "--folder", folder]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as process:
            yield process
            if process.wait() != 0:
                raise SystemExit(f"the cycle beside which we measure ended with {process.returncode}")


async def during_cycles(load: Load, size: Size) -> list[Figures]:
    """Phase after phase while cycles run, one after the other; a phase in which one ended does not count."""
    found: list[Figures] = []
    while len(found) < size.rounds:
        with cycling() as process:
            while process.poll() is None:
                figures = await load.run(size.seconds)
                if process.poll() is None:
                    found.append(figures)
    return found


async def measured(size: Size) -> dict[str, list[Figures]]:
    """Figures by what ran beside the endpoint."""
    found: dict[str, list[Figures]] = {"alone": [], "statistics": [], "cycle": []}
    with tempfile.TemporaryDirectory(prefix="ofrep-") as folder:
        async with answering(prepared(Path(folder))) as address:
            host, _, port = address.removeprefix("http://").partition(":")
            load = Load(questions())
            await load.connect(host, int(port))
            await load.run(1.0)  # the first questions wait for the process to start
            for _ in range(size.rounds):
                found["alone"].append(await load.run(size.seconds))
                with computing():
                    found["statistics"].append(await load.run(size.seconds))
            if size.cycle:
                found["cycle"] = await during_cycles(load, size)
    return found


def told(found: dict[str, list[Figures]]) -> bool:
    """Print the figures; whether the target was met beside the heaviest neighbour that was measured."""
    print(f"{RATE:,} evaluations a second asked for, {PROMPTS} prompts, {CONNECTIONS} connections")
    alone = statistics.median(figures.p99 for figures in found["alone"])
    met = True
    for beside, phases in found.items():
        if not phases:
            continue
        rate, p50, p99 = (statistics.median(getattr(one, name) for one in phases) for name in ("rate", "p50", "p99"))
        met = rate > 0.99 * RATE and p99 < P99_MS
        longest = max(one.longest for one in phases)
        print(
            f"  {beside:12} {rate:7,.0f}/s   p50 {p50:6.1f} ms   p99 {p99:6.1f} ms ({p99 / alone:4.1f} of alone)   "
            f"longest {longest:6.1f} ms   {len(phases)} phases"
        )
    return met


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--small", action="store_true", help="a few seconds and no cycle, for CI")
    parser.add_argument("--rounds", type=int, default=0, help="so many rounds instead")
    chosen = parser.parse_args()
    size = SMALL if chosen.small else FULL
    size = Size(seconds=size.seconds, rounds=chosen.rounds or size.rounds, cycle=size.cycle)
    found = asyncio.run(measured(size))
    met = told(found)
    wrong = sum(figures.wrong for phases in found.values() for figures in phases)
    print(f"  {RATE:,}/s with p99 under {P99_MS:.0f} ms: {'held' if met else 'MISSED'}; wrong answers: {wrong}")
    print(f"  load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    sys.exit(1 if wrong or not (met or chosen.small) else 0)


if __name__ == "__main__":
    main()
