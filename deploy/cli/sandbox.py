"""`tracegrad sandbox`: the simulated Langfuse and the simulated model alone, for trying things out."""

import json
import signal
import threading
from pathlib import Path

from sandbox.langfuse.app import create_app as create_langfuse
from sandbox.model.app import create_app as create_model
from sandbox.scenario.support import seed_history
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
            seed_history(langfuse_url, f"{model_url}/v1", seed=seed)
        ready = {
            "langfuse": langfuse_url,
            "model": f"{model_url}/v1",
            "public_key": "pk-lf-sandbox",
            "secret_key": "sk-lf-sandbox",
            "api_key": "sk-sandbox",
        }
        print(json.dumps(ready), flush=True)
        stop.wait()
