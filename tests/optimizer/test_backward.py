"""One call per loss, all at once; results in loss order; a failed call costs its gradient and nothing else."""

import asyncio
import json

import pytest
from scripted import PROMPT, Reply, ScriptedModel, criticism, in_order, loss

from optimizer.documents.document import Document
from optimizer.errors import BadCredentials, Declined, OverBudget, TracegradError, Unreachable
from optimizer.fence import Fence
from optimizer.meta import critic as meta
from optimizer.ports import ModelReply, ModelRequest
from optimizer.prompts import Message, Placeholder, PromptVersion
from optimizer.steps.backward import Critic, DroppedLoss, backward, numbered
from optimizer.types import Gradient, LossKind

FENCE = Fence.of(b"secret", "texts")
CRITIC = Critic(model="critic", attempts=3, max_tokens=500)


async def test_a_request_holds_the_numbered_prompt_and_the_fenced_trace() -> None:
    model = ScriptedModel(in_order(criticism("No dates.")))
    bad = loss("g", "On Monday.", kind=LossKind.CORRECTION)
    [found] = await backward(PROMPT, [bad], model, critic=CRITIC, fence=FENCE)
    assert found == Gradient(loss=bad, warrants_change=True, text="No dates.")
    [request] = model.requests
    assert (request.purpose, request.model, request.reply_name) == ("backward", "critic", "gradient")
    assert json.loads(request.reply_schema)["title"] == "gradient"
    assert request.messages[0] == Message(role="system", content=meta.SYSTEM)
    title, lines, opening, block, closing = request.messages[1].content.split("\n")
    assert (title, opening, closing) == ("PROMPT", f"<data-{FENCE.nonce()}>", f"</data-{FENCE.nonce()}>")
    assert json.loads(lines)["lines"][1] == {"id": "2", "text": "Be kind."}
    assert json.loads(block) == {
        "input": "question g",
        "output": "answer g",
        "kind": "correction",
        "complaint": "On Monday.",
    }


def test_the_numbered_prompt_is_one_line_and_shows_what_may_change() -> None:
    body = (
        Message(role="system", content="Über\u2028{{x}}\r\nzwei"),
        Placeholder(name="history"),
        Message(role="user", content="hidden"),
        Message(role="developer", content="three"),
    )
    shown = numbered(Document.of(body))
    assert len(shown.splitlines()) == 2
    assert json.loads(shown.split("\n")[1])["lines"] == [
        {"id": "m0.1", "text": "Über\u2028{{x}}"},
        {"id": "m0.2", "text": "zwei"},
        {"id": "m3.1", "text": "three"},
    ]


async def test_no_change_is_an_answer() -> None:
    model = ScriptedModel(in_order(criticism("Parcels are late, no prompt changes that.", change=False)))
    [found] = await backward(PROMPT, [loss("g")], model, critic=CRITIC, fence=FENCE)
    assert isinstance(found, Gradient)
    assert not found.warrants_change


@pytest.mark.parametrize(
    "unusable",
    [
        '{"change": "yes", "gradient": "x"}',
        '{"change": true, "gradient": "  "}',
        '{"gradient": "x"}',
        "I cannot say.",
        criticism("what is wrong with the prompt, and which behaviour is missing"),
        criticism("what is wrong with the text, and what it should do instead"),
        criticism("No dates.")[:-9],
    ],
)
async def test_an_unusable_reply_is_repaired(unusable: str) -> None:
    model = ScriptedModel(in_order(unusable, criticism("No dates.")))
    [found] = await backward(PROMPT, [loss("g")], model, critic=CRITIC, fence=FENCE)
    assert isinstance(found, Gradient)
    assert [request.attempt for request in model.requests] == [0, 1]


async def test_a_long_gradient_is_cut() -> None:
    model = ScriptedModel(in_order(criticism("word " * 2_000)))
    [found] = await backward(PROMPT, [loss("g")], model, critic=CRITIC, fence=FENCE)
    assert len(found.text if isinstance(found, Gradient) else "") <= 1_000


def by_complaint(**replies: Reply) -> ScriptedModel:
    def script(request: ModelRequest) -> Reply:
        return next(reply for text, reply in replies.items() if f'"{text}"' in request.messages[1].content)

    return ScriptedModel(script)


async def test_a_failed_call_drops_its_gradient_only() -> None:
    model = by_complaint(one=criticism("a"), two="garbage", three=Unreachable("no answer in 60 s"), four=criticism("b"))
    losses = [loss(text, text) for text in ("one", "two", "three", "four")]
    results = await backward(PROMPT, losses, model, critic=CRITIC, fence=FENCE)
    assert [type(result) for result in results] == [Gradient, DroppedLoss, DroppedLoss, Gradient]
    assert [result.loss for result in results] == losses
    assert results[1] == DroppedLoss(loss=losses[1], reason="Garbled: there is no complete JSON object in it")
    assert results[2] == DroppedLoss(loss=losses[2], reason="Unreachable: no answer in 60 s")


@pytest.mark.parametrize("error", [BadCredentials("the key was refused", "set another"), OverBudget("2 USD are spent")])
async def test_what_would_fail_every_call_stops_them_all(error: TracegradError) -> None:
    endless = ScriptedModel(
        lambda request: error if '"one"' in request.messages[1].content else criticism("late"),
        delay=lambda request: 0 if '"one"' in request.messages[1].content else 1_000_000,
    )
    with pytest.raises(type(error)):
        await backward(PROMPT, [loss("a", "two"), loss("b", "one")], endless, critic=CRITIC, fence=FENCE)
    assert len(endless.answered) == 1


async def test_a_text_that_the_server_declines_to_read_costs_its_author_only() -> None:
    error = Declined("the server refused the request", "look at it")
    results = await backward(
        PROMPT,
        [loss("a", "one"), loss("b", "two")],
        by_complaint(one=error, two=criticism("a")),
        critic=CRITIC,
        fence=FENCE,
    )
    assert [type(result) for result in results] == [DroppedLoss, Gradient]
    with pytest.raises(Declined):
        await backward(PROMPT, [loss("a", "one")], by_complaint(one=error), critic=CRITIC, fence=FENCE)


class Together:
    """Answers nobody before everybody has asked: a sequential caller never gets an answer."""

    def __init__(self, parties: int) -> None:
        self.barrier = asyncio.Barrier(parties)

    async def complete(self, request: ModelRequest) -> ModelReply:
        async with asyncio.timeout(5):
            await self.barrier.wait()
        return ModelReply(text=criticism("No dates."), model=request.model)


async def test_all_calls_are_in_flight_at_once() -> None:
    results = await backward(PROMPT, [loss(str(n)) for n in range(40)], Together(40), critic=CRITIC, fence=FENCE)
    assert all(isinstance(result, Gradient) for result in results)


async def test_results_keep_the_order_of_the_losses_whatever_answers_first() -> None:
    losses = [loss(str(n), f"complaint {n}") for n in range(8)]
    texts = {f"complaint {n}": f"criticism {n}" for n in range(8)}

    def script(request: ModelRequest) -> str:
        return criticism(next(said for text, said in texts.items() if text in request.messages[1].content))

    arrivals = set()
    for pace in (1, 3, 5, 7):
        model = ScriptedModel(script, delay=lambda request, pace=pace: int(request.key[:4], 16) * pace % 11)
        results = await backward(PROMPT, losses, model, critic=CRITIC, fence=FENCE)
        arrivals.add(tuple(model.answered))
        assert [r.text for r in results if isinstance(r, Gradient)] == [f"criticism {n}" for n in range(8)]
    assert len(arrivals) > 1


async def test_a_comment_of_a_megabyte_makes_a_small_request() -> None:
    model = ScriptedModel(in_order(criticism("No dates.")))
    await backward(PROMPT, [loss("g", "\u202e" * 1_000_000)], model, critic=CRITIC, fence=FENCE)
    assert sum(len(message.content) for message in model.requests[0].messages) < 25_000


async def test_no_losses_no_calls() -> None:
    model = ScriptedModel(in_order())
    assert await backward(PromptVersion(name="p", version=1, body=""), [], model, critic=CRITIC, fence=FENCE) == ()
