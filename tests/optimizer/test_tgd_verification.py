"""Self-verification: yes, no or not known for every cause; never a yes that nobody gave."""

import json

import pytest
from scripted import PROMPT, Reply, ScriptedModel, gradient, in_order

from optimizer.documents.document import Document
from optimizer.errors import BadCredentials, CutOff, Declined, Unreachable
from optimizer.fence import Fence
from optimizer.steps.critic import Critic
from optimizer.steps.verification import Answered, verify
from optimizer.types import Missing, RootCause

FENCE = Fence.of(b"secret", "texts")
CRITIC = Critic(model="critic", attempts=2, max_tokens=700)
DOCUMENT = Document.of(PROMPT.body)
CAUSES = tuple(
    RootCause(label=label, summary=text, gradients=(gradient(label, text),))
    for label, text in (("c1", "No refund window."), ("c2", "Too cold."))
)


def answers(*items: tuple[str, object, str]) -> str:
    return json.dumps({"answers": [{"cause": c, "answered": a, "why": w} for c, a, w in items]})


GOOD = answers(("c2", False, "No line is about warmth."), ("c1", True, "Line 2 says it."))
READ = (
    Answered(cause=CAUSES[0], answered=True, why="Line 2 says it."),
    Answered(cause=CAUSES[1], answered=False, why="No line is about warmth."),
)


async def test_one_call_answers_every_cause_in_the_causes_order() -> None:
    model = ScriptedModel(in_order(GOOD))
    assert await verify(DOCUMENT, CAUSES, model, critic=CRITIC, fence=FENCE) == READ
    [request] = model.requests
    assert (request.purpose, request.model, request.reply_name, request.max_tokens) == (
        "verify",
        "critic",
        "answers",
        700,
    )
    title, lines, opening, block, closing = request.messages[1].content.split("\n")
    assert (title, opening, closing) == ("PROMPT", f"<data-{FENCE.nonce()}>", f"</data-{FENCE.nonce()}>")
    assert [line["text"] for line in json.loads(lines)["lines"]] == str(PROMPT.body).split("\n")
    assert json.loads(block) == {"causes": [{"label": c.label, "summary": c.summary} for c in CAUSES]}


@pytest.mark.parametrize(
    "bad",
    [
        answers(("c1", True, "x")),
        answers(("c1", True, "x"), ("c1", True, "x")),
        answers(("c1", True, "x"), ("c2", True, "y"), ("c2", False, "y")),
        answers(("c1", True, "x"), ("c2", True, "y"), ("c3", True, "z")),
        answers(("c1", "yes", "x"), ("c2", True, "y")),
        answers(("c1", True, " "), ("c2", True, "y")),
        answers(("c1", True, "which line deals with it, or what is missing"), ("c2", True, "y")),
        "yes to all",
    ],
    ids=["one missing", "one twice", "contradiction", "one too many", "no flag", "no reason", "template", "prose"],
)
async def test_a_reply_that_does_not_answer_is_repaired_and_then_unknown(bad: str) -> None:
    repaired = ScriptedModel(in_order(bad, GOOD))
    assert await verify(DOCUMENT, CAUSES, repaired, critic=CRITIC, fence=FENCE) == READ
    hopeless = ScriptedModel(lambda _: bad)
    unknown = await verify(DOCUMENT, CAUSES, hopeless, critic=CRITIC, fence=FENCE)
    assert [one.answered for one in unknown] == [Missing.NOT_RECORDED] * 2
    assert {one.why for one in unknown} == {"the verifier's call failed (Garbled)"}
    assert len(hopeless.requests) == 2


@pytest.mark.parametrize("error", [Unreachable("away"), CutOff("cut"), Declined("a stranger's words", "look")])
async def test_a_call_that_fails_says_nothing(error: Reply) -> None:
    unknown = await verify(DOCUMENT, CAUSES, ScriptedModel(lambda _: error), critic=CRITIC, fence=FENCE)
    assert [one.answered for one in unknown] == [Missing.NOT_RECORDED] * 2
    assert "stranger" not in unknown[0].why


async def test_what_would_fail_every_call_is_raised() -> None:
    error = BadCredentials("the key was refused", "set another")
    with pytest.raises(BadCredentials):
        await verify(DOCUMENT, CAUSES, ScriptedModel(lambda _: error), critic=CRITIC, fence=FENCE)


async def test_no_causes_no_call() -> None:
    assert await verify(DOCUMENT, (), ScriptedModel(in_order()), critic=CRITIC, fence=FENCE) == ()
