"""Bad servers and bad keys: one clear sentence that says what to do, whoever was asked."""

import socket
from collections.abc import Awaitable, Callable

import pytest
from langfuse_scripted import RULE, WINDOW, Naps, access_to, answering, page
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response

from connectors.langfuse.datasets import LangfuseCaseSource
from connectors.langfuse.limiter import Bucket
from connectors.langfuse.registry import LangfuseRegistry
from connectors.langfuse.server import probe
from connectors.langfuse.settings import LangfuseAccess
from connectors.langfuse.traces import LangfuseTraceSource
from optimizer.errors import (
    BadAnswer,
    BadCredentials,
    BadSettings,
    NotFound,
    Permanent,
    RateLimited,
    ServerFault,
    TracegradError,
    Unreachable,
)
from sandbox.langfuse.app import create_app
from sandbox.serving import serve

PAGE = '<!DOCTYPE html><html lang="en"><body>Sign in</body></html>'
Ask = Callable[[LangfuseAccess], Awaitable[object]]


async def scores(access):
    async with LangfuseTraceSource(access, limiter=Naps().limiter) as source:
        return [score async for score in source.scores(WINDOW, [RULE])]


async def cases(access):
    async with LangfuseCaseSource(access) as source:
        return [case async for case in source.cases("regression")]


async def head(access):
    async with LangfuseRegistry(access) as registry:
        return await registry.head("support/system")


EVERYBODY = pytest.mark.parametrize("ask", [scores, cases, head, probe])


async def said(ask: Ask, access: LangfuseAccess, kind: type[TracegradError]) -> str:
    with pytest.raises(kind) as caught:
        await ask(access)
    message = str(caught.value)
    assert type(caught.value) is kind or kind is not Permanent
    assert "; " in message, "says what to do"
    assert message.endswith(".") == isinstance(caught.value, Permanent), "one sentence"
    assert "\n" not in message
    assert len(message) < 500
    assert access.secret_key not in message
    return message


@EVERYBODY
@pytest.mark.parametrize("status", [200, 404, 400])
async def test_html_where_json_was_promised(ask, status):
    with answering(lambda _: HTMLResponse(PAGE, status)) as (url, _):
        message = await said(ask, access_to(url), BadAnswer)
    assert "HTML where JSON was promised" in message
    assert "langfuse.host" in message


@EVERYBODY
async def test_a_redirect_to_a_login_page(ask):
    def answer(request):
        return HTMLResponse(PAGE) if request.url.path == "/login" else RedirectResponse("/login")

    with answering(answer) as (url, _):
        assert "HTML where JSON was promised" in await said(ask, access_to(url), BadAnswer)


@EVERYBODY
async def test_invalid_utf_8(ask):
    body = b'{"status": "\xff\xfe", "version": "\xff", "data": []}'
    with answering(lambda _: Response(body, media_type="application/json")) as (url, _):
        assert "not UTF-8" in await said(ask, access_to(url), BadAnswer)


@EVERYBODY
@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"data": 1}', b"{", b"plain words " * 500])
async def test_something_else(ask, body):
    with answering(lambda _: Response(body, media_type="application/json")) as (url, _):
        await said(ask, access_to(url), BadAnswer)


@EVERYBODY
async def test_an_unreachable_host(ask):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert "langfuse.host" in await said(ask, access_to(f"http://127.0.0.1:{port}"), Unreachable)


@EVERYBODY
async def test_wrong_keys(ask, tmp_path):
    with serve(create_app(tmp_path / "langfuse.db")) as url:
        assert "LANGFUSE_SECRET_KEY" in await said(ask, access_to(url, secret_key="sk-wrong"), BadCredentials)


@EVERYBODY
@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_failing_server(ask, status):
    with answering(lambda _: PlainTextResponse("oops", status)) as (url, _):
        assert str(status) in await said(ask, access_to(url), ServerFault)


@pytest.mark.parametrize("ask", [cases, head, probe])
async def test_a_rate_limit_of_a_day(ask):
    refusal = JSONResponse({"code": "rate_limited"}, 429, headers={"Retry-After": "86397"})
    with answering(lambda _: refusal) as (url, _), pytest.raises(RateLimited) as caught:
        await ask(access_to(url))
    assert caught.value.retry_after_s == 86397


async def test_a_pause_of_a_day_is_reported_and_not_slept_through():
    naps = Naps()
    naps.limiter.hold_for(Bucket.DATASETS, 86397)
    with answering(lambda _: page()) as (url, asked):
        async with LangfuseCaseSource(access_to(url), limiter=naps.limiter) as source:
            with pytest.raises(RateLimited) as caught:
                [case async for case in source.cases("regression")]
    assert caught.value.retry_after_s == 86397
    assert not asked
    assert not naps.naps


async def test_a_refused_request_is_quoted_in_one_line():
    issues = JSONResponse({"message": "Invalid\nrequest", "error": [{"path": ["limit"]}]}, 400)
    with answering(lambda _: issues) as (url, _):
        assert "Invalid" in await said(scores, access_to(url), BadAnswer)


async def test_what_does_not_exist(tmp_path):
    with serve(create_app(tmp_path / "langfuse.db")) as url:
        assert "regression" in await said(cases, access_to(url), NotFound)
        assert "support/system" in await said(head, access_to(url), NotFound)


@pytest.mark.parametrize(
    ("changes", "fix"),
    [
        ({"base_url": "cloud.langfuse.com"}, "begins with https"),
        ({"environments": ()}, "name at least one"),
        ({"environments": ("production", "tracegrad")}, "remove it"),
        ({"environments": ("ours",), "own_environment": "ours"}, "remove it"),
        ({"environments": ("sdk-experiment",)}, "remove it"),
        ({"environments": ("a,b",)}, "lower-case letters"),
    ],
)
def test_an_access_that_would_read_what_it_must_not_is_refused(changes, fix):
    with pytest.raises(BadSettings, match=fix):
        access_to("https://example.org", **changes)


def test_an_access_does_not_show_its_secrets():
    access = access_to("https://example.org", secret_key="sk-lf-secret", source_secret=b"salt")
    assert "sk-lf-secret" not in repr(access)
    assert "salt" not in repr(access)
