"""What our model client costs on top of the SDK: calls per second and CPU per call.

Compares a bare `AsyncOpenAI` loop on the aiohttp transport with `OpenAIModel`, against a loopback server in a process
of its own, at 0 and at 200 ms latency, in interleaved rounds so that a busy machine hurts both alike. Prints medians
and the median of the round-by-round ratios. Never talks to anything but 127.0.0.1.

    .venv/bin/python benchmarks/model_client.py [--small]
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

from httpx2 import Limits
from openai import AsyncOpenAI, DefaultAioHttpClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.openai import CallRules, OpenAIModel
from connectors.pricing import Prices
from optimizer.ports import ModelRequest
from optimizer.prompts import Message
from sandbox.serving import serve

KEY = "sk-benchmark"
SYSTEM = "You answer customers of a parcel service. " * 12
TEXT = "Your parcel waits. " * 8
ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "bench",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Your parcel waits. " * 8},
            }
        ],
        "usage": {"prompt_tokens": 130, "completion_tokens": 40, "total_tokens": 170},
    }
).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One setting of the comparison."""

    latency_s: float
    in_flight: int
    calls: int
    rounds: int

    @property
    def ideal_per_s(self) -> float:
        """Calls per second if clients cost nothing; infinite without latency."""
        return self.in_flight / self.latency_s if self.latency_s else float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One client in one round."""

    calls_per_s: float
    cpu_ms_per_call: float


FULL = (
    Load(latency_s=0.0, in_flight=32, calls=2000, rounds=5),
    Load(latency_s=0.2, in_flight=256, calls=2560, rounds=5),
)
SMALL = (
    Load(latency_s=0.0, in_flight=32, calls=200, rounds=3),
    Load(latency_s=0.2, in_flight=64, calls=192, rounds=3),
)


def run_server(latency_s: float, parent: Connection) -> None:
    """Serve until the parent closes its end; sends the base URL first."""

    async def answer(request: Request) -> Response:
        await request.body()
        if latency_s:
            await asyncio.sleep(latency_s)
        return Response(ANSWER, media_type="application/json")

    with serve(Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])) as base_url:
        parent.send(f"{base_url}/v1")
        parent.poll(None)


async def timed(call: Callable[[int], Awaitable[str]], load: Load) -> Sample:
    """All calls at once, as many in flight as the load says."""
    started_s, cpu_s = time.perf_counter(), time.process_time()
    texts = await asyncio.gather(*(call(n) for n in range(load.calls)))
    wall_s, used_s = time.perf_counter() - started_s, time.process_time() - cpu_s
    assert all(text.startswith("Your parcel") for text in texts)
    return Sample(calls_per_s=load.calls / wall_s, cpu_ms_per_call=used_s / load.calls * 1000)


async def bare_round(base_url: str, load: Load) -> Sample:
    """The SDK alone: no errors translated, no tokens counted, nothing priced."""
    http = DefaultAioHttpClient(limits=Limits(max_connections=load.in_flight))
    places = asyncio.Semaphore(load.in_flight)
    async with AsyncOpenAI(base_url=base_url, api_key=KEY, max_retries=0, http_client=http) as client:

        async def call(number: int) -> str:
            async with places:
                answer = await client.chat.completions.create(
                    model="bench",
                    messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"Parcel {number}?"}],
                    temperature=0.0,
                    max_tokens=200,
                )
            return answer.choices[0].message.content or ""

        await call(-1)
        return await timed(call, load)


async def our_round(base_url: str, load: Load) -> Sample:
    """The connector as the daemon uses it, half of the calls priced by the public list, half by the owner's price."""
    rules = CallRules(concurrency=load.in_flight)
    async with OpenAIModel(base_url, KEY, prices=Prices(base_url, {"bench": (1.0, 2.0)}), rules=rules) as model:

        async def call(number: int) -> str:
            said = (Message(role="system", content=SYSTEM), Message(role="user", content=f"Parcel {number}?"))
            request = ModelRequest(
                purpose="task", model="bench" if number % 2 else "gpt-4o-mini", messages=said, max_tokens=200
            )
            return (await model.complete(request)).text

        await call(-1)
        await call(-2)
        return await timed(call, load)


def compare(load: Load) -> None:
    """Interleaved rounds of both clients, then three lines of numbers."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=run_server, args=(load.latency_s, there))
    server.start()
    there.close()
    base_url = here.recv()
    pairs = []
    for number in range(load.rounds):
        first, second = (bare_round, our_round) if number % 2 else (our_round, bare_round)
        samples = {run: asyncio.run(run(base_url, load)) for run in (first, second)}
        pairs.append((samples[bare_round], samples[our_round]))
    here.close()
    server.join()
    report(load, pairs)


def report(load: Load, pairs: list[tuple[Sample, Sample]]) -> None:
    """Print medians, and the median over rounds of ours divided by bare."""
    ideal = f", ideal {load.ideal_per_s:.0f} calls/s" if load.latency_s else ""
    print(f"{load.latency_s * 1000:.0f} ms latency, {load.in_flight} in flight, {load.calls} calls{ideal}")
    for side, name in enumerate(("AsyncOpenAI, aiohttp transport", "OpenAIModel")):
        rate = statistics.median(pair[side].calls_per_s for pair in pairs)
        cpu_ms = statistics.median(pair[side].cpu_ms_per_call for pair in pairs)
        print(f"  {name:32} {rate:7.0f} calls/s   {cpu_ms:6.2f} ms CPU per call")
    rates = statistics.median(ours.calls_per_s / bare.calls_per_s for bare, ours in pairs)
    cpus = statistics.median(ours.cpu_ms_per_call / bare.cpu_ms_per_call for bare, ours in pairs)
    print(f"  {'ratio, median of rounds':32} {rates:7.2f}           {cpus:6.2f}", flush=True)


def main() -> None:
    """Both loads, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--small", action="store_true", help="a few seconds, for CI")
    for load in SMALL if parser.parse_args().small else FULL:
        compare(load)


if __name__ == "__main__":
    main()
