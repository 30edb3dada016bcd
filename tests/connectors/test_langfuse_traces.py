"""Bulk reads against servers that misbehave, and the SDK's own models as the oracle."""

import asyncio
import json
from dataclasses import replace

import httpx
import pytest
from langfuse.api import AsyncLangfuseAPI
from langfuse_scripted import (
    RULE,
    START,
    WINDOW,
    Naps,
    access_to,
    answering,
    observation_row,
    page,
    score_row,
)
from starlette.responses import JSONResponse, PlainTextResponse, Response

from connectors.langfuse.traces import LangfuseTraceSource
from connectors.source_keys import source_key
from optimizer.errors import BadAnswer, RateLimited, ServerFault, Unreachable
from optimizer.rules import CategoryRule, CorrectionRule
from sandbox.langfuse.app import create_app
from sandbox.serving import serve


async def scores_of(source, *rules):
    return [score async for score in source.scores(WINDOW, rules or [RULE])]


async def generations_of(source, ids=("t0",), prompts=("p",)):
    return [g async for g in source.generations(list(ids), list(prompts), START)]


UNREADABLE_SCORES = [
    score_row(1, dataType="EMBEDDING"),
    score_row(2, timestamp="yesterday"),
    score_row(3, value="0.1"),
    score_row(4, value=True),
    score_row(5, subject={"kind": "observation", "id": "o1"}),
    score_row(6, subject=None),
    {name: value for name, value in score_row(7).items() if name != "environment"},
    "not a row",
    None,
]


@pytest.mark.parametrize("broken", UNREADABLE_SCORES, ids=str)
async def test_a_broken_score_is_counted_and_hides_no_other(broken):
    with answering(lambda _: page(score_row(0), broken, score_row(9))) as (url, _):
        async with LangfuseTraceSource(access_to(url)) as source:
            assert [s.id for s in await scores_of(source)] == ["s0", "s9"]
            assert source.skipped_rows == 1


@pytest.mark.parametrize("broken", [observation_row(1, startTime=None), observation_row(1, promptVersion="x"), [1]])
async def test_a_broken_observation_is_counted_and_hides_no_other(broken):
    with answering(lambda _: page(observation_row(0), broken, observation_row(2))) as (url, _):
        async with LangfuseTraceSource(access_to(url)) as source:
            assert [g.id for g in await generations_of(source)] == ["o0", "o2"]
            assert source.skipped_rows == 1


@pytest.mark.parametrize("kind", ["session", "experiment"])
async def test_scores_of_sessions_and_experiments_are_left_out_and_are_not_unreadable(kind):
    with answering(lambda _: page(score_row(1, subject={"kind": kind, "id": "x"}), score_row(2))) as (url, _):
        async with LangfuseTraceSource(access_to(url)) as source:
            assert [s.id for s in await scores_of(source)] == ["s2"]
            assert source.skipped_rows == 0


@pytest.mark.parametrize("foreign", [{"experimentId": "e"}, {"tags": ["tracegrad"]}, {"environment": "staging"}])
async def test_a_server_that_does_not_filter_is_filtered(foreign):
    rows = page(observation_row(1, **foreign), observation_row(2, type="SPAN"), observation_row(3))
    with answering(lambda _: rows) as (url, _):
        async with LangfuseTraceSource(access_to(url)) as source:
            assert [g.id for g in await generations_of(source)] == ["o3"]


async def test_only_a_missing_cursor_ends_the_walk():
    pages = {None: page(score_row(0), cursor="a"), "a": page(cursor="b"), "b": page(score_row(1))}
    with answering(lambda request: pages[request.query_params.get("cursor")]) as (url, asked):
        async with LangfuseTraceSource(access_to(url)) as source:
            assert [s.id for s in await scores_of(source)] == ["s0", "s1"]
    assert len(asked) == 3


async def test_a_row_that_the_server_repeats_is_returned_once():
    def answer(request):
        row = score_row(0) if request.url.path.endswith("scores") else observation_row(0)
        return page(row, row, cursor=None if "cursor" in request.query_params else "next")

    with answering(answer) as (url, _):
        async with LangfuseTraceSource(access_to(url)) as source:
            assert [s.id for s in await scores_of(source)] == ["s0"]
            assert [s.id for s in await scores_of(source, RULE, replace(RULE, threshold=0.4))] == ["s0"]
            assert [g.id for g in await generations_of(source)] == ["o0"]


async def test_a_cursor_that_stands_still_is_an_error_and_no_endless_loop():
    with answering(lambda _: page(score_row(0), cursor="same")) as (url, _):
        async with LangfuseTraceSource(access_to(url)) as source:
            with pytest.raises(BadAnswer, match="same page for ever"):
                await scores_of(source)


async def test_many_traces_are_asked_for_by_the_hundred_with_every_condition_in_the_filter():
    with answering(lambda _: page()) as (url, asked):
        async with LangfuseTraceSource(access_to(url, environments=("production", "beta"))) as source:
            await generations_of(source, [f"t{n}" for n in range(250)], ["p", "q, r"])
    filters = [{c["column"]: c["value"] for c in json.loads(request.query_params["filter"])} for request in asked]
    assert [len(conditions["traceId"]) for conditions in filters] == [100, 100, 50]
    assert {set(request.query_params).issubset({"fields", "filter", "limit"}) for request in asked} == {True}
    shared = {name: value for name, value in filters[0].items() if name != "traceId"}
    assert shared == {
        "type": ["GENERATION"],
        "environment": ["production", "beta"],
        "promptName": ["p", "q, r"],
        "startTime": "2026-11-01T00:00:00.000Z",
    }


@pytest.mark.parametrize("status", [413, 500, 502, 503, 504])
async def test_a_page_that_is_too_much_is_asked_for_again_half_as_large(status):
    def answer(request):
        if int(request.query_params["limit"]) > 50:
            return PlainTextResponse("Body exceeded 1mb limit", status)
        return page(observation_row(0))

    naps = Naps()
    with answering(answer) as (url, asked):
        async with LangfuseTraceSource(access_to(url), limiter=naps.limiter) as source:
            assert [g.id for g in await generations_of(source)] == ["o0"]
    assert asked.limits == [200, 100, 50]
    assert naps.naps == [0.5, 1.0]
    reconnected = [before != after for before, after in zip(asked.ports, asked.ports[1:], strict=False)]
    assert reconnected == [status == 413] * 2, "only after a 413 is the connection unusable"


async def test_the_smaller_page_is_kept_for_the_rest_of_the_walk():
    def answer(request):
        if int(request.query_params["limit"]) > 100:
            return PlainTextResponse("", 413)
        return page(cursor=None if "cursor" in request.query_params else "next")

    with answering(answer) as (url, asked):
        async with LangfuseTraceSource(access_to(url), limiter=Naps().limiter) as source:
            await generations_of(source)
    assert asked.limits == [200, 100, 100]


async def test_a_server_that_always_fails_is_given_up():
    with answering(lambda _: PlainTextResponse("oops", 503)) as (url, asked):
        async with LangfuseTraceSource(access_to(url), limiter=Naps().limiter) as source:
            with pytest.raises(ServerFault, match="status 503"):
                await scores_of(source)
    assert asked.limits == [100, 50, 25, 12, 6]


async def test_a_server_that_never_answers_is_given_up():
    released = asyncio.Event()

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        await released.wait()
        writer.close()

    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, LangfuseTraceSource(access_to(url, timeout_s=0.05), limiter=Naps().limiter) as source:
        with pytest.raises(Unreachable, match="did not answer in time"):
            await scores_of(source)
        released.set()


def limited(times, retry_after):
    left = [times]

    def answer(_):
        if left[0] == 0:
            return page(score_row(0))
        left[0] -= 1
        return JSONResponse({"code": "rate_limited"}, 429, headers={"Retry-After": str(retry_after)})

    return answer


async def test_retry_after_is_obeyed():
    naps = Naps()
    with answering(limited(2, 60)) as (url, asked):
        async with LangfuseTraceSource(access_to(url), limiter=naps.limiter) as source:
            assert [s.id for s in await scores_of(source)] == ["s0"]
    assert naps.naps == [60, 60]
    assert asked.limits == [100, 100, 100], "a limit is no reason for smaller pages"


async def test_a_window_of_a_day_is_the_callers_to_schedule():
    naps = Naps()
    with answering(limited(1, 86397)) as (url, asked):
        async with LangfuseTraceSource(access_to(url), limiter=naps.limiter) as source:
            with pytest.raises(RateLimited) as caught:
                await scores_of(source)
    assert caught.value.retry_after_s == 86397
    assert naps.naps == []
    assert len(asked) == 1


async def test_a_limit_that_never_ends_is_given_up():
    naps = Naps()
    with answering(limited(99, 1)) as (url, _):
        async with LangfuseTraceSource(access_to(url), limiter=naps.limiter) as source:
            with pytest.raises(RateLimited):
                await scores_of(source)
    assert len(naps.naps) == 4


async def test_a_comment_of_a_megabyte_arrives_whole():
    comment = "ä" * 1_000_000
    with answering(lambda _: page(score_row(0, comment=comment))) as (url, _):
        async with LangfuseTraceSource(access_to(url)) as source:
            (score,) = await scores_of(source)
    assert score.comment == comment


async def test_walks_that_are_abandoned_leave_nothing_open():
    with answering(lambda _: page(*[score_row(n) for n in range(5)], cursor="more")) as (url, asked):
        async with LangfuseTraceSource(access_to(url)) as source:
            walk = source.scores(WINDOW, [RULE, replace(RULE, threshold=0.3)])
            assert (await anext(walk)).id == "s0"
            await walk.aclose()
    assert len(asked) <= 4, "two rules, and one page ahead of each"


async def test_unset_strings_are_no_user_and_no_prompt():
    row = observation_row(0, promptName="", promptVersion=None, model=None, providedModelName="m", tags=None)
    with answering(lambda _: page(row)) as (url, _):
        async with LangfuseTraceSource(access_to(url)) as source:
            (generation,) = [g async for g in source.recent(WINDOW, limit=1)]
    assert (generation.prompt_name, generation.prompt_version, generation.model) == ("", 0, "m")
    assert generation.source_key == ""


def test_sources_are_keyed_hashes_of_the_user_or_else_the_session():
    keys = [
        source_key("u", "s", secret=b"1"),
        source_key("u", "", secret=b"2"),
        source_key("", "u", secret=b"1"),
        source_key("", "s", secret=b"1"),
    ]
    assert len(set(keys)) == 4
    assert source_key("u", "other", secret=b"1") == keys[0]
    assert not any("u" in key or "s" in key for key in keys)


@pytest.fixture
def sandbox(tmp_path):
    observations = [
        observation_row(n, id=f"{n:016x}", traceId=f"{n:032x}", userId=f"u{n % 3}", tags=["a", "b"], input='["ä\\n"]')
        for n in range(30)
    ]
    kinds = [("NUMERIC", 0.25), ("BOOLEAN", False), ("CATEGORICAL", "rude"), ("CORRECTION", "so"), ("TEXT", "words")]
    scores = [
        score_row(n, dataType=kind, value=value, comment=None if n % 2 else "c", name=f"n{n % 5}")
        for n, (kind, value) in enumerate(kinds * 6)
    ]
    scores[0]["subject"] = {"kind": "observation", "id": "0" * 16, "traceId": "0" * 32}
    with serve(create_app(tmp_path / "langfuse.db")) as url:
        httpx.post(f"{url}/sandbox/bulk", json={"observations": observations, "scores": scores}).raise_for_status()
        yield url


async def test_our_rows_say_what_the_sdks_models_say(sandbox):
    rules = [replace(RULE, name="n0"), CategoryRule(name="n2", bad=("rude",)), CorrectionRule()]
    keys = access_to(sandbox)
    async with LangfuseTraceSource(keys) as source, httpx.AsyncClient() as http:
        scores = {score.id: score for score in await scores_of(source, *rules)}
        generations = {g.id: g async for g in source.recent(WINDOW, limit=100)}
        api = AsyncLangfuseAPI(base_url=sandbox, username=keys.public_key, password=keys.secret_key, httpx_client=http)
        theirs = await api.scores.get_many(fields="details,subject", limit=100)
        rows = await api.observations.get_many(fields="core,basic,io,model,prompt,trace_context", limit=100)
    assert len(scores) == 18
    for row in (row for row in theirs.data if row.id in scores):
        ours = scores[row.id]
        assert (ours.name, ours.kind, ours.value, ours.comment) == (
            row.name,
            row.data_type,
            row.value,
            row.comment or "",
        )
        assert (ours.at, ours.updated_at, ours.environment) == (row.timestamp, row.updated_at, row.environment)
        assert ours.trace_id == (getattr(row.subject, "trace_id", None) or row.subject.id)
        assert bool(ours.observation_id) == (row.subject.kind == "observation")
    assert len(generations) == len(rows.data) == 30
    for row in rows.data:
        ours = generations[row.id]
        assert (ours.trace_id, ours.at, ours.input, ours.output) == (
            row.trace_id,
            row.start_time,
            row.input,
            row.output,
        )
        assert (ours.prompt_name, ours.prompt_version) == (row.prompt_name, row.prompt_version)
        assert (list(ours.tags), ours.model) == (row.tags, row.model or "")
        assert ours.source_key == source_key(row.user_id, "", secret=b"s")


async def test_half_a_character_does_not_hide_its_page():
    rows = json.dumps({"data": [score_row(0), score_row(1, comment="HALF 😀")], "meta": {"limit": 100}})
    body = rows.replace("HALF", "\\ud83d")
    with answering(lambda _: Response(body, media_type="application/json")) as (url, _):
        async with LangfuseTraceSource(access_to(url)) as source:
            found = [score async for score in source.scores(WINDOW, [RULE])]
    assert [score.comment for score in found] == ["", "? 😀"]
