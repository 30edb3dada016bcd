"""Writing scores: at once, or one by one to an old server."""

from dataclasses import replace

import httpx
import pytest
from langfuse_scripted import START, access_to, answering
from starlette.responses import JSONResponse

from connectors.langfuse.scores import LangfuseScores, ScoreDraft
from optimizer.errors import ServerFault
from optimizer.types import ScoreKind
from sandbox.langfuse.app import create_app
from sandbox.serving import serve

VERDICT = ScoreDraft(trace_id="a" * 32, name="gate.pass", kind=ScoreKind.BOOLEAN, value=True, at=START)
DRAFTS = [
    VERDICT,
    replace(VERDICT, name="gate.effect", kind=ScoreKind.NUMERIC, value=0.25, comment="on 120 pairs"),
    replace(VERDICT, name="gate.verdict", kind=ScoreKind.CATEGORICAL, value="pass", observation_id="b" * 16),
]


async def written(url):
    async with httpx.AsyncClient(base_url=url, auth=("pk-lf-sandbox", "sk-lf-sandbox")) as http:
        return (await http.get("/api/public/v3/scores", params={"environment": "tracegrad"})).json()["data"]


@pytest.mark.parametrize(("version", "batch"), [("4.59.0", True), ("4.16.0", False), ("4.59.0", False)])
async def test_scores_arrive_once_in_our_own_environment(tmp_path, version, batch):
    with serve(create_app(tmp_path / "langfuse.db", version=version)) as url:
        async with LangfuseScores(access_to(url), batch=batch) as scores:
            assert await scores.write(DRAFTS) == ()
            assert await scores.write(DRAFTS) == ()
        rows = await written(url)
    assert {row["id"] for row in rows} == {draft.id for draft in DRAFTS}
    assert {row["name"]: row["value"] for row in rows} == {
        "gate.pass": True,
        "gate.effect": 0.25,
        "gate.verdict": "pass",
    }


@pytest.mark.parametrize("batch", [True, False])
async def test_a_rejected_score_is_reported_and_the_others_are_kept(tmp_path, batch):
    bad = replace(VERDICT, name="bad", kind=ScoreKind.NUMERIC, value="not a number")
    with serve(create_app(tmp_path / "langfuse.db")) as url:
        async with LangfuseScores(access_to(url), batch=batch) as scores:
            rejected = await scores.write([bad, *DRAFTS])
        rows = await written(url)
    assert len(rejected) == 1
    assert len(rows) == len(DRAFTS)


async def test_a_write_is_not_repeated():
    with answering(lambda _: JSONResponse({}, 500)) as (url, asked):
        async with LangfuseScores(access_to(url), batch=True) as scores:
            with pytest.raises(ServerFault):
                await scores.write(DRAFTS)
    assert len(asked) == 1


async def test_many_scores_are_sent_by_the_hundred():
    with answering(lambda _: JSONResponse({"message": "Accepted"}, 202)) as (url, asked):
        async with LangfuseScores(access_to(url), batch=True) as scores:
            assert await scores.write([replace(VERDICT, name=f"n{n}") for n in range(250)]) == ()
    assert len(asked) == 3


def test_ids_are_the_judgements():
    assert replace(VERDICT, value=False, comment="revised").id == VERDICT.id
    assert replace(VERDICT, observation_id="b").id != VERDICT.id
    assert replace(VERDICT, name="other").id != VERDICT.id
