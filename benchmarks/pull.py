"""What pulling scored traces costs: this product's reader, a bare download of the same pages, and the SDK.

    python benchmarks/pull.py [--small]

Seeds the sandbox with 10,000 traces that each have one low score (1,000 with --small), then pulls them in rounds, each
pull in a process of its own. *Bare* downloads the same pages with the same HTTP client, follows the cursors, and makes
nothing of the rows. Exits with 1 when ours takes more than 1.5 times as long, or adds more than 60 MB of memory.
Pulled scores are kept, generations are handed on one by one, as the caller that stores them does.
"""

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import httpx
from langfuse.api import AsyncLangfuseAPI

from connectors.langfuse.queries import any_of, observation_params, score_params, started_since
from connectors.langfuse.settings import LangfuseAccess
from connectors.langfuse.traces import LangfuseTraceSource
from optimizer.rules import NumericRule
from optimizer.types import Window
from sandbox.langfuse.app import create_app
from sandbox.serving import serve

STATUS = Path("/proc/self/status")

MOST_TIME = 1.5
MOST_MEMORY_MB = 60.0

START = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW = Window(start=START, end=START + timedelta(days=30))
RULE = NumericRule(name="helpful", threshold=0.5)
PROMPT = "support/answer"
SCORES, OBSERVATIONS = "/api/public/v3/scores", "/api/public/v2/observations"


def access(url: str) -> LangfuseAccess:
    """The sandbox, with the limiter off."""
    return LangfuseAccess(
        base_url=url,
        public_key="pk-lf-sandbox",
        secret_key="sk-lf-sandbox",
        source_secret=b"benchmark",
        requests_per_minute=0,
    )


# ---- the three pulls -----------------------------------------------------------------------------------------------


async def ours(url: str) -> int:
    """As a cycle does it."""
    async with LangfuseTraceSource(access(url)) as source:
        scores = [score async for score in source.scores(WINDOW, [RULE])]
        ids = [score.trace_id for score in scores]
        return sum([1 async for _ in source.generations(ids, [PROMPT], WINDOW.start)])


async def bare(url: str) -> int:
    """A paginated download and no more: what is read of a page is its cursor, and which traces to ask for."""
    keys, count = access(url), 0
    ids: list[str] = []
    async with aiohttp.ClientSession(headers={"Authorization": keys.authorization}) as session:

        async def page(path: str, params: dict[str, str]) -> Any:
            async with session.get(url + path, params=params) as response:
                return json.loads(await response.read())

        first = score_params(RULE, WINDOW, keys.environments) | {"limit": "100"}
        position: dict[str, str] | None = {}
        while position is not None:
            scores = await page(SCORES, first | position)
            ids += [row["subject"]["id"] for row in scores["data"]]
            cursor = scores["meta"].get("cursor")
            position = {"cursor": cursor} if cursor else None
        for start in range(0, len(ids), 100):
            found = await page(OBSERVATIONS, observations(ids[start : start + 100]) | {"limit": "200"})
            assert "cursor" not in found["meta"]
            count += len(found["data"])
    return count


async def sdk(url: str) -> int:
    """The same two walks with the SDK's generated client and models."""
    async with httpx.AsyncClient(timeout=60) as http:
        keys = access(url)
        api = AsyncLangfuseAPI(base_url=url, username=keys.public_key, password=keys.secret_key, httpx_client=http)
        ids: list[str] = []
        cursor = None
        params = {"name": RULE.name, "data_type": "NUMERIC", "value_max": RULE.threshold, "environment": "production"}
        while True:
            scores = await api.scores.get_many(fields="details,subject", limit=100, cursor=cursor, **params)
            ids += [score.subject.id for score in scores.data]
            if not (cursor := scores.meta.cursor):
                break
        count = 0
        for start in range(0, len(ids), 100):
            query = observations(ids[start : start + 100])
            page = await api.observations.get_many(fields=query["fields"], filter=query["filter"], limit=200)
            count += len(page.data)
        return count


PULLS: dict[str, Callable[[str], Coroutine[None, None, int]]] = {"bare": bare, "ours": ours, "sdk": sdk}


def observations(ids: list[str]) -> dict[str, str]:
    """The parameters of one hundred traces."""
    conditions = any_of("traceId", ids), any_of("promptName", [PROMPT]), started_since(WINDOW.start)
    return observation_params(("production", "default"), *conditions)


# ---- one process per pull ------------------------------------------------------------------------------------------


def measure(name: str, url: str) -> None:
    """Pull once and print seconds and added memory as JSON."""
    before, started = peak_mb(), time.perf_counter()
    rows: int = asyncio.run(PULLS[name](url))
    print(json.dumps({"s": time.perf_counter() - started, "mb": peak_mb() - before, "rows": rows}))


def peak_mb() -> float:
    """The process's high-water mark."""
    if STATUS.exists():
        # ru_maxrss of a child begins at its parent's mark on Linux; this one begins with the program
        return next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if "VmHWM" in line) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def host(folder: Path) -> None:
    """Serve the sandbox until standard input closes."""
    with serve(create_app(folder / "sandbox.db")) as url:
        print(url, flush=True)
        sys.stdin.read()


def in_process(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """This file again."""
    return subprocess.Popen([sys.executable, __file__, *arguments], text=True, stdout=subprocess.PIPE, **options)


# ---- the world -----------------------------------------------------------------------------------------------------


def seed(url: str, count: int) -> None:
    """Scored traces with texts of about 1.5 kB."""
    for start in range(0, count, 500):
        numbers = range(start, min(start + 500, count))
        body = {"observations": [generation(n) for n in numbers], "scores": [score(n) for n in numbers]}
        httpx.post(f"{url}/sandbox/bulk", json=body, timeout=60).raise_for_status()


def identity(number: int) -> str:
    """32 hexadecimal digits."""
    return sha256(str(number).encode()).hexdigest()[:32]


def generation(number: int) -> dict[str, Any]:
    """A row as reads have it."""
    said = [
        {"role": "system", "content": "You answer customers of the shop. " * 20},
        {"role": "user", "content": f"Question {number}: when will my parcel arrive? " * 10},
    ]
    return {
        "id": identity(number)[:16],
        "traceId": identity(number),
        "startTime": (START + timedelta(seconds=60 * number % 86400)).isoformat(),
        "type": "GENERATION",
        "name": "answer",
        "environment": "production",
        "input": json.dumps(said),
        "output": f"Answer {number}: we will look into it. " * 10,
        "model": "some-model",
        "promptName": PROMPT,
        "promptVersion": 1,
        "userId": f"user-{number % 500}",
        "tags": ["shop"],
    }


def score(number: int) -> dict[str, Any]:
    """A low score with a comment."""
    return {
        "id": f"score-{number}",
        "name": RULE.name,
        "dataType": "NUMERIC",
        "value": 0.1,
        "comment": "That is not what I asked. " * 4,
        "environment": "production",
        "timestamp": (START + timedelta(days=1, seconds=number)).isoformat(),
        "subject": {"kind": "trace", "id": identity(number)},
    }


# ---- the comparison ------------------------------------------------------------------------------------------------


def compare(count: int, rounds: int) -> bool:
    """Print the medians; True when the bounds are kept."""
    with tempfile.TemporaryDirectory() as folder:
        server = in_process("host", folder, stdin=subprocess.PIPE)
        assert server.stdout is not None
        assert server.stdin is not None
        try:
            url = server.stdout.readline().strip()
            seed(url, count)
            taken: dict[str, list[dict[str, float]]] = {name: [] for name in PULLS}
            for number in range(rounds):
                for name, results in taken.items():
                    if name == "sdk" and number > 0:
                        continue  # minutes; its figure is for the record and bounds nothing
                    said, _ = in_process(name, url).communicate()
                    results.append(json.loads(said))
        finally:
            server.stdin.close()
            server.wait()
    assert {result["rows"] for name in PULLS for result in taken[name]} == {count}, "a pull lost rows"
    return report(taken, count, rounds)


def report(taken: dict[str, list[dict[str, float]]], count: int, rounds: int) -> bool:
    """One line per way of pulling."""
    print(f"{count} scored traces, {rounds} interleaved rounds, medians")
    base = statistics.median(result["s"] for result in taken["bare"])
    for name, results in taken.items():
        seconds = statistics.median(result["s"] for result in results)
        memory = statistics.median(result["mb"] for result in results)
        print(f"{name:>5}  {seconds:7.2f} s  {seconds / base:5.2f} x bare  {memory:6.1f} MB added")
    # a round compares like with like on a machine whose speed changes
    ratio = statistics.median(o["s"] / b["s"] for o, b in zip(taken["ours"], taken["bare"], strict=True))
    memory = statistics.median(result["mb"] for result in taken["ours"])
    kept = ratio <= MOST_TIME and memory <= MOST_MEMORY_MB
    print(f"ours: {ratio:.2f} x bare (at most {MOST_TIME}), {memory:.1f} MB (at most {MOST_MEMORY_MB:.0f})", end=": ")
    print("kept" if kept else "missed")
    return kept


def main() -> None:
    """The comparison, or one of its processes."""
    if len(sys.argv) == 3:
        role, where = sys.argv[1:]
        return host(Path(where)) if role == "host" else measure(role, where)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="1,000 traces and 3 rounds: too few to fail on, for CI")
    small = parser.parse_args().small
    kept = compare(1_000 if small else 10_000, 3 if small else 9)
    sys.exit(0 if kept or small else 1)


if __name__ == "__main__":
    main()
