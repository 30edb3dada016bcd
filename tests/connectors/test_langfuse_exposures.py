"""Exposures from servers that misbehave, and what is asked of them."""

import json
from datetime import timedelta

import pytest
from langfuse_scripted import START, WINDOW, access_to, answering, observation_row, page
from starlette.responses import PlainTextResponse

from connectors.langfuse.traces import LangfuseTraceSource
from optimizer.types import Missing, Window


def row(number=0, **changes):
    known = {"userId": f"u{number}", "level": "DEFAULT", "latency": 1.5, "totalCost": 0.25, "model": "m"}
    return observation_row(number, **{"input": None, "output": None, **known, **changes})


async def read(url, *, by="user", window=WINDOW, **access):
    async with LangfuseTraceSource(access_to(url, **access)) as source:
        walk = source.exposures(window, "folder/p, q", place=lambda key: len(key) / 100, by=by)
        return [exposure async for exposure in walk], source.skipped_rows


async def test_no_text_is_asked_for_and_every_condition_is_in_the_filter():
    with answering(lambda _: page()) as (url, asked):
        assert await read(url) == ([], 0)
    (request,) = asked
    params = dict(request.query_params)
    assert {"io", "metadata"}.isdisjoint(params["fields"].split(","))
    assert {"basic", "model", "usage", "prompt", "metrics", "trace_context"} <= set(params["fields"].split(","))
    assert params.keys() == {"fields", "filter", "limit"}
    assert int(params["limit"]) == 1000
    conditions = {(c["column"], c["operator"]): c["value"] for c in json.loads(params["filter"])}
    assert conditions["promptName", "any of"] == ["folder/p, q"]
    assert conditions["type", "any of"] == ["GENERATION"]
    assert conditions["environment", "any of"] == ["production", "default"]
    assert {("startTime", ">="), ("startTime", "<")} <= conditions.keys()


@pytest.mark.parametrize(
    "broken",
    [
        {"latency": "fast"},
        {"totalCost": "NaN"},
        {"startTime": "yesterday"},
        {"userId": ["u"]},
        {"promptVersion": "three"},
        {"traceId": None},
    ],
)
async def test_a_broken_row_is_counted_and_hides_no_other(broken):
    with answering(lambda _: page(row(0, **broken), row(1))) as (url, _):
        found, skipped = await read(url)
    assert ([exposure.trace_id for exposure in found], skipped) == (["t1"], 1)


@pytest.mark.parametrize(
    "left_out",
    [
        {"type": "SPAN"},
        {"environment": "staging"},
        {"experimentId": "e"},
        {"tags": ["tracegrad"]},
        {"userId": ""},
        {"userId": None},
        {"startTime": (START - timedelta(milliseconds=1)).isoformat()},
        {"startTime": WINDOW.end.isoformat()},
    ],
)
async def test_what_a_server_should_not_have_sent_is_left_out(left_out):
    with answering(lambda _: page(row(0, **left_out), row(1))) as (url, _):
        found, skipped = await read(url)
    assert ([exposure.trace_id for exposure in found], skipped) == (["t1"], 0)


async def test_what_is_not_recorded_is_missing_and_a_name_may_stand_elsewhere():
    bare = {"latency": None, "totalCost": None, "model": "", "promptVersion": None, "level": None}
    with answering(lambda _: page(row(0, **bare, providedModelName="other"))) as (url, _):
        ((exposure,), _) = await read(url)
    assert (exposure.latency_s, exposure.cost_usd) == (Missing.NOT_RECORDED, Missing.NOT_RECORDED)
    assert (exposure.version, exposure.model, exposure.failed) == (0, "other", False)


async def test_the_first_answer_of_a_trace_is_found_across_pages_and_repeats():
    at = [(START + timedelta(hours=hours)).isoformat() for hours in (9, 5, 7)]
    rows = [row(n, traceId="t", userId=f"user {n}", startTime=moment) for n, moment in enumerate(at)]
    turns = iter([page(rows[0], cursor="a"), page(rows[1], rows[1], cursor="b"), page(rows[2])])
    with answering(lambda _: next(turns)) as (url, _):
        ((exposure,), _) = await read(url)
    assert exposure.at == START + timedelta(hours=5)
    assert exposure.place == len("user 1") / 100


async def test_a_page_that_is_too_large_is_asked_for_again_smaller():
    turns = iter([PlainTextResponse("Body too large", 413), page(row(0))])
    with answering(lambda _: next(turns)) as (url, asked):
        found, _ = await read(url)
    assert len(found) == 1
    assert asked.limits == [1000, 500]


async def test_keys_of_strangers_are_never_told():
    hostile = "nul \x00, {{braces}}, \U0001f600"
    with answering(lambda _: page(row(0, userId=hostile, sessionId=hostile))) as (url, _):
        for by in ("user", "session"):
            ((exposure,), _) = await read(url, by=by, window=Window(start=START, end=WINDOW.end))
            assert len(exposure.unit) == 64
            assert set(exposure.unit) <= set("0123456789abcdef")
            assert hostile not in repr(exposure)
