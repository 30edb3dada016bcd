"""The memory of steps: what is told, what is refused, and how much a step may change after failures."""

import json
from dataclasses import replace
from typing import Any

import pytest
from scripted import PROMPT, ScriptedModel, gradient, in_order, rewrite

from optimizer.documents.document import Document
from optimizer.fence import Fence
from optimizer.guards.guard import Limits
from optimizer.steps.history import TRIED, PastStep, adapted, told
from optimizer.steps.tgd import NoCandidate, Rewriter, Step, step
from optimizer.types import Candidate, Edit, EditOp, Missing, RootCause, Verdict

FENCE = Fence.of(b"secret", "texts")
REWRITER = Rewriter(model="rewriter", attempts=2, max_tokens=900, max_causes=10, causes_chars=4_000)
DOCUMENT = Document.of(PROMPT.body)
CAUSE = RootCause(label="c1", summary="Too cold.", gradients=(gradient("g", "Too cold."),))


def edit(op: EditOp, line: str, text: str) -> Edit:
    return Edit(op=op, line=line, text=text, reason="warmer", cause=CAUSE)


def past(*edits: Edit, verdict: Verdict | Missing = Verdict.FAIL, reason: str = "no better on 12 cases") -> PastStep:
    return PastStep.of(DOCUMENT, edits, verdict=verdict, reason=reason)


REPLACED = past(edit(EditOp.REPLACE, "2", "Be warm."))
ADDED = past(edit(EditOp.ADD, "3", "Smile."), verdict=Verdict.PASS, reason="better on 40 cases")
REMOVED = past(edit(EditOp.REMOVE, "3", ""), verdict=Missing.NOT_RECORDED, reason="nobody has judged it")


async def take(model: ScriptedModel, *history: PastStep, rewriter: Rewriter = REWRITER) -> Step:
    return await step(PROMPT, (CAUSE,), model, rewriter=rewriter, fence=FENCE, source_texts=(), history=history)


def block(model: ScriptedModel) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(model.requests[0].messages[1].content.split("\n")[3])
    return found


async def test_the_request_tells_values_criticisms_and_verdicts() -> None:
    model = ScriptedModel(in_order(rewrite()))
    await take(model, REPLACED, ADDED, REMOVED)
    assert block(model)["history"] == [
        {
            "edits": [{"op": "replace", "old": "Be kind.", "new": "Be warm.", "cause": "Too cold."}],
            "verdict": "fail",
            "reason": "no better on 12 cases",
        },
        {
            "edits": [{"op": "add", "old": "", "new": "Smile.", "cause": "Too cold."}],
            "verdict": "pass",
            "reason": "better on 40 cases",
        },
        {
            "edits": [{"op": "remove", "old": "Be short.", "new": "", "cause": "Too cold."}],
            "verdict": "not recorded",
            "reason": "nobody has judged it",
        },
    ]


@pytest.mark.parametrize(("momentum", "verdicts"), [(0, None), (1, ["not recorded"]), (2, ["pass", "not recorded"])])
async def test_the_window_holds_the_last_steps_and_may_be_empty(momentum: int, verdicts: list[str] | None) -> None:
    model = ScriptedModel(in_order(rewrite()))
    await take(model, REPLACED, ADDED, REMOVED, rewriter=replace(REWRITER, momentum=momentum))
    history = block(model).get("history")
    assert (history and [entry["verdict"] for entry in history]) == verdicts


def test_of_more_than_the_budget_holds_the_newest_are_told() -> None:
    many = [past(edit(EditOp.ADD, "3", f"Line {n}. " + "é" * 50)) for n in range(200)]
    shown = told(many, steps=100, chars=4_000)
    assert 3 < len(shown) < 20
    assert len(json.dumps(shown)) <= 4_000 + 2 * len(shown)
    assert json.dumps(shown[-1]) == json.dumps(told(many[-1:], steps=1, chars=4_000)[0])


FAILED = (REPLACED, past(edit(EditOp.ADD, "1", "Smile at once.")), past(edit(EditOp.REMOVE, "3", "")))


@pytest.mark.parametrize(
    "again",
    [
        ("replace", "2", "be  WARM.", "c1"),
        ("replace", "3", "Be warm.", "c1"),
        ("add", "3", " Smile at once.", "c1"),
        ("remove", "3", "", "c1"),
    ],
    ids=["case and space", "another line", "another place", "removed"],
)
async def test_what_failed_is_not_made_again(again: tuple[str, str, str, str]) -> None:
    good = ("add", "1", "Greet people by name.", "c1")
    model = ScriptedModel(lambda _: rewrite(again, good))
    result = await take(model, *FAILED)
    assert isinstance(result.candidate, Candidate)
    assert [made.text for made in result.edits] == ["Greet people by name."]
    assert [refused.reason for refused in result.refused] == [TRIED]
    assert f"edit 1: {TRIED}" in model.requests[1].messages[-1].content


async def test_a_rewriter_that_only_repeats_what_failed_makes_no_candidate() -> None:
    result = await take(ScriptedModel(lambda _: rewrite(("replace", "2", "Be warm.", "c1"))), *FAILED)
    assert result.candidate == NoCandidate(reason=f"the guard refused every edit: {TRIED}", failed=True)


@pytest.mark.parametrize(
    "history",
    [
        (replace(REPLACED, verdict=Verdict.UNDECIDED),),
        (replace(REPLACED, verdict=Missing.NOT_RECORDED),),
        (REPLACED, replace(REPLACED, verdict=Verdict.PASS)),
        (past(edit(EditOp.ADD, "2", "Be warm.")),),
        (replace(FAILED[2], before=()),),
    ],
    ids=["undecided", "not judged", "passed in other company", "another operation", "not known what it was"],
)
async def test_what_did_not_fail_may_be_made(history: tuple[PastStep, ...]) -> None:
    result = await take(ScriptedModel(in_order(rewrite(("replace", "2", "Be warm.", "c1")))), *history)
    assert isinstance(result.candidate, Candidate)


@pytest.mark.parametrize(
    ("verdicts", "edits"),
    [
        ("", 6),
        ("f", 3),
        ("ff", 1),
        ("ffff", 1),
        ("ffp", 2),
        ("ffpp", 4),
        ("ffppp", 6),
        ("p", 6),
        ("fu?", 3),
    ],
)
def test_failures_halve_a_step_and_passes_double_it_again(verdicts: str, edits: int) -> None:
    by_sign = {"f": Verdict.FAIL, "p": Verdict.PASS, "u": Verdict.UNDECIDED, "?": Missing.NOT_RECORDED}
    history = [past(verdict=by_sign[sign]) for sign in verdicts]
    assert adapted(Limits(max_edits=6), history) == Limits(max_edits=edits)


async def test_an_adaptive_rewriter_is_told_what_it_has_earned() -> None:
    model = ScriptedModel(lambda _: rewrite(("add", "1", "One.", "c1"), ("add", "2", "Two.", "c1")))
    result = await take(model, REPLACED, REPLACED, REPLACED, rewriter=replace(REWRITER, adaptive=True))
    assert "at most 1 edits" in model.requests[0].messages[0].content
    assert isinstance(result.candidate, NoCandidate)
    fixed = ScriptedModel(in_order(rewrite()))
    await take(fixed, REPLACED, REPLACED, REPLACED)
    assert "at most 6 edits" in fixed.requests[0].messages[0].content
