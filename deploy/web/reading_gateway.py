"""A way to read Langfuse without a key that can write: a small reverse proxy, run beside the publisher.

Langfuse's keys can do everything in their project, so a proposer that held them could publish. It is given the keys of
this gateway instead. What passes is one method on a list of paths; anything else is refused here and never sent on. A
request is judged by its bytes as they came, and a new one is made for Langfuse: nothing of the asker's travels on but
the path, the query and what answers it accepts. This file must never forward a header that it does not name.
"""

import asyncio
import hmac
import re
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, quote, unquote_to_bytes

import httpx
import uvicorn
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from deploy.gateway_settings import GatewaySettings
from deploy.settings import LangfuseSettings
from optimizer.errors import BadSettings

ONLY_READS = "TracegradOnlyReads"
"""What this gateway's refusals are called; a proposer looks for it before it starts."""

PATHS = re.compile(
    rb"/api/public/(?:health|projects|v3/scores|v2/observations|v2/prompts|dataset-items"
    rb"|v2/(?:prompts|datasets)/(?P<name>(?:[A-Za-z0-9._~!$'()*+,;=:@-]|%[0-9A-Fa-f]{2})+))"
)
"""Everything that our connectors read. A name is one segment; the slashes in it are encoded."""

QUERY = re.compile(rb"[!$'()*+,./0-9:;=?@A-Z_a-z~%&-]*")
"""What a query may consist of."""

FORWARDED = {"accept": "*/*", "accept-encoding": "identity"}
"""What is sent on of a request's headers, and what is sent when it does not say."""

ANSWERED = ("content-type", "content-encoding", "content-length", "date", "etag", "retry-after")
RATE_LIMITS = "x-ratelimit-"
"""What is sent back of an answer's."""

OVERRIDES = ("x-http-method", "x-http-method-override", "x-method-override", "upgrade")
"""Headers by which a request means something else than it says."""

MOST_CONNECTIONS = 32
CHUNK_BYTES = 65_536
MOST_READ_AWAY_BYTES = 10_000_000


class ReadingGateway:
    """An ASGI application and an async context manager around one pool of connections to Langfuse."""

    def __init__(self, langfuse: LangfuseSettings, gateway: GatewaySettings) -> None:
        public, secret = gateway.public_key, gateway.secret_key.get_secret_value()
        if not public or not secret:
            raise BadSettings("the reading gateway has no keys", "set `gateway.public_key` and `gateway.secret_key`")
        if not langfuse.public_key or not langfuse.secret_key.get_secret_value():
            raise BadSettings("Langfuse keys are missing", "set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY")
        if secret == langfuse.secret_key.get_secret_value():
            raise BadSettings(
                "the reading gateway's key is Langfuse's own, which can write", "make up another `gateway.secret_key`"
            )
        self._expected = _basic(public, secret)
        self._base = httpx.URL(langfuse.host.rstrip("/"))
        self._client = httpx.AsyncClient(
            headers={"authorization": _basic(langfuse.public_key, langfuse.secret_key.get_secret_value())},
            timeout=langfuse.timeout_s,
            limits=httpx.Limits(max_connections=MOST_CONNECTIONS),
            follow_redirects=False,
            trust_env=False,  # a .netrc must not answer for us
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        assert scope["type"] == "http", "served without lifespan and web sockets"
        headers = Headers(scope=scope)
        welcome, query = self._welcome(headers.getlist("authorization")), scope["query_string"]
        path = passing(scope["method"], scope["raw_path"], query, headers) if welcome else None
        if path is not None:
            response = await self._forwarded(path, query, headers)
        else:
            await _read_away(receive)
            response = _refused() if welcome else _unknown()
        await response(scope, receive, send)

    def _welcome(self, said: Sequence[str]) -> bool:
        return len(said) == 1 and hmac.compare_digest(said[0].encode(), self._expected.encode())

    async def _forwarded(self, path: bytes, query: bytes, headers: Headers) -> Response:
        target = self._base.raw_path.rstrip(b"/") + path + (b"?" + query if query else b"")
        passed = {name: _ascii(headers.get(name, unsaid)) or unsaid for name, unsaid in FORWARDED.items()}
        request = self._client.build_request("GET", self._base.copy_with(raw_path=target), headers=passed)
        try:
            answer = await self._client.send(request, stream=True)
        except httpx.TimeoutException:
            return _refusal(504, "TracegradNoAnswer", "Langfuse did not answer in time")
        except httpx.HTTPError:
            return _refusal(502, "TracegradNoAnswer", "Langfuse could not be reached")
        if answer.is_redirect:
            await answer.aclose()
            return _refusal(502, "TracegradNoAnswer", "Langfuse answered with a redirect; correct `langfuse.host`")
        return StreamingResponse(_body(answer), answer.status_code, headers=_answered(answer.headers))


def passing(method: str, path: bytes, query: bytes, headers: Headers) -> bytes | None:
    """The path to ask Langfuse for; None when the request does more than read, or reads what is not on the list.

    Args:
        path, query: as they came, undecoded.
    """
    asked = PATHS.fullmatch(path)
    if method != "GET" or asked is None or not QUERY.fullmatch(query) or _means_more(query, headers):
        return None
    if asked["name"] is None:
        return path
    name = name_in(asked["name"])
    # encoded anew, so that what was judged is what is asked for
    return path[: asked.start("name")] + quote(name, safe="").encode() if name else None


def _means_more(query: bytes, headers: Headers) -> bool:
    """Whether a request that says GET brings a body, or means another method."""
    said = parse_qsl(query.decode("ascii"), keep_blank_values=True)
    body = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
    return body or any(name in headers for name in OVERRIDES) or any(name.startswith("_") for name, _ in said)


def name_in(segment: bytes) -> str:
    """The name that a segment encodes; empty when it is a way to another path for a server that decodes it again."""
    try:
        name = unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError:
        return ""
    if not name.isprintable() or any(sign in name for sign in "%\\?#"):
        return ""
    return name if all(part and not part.endswith(".") for part in name.split("/")) else ""


@asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket) -> AsyncIterator[str]:
    """Serve the gateway in this loop; yields its address."""
    config = uvicorn.Config(
        app,
        http="h11",  # shows a request's target as it came; the faster parser hides an address in it
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        date_header=False,  # Langfuse's own is passed on: a proposer compares its clock with it
        server_header=False,
    )
    server = uvicorn.Server(config)
    # `_serve` is `serve` without signal handlers: this process has its own
    served = asyncio.create_task(server._serve([listener]))
    try:
        host, port = listener.getsockname()[:2]
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        await served


def _basic(public: str, secret: str) -> str:
    return "Basic " + b64encode(f"{public}:{secret}".encode()).decode("ascii")


def _refused() -> Response:
    return _refusal(403, ONLY_READS, "this gateway only reads, and only what a proposer needs")


def _unknown() -> Response:
    return _refusal(401, "TracegradBadKeys", "these are not the keys of this gateway")


def _refusal(status: int, error: str, message: str) -> Response:
    return JSONResponse({"message": message, "error": error}, status, headers={"connection": "close"})


async def _read_away(receive: Receive) -> None:
    """Take in a body that is not wanted: a connection that is closed under it may take our answer with it."""
    seen, more = 0, True
    while more and seen < MOST_READ_AWAY_BYTES:
        message = await receive()
        seen += len(message.get("body", b""))
        more = message.get("more_body", False)


def _ascii(value: str) -> str:
    return value if value.isascii() else ""


def _answered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name in ANSWERED or name.startswith(RATE_LIMITS)}


async def _body(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw(CHUNK_BYTES):
            yield chunk
    finally:
        await answer.aclose()
