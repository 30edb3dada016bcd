"""What every public endpoint does before its own work: check the keys, the faults and the size, and word refusals.

An endpoint is an async function of one `Call`; it answers a Starlette response or raises a `Refusal`.
"""

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.faults import Bucket, Faults
from sandbox.langfuse.database import Database, Settle
from sandbox.langfuse.errors import Refusal
from sandbox.langfuse.inputs import Body, Query, decoded
from sandbox.langfuse.instants import now_ms, wire

PROJECT_ID = "lf-sandbox-project"
BODY_LIMIT = 1024 * 1024
RATE_LIMITS: Mapping[Bucket, int] = {"general": 30, "metrics": 100, "datasets": 100, "prompts": 1000, "tracing": 1000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What all endpoints share."""

    database: Database
    faults: Faults
    public_key: str
    secret_key: str
    version: str
    kinds: Mapping[str, Settle]

    @property
    def claimed_version(self) -> str:
        """The version that the server says it has."""
        return self.faults.version or self.version

    def accept(self, kind: str, batch: list[dict[str, Any]]) -> None:
        """Take rows in; they become readable after the visibility delay (at once by default)."""
        now, delay_ms = now_ms(), int(self.faults.visibility_delay_s * 1000)
        with self.database.transaction():
            if delay_ms:
                self.database.arrive(kind, batch, now + delay_ms)
                return
            for fields in batch:
                self.kinds[kind](self.database, fields, now)


class Call:
    """One request to one endpoint."""

    def __init__(self, request: Request, server: Server, body: bytes) -> None:
        self.request = request
        self.server = server
        self.database = server.database
        self.raw = body

    def query(self, known: frozenset[str] | None = None) -> Query:
        """The query parameters; with `known`, others are issues."""
        return Query(self.request.query_params, known=known)

    def json(self) -> Any:
        """The body as JSON."""
        return decoded(self.raw)

    def body(self) -> Body:
        """The body as a JSON object."""
        return Body(self.json())

    def named(self, part: str) -> str:
        """A part of the path, decoded."""
        return unquote(self.request.path_params[part])


Work = Callable[[Call], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def endpoint(work: Work, *, bucket: Bucket = "general", limit: int | None = BODY_LIMIT) -> Endpoint:
    """Wrap the work of a public endpoint."""

    async def answer(request: Request) -> Response:
        server: Server = request.app.state.server
        try:
            authenticate(request, server)
            if server.faults.limits(bucket):
                raise rate_limited(bucket, server.faults.retry_after_s)
            body = await request.body()
            if limit is not None and len(body) > limit:
                # plain text without a content type, as the real server's framework does it
                return Response("Body exceeded 1mb limit", 413)
            server.database.settle(now_ms(), server.kinds)
            return await work(Call(request, server, body))
        except Refusal as refusal:
            return JSONResponse(refusal.body, refusal.status, refusal.headers)

    return answer


def authenticate(request: Request, server: Server) -> None:
    """Raise 401 unless the request carries the project's key pair."""
    header = request.headers.get("authorization")
    if header is None:
        raise Refusal(401, {"message": "No authorization header", "error": "UnauthorizedError"})
    scheme, _, token = header.partition(" ")
    try:
        pair = base64.b64decode(token, validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        pair = ""
    if pair == f"{server.public_key}:{server.secret_key}":
        return
    body = {"message": "Invalid credentials. Confirm that you've configured the correct host."}
    # the v3 endpoints leave the kind of error out
    named = {} if request.url.path.startswith("/api/public/v3/") else {"error": "UnauthorizedError"}
    raise Refusal(401, body | named)


def rate_limited(bucket: Bucket, retry_after_s: int) -> Refusal:
    """429 with the headers and body of the real limiter."""
    limit, reset_ms = RATE_LIMITS[bucket], now_ms() + retry_after_s * 1000
    details = {"retryAfterSeconds": retry_after_s, "limit": limit, "remaining": 0, "resetAt": wire(reset_ms)}
    # a JavaScript date, not seconds: clients that parse it as a number have to cope
    reset = (
        f"{datetime.fromtimestamp(reset_ms // 1000, UTC):%a %b %d %Y %H:%M:%S} GMT+0000 (Coordinated Universal Time)"
    )
    headers = {
        "Retry-After": str(retry_after_s),
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": reset,
    }
    return Refusal(429, {"message": "Rate limit exceeded", "code": "rate_limited", "details": details}, headers)


def paged(rows: list[Any], *, page: int, limit: int, total: int) -> dict[str, Any]:
    """The envelope of the page-numbered lists."""
    pages = -(-total // limit)
    return {"data": rows, "meta": {"page": page, "limit": limit, "totalItems": total, "totalPages": pages}}


def joined(rows: list[str], meta: dict[str, Any]) -> Response:
    """The envelope of the cursor lists, around rows that are JSON already."""
    return Response('{"data":[' + ",".join(rows) + '],"meta":' + json.dumps(meta) + "}", media_type="application/json")
