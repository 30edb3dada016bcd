"""Serving: a port of 127.0.0.1 for the time of the block, and an honest failure when the application cannot start."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette

from sandbox.langfuse.app import create_app
from sandbox.serving import serve


def test_the_port_is_free_again_after_the_block() -> None:
    with serve(create_app(":memory:")) as url:
        assert httpx.get(f"{url}/api/public/health").json()["status"] == "OK"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/api/public/health")
    port = int(url.rpartition(":")[2])
    with serve(create_app(":memory:"), port=port) as again:
        assert again == url


def test_a_port_in_use_is_an_error() -> None:
    app = Starlette()
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError):
        serve(app, port=taken.getsockname()[1]).__enter__()


def test_an_application_that_cannot_start_is_an_error() -> None:
    @asynccontextmanager
    async def broken(_: Starlette) -> AsyncIterator[None]:
        raise ValueError("no")
        yield

    with pytest.raises(RuntimeError, match="did not start"), serve(Starlette(lifespan=broken)):
        pass
