"""A small HTTP server on 127.0.0.1, inside our own process: the only thing that a promptfoo run can talk to.

Its address holds a secret that only the run is told. Never binds to another address.
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Self

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.Response]]
LARGEST_BYTES = 256 * 2**20
"""Of a request. A grader is sent whole answers; what comes here was in this process or in the owner's files before."""


class Loopback:
    """An async context manager; `url` is valid inside.

    Args:
        handlers: what is done with a POST, by path.
    """

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._token = secrets.token_urlsafe(32)
        self.url = ""
        app = web.Application(client_max_size=LARGEST_BYTES)
        for path, handler in handlers.items():
            app.router.add_post(f"/{{token}}{path}", self._guarded(handler))
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=0)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/{self._token}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    def _guarded(self, handler: Handler) -> Handler:
        async def serve(request: web.Request) -> web.Response:
            if not hmac.compare_digest(request.match_info["token"].encode(), self._token.encode()):
                raise web.HTTPForbidden
            return await handler(request)

        return serve
