"""The loopback gateway over real HTTP: who is admitted, and what is asked how often."""

import asyncio

import httpx
import pytest
from promptfoo_cases import ScriptedModel, a_case, arms, echo

from connectors.answers import Answers
from connectors.grades import Grades
from connectors.judges.matching import Match, MatchingJudge
from connectors.promptfoo.configuration import configuration
from connectors.promptfoo.gateway import Gateway
from connectors.promptfoo.settings import EvaluatorSettings
from optimizer.errors import Declined, OverBudget
from optimizer.identity import canonical
from optimizer.ports import LanguageModel, ModelReply, ModelRequest
from optimizer.types import Arm, Unscored

SETTINGS = EvaluatorSettings(task_model="sim-task")
CASES = [a_case(1, "hi", reference="hi"), a_case(2, "file://x {{y}}", reference="no")]
ASK = {"arm": "candidate", "case_id": "case-001"}


def gateway(model: LanguageModel) -> tuple[Answers, Gateway]:
    answers = Answers(arms(), CASES, model=model, task_model="sim-task")
    return answers, Gateway(answers, Grades(MatchingJudge(Match.EXACT), answers))


async def test_only_the_run_itself_is_admitted() -> None:
    model = ScriptedModel(echo)
    async with gateway(model)[1] as served, httpx.AsyncClient() as client:
        root = served.url.rsplit("/", 2)[0]
        assert root.startswith("http://127.0.0.1:")
        assert (await client.post(f"{root}/guessed/answer", json=ASK)).status_code == 403
        assert (await client.get(served.url)).status_code == 405
        assert (await client.post(f"{served.url}s", json=ASK)).status_code == 404
        assert (await client.post(served.url, content=b"\xff{")).status_code == 400
        assert (await client.post(served.url, json={**ASK, "arm": "third"})).status_code == 400
        assert (await client.post(served.url, json={**ASK, "case_id": "case-9"})).status_code == 404
    assert model.requests == []


async def test_an_answer_is_made_and_judged_once_however_often_it_is_asked_for() -> None:
    model = ScriptedModel(echo)
    made, opened = gateway(model)
    async with opened as served, httpx.AsyncClient() as client:
        answers = await asyncio.gather(*(client.post(served.url, json=ASK) for _ in range(5)))
        assert made.made(Arm.BASELINE, "case-001") is None
    assert {answer.text for answer in answers} == {answers[0].text}
    told = answers[0].json()
    assert told["output"] == "hi"
    assert told["tokenUsage"] == {"total": 15, "prompt": 10, "completion": 5}
    assert told["cost"] == 0.001
    assert told["latencyMs"] >= 0
    assert told["metadata"]["grade"] == {"pass": True, "score": 1.0, "reason": "judged by Tracegrad"}
    assert len(model.requests) == 1
    assert model.requests[0].purpose == "task"
    assert [(m.role, m.content) for m in model.requests[0].messages] == [("system", "Answer well."), ("user", "hi")]


async def test_an_answer_that_nobody_can_judge_is_told_as_an_error_and_without_its_text() -> None:
    answers = Answers(arms(), [a_case(1, "hi")], model=ScriptedModel(echo), task_model="sim-task")
    served = Gateway(answers, Grades(MatchingJudge(Match.EXACT), answers))
    async with served, httpx.AsyncClient() as client:
        assert (await client.post(served.url, json=ASK)).json() == {"error": "no judgement"}


async def test_an_empty_purse_stops_all_further_calls() -> None:
    def script(_: ModelRequest) -> str:
        raise OverBudget("the cycle has spent its budget")

    model = ScriptedModel(script)
    answers, served = gateway(model)
    async with served, httpx.AsyncClient() as client:
        for case_id in ("case-001", "case-002"):
            told = await client.post(served.url, json={**ASK, "case_id": case_id})
            assert told.json() == {"error": "no answer"}
        assert answers.broken == "the cycle has spent its budget"
    assert len(model.requests) == 1


async def test_a_case_that_the_model_declines_leaves_the_others_alone() -> None:
    def script(request: ModelRequest) -> str:
        if request.messages[-1].content == "hi":
            raise Declined("the server refused the request", "leave it out")
        return "no"

    answers, served = gateway(ScriptedModel(script))
    async with served, httpx.AsyncClient() as client:
        for case_id in ("case-001", "case-002"):
            await client.post(served.url, json={**ASK, "case_id": case_id})
        declined, made = (answers.made(Arm.CANDIDATE, case_id) for case_id in ("case-001", "case-002"))
        assert answers.broken == ""
    assert declined is not None
    assert isinstance(declined.failure, Unscored)
    assert made is not None
    assert made.output == "no"


async def test_half_a_character_is_replaced_before_promptfoo_sees_it() -> None:
    async with gateway(ScriptedModel(lambda _: "a\ud83d"))[1] as served, httpx.AsyncClient() as client:
        told = await client.post(served.url, json=ASK)
    assert told.json()["output"] == "a?"


class Slow:
    """A model that never answers, and notes that it was called off."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.called_off = False

    async def complete(self, _: ModelRequest, /) -> ModelReply:
        self.asked.set()
        try:
            return await asyncio.Future()
        except asyncio.CancelledError:
            self.called_off = True
            raise


async def test_calls_in_flight_end_with_the_gateway() -> None:
    model = Slow()
    served = gateway(model)[1]
    async with httpx.AsyncClient() as client:
        async with served:
            asking = asyncio.ensure_future(client.post(served.url, json=ASK))
            await model.asked.wait()
        with pytest.raises(httpx.HTTPError):
            await asking
    assert model.called_off


def test_the_configuration_holds_ids_and_nothing_that_anybody_wrote() -> None:
    told = canonical(configuration("http://127.0.0.1:1/token", CASES, SETTINGS))
    assert "case-002" in told
    for text in ("{{", "Answer", '"no"', "file://x"):
        assert text not in told
