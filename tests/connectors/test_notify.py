"""What is told of a release, to whom, and how a receiver knows that it is from us: over real HTTP."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.notify import REASON_CHARS, Address, Notice, Notifier, document, signature, text
from optimizer.errors import BadSettings, Declined, RateLimited, ServerFault, TracegradError, Unreachable
from sandbox.serving import serve

NOW = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)
SECRET = "whsec-ä"
NOTICE = Notice(
    id="support@s1/3",
    release="support@s1",
    prompt="support",
    state="progressing",
    reason="shown to a part",
    actor="ada",
    at=NOW,
    share=0.1,
    links=(("pull request", "https://forge.example/o/r/pull/7?a=1&b=2"),),
)


class Receiver:
    """Answers as a test says, and keeps what arrived."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.bodies: list[bytes] = []
        self.seen: list[dict[str, str]] = []
        self.url = ""

    async def receive(self, request: Request) -> Response:
        self.bodies.append(await request.body())
        self.seen.append(dict(request.headers))
        return Response(status_code=self.status, headers=self.headers)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    with serve(Starlette(routes=[Route("/{path:path}", made.receive, methods=["POST"])])) as url:
        made.url = f"{url}/services/T0/B0/secret-part"
        yield made


async def tell(address: Address, notice: Notice = NOTICE, *, timeout_s: float = 5.0) -> None:
    async with Notifier(timeout_s=timeout_s) as notifier:
        await notifier.tell(address, notice, delivery="d1", at=NOW)


async def test_slack_is_told_in_a_few_lines(receiver: Receiver) -> None:
    await tell(Address(url=receiver.url))
    assert json.loads(receiver.bodies[0]) == {
        "text": "support: release progressing, shown to 10%, by ada\n"
        "shown to a part\n"
        "pull request: https://forge.example/o/r/pull/7?a=1&amp;b=2\n"
        "tracegrad releases support\uff20s1"
    }
    assert receiver.seen[0]["content-type"] == "application/json"
    assert receiver.seen[0]["x-tracegrad-delivery"] == "d1"
    assert "x-tracegrad-signature" not in receiver.seen[0]


async def test_a_webhook_is_signed_over_the_bytes_that_arrive(receiver: Receiver) -> None:
    await tell(Address(url=receiver.url, secret=SECRET))
    moment, _, signed = receiver.seen[0]["x-tracegrad-signature"].partition(",")
    assert moment == f"t={int(NOW.timestamp())}"
    over = moment.removeprefix("t=").encode() + b"." + receiver.bodies[0]
    assert signed == "v1=" + hmac.new(SECRET.encode(), over, hashlib.sha256).hexdigest()
    assert json.loads(receiver.bodies[0]) == {
        "id": "support@s1/3",
        "release": "support@s1",
        "prompt": "support",
        "state": "progressing",
        "reason": "shown to a part",
        "actor": "ada",
        "at": "2026-11-21T02:30:00+00:00",
        "share": 0.1,
        "links": {"pull request": "https://forge.example/o/r/pull/7?a=1&b=2"},
    }


def test_the_signature_is_the_documented_one() -> None:
    """The example of docs/releases.md, computed by hand with openssl."""
    assert signature("secret", b'{"id":"a/0"}', at=datetime.fromtimestamp(1_700_000_000, UTC)) == (
        "t=1700000000,v1=f6d55a155b4673d5b60582e1423508929058b6474e35698b0e11961feddef9ac"
    )


def test_what_strangers_wrote_calls_nobody_and_marks_nothing_up() -> None:
    hostile = "<!channel> <@U123> @here &lt; <https://evil.example|click>\nsecond\u202e line " + "x" * 10_000
    lines = text(Notice(**{**fields(), "reason": hostile, "actor": "<!here>", "links": ()})).split("\n")
    assert len(lines) == 3
    assert "<" not in "".join(lines)
    assert "@" not in "".join(lines)
    assert "&amp;lt;" in lines[1]
    assert len(lines[1]) < REASON_CHARS + 100
    assert "second\u202e" not in lines[1]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, None),
        (204, None),
        (301, Declined),
        (307, Declined),
        (400, Declined),
        (404, Declined),
        (410, Declined),
        (408, ServerFault),
        (429, RateLimited),
        (500, ServerFault),
        (503, ServerFault),
    ],
)
async def test_what_an_answer_means(receiver: Receiver, status: int, error: type[TracegradError] | None) -> None:
    receiver.status, receiver.headers = status, {"location": "/elsewhere"}
    if error is None:
        await tell(Address(url=receiver.url))
    else:
        with pytest.raises(error) as failure:
            await tell(Address(url=receiver.url, secret=SECRET))
        assert_kept_secret(failure.value, receiver.url)
    assert len(receiver.bodies) == 1, "a redirect is not followed, and nothing is sent twice"


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://127.0.0.1:9/services/secret-part", Unreachable),
        ("no address secret-part", BadSettings),
        ("ftp://127.0.0.1/secret-part", BadSettings),
        ("https://[secret-part", BadSettings),
        ("", BadSettings),
    ],
)
async def test_an_address_that_cannot_be_told_is_not_repeated(url: str, error: type[TracegradError]) -> None:
    with pytest.raises(error) as failure:
        await tell(Address(url=url))
    assert_kept_secret(failure.value, url)


def test_an_address_does_not_show_itself() -> None:
    assert "secret-part" not in repr(Address(url="https://x/secret-part", secret="secret-part"))


def assert_kept_secret(error: BaseException, url: str) -> None:
    """Neither the error nor what a traceback would print with it names the address."""
    assert "secret-part" not in str(error)
    assert not url or url not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


def fields() -> dict[str, Any]:
    return {name: getattr(NOTICE, name) for name in document(NOTICE)}
