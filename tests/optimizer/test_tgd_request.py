"""One step's request, its independent samples, the owner's rules, and steps that go on from one another."""

import json
from dataclasses import replace

import pytest
from scripted import PROMPT, ScriptedModel, gradient, in_order, rewrite
from step_samples import REWRITER, cause, no_candidate, take

from optimizer.documents.document import Document
from optimizer.meta import rewriter as meta
from optimizer.prompts import Body, PromptVersion
from optimizer.steps.tgd import NoCandidate, Revision
from optimizer.types import Candidate, RootCause

# ---- the request -----------------------------------------------------------------------------------------------------

VALUES = {
    "300 words": " ".join(f"word{n}" for n in range(300)),
    "50,000 characters": "\n".join("x" * 99 for _ in range(500)),
    "braces": 'Reply as {"a": {b}} and {0} and {{{name}}} and %s.',
    "right to left": "ענה בקצרה.\nكن لطيفا.",
    "invisible": "Be\u200b kind.\nBe\u202e short.",
    "line separators": "one\u2028still one\x0bstill one\r\ntwo\n\nfour",
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
async def test_the_whole_value_is_in_the_request(value: str) -> None:
    model = ScriptedModel(in_order(rewrite()))
    document = Document.of(value)
    await take(model, prompt=document)
    title, lines = model.requests[0].messages[1].content.split("\n")[:2]
    assert title == "PROMPT"
    assert [line["text"] for line in json.loads(lines)["lines"]] == [line.text for line in document.lines]


async def test_the_owner_speaks_in_the_system_message_word_for_word() -> None:
    rewriter = replace(
        REWRITER,
        role="system prompt of {a} shop",
        constraints=("Never name {competitors}.", "Stay under 100 words."),
        examples=(Revision(before="Be {nice}.", after="Be kind."), Revision(before="a", after="b")),
    )
    model = ScriptedModel(in_order(rewrite()))
    await take(model, rewriter=rewriter)
    system, user = (message.content for message in model.requests[0].messages)
    for said in (
        "system prompt of {a} shop",
        "1. Never name {competitors}.\n2. Stay under 100 words.\n",
        '{"after":"Be kind.","before":"Be {nice}."}\n{"after":"b","before":"a"}\n',
    ):
        assert said in system
        assert said not in user
    plain = ScriptedModel(in_order(rewrite()))
    await take(plain)
    assert plain.requests[0].messages[0].content == meta.SYSTEM + meta.LIMITS.format(edits=6, chars=600)
    assert plain.requests[0].messages[1] == model.requests[0].messages[1]


async def test_ten_thousand_criticisms_make_a_small_request() -> None:
    gradients = tuple(gradient(str(n), f"Nr {n}: no refund window. " + "é" * 200, source=str(n)) for n in range(10_000))
    many = RootCause(label="c1", summary=gradients[0].text, gradients=gradients)
    model = ScriptedModel(in_order(rewrite(("add", "3", "Name the refund window.", "c1"))))
    result = await take(model, causes=(many,))
    assert isinstance(result.candidate, Candidate)
    block = model.requests[0].messages[1].content.split("\n")[3]
    assert json.loads(block)["causes"][0]["count"] == 10_000
    assert len(block) <= REWRITER.causes_chars


async def test_wordings_go_before_causes_do() -> None:
    wordy = cause("c1", *(f"{n} " + "words " * 60 for n in range(5)))
    model = ScriptedModel(in_order(rewrite()))
    result = await take(model, causes=(wordy,), rewriter=replace(REWRITER, causes_chars=800))
    assert result.causes == (wordy,)
    assert json.loads(model.requests[0].messages[1].content.split("\n")[3])["causes"][0]["examples"] == []


# ---- independent samples ---------------------------------------------------------------------------------------------


async def test_samples_ask_the_same_words_as_different_calls() -> None:
    model = ScriptedModel(lambda _: "garbage")
    for sample in (0, 1, 2):
        await take(model, sample=sample)
    assert [r.attempt for r in model.requests] == [0, 1, 2, 100, 101, 102, 200, 201, 202]
    assert len({r.key for r in model.requests}) == 9
    assert {r.messages for r in model.requests[::3]} == {model.requests[0].messages}
    assert [r.temperature for r in model.requests[::3]] == [0.0, 0.7, 0.7]


# ---- what the owner wants kept ---------------------------------------------------------------------------------------


def short(body: Body) -> str:
    return "" if len(str(body)) < 80 else "The text is too long; stay under 80 characters."


async def test_a_check_asks_once_more_and_then_drops_the_edit_that_breaks_it() -> None:
    long = ("add", "3", "word " * 10, "c1")
    model = ScriptedModel(lambda _: rewrite(("add", "3", "Be warm.", "c2"), long))
    result = await take(model, rewriter=replace(REWRITER, checks=(short,)))
    assert isinstance(result.candidate, Candidate)
    assert result.candidate.body == f"{PROMPT.body}\nBe warm."
    assert [refused.reason for refused in result.refused] == ["The text is too long; stay under 80 characters."]
    assert "edit 2: The text is too long" in model.requests[1].messages[-1].content


async def test_a_check_that_no_edit_alone_breaks_makes_no_candidate() -> None:
    def never(_: Body) -> str:
        return "It is not good enough."

    result = await take(
        ScriptedModel(lambda _: rewrite(("add", "3", "Be warm.", "c2"))), rewriter=replace(REWRITER, checks=(never,))
    )
    reason = "the rewrite breaks the guard: It is not good enough."
    assert result.candidate == NoCandidate(reason=reason, failed=True)


async def test_checks_hold_with_the_guard_off() -> None:
    rewriter = replace(REWRITER, checks=(short,), guard=False)
    result = await take(ScriptedModel(lambda _: rewrite(("add", "3", "word " * 10, "c1"))), rewriter=rewriter)
    assert "too long" in no_candidate(result)


# ---- step after step -------------------------------------------------------------------------------------------------


async def test_a_step_goes_on_from_the_document_of_the_last_one() -> None:
    first = await take(ScriptedModel(in_order(rewrite(("add", "0", "Name the refund window.", "c1")))))
    assert first.document is not None
    added = first.document.lines[0].id
    model = ScriptedModel(in_order(rewrite(("replace", added, "Name the refund window and the fee.", "c1"))))
    second = await take(model, prompt=first.document)
    assert isinstance(second.candidate, Candidate)
    assert (
        second.candidate.body
        == "Name the refund window and the fee.\nYou are the assistant of {{shop}}.\nBe kind.\nBe short."
    )
    assert second.candidate.parent == PromptVersion(name="", version=0, body=first.document.body)
    assert second.document is not None
    assert second.document.body == second.candidate.body
    assert second.document.blame[second.document.lines[0].id] == second.edits[0]


async def test_the_guard_blames_the_right_edit_after_earlier_steps() -> None:
    first = await take(ScriptedModel(in_order(rewrite(("add", "0", "Name the refund window.", "c1")))))
    assert first.document is not None
    shop = next(line.id for line in first.document.lines if "{{shop}}" in line.text)
    bad, good = ("replace", shop, "You are an assistant.", "c1"), ("add", shop, "Greet people by name.", "c2")
    second = await take(ScriptedModel(lambda _: rewrite(bad, good)), prompt=first.document)
    assert isinstance(second.candidate, Candidate)
    assert [edit.text for edit in second.edits] == ["Greet people by name."]
    assert "lost a use of {{shop}}" in second.refused[0].reason
