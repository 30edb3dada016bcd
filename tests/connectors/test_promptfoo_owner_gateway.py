"""The gateway of the owner's tests over real HTTP: variables in, answers out, and graders that ask our model."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from promptfoo_cases import ScriptedModel, arms
from scripted_chat import failure
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.answers import Answers
from connectors.embeddings import Embedder
from connectors.promptfoo.owner.gateway import OwnerGateway
from connectors.promptfoo.results import UNJUDGED
from optimizer.errors import BadCredentials, BadSettings, CutOff, OverBudget, TracegradError, Unreachable
from optimizer.ports import ModelRequest
from optimizer.types import Arm, Case, CaseInput, CaseOrigin, Missing
from sandbox.serving import serve

CASE = Case(
    id="config-x", origin=CaseOrigin.CONFIG, input=CaseInput(), reference=Missing.NO_REFERENCE, source_key="config-x"
)
NAME = f"tracegrad-prompt-{'a' * 32}"
ASK = {"arm": "candidate", "case_id": "config-x", "prompt": NAME, "variables": {"question": "{{q}} file://x"}}
EMBED = "/v1/embeddings"
GRADE = "/v1/chat/completions"


def question(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "judge-1", "messages": [{"role": "user", "content": text}], "temperature": 0.5, **fields}


def opened(model: ScriptedModel, embedder: Embedder | None = None) -> OwnerGateway:
    answers = Answers(arms(), (), model=model, task_model="sim-task", sample=2)
    return OwnerGateway(arms(), {CASE.id: CASE}, answers, model=model, embedder=embedder, sample=2)


async def test_only_the_run_itself_is_admitted_and_only_with_a_test_of_its_own() -> None:
    model = ScriptedModel(lambda _: "yes")
    async with opened(model) as served, httpx.AsyncClient() as client:
        root = served.url.rsplit("/", 1)[0]
        for path in ("/answer", GRADE, EMBED):
            assert (await client.post(f"{root}/guessed{path}", json=ASK)).status_code == 403
        for broken in ({"case_id": "other"}, {"prompt": "Answer."}, {"arm": "third"}, {"variables": {"a": 1}}):
            assert (await client.post(f"{served.url}/answer", json={**ASK, **broken})).status_code in (400, 404)
    assert model.requests == []


async def test_variables_fill_the_arms_own_prompt_and_each_variant_is_asked_once() -> None:
    model = ScriptedModel(lambda request: request.messages[-1].content)
    served = opened(model)
    async with served, httpx.AsyncClient() as client:
        for variables in ({"question": "one"}, {"question": "two"}, {"question": "one"}):
            told = await client.post(f"{served.url}/answer", json={**ASK, "variables": variables})
            assert told.json()["output"] == variables["question"]
        assert [answer.output for answer in served.answers((Arm.CANDIDATE, "config-x"))] == ["one", "two"]
        assert served.answers((Arm.BASELINE, "config-x")) == []
    asked = [[(m.role, m.content) for m in request.messages] for request in model.requests]
    assert asked == [[("system", "Answer well."), ("user", word)] for word in ("one", "two")]
    assert {(request.purpose, request.attempt) for request in model.requests} == {("task", 2)}
    assert served.broken == ""


async def test_a_grader_is_our_model_and_sees_the_prompt_instead_of_its_name() -> None:
    model = ScriptedModel(lambda request: "good\ud83d" if request.purpose == "judge" else "yes")
    async with opened(model) as served, httpx.AsyncClient() as client:
        await client.post(f"{served.url}/answer", json=ASK)
        parts = [{"type": "text", "text": f"asked {NAME}"}, {"type": "text", "text": "judge it"}]
        asked = question("x", messages=[{"role": "user", "content": parts}], max_tokens=77)
        told = (await client.post(f"{served.url}{GRADE}", json=asked)).json()
    assert told["choices"][0]["message"]["content"] == "good?"
    assert told["usage"] == {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    request = model.requests[-1]
    assert (request.purpose, request.model, request.temperature, request.max_tokens) == ("judge", "judge-1", 0.5, 77)
    shown = '[{"content":"Answer well.","role":"system"},{"content":"{{q}} file://x","role":"user"}]'
    assert request.messages[0].content == f"asked {shown}\njudge it"


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (Unreachable("gone"), False),
        (CutOff("cut off"), False),
        (BadCredentials("refused", "check the key"), True),
        (OverBudget("spent"), True),
    ],
)
async def test_a_grader_that_cannot_answer_is_marked_and_never_asked_for_again(
    error: TracegradError, ends: bool
) -> None:
    def script(_: ModelRequest) -> str:
        raise error

    model = ScriptedModel(script)
    served = opened(model)
    async with served, httpx.AsyncClient() as client:
        for _ in range(2):
            told = await client.post(f"{served.url}{GRADE}", json=question("x"))
            assert told.status_code == 400
            assert told.json()["error"]["message"] == f"{UNJUDGED}: {error}"
        made = (await client.post(f"{served.url}/answer", json=ASK)).json()
        assert made == {"error": "no answer"}
    assert bool(served.broken) is ends
    # what nobody can judge is not asked
    assert len(model.requests) == (1 if ends else 3)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"model": "m", "messages": []},
        question("x", messages=[{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]),
    ],
)
async def test_a_question_that_is_no_text_is_marked(asked: dict[str, Any]) -> None:
    model = ScriptedModel(lambda _: "yes")
    async with opened(model) as served, httpx.AsyncClient() as client:
        assert UNJUDGED in (await client.post(f"{served.url}{GRADE}", json=asked)).text
        assert UNJUDGED in (await client.post(f"{served.url}{EMBED}", json={"input": ["a", "b"]})).text
        assert UNJUDGED in (await client.post(f"{served.url}{EMBED}", json={"input": "a"})).text
    assert model.requests == []


def embedding_server(script: Callable[[dict[str, Any], int], Response], said: list[dict[str, Any]]) -> Starlette:
    async def answer(request: Request) -> Response:
        said.append({**await request.json(), "key": request.headers["authorization"]})
        return script(said[-1], len(said) - 1)

    return Starlette(routes=[Route("/v1/embeddings", answer, methods=["POST"])])


def a_vector(_: dict[str, Any], call: int) -> Response:
    return failure(500) if call == 0 else JSONResponse({"data": [{"embedding": [1, 0.5]}]})


async def test_embeddings_are_asked_by_our_own_client_which_tries_again() -> None:
    said: list[dict[str, Any]] = []
    with serve(embedding_server(a_vector, said)) as url:
        async with Embedder(f"{url}/v1", "sk-x", "small") as embedder:
            served = opened(ScriptedModel(lambda _: "yes"), embedder)
            async with served, httpx.AsyncClient() as client:
                await client.post(f"{served.url}/answer", json=ASK)
                told = await client.post(f"{served.url}{EMBED}", json={"model": "large", "input": f"{NAME}!"})
    assert told.json()["data"][0]["embedding"] == [1.0, 0.5]
    assert len(said) == 2
    assert (said[1]["model"], said[1]["key"]) == ("small", "Bearer sk-x")
    assert json.loads(said[1]["input"].removesuffix("!"))[0] == {"content": "Answer well.", "role": "system"}


@pytest.mark.parametrize(
    ("status", "body", "words", "ends"),
    [
        (401, {}, "refused the API key", True),
        (404, {}, "knows no embedding model 'small'", True),
        (400, {}, "refused a text to embed", False),
        (200, {"data": []}, "gave no embedding", True),
        (200, {"data": [{"embedding": ["x"]}]}, "gave no embedding", True),
    ],
)
async def test_embeddings_that_cannot_be_had_are_marked(status: int, body: Any, words: str, ends: bool) -> None:
    with serve(embedding_server(lambda _said, _call: JSONResponse(body, status), [])) as url:
        async with Embedder(f"{url}/v1", "sk-x", "small") as embedder:
            served = opened(ScriptedModel(lambda _: "yes"), embedder)
            async with served, httpx.AsyncClient() as client:
                told = (await client.post(f"{served.url}{EMBED}", json={"input": "secret words"})).text
    assert UNJUDGED in told
    assert words in told
    assert "secret words" not in told
    assert bool(served.broken) is ends


async def test_an_embedder_wants_an_address() -> None:
    with pytest.raises(BadSettings, match="not an http address"):
        Embedder("localhost", "k", "m")
