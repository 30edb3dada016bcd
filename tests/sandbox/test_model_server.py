"""The simulated model over real HTTP: the OpenAI client understands it, faults are deterministic, calls are counted."""

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from sandbox.model.app import create_app
from sandbox.model.world import World
from sandbox.serving import serve

WORLD = World.support()
QUESTION = "Hello. I want my money back, is that possible?"
TASK: list[Any] = [{"role": "system", "content": WORLD.oracle_prompt}, {"role": "user", "content": QUESTION}]
SCHEMA: dict[str, Any] = {
    "title": "gradient",
    "type": "object",
    "properties": {"change": {"type": "boolean"}, "gradient": {"type": "string"}},
    "required": ["change", "gradient"],
    "additionalProperties": False,
}
FORMAT: Any = {"type": "json_schema", "json_schema": {"name": "gradient", "schema": SCHEMA, "strict": True}}


def complaint(number: int = 0, system: str = "You criticise prompts.") -> list[Any]:
    data = {"input": QUESTION, "output": f"Some time ({number}).", "kind": "comment", "complaint": "No deadline!"}
    prompt = json.dumps({"lines": [{"id": "1", "text": "Be nice."}]})
    user = f"PROMPT\n{prompt}\n<data-abcd>\n{json.dumps(data)}\n</data-abcd>"
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def client(url: str, key: str = "sk-sandbox", retries: int = 0) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=retries)


async def seen(url: str) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=url) as http:
        counts: dict[str, Any] = (await http.get("/sandbox/calls")).json()
        return counts


async def test_the_openai_client_reads_answers_models_and_usage() -> None:
    with serve(create_app()) as url:
        async with client(url) as model:
            models = [found.id async for found in model.models.list()]
            said = await model.chat.completions.create(model="sim-task", messages=TASK)
    assert models == ["sim-task", "sim-critic", "sim-judge", "sim-embed"]
    assert "30 days" in (said.choices[0].message.content or "")
    assert said.choices[0].finish_reason == "stop"
    assert said.usage is not None
    assert said.usage.prompt_tokens >= len(WORLD.oracle_prompt) // 4
    assert said.usage.total_tokens == said.usage.prompt_tokens + said.usage.completion_tokens


async def test_structured_replies() -> None:
    with serve(create_app()) as url:
        async with client(url) as model:
            said = await model.chat.completions.create(model="sim-critic", messages=complaint(), response_format=FORMAT)
    reply = json.loads(said.choices[0].message.content or "")
    assert reply["change"] is True
    assert "refund" in reply["gradient"] or "more useful" in reply["gradient"]


async def test_a_server_without_structured_replies_reads_the_schema_in_the_system_message() -> None:
    system = (
        "You criticise prompts.\nReply with one JSON object that follows this JSON schema:\n"
        + json.dumps(SCHEMA)
        + "\n"
    )
    with serve(create_app(structured=False)) as url:
        async with client(url) as model:
            with pytest.raises(openai.BadRequestError, match="json_schema"):
                await model.chat.completions.create(model="sim-critic", messages=complaint(), response_format=FORMAT)
            said = await model.chat.completions.create(model="sim-critic", messages=complaint(system=system))
    assert set(json.loads(said.choices[0].message.content or "")) == {"change", "gradient"}


async def test_a_wrong_key_is_401_and_an_unknown_model_404() -> None:
    with serve(create_app()) as url:
        async with client(url, key="sk-wrong") as model:
            with pytest.raises(openai.AuthenticationError):
                await model.models.list()
            with pytest.raises(openai.AuthenticationError):
                await model.chat.completions.create(model="sim-task", messages=TASK)
        async with client(url) as model:
            with pytest.raises(openai.NotFoundError, match="does not exist"):
                await model.chat.completions.create(model="gpt-none", messages=TASK)
        counts = await seen(url)
    assert counts["total"] == 0


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b"[]", b'{"model": "sim-task"}', b'{"model": "sim-task", "messages": [3]}']
)
def test_malformed_requests_are_400(body: bytes) -> None:
    with serve(create_app()) as url:
        headers = {"authorization": "Bearer sk-sandbox"}
        answer = httpx.post(f"{url}/v1/chat/completions", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


async def test_an_answer_over_the_limit_is_cut_off() -> None:
    with serve(create_app()) as url:
        async with client(url) as model:
            said = await model.chat.completions.create(model="sim-task", messages=TASK, max_completion_tokens=5)
    assert said.choices[0].finish_reason == "length"
    assert len(said.choices[0].message.content or "") == 20


async def test_faults_are_the_same_in_every_instance_and_a_retry_draws_anew() -> None:
    async def statuses(url: str) -> list[int]:
        headers = {"authorization": "Bearer sk-sandbox"}
        async with httpx.AsyncClient(base_url=url, headers=headers) as http:
            bodies = [{"model": "sim-task", "messages": [{"role": "user", "content": str(n)}]} for n in range(60)]

            async def round_trip() -> list[httpx.Response]:
                return await asyncio.gather(*(http.post("/v1/chat/completions", json=body) for body in bodies))

            first, again = await round_trip(), await round_trip()
            assert all(r.headers["retry-after"] == "0" for r in first if r.status_code == 429)
            return [r.status_code for r in first + again]

    with serve(create_app(faults=0.3)) as one, serve(create_app(faults=0.3)) as two:
        here, there = await statuses(one), await statuses(two)
        counts = await seen(one)
    assert here == there
    assert set(here) == {200, 429, 500}
    assert here[:60] != here[60:]
    assert counts["faults"] == sum(status != 200 for status in here)
    assert counts["repeated"] == 60
    assert 0.15 <= counts["faults"] / 120 <= 0.45


async def test_the_openai_client_gets_over_faults_by_retrying() -> None:
    with serve(create_app(faults=0.07)) as url:
        async with client(url, retries=4) as model:
            asked: list[list[Any]] = [[{"role": "user", "content": f"{QUESTION} {n}"}] for n in range(20)]
            said = await asyncio.gather(
                *(model.chat.completions.create(model="sim-task", messages=messages) for messages in asked)
            )
    assert all(answer.choices[0].message.content for answer in said)


async def test_a_share_of_structured_replies_is_garbled() -> None:
    with serve(create_app(garble=0.3)) as url:
        async with client(url) as model:
            said = await asyncio.gather(
                *(
                    model.chat.completions.create(
                        model="sim-critic", messages=complaint(number), response_format=FORMAT
                    )
                    for number in range(60)
                )
            )
            plain = await model.chat.completions.create(model="sim-task", messages=TASK)
        counts = await seen(url)
    kinds = [_kind(one.choices[0].message.content or "") for one in said]
    assert set(kinds) == {"whole", "cut", "wrapped", "key missing"}
    assert counts["garbled"] == sum(kind != "whole" for kind in kinds)
    assert 0.15 <= counts["garbled"] / 60 <= 0.45
    assert "30 days" in (plain.choices[0].message.content or "")


def _kind(text: str) -> str:
    try:
        return "whole" if set(json.loads(text)) == {"change", "gradient"} else "key missing"
    except ValueError:
        return "wrapped" if "```json" in text else "cut"


async def test_calls_in_flight_are_counted_by_kind() -> None:
    with serve(create_app(latency_s=0.2)) as url:
        async with client(url) as model:
            await asyncio.gather(
                *(model.chat.completions.create(model="sim-task", messages=TASK) for _ in range(5)),
                model.chat.completions.create(model="sim-critic", messages=complaint(), response_format=FORMAT),
            )
        counts = await seen(url)
    assert counts["calls"] == {"task": 5, "gradient": 1}
    assert 2 <= counts["in_flight_max"] <= 6
    assert counts["in_flight"] == 0
    assert counts["prompt_tokens"] > counts["completion_tokens"] > 0


async def test_another_world_can_be_served() -> None:
    world = World.generate(4)
    case = world.cases(1, seed=1, stream="served")[0]
    messages: list[Any] = [
        {"role": "system", "content": world.oracle_prompt},
        {"role": "user", "content": case.question},
    ]
    found = set()
    for seed in range(3):
        with serve(create_app(world=world, seed=seed)) as url:
            async with client(url) as model:
                said = await model.chat.completions.create(model="sim-task", messages=messages)
        found.add(case.expected in (said.choices[0].message.content or ""))
    assert True in found


async def test_free_text_of_the_critics_model_is_a_role_of_its_own_and_prompts_are_told_with_their_time() -> None:
    with serve(create_app(world=WORLD)) as url:
        async with client(url) as model:
            await model.chat.completions.create(model="sim-task", messages=TASK)
            await model.chat.completions.create(
                model="sim-task", messages=[{**TASK[0], "content": "Be nice."}, TASK[1]]
            )
            await model.chat.completions.create(model="sim-task", messages=TASK)
            said = await model.chat.completions.create(
                model="sim-critic", messages=[{"role": "system", "content": "Judge. <GRADE>Wrong.</GRADE>"}, TASK[1]]
            )
        async with httpx.AsyncClient(base_url=url) as http:
            tried = (await http.get("/sandbox/prompts")).json()
        counts = await seen(url)
    assert said.choices[0].message.content == "Wrong."
    assert counts["calls"] == {"task": 3, "free": 1}
    assert [one["text"] for one in tried["prompts"]] == [WORLD.oracle_prompt, "Be nice."]
    assert [one["task_call"] for one in tried["prompts"]] == [1, 2]
    times = [tried["first_at"], *(one["at"] for one in tried["prompts"]), tried["last_at"]]
    assert times == sorted(times)
