"""OpenAIModel against the simulated model, with and without structured replies."""

import json

import pytest

from connectors.openai import CallRules, OpenAIModel
from optimizer.errors import BadCredentials, NotFound
from optimizer.ports import ModelRequest
from optimizer.prompts import Message
from optimizer.types import Missing
from sandbox.model.app import create_app
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
            with pytest.raises(BadCredentials, match=r"check the model's api_key\.$"):
                await model.complete(judgement())
        async with OpenAIModel(f"{base_url}/v1", "sk-sandbox", rules=CallRules(attempts=1)) as model:
            with pytest.raises(NotFound, match=r"knows no model 'sim-nobody'"):
                await model.complete(judgement("sim-nobody"))
