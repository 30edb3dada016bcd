"""Where Langfuse's failures become ours: every status, transport error and broken body, as one sentence.

Nothing above this package may see an exception of aiohttp, httpx, pydantic or the SDK. It must never repeat a key.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import httpx
from langfuse.api.core import ApiError
from pydantic import TypeAdapter, ValidationError

from optimizer.errors import (
    BadAnswer,
    BadCredentials,
    NotFound,
    RateLimited,
    ServerFault,
    TracegradError,
    Unreachable,
)

_T = TypeVar("_T")

CHECK_ADDRESS = "check that `langfuse.host` is the address of a Langfuse server"

_QUOTED_CHARS = 200
"""Of what the server said, in a message of ours."""


class TooSlow(Unreachable):
    """Connected, but no whole answer within the timeout: a smaller page may fit."""


class TooLarge(ServerFault):
    """HTTP 413: a smaller page may fit."""


def of_status(status: int, said: str, *, host: str, retry_after_s: float = 0.0) -> TracegradError:
    """The error for an answer that is not a success.

    Args:
        said: the body as text; quoted only when it is not HTML.
    """
    html = is_html(said)
    if status in (401, 403):
        return BadCredentials(
            f"Langfuse at {host} refused the keys",
            "check LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY, and that they belong to this server",
        )
    if status == 404 and not html:
        return NotFound(f"Langfuse at {host} has no such thing: {_quote(said)}", "check the name in the settings")
    if status == 413:
        return TooLarge(f"Langfuse at {host} finds a page too large; ask for smaller pages")
    if status == 429:
        return RateLimited(
            f"Langfuse at {host} asks us to wait {retry_after_s:.0f} s; lower `langfuse.requests_per_minute`",
            retry_after_s=retry_after_s,
        )
    if status >= 500:
        return ServerFault(f"Langfuse at {host} failed with status {status}; look at its health and try again later")
    if html:
        return BadAnswer(f"{host} answered HTML where JSON was promised (status {status})", CHECK_ADDRESS)
    return BadAnswer(
        f"Langfuse at {host} refused the request with status {status}: {_quote(said)}",
        "check that the server is 4.16 or newer",
    )


def unreachable(host: str, reason: object) -> Unreachable:
    """No connection."""
    return Unreachable(
        f"cannot reach Langfuse at {host} ({_quote(str(reason))}); check `langfuse.host` and the network"
    )


def too_slow(host: str) -> TooSlow:
    """A connection, and no answer in time."""
    return TooSlow(f"Langfuse at {host} did not answer in time; raise `langfuse.timeout_s` or try again later")


def read(shape: TypeAdapter[_T], body: bytes, *, host: str) -> _T:
    """Parse an answer."""
    try:
        return shape.validate_json(body)
    except ValidationError as error:
        try:
            return shape.validate_json(without_halves(body))
        except (ValueError, RecursionError):
            raise broken(body, host=host) from error


def without_halves(body: bytes) -> bytes:
    """The JSON with half characters (lone surrogates) replaced by "?". Raises ValueError when it is no JSON.

    A program may cut a text in the middle of an emoji. One such comment must not hide the page that it is on.
    """
    if b"\\ud" not in body.lower():
        raise ValueError("no half characters")
    return json.dumps(json.loads(body), ensure_ascii=False).encode("utf-8", "replace")


def broken(body: bytes, *, host: str) -> BadAnswer:
    """Why an answer with a good status cannot be used."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return BadAnswer(f"{host} answered text that is not UTF-8", CHECK_ADDRESS)
    if is_html(text):
        return BadAnswer(f"{host} answered HTML where JSON was promised", CHECK_ADDRESS)
    return BadAnswer(f"{host} answered something that is not Langfuse's API: {_quote(text)}", CHECK_ADDRESS)


@contextmanager
def translated(host: str) -> Iterator[None]:
    """Turn what the SDK raises inside the block into our errors."""
    try:
        yield
    except ApiError as error:
        status, said = error.status_code or 0, _said(error.body)
        if 200 <= status < 300:
            raise broken(said.encode(), host=host) from error
        after = {key.lower(): value for key, value in (error.headers or {}).items()}.get("retry-after", "")
        raise of_status(status, said, host=host, retry_after_s=seconds(after)) from error
    except httpx.TimeoutException as error:
        raise too_slow(host) from error
    except httpx.HTTPError as error:
        raise unreachable(host, error) from error
    except UnicodeDecodeError as error:
        raise broken(error.object, host=host) from error
    except ValidationError as error:
        raise BadAnswer(f"{host} answered something that is not Langfuse's API", CHECK_ADDRESS) from error


def seconds(retry_after: str) -> float:
    """A Retry-After header as seconds; 1 when it is missing or a date, which Langfuse never sends."""
    return float(retry_after) if re.fullmatch(r"\d{1,7}(\.\d+)?", retry_after) else 1.0


def is_html(said: str) -> bool:
    """True for a page that was meant for a browser."""
    return said.lstrip()[:9].lower().startswith(("<!doctype", "<html"))


def _said(body: object) -> str:
    return str(body.get("message", body)) if isinstance(body, dict) else str(body)


def _quote(said: str) -> str:
    text = " ".join(said.split())
    return text if len(text) <= _QUOTED_CHARS else text[:_QUOTED_CHARS] + "…"
