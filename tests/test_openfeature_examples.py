"""The example applications: stock provider, plain Langfuse SDK; whoever is assigned a version reads that version."""

import os
import runpy
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from langfuse import Langfuse
from openfeature import api
from opentelemetry.sdk.trace import TracerProvider

from deploy.ofrep.app import Endpoint
from deploy.ofrep.flags import Flags
from deploy.store.splits import KeptSplit
from optimizer.rollouts import Split, canary
from sandbox.langfuse.app import create_app
from sandbox.serving import serve
from tests.node_packages import ran

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[1] / "examples" / "openfeature"
NAME = "team/größe 客服"
SECRET = "sk-lf-sandbox"
TOKEN = "let me ask"
USER = "Zoë"


def shown_to_all(version: int) -> Split:
    """All but one user in a billion."""
    return canary(NAME, "s", version=version, share=1 - 2**-30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Langfuse with two versions, the first in production; and what an application reads its place from."""

    langfuse: str
    public_key: str
    http: httpx.Client

    def environment(self, endpoint: str) -> dict[str, str]:
        keys = {"LANGFUSE_PUBLIC_KEY": self.public_key, "LANGFUSE_SECRET_KEY": SECRET}
        hosts = {"LANGFUSE_HOST": self.langfuse, "LANGFUSE_BASE_URL": self.langfuse}
        return {**keys, **hosts, "OFREP_URL": endpoint, "OFREP_TOKEN": TOKEN}


@pytest.fixture
def outside(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Outside]:
    key = f"pk-{request.node.name}"  # the SDK keeps one connection per key, for ever
    with (
        serve(create_app(tmp_path / "sandbox.db", public_key=key)) as url,
        httpx.Client(base_url=url, auth=(key, SECRET)) as http,
    ):
        for text, labels in (("old", ["production"]), ("new", ["canary"])):
            sent = {"name": NAME, "type": "text", "prompt": text, "labels": labels}
            http.post("/api/public/v2/prompts", json=sent).raise_for_status()
        yield Outside(langfuse=url, public_key=key, http=http)


@contextmanager
def endpoint(split: Split) -> Iterator[str]:
    flags = Flags(prompts=frozenset({NAME}), splits={NAME: KeptSplit(split=split, serial=1)})
    asked = Endpoint(flags, TOKEN)

    async def http_only(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await asked(scope, receive, send)

    with serve(http_only) as url:
        yield url


@contextmanager
def hanging() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = []
        listener.settimeout(30)

        def take() -> None:
            try:
                held.append(listener.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()
        assert held, "nobody asked"
        for connection in held:
            connection.close()


def python(outside: Outside, url: str, _: Path) -> int:
    """The version that the application in Python uses."""
    application = runpy.run_path(str(EXAMPLES / "app.py"))
    with httpx.Client() as http:
        langfuse = Langfuse(
            public_key=outside.public_key,
            secret_key=SECRET,
            base_url=outside.langfuse,
            tracer_provider=TracerProvider(),
            httpx_client=http,
        )
        application["connect"](url, TOKEN)
        try:
            version: int = application["prompt_for"](langfuse, NAME, USER).version
        finally:
            api.provider_registry.get_default_provider().session.close()  # the provider does not
            api.shutdown()
            langfuse.shutdown()
        return version


def typescript(outside: Outside, url: str, folder: Path) -> int:
    """The same in TypeScript, as a newcomer runs it."""
    return int(ran(folder / "node", EXAMPLES / "app.ts", arguments=(NAME, USER), **outside.environment(url)))


APPLICATIONS = pytest.mark.parametrize("application", [python, typescript])


@APPLICATIONS
@pytest.mark.parametrize(
    ("split", "version"),
    [(shown_to_all(2), 2), (canary(NAME, "s", version=2, share=2**-30), 1), (shown_to_all(9), 1)],
    ids=["assigned", "not assigned", "assigned what is gone"],
)
def test_a_user_reads_the_version_of_the_split(
    application: Any, split: Split, version: int, outside: Outside, tmp_path: Path
) -> None:
    with endpoint(split) as url:
        assert application(outside, url, tmp_path) == version


@APPLICATIONS
def test_while_the_endpoint_hangs_it_is_production(application: Any, outside: Outside, tmp_path: Path) -> None:
    with hanging() as url:
        assert application(outside, url, tmp_path) == 1


def test_the_answer_is_recorded_with_its_user_and_its_version(outside: Outside) -> None:
    with endpoint(shown_to_all(2)) as url:
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / "app.py"), NAME, USER],
            env={"PATH": os.environ["PATH"], **outside.environment(url)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr
    fields = {"fields": "core,basic,prompt,trace_context", "type": "GENERATION"}
    (row,) = outside.http.get("/api/public/v2/observations", params=fields).raise_for_status().json()["data"]
    assert (row["promptName"], row["promptVersion"], row["userId"]) == (NAME, 2, USER)
