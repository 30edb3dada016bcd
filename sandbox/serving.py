"""An ASGI application on a real socket of 127.0.0.1, run in a background thread.

It never binds another interface and never outlives its `with` block.
"""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn

START_TIMEOUT_S = 30.0


class Served(uvicorn.Server):
    """A uvicorn server that says when it listens and leaves the process's signals and logging alone."""

    def __init__(self, app: Any, listener: socket.socket) -> None:
        # no log_config: the process that serves decides how it logs
        super().__init__(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2))
        self.listening = threading.Event()
        host, port = listener.getsockname()[:2]
        self.base_url = f"http://{host}:{port}"
        self._listener = listener

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell the waiting thread, whether the start worked or not."""
        await super().startup(sockets)
        self.listening.set()

    def run_here(self) -> None:
        """Serve in this thread until `should_exit` is set, with an event loop of its own."""
        try:
            # uvicorn leaves by SystemExit when the application does not start; `started` says so to the other thread
            with suppress(SystemExit):
                asyncio.run(self.serve([self._listener]))
        finally:
            self.listening.set()


@contextmanager
def serve(app: Any, *, port: int = 0, host: str = "127.0.0.1") -> Iterator[str]:
    """Yield the base URL of `app`, served until the block ends; port 0 takes a free one.

    Raises:
        RuntimeError: the application did not start.
    """
    listener = _listener(host, port)
    # asyncio sets it only on sockets that name TCP as their protocol, and without it an answer waits some 40 ms
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = Served(app, listener)
    thread = threading.Thread(target=server.run_here, name=f"serve {server.base_url}", daemon=True)
    thread.start()
    try:
        if not server.listening.wait(START_TIMEOUT_S) or not server.started:
            raise RuntimeError(f"the application did not start on {server.base_url}")
        yield server.base_url
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _listener(host: str, port: int) -> socket.socket:
    # asyncio turns Nagle's algorithm off only where the protocol is named, and `socket.create_server` does not name it;
    # with it on, every answer of two packets waits 40 ms for a delayed acknowledgement
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener
