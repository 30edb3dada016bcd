"""`tracegrad sandbox`: the simulated Langfuse and the simulated model alone, for trying things out."""

import asyncio
import json
import signal
import threading
from datetime import UTC, datetime
from pathlib import Path

from sandbox.langfuse.app import create_app as create_langfuse
from sandbox.model.app import create_app as create_model
from sandbox.scenario.history import History, seed_history
from sandbox.scenario.support import SupportApplication
from sandbox.serving import serve


def command(*, folder: Path, ports: tuple[int, int], seed: int, empty: bool, latency_s: float) -> None:
    """Serve both until SIGINT or SIGTERM; the first line on standard output is JSON and says where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    langfuse = create_langfuse(folder / "langfuse.db")
    model = create_model(seed=seed, latency_s=latency_s)
    with serve(langfuse, port=ports[0]) as langfuse_url, serve(model, port=ports[1]) as model_url:
        if not empty:
            asyncio.run(fill(langfuse_url, f"{model_url}/v1", seed))
        ready = {
            "langfuse": langfuse_url,
            "model": f"{model_url}/v1",
            "public_key": "pk-lf-sandbox",
            "secret_key": "sk-lf-sandbox",
            "api_key": "sk-sandbox",
        }
        print(json.dumps(ready), flush=True)
        stop.wait()


async def fill(langfuse_url: str, model_url: str, seed: int) -> History:
    """Write the simulated shop's past; nothing when it is there already."""
    async with SupportApplication(langfuse_url, model_url) as application:
        return await seed_history(application, now=datetime.now(UTC), seed=seed)
