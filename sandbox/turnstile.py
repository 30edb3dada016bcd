"""A turnstile before any of the sandbox's servers: counts requests that write, and lets one of them end in a kill.

A caller that is killed right before or right after its request was carried out leaves what a real crash leaves: a
connection that breaks, and nobody who knows what was done. Reads pass as if nothing were there.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
OWN_ROUTES = "/sandbox/"
"""What people do by the sandbox's own routes is no request of the caller's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One request that asked for a change, and how it was answered."""

    server: str
    method: str
    path: str
    body: bytes
    status: int

    @property
    def json(self) -> Any:
        """The body, when it is JSON."""
        return json.loads(self.body or b"null")


@dataclass(kw_only=True)
class Writes:
    """All writing requests of all servers, in the order in which they were carried out.

    Attributes:
        at: the request that ends in a kill, counted from 1; 0 for none.
        moment: whether it dies `before` it is carried out or `after`.
        kill: ends the caller, at once.
        struck: whether that has happened.
    """

    done: list[Write] = field(default_factory=list)
    at: int = 0
    moment: Literal["before", "after"] = "before"
    kill: Callable[[], None] = lambda: None
    struck: bool = False
    _asked: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def begin(self, *, at: int = 0, moment: Literal["before", "after"] = "before") -> None:
        """Count from one again, and forget what was done."""
        with self._lock:
            self.done, self.at, self.moment, self.struck, self._asked = [], at, moment, False, 0

    def strikes(self) -> bool:
        """Count a request; whether it is the one."""
        with self._lock:
            self._asked += 1
            return self._asked == self.at


class Turnstile:
    """An ASGI application around another.

    Args:
        server: the name under which its requests are written down.
    """

    def __init__(self, app: ASGIApp, server: str, writes: Writes) -> None:
        self._app, self._server, self._writes = app, server, writes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        writing = scope["type"] == "http" and scope["method"] in WRITING and not scope["path"].startswith(OWN_ROUTES)
        if not writing:
            await self._app(scope, receive, send)
            return
        body, strikes = await _whole(receive), self._writes.strikes()
        if strikes and self._writes.moment == "before":
            await self._die(receive)
            return
        path = (scope.get("raw_path") or scope["path"].encode()).decode().partition("?")[0]

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                asked = Write(
                    server=self._server, method=scope["method"], path=path, body=body, status=message["status"]
                )
                self._writes.done.append(asked)
            if not strikes:
                await send(message)

        await self._app(scope, _again(body, receive), answered)
        if strikes:
            await self._die(receive)

    async def _die(self, receive: Receive) -> None:
        """Kill the caller, and wait until its connection is gone."""
        self._writes.kill()
        self._writes.struck = True
        while (await receive())["type"] != "http.disconnect":
            pass


async def _whole(receive: Receive) -> bytes:
    """The body of a request."""
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """A body that was read, to be read by the application."""
    left = [body]

    async def received() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return received
