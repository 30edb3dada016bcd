"""OFREP over HTTP, as a bare ASGI application: an evaluation is asked for within somebody's request.

    POST /ofrep/v1/evaluate/flags/{prompt}     one flag
    POST /ofrep/v1/evaluate/flags              all of them, with an ETag
    GET  /healthz                              whether the splits were ever read

It only reads. Whoever asks is told nothing but versions; what was sent is never repeated, except the flag's name.
"""

import hashlib
import hmac
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from starlette.types import Receive, Scope, Send

from deploy.ofrep.flags import ErrorCode, Fault, Flags
from optimizer.identity import Json

FLAGS = "/ofrep/v1/evaluate/flags"
MOST_BYTES = 65_536
"""Of a question; a context holds a key and some attributes."""

STATUS = {ErrorCode.FLAG_NOT_FOUND: HTTPStatus.NOT_FOUND, ErrorCode.GENERAL: HTTPStatus.INTERNAL_SERVER_ERROR}
"""Of a fault; all others are the asker's."""

log = logging.getLogger("tracegrad")

Headers = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer; without a body nothing is said about one either."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Refused(Exception):
    """A question that is answered by a fault."""

    def __init__(self, code: ErrorCode, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


class TooLarge(Exception):
    """A question that is longer than any honest one."""


class Endpoint:
    """The application.

    Args:
        token: what applications have to show, as a bearer token or X-API-Key; empty: nothing.
    """

    def __init__(self, flags: Flags, token: str = "") -> None:
        self._flags = flags
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        try:
            answer = await self._answer(scope, receive)
        except TooLarge:
            answer = _plain(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MOST_BYTES} bytes", close=True)
        except Exception:  # the outermost loop: one question must not take the connection of others down
            log.exception("a flag could not be evaluated", extra={"action": "ofrep-failed"})
            answer = _told(Fault(key="", code=ErrorCode.GENERAL, details="the endpoint failed; its log says why"))
        length = str(len(answer.body)).encode()
        about = [(b"content-type", b"application/json"), (b"content-length", length)] if answer.body else []
        headers = [*about, *answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        path, method = scope["path"], scope["method"]
        if path == "/healthz":
            return self._health()
        one = path.startswith(f"{FLAGS}/")
        if not one and path != FLAGS:
            return _plain(HTTPStatus.NOT_FOUND, "there is nothing here")
        if method != "POST":
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED, "flags are asked for by POST", (b"allow", b"POST"))
        headers = dict(scope["headers"])
        if not self._allowed(headers):
            return _plain(HTTPStatus.UNAUTHORIZED, "a token is needed", (b"www-authenticate", b"Bearer"), close=True)
        prompt = path.removeprefix(f"{FLAGS}/") if one else ""
        try:
            unit = _unit(await _read(receive))
        except Refused as refused:
            return _told(Fault(key=prompt, code=refused.code, details=refused.details))
        return self._one(prompt, unit) if one else self._all(unit, headers.get(b"if-none-match", b""))

    def _allowed(self, headers: Headers) -> bool:
        if not self._token:
            return True
        scheme, _, bearer = headers.get(b"authorization", b"").partition(b" ")
        shown = bearer.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")
        return hmac.compare_digest(shown, self._token)

    def _one(self, prompt: str, unit: str) -> Answer:
        shown = self._flags.shown(prompt, unit)
        return _told(shown) if isinstance(shown, Fault) else Answer(status=HTTPStatus.OK, body=_bytes(shown.json()))

    def _all(self, unit: str, held: bytes) -> Answer:
        """The tag is of the content, so it differs by user, by split and by what is registered."""
        body = _bytes({"flags": [shown.json() for shown in self._flags.all(unit)]})
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'.encode()
        marks = ((b"etag", tag), (b"cache-control", b"private, no-cache"))
        tags = [one.strip().removeprefix(b"W/") for one in held.split(b",")]
        if tag in tags or b"*" in tags:
            return Answer(status=HTTPStatus.NOT_MODIFIED, headers=marks)
        return Answer(status=HTTPStatus.OK, body=body, headers=marks)

    def _health(self) -> Answer:
        """Unhealthy is only who never read the splits: an old copy is better than a restart without one."""
        read = self._flags.splits is not None
        status = HTTPStatus.OK if read else HTTPStatus.SERVICE_UNAVAILABLE
        return Answer(status=status, body=_bytes({"splits_read": read}))


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        piece: bytes = message.get("body", b"")
        body += piece
        if len(body) > MOST_BYTES:
            raise TooLarge
        if not message.get("more_body"):
            return body


def _unit(body: bytes) -> str:
    """The targeting key of a question; empty when it has none. Raises Refused."""
    try:
        question = json.loads(body.decode()) if body else {}
    except (ValueError, RecursionError) as error:
        raise Refused(ErrorCode.PARSE_ERROR, "the body is not JSON") from error
    if not isinstance(question, dict):
        raise Refused(ErrorCode.PARSE_ERROR, "the body is not an object")
    context = {} if question.get("context") is None else question["context"]
    if not isinstance(context, dict):
        raise Refused(ErrorCode.INVALID_CONTEXT, "`context` is not an object")
    key = context.get("targetingKey")
    if key is not None and not isinstance(key, str):
        raise Refused(ErrorCode.INVALID_CONTEXT, "`targetingKey` is not a string")
    return key or ""


def _told(fault: Fault) -> Answer:
    return Answer(status=STATUS.get(fault.code, HTTPStatus.BAD_REQUEST), body=_bytes(fault.json()))


def _plain(status: int, details: str, *headers: tuple[bytes, bytes], close: bool = False) -> Answer:
    """What is no evaluation at all. A body that nobody read ends the connection."""
    ending = ((b"connection", b"close"),) if close else ()
    return Answer(status=status, body=_bytes({"errorDetails": details}), headers=(*headers, *ending))


def _bytes(said: Json) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode()
