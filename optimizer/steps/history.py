"""What earlier steps tried and what became of it: the memory (momentum) of textual gradient descent.

A rewriter that does not know what failed proposes it again. So the last steps stand in its request with their verdicts,
and an edit that repeats a failed one is refused whatever the rewriter says. Nothing here may judge a step: a gate did,
or nobody has.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, takewhile
from typing import TypeAlias

from optimizer.documents.document import Document
from optimizer.fence import excerpt
from optimizer.guards.guard import Limits
from optimizer.identity import Json
from optimizer.types import Edit, EditOp, Missing, Verdict

TRIED = "The same edit was tried and failed; make another one, or none."
"""Said to the rewriter, and in reports."""

_CAUSE_CHARS = 300
_REASON_CHARS = 300

_Deed: TypeAlias = tuple[EditOp, str]
"""What an edit does, wherever it stands: puts in this text, or takes this text out; up to case and spacing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastStep:
    """One earlier step.

    Attributes:
        verdict: the gate's, or why there is none.
        reason: why, in our own words ("screened out: no better on 12 cases").
        before: the text that each edit replaced or removed, empty for an added line; nothing when it is not known.
    """

    edits: tuple[Edit, ...]
    verdict: Verdict | Missing
    reason: str
    before: tuple[str, ...] = ()

    @classmethod
    def of(cls, document: Document, edits: Sequence[Edit], *, verdict: Verdict | Missing, reason: str) -> "PastStep":
        """The step from this document by these edits."""
        return cls(edits=tuple(edits), verdict=verdict, reason=reason, before=replaced_texts(document, edits))


def replaced_texts(document: Document, edits: Sequence[Edit]) -> tuple[str, ...]:
    """The text that each edit replaces or removes, empty for an added line."""
    texts = {line.id: line.text for line in document.lines}
    return tuple("" if edit.op is EditOp.ADD else texts.get(edit.line, "") for edit in edits)


def told(history: Sequence[PastStep], *, steps: int, chars: int) -> list[Json]:
    """The last steps as the rewriter sees them, oldest first; of more than the budget holds, the newest."""
    newest_first = [_told(past) for past in reversed(history[-steps:] if steps > 0 else ())]
    ends = accumulate(len(json.dumps(past)) for past in newest_first)
    fitting = sum(1 for _ in takewhile(lambda end: end <= chars, ends))
    return list(reversed(newest_first[:fitting]))


def failed_deeds(history: Sequence[PastStep]) -> frozenset[_Deed]:
    """What failed in some step and passed in none."""
    by_verdict: dict[Verdict | Missing, set[_Deed]] = {Verdict.FAIL: set(), Verdict.PASS: set()}
    for past in history:
        before = past.before or ("",) * len(past.edits)
        by_verdict.setdefault(past.verdict, set()).update(map(deed, past.edits, before))
    nothing = {(op, "") for op in EditOp}
    return frozenset(by_verdict[Verdict.FAIL] - by_verdict[Verdict.PASS] - nothing)


def deed(edit: Edit, before: str) -> _Deed:
    """What the edit does to a line that was `before`."""
    return edit.op, " ".join((before if edit.op is EditOp.REMOVE else edit.text).casefold().split())


def adapted(limits: Limits, history: Sequence[PastStep]) -> Limits:
    """The limits with as many edits in one step as earlier steps have earned.

    A failed step halves what the next one may change, down to one edit; a step that passed doubles it again, up to the
    owner's limit. Steps without a verdict, and undecided ones, teach nothing.
    """
    edits = limits.max_edits
    for past in history:
        if past.verdict is Verdict.FAIL:
            edits = max(1, edits // 2)
        elif past.verdict is Verdict.PASS:
            edits = min(limits.max_edits, edits * 2)
    return replace(limits, max_edits=min(edits, limits.max_edits))


def _told(past: PastStep) -> dict[str, Json]:
    before = past.before or ("",) * len(past.edits)
    return {
        "edits": [
            {"op": edit.op.value, "old": old, "new": edit.text, "cause": excerpt(edit.cause.summary, _CAUSE_CHARS)}
            for edit, old in zip(past.edits, before, strict=True)
        ],
        "verdict": past.verdict.value,
        "reason": excerpt(past.reason, _REASON_CHARS),
    }
