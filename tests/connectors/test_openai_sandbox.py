"""OpenAIModel against the simulated model, with and without structured replies."""

import json

import pytest

from connectors.openai import CallRules, OpenAIModel
from optimizer.documents.document import Document
from optimizer.errors import BadCredentials, BadInput, NotFound
from optimizer.fence import Fence
from optimizer.identity import Json
from optimizer.ports import ModelRequest
from optimizer.prompts import Message
from optimizer.steps.backward import numbered
from optimizer.steps.critic import Critic, criticise
from optimizer.types import Missing
from sandbox.model.app import create_app
from sandbox.model.world import World
from sandbox.serving import serve

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"score": {"type": "number"}, "reason": {"type": "string"}},
        "required": ["score", "reason"],
        "additionalProperties": False,
    }
)
JUDGED = json.dumps({"input": "Where is it?", "output": "Sorry, I see.", "reference": None, "complaint": ""})


def judgement(model: str = "sim-judge") -> ModelRequest:
    """A request as the evaluator makes it."""
    user = f"RUBRIC\nBe kind.\n<data-0a1b2c>\n{JUDGED}\n</data-0a1b2c>"
    return ModelRequest(
        purpose="judge",
        model=model,
        messages=(Message(role="system", content="You judge answers."), Message(role="user", content=user)),
        reply_schema=SCHEMA,
        reply_name="judgement",
    )


@pytest.mark.parametrize("structured", [True, False])
async def test_a_judgement_arrives_either_way(structured: bool) -> None:
    with serve(create_app(structured=structured)) as base_url:
        async with OpenAIModel(f"{base_url}/v1", "sk-sandbox") as model:
            replies = [await model.complete(judgement()) for _ in range(2)]
    for reply in replies:
        assert set(json.loads(reply.text)) == {"score", "reason"}
        assert reply.usage.input_tokens > 0
        assert reply.usage.cost_usd is Missing.NOT_PRICED


async def test_a_wrong_key_and_an_unknown_model_say_what_to_do() -> None:
    with serve(create_app()) as base_url:
        async with OpenAIModel(f"{base_url}/v1", "sk-wrong") as model:
            with pytest.raises(BadCredentials, match=r"check the model's API key\.$"):
                await model.complete(judgement())
        async with OpenAIModel(f"{base_url}/v1", "sk-sandbox", rules=CallRules(attempts=1)) as model:
            with pytest.raises(NotFound, match=r"knows no model 'sim-nobody'"):
                await model.complete(judgement("sim-nobody"))


async def test_independent_criticisms_differ_over_the_wire_and_come_back_the_same() -> None:
    world = World.support()
    [case] = world.cases(1, seed=3, stream="wire")
    shown = numbered(Document.of("You are the support assistant of {{shop_name}}."))
    about: dict[str, Json] = {
        "input": case.question,
        "output": "Sorry, I see.",
        "kind": "comment",
        "complaint": "Useless.",
    }
    critic = Critic(model="sim-critic", attempts=2, max_tokens=500, samples=6)
    fence = Fence.of(b"secret")
    with serve(create_app(world=world)) as base_url:
        async with OpenAIModel(f"{base_url}/v1", "sk-sandbox") as model:
            said, again = [await criticise(shown, about, model, critic=critic, fence=fence) for _ in range(2)]
    assert len(said) > 1
    assert said == again


async def test_a_model_that_was_closed_says_so() -> None:
    with serve(create_app()) as base_url:
        model = OpenAIModel(f"{base_url}/v1", "sk-sandbox")
        async with model:
            await model.complete(judgement())
        with pytest.raises(BadInput, match="connections are closed; make a new OpenAIModel"):
            await model.complete(judgement())
