"""A loopback chat server in a process of its own, for `benchmarks/engine.py`: scripted replies after a fixed latency.

It answers whoever asks: our engine by the name of the reply's schema, other optimizers by the marks that their requests
ask for. The same request gets the same reply. Counts requests and how many are under way. Binds 127.0.0.1 only.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from aiohttp import web

CRITICISMS = (
    "The prompt never says that the day of delivery must be named.",
    "The prompt does not ask for the name of the depot where a parcel waits.",
    "The prompt allows answers that are longer than a customer reads.",
)
CURES = (
    "Name the day of delivery whenever it is known.",
    "Say at which depot the parcel waits.",
    "Answer in three sentences at most.",
)
FEEDBACK = "The answer leaves open when the parcel arrives and where it waits until then."


def words(said: dict[str, Any]) -> str:
    """What the scripted model says to a request."""
    texts = [message["content"] for message in said["messages"]]
    whole = "\n".join(texts)
    match said.get("response_format", {}).get("json_schema", {}).get("name"):
        case "gradient":
            number = sha256(whole.encode()).digest()[0]
            return json.dumps({"change": True, "gradient": CRITICISMS[number % len(CRITICISMS)]})
        case "edits":
            return json.dumps({"edits": edits(texts[-1])})
        case "judgement":
            return json.dumps({"score": 0.25, "reason": FEEDBACK})
    if "<IMPROVED_VARIABLE>" in texts[0]:  # TextGrad's optimizer
        return f"<IMPROVED_VARIABLE>You answer customers of a parcel service. {' '.join(CURES)}</IMPROVED_VARIABLE>"
    if "```" in whole:  # GEPA's reflection
        return f"```\nYou answer customers of a parcel service. {' '.join(CURES)}\n```"
    parcel = re.search(r"parcel \d+", texts[-1])
    return f"Your {parcel.group() if parcel else 'parcel'} is on its way. " + "Please wait a little longer. " * 5


def edits(user: str) -> list[dict[str, str]]:
    """A new line at the end of the prompt for every root cause."""
    shown, block = (json.loads(line) for line in user.splitlines() if line.startswith("{"))
    last = shown["lines"][-1]["id"]
    return [
        {"op": "add", "line": last, "text": cure, "cause": cause["label"], "reason": "The prompt now asks for it."}
        for cause, cure in zip(block["causes"], CURES, strict=False)
    ]


@dataclass(kw_only=True)
class Seen:
    """What the server saw since it was last asked."""

    calls: int = 0
    under_way: int = 0
    peak: int = 0
    first_s: float = 0.0
    last_s: float = 0.0


def application(latency_s: float) -> web.Application:
    """The chat endpoint, and `/seen`, which tells what was seen and starts anew."""
    seen = Seen()

    async def complete(request: web.Request) -> web.Response:
        nonlocal seen
        mine, arrived_s = seen, time.perf_counter()
        mine.calls += 1
        mine.under_way += 1
        mine.peak = max(mine.peak, mine.under_way)
        mine.first_s = mine.first_s or arrived_s
        text = words(await request.json())
        if latency_s:
            await asyncio.sleep(max(0.0, latency_s - (time.perf_counter() - arrived_s)))
        mine.under_way -= 1
        mine.last_s = time.perf_counter()
        return web.Response(body=answer(text), content_type="application/json")

    async def tell(_request: web.Request) -> web.Response:
        nonlocal seen
        was, seen = seen, Seen()
        return web.json_response({"calls": was.calls, "peak": was.peak, "span_s": was.last_s - was.first_s})

    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_get("/seen", tell)
    return app


def answer(text: str) -> bytes:
    """A completion with this text."""
    message = {"role": "assistant", "content": text}
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "bench",
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 130, "completion_tokens": 40, "total_tokens": 170},
        }
    ).encode()


async def run(latency_s: float) -> None:
    """Serve until standard input ends; the first line of output is the server's address."""
    runner = web.AppRunner(application(latency_s), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=2048).start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


@contextmanager
def serving(latency_s: float) -> Iterator[str]:
    """The address of a server that lives as long as the block, or as this process."""
    command = [sys.executable, __file__, str(latency_s)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.communicate()


if __name__ == "__main__":
    asyncio.run(run(float(sys.argv[1])))
