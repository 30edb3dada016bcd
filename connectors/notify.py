"""Telling people and programs what became of a release: Slack-compatible messages, and signed webhooks.

An address is a secret, for whoever knows it can write there: it must never appear in an error, a log or a redirect.
What people and strangers wrote is in a reason; it is cut, and can neither mark anything up nor call anybody.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Self

import aiohttp

from optimizer.errors import BadSettings, Declined, RateLimited, ServerFault, TracegradError, Unreachable
from optimizer.fence import excerpt
from optimizer.identity import Json

TIMEOUT_S = 10.0
REASON_CHARS = 600
"""Of a reason in a message; a chat is not the place for more."""

SLACK = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "\uff20"}
"""Slack's own escapes; a fullwidth at sign calls nobody, in Slack or in what understands its messages."""

TRY_LATER = (408, 425)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to tell something. Without a secret it is Slack-compatible, with one it is a signed webhook."""

    url: str = field(repr=False)
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One event of one release.

    Attributes:
        id: the same event has the same id, at every address and at every attempt.
        share: the part of the users that is shown the new version, in [0, 1]; None where that says nothing.
        links: (name, address) pairs.
    """

    id: str
    release: str
    prompt: str
    state: str
    reason: str
    actor: str
    at: datetime
    share: float | None = None
    links: tuple[tuple[str, str], ...] = ()


class Notifier:
    """An async context manager around one pool of connections."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._timeout_s))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def tell(self, address: Address, notice: Notice, *, delivery: str, at: datetime) -> None:
        """Send once.

        Args:
            delivery: the same for every attempt at this event and address, so that a receiver can drop doubles.
            at: now; signed with the body, so that a receiver can refuse what is old.

        Raises:
            Unreachable, ServerFault, RateLimited: another attempt may succeed.
            Declined, BadSettings: none will.
        """
        assert self._session is not None, "enter the notifier first"
        body = json.dumps(document(notice) if address.secret else {"text": text(notice)}).encode()
        headers = {"content-type": "application/json", "x-tracegrad-delivery": delivery}
        if address.secret:
            headers["x-tracegrad-signature"] = signature(address.secret, body, at=at)
        # errors of the client hold the address: none is passed on as a cause
        try:
            async with self._session.post(address.url, data=body, headers=headers, allow_redirects=False) as answer:
                failure = _failure(answer.status)
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise BadSettings("an address under `notify` is none", "give one that begins with https://") from None
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise Unreachable("an address under `notify` cannot be reached") from None
        if failure is not None:
            raise failure


def text(notice: Notice) -> str:
    """A message of a few lines."""
    shown = f", shown to {notice.share:.0%}" if notice.share is not None else ""
    lines = [f"{notice.prompt}: release {notice.state}{shown}, by {notice.actor}"]
    lines += [excerpt(" ".join(notice.reason.split()), REASON_CHARS)] if notice.reason else []
    lines += [f"{name}: {link}" for name, link in notice.links]
    lines += [f"tracegrad releases {notice.release}"]
    return "\n".join(_plain(line) for line in lines)


def document(notice: Notice) -> dict[str, Json]:
    """The body of a webhook."""
    return {
        "id": notice.id,
        "release": notice.release,
        "prompt": notice.prompt,
        "state": notice.state,
        "reason": notice.reason,
        "actor": notice.actor,
        "at": notice.at.isoformat(),
        "share": notice.share,
        "links": dict(notice.links),
    }


def signature(secret: str, body: bytes, *, at: datetime) -> str:
    """`t=<seconds>,v1=<hex>`: HMAC-SHA256 over the seconds, a full stop and the raw body."""
    moment = str(int(at.timestamp()))
    signed = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={signed}"


def _plain(line: str) -> str:
    """A line that a chat shows as it is; what cannot be seen, or turns text around, is marked."""
    return "".join(SLACK.get(sign, sign if sign.isprintable() else "\ufffd") for sign in line)


def _failure(status: int) -> TracegradError | None:
    """What an answer means; None for success."""
    if status < 300:
        return None
    if status == 429:
        return RateLimited("an address under `notify` asks us to wait")
    if status >= 500 or status in TRY_LATER:
        return ServerFault(f"an address under `notify` failed with status {status}")
    return Declined(f"an address under `notify` refused a message with status {status}", "correct the address")
