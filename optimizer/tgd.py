"""Textual gradient descent: one step from a prompt to a candidate, in one request for all root causes.

The rewriter sees the whole prompt and the counted criticisms, never a trace, and answers with typed edits. No cause
means no call and no change. A reply that cannot be used and a rewrite that breaks the guard are asked for again with
the reasons; what still breaks it is dropped edit by edit. Nothing here may mend an edit or make one up.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TypeAlias

from optimizer.backward import numbered
from optimizer.causes import RefusedCause
from optimizer.document import Document
from optimizer.errors import BadReply, Garbled
from optimizer.fence import Fence, excerpt
from optimizer.guard import Limits, Violation, check
from optimizer.identity import Json, canonical
from optimizer.meta import rewriter as meta
from optimizer.ports import LanguageModel, ModelRequest
from optimizer.prompts import Body, Message, PromptVersion
from optimizer.replies import JsonObject, ask, objects_in, repaired, text_in
from optimizer.types import Candidate, Edit, EditOp, RootCause

_EXAMPLES = 4
_EXAMPLE_CHARS = 300
_REASON_CHARS = 300
_EDITS_READ = 40
"""Edits in a reply that is read at all; the guard looks at the rest again after each one that it refuses."""

Edits: TypeAlias = tuple[Edit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewriter:
    """Who edits: a model, how to ask it, and what its edits must keep.

    Attributes:
        max_causes: causes in one request, so that a step stays small enough to explain and to prove.
        causes_chars: budget of all criticisms in one request; causes beyond it wait for the next cycle.
        guard: False only in tests that show what the guard is for.
    """

    model: str
    attempts: int
    max_tokens: int
    max_causes: int
    causes_chars: int
    limits: Limits = field(default_factory=Limits)
    guard: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCandidate:
    """The prompt stays as it is, and why: the default."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedEdit:
    """An edit that the guard refused, and why."""

    edit: Edit
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step came to.

    Attributes:
        causes: those that the rewriter was asked about.
        left_out: those that the request had no room for.
    """

    candidate: Candidate | NoCandidate
    causes: tuple[RootCause, ...] = ()
    left_out: tuple[RefusedCause, ...] = ()
    refused: tuple[RefusedEdit, ...] = ()


Admitted: TypeAlias = tuple[Edits, tuple[RefusedEdit, ...], tuple[Violation, ...]]
"""Edits, those that the guard refused, and what is still wrong with the rest."""


async def step(
    prompt: PromptVersion,
    causes: Sequence[RootCause],
    model: LanguageModel,
    *,
    rewriter: Rewriter,
    fence: Fence,
    source_texts: Sequence[str],
) -> Step:
    """One rewrite of the prompt because of these causes, best founded first.

    Args:
        source_texts: texts of the traces behind the causes; the guard lets no run of their words in.

    Raises:
        Transient, Permanent, OverBudget: the model's own; a reply that stays unusable is a NoCandidate.
    """
    told, untold = _within(causes, rewriter)
    left_out = tuple(RefusedCause(gradients=c.gradients, reason="no room in the rewrite request") for c in untold)
    if not told:
        return Step(candidate=NoCandidate(reason="no root cause calls for a change"), left_out=left_out)
    document = Document.of(prompt.body)
    source_texts = _read_texts(source_texts, fence)
    try:
        edits, refused, rest = await _edits(document, told, model, rewriter, fence, source_texts)
    except BadReply as error:
        reason = f"the rewriter gave no usable reply in {rewriter.attempts} attempts: {error}"
        return Step(candidate=NoCandidate(reason=reason), causes=told, left_out=left_out)
    candidate = _candidate(prompt, edits, document.apply(edits).body, refused, rest)
    return Step(candidate=candidate, causes=told, left_out=left_out, refused=refused)


async def _edits(
    document: Document,
    causes: Sequence[RootCause],
    model: LanguageModel,
    rewriter: Rewriter,
    fence: Fence,
    source_texts: Sequence[str],
) -> Admitted:
    """Ask for edits, once more if they break the guard, and drop those that still do."""

    def parse(fields: JsonObject) -> Edits:
        items = objects_in(fields, "edits")
        if len(items) > _EDITS_READ:
            raise Garbled(f'"edits" has {len(items)} entries; make at most {rewriter.limits.max_edits}')
        edits = tuple(_edit(item, n, causes) for n, item in enumerate(items, start=1))
        document.apply(edits)
        return edits

    def against(edits: Edits) -> tuple[Violation, ...]:
        if not rewriter.guard:
            return ()
        return check(document.base, document.apply(edits).body, edits, source_texts, rewriter.limits)

    answer = await ask(model, _request(document, causes, rewriter, fence), parse, attempts=rewriter.attempts)
    if violations := against(answer.value):
        again = repaired(answer.request, answer.text, _reasons(answer.value, violations))
        with suppress(BadReply):  # then the first answer stands, and loses the edits that break the guard
            answer = await ask(model, again, parse, attempts=1)
    return _admitted(answer.value, against)


def _admitted(edits: Edits, against: Callable[[Edits], tuple[Violation, ...]]) -> Admitted:
    """Drop the edits that violations name, one by one, looking again after each."""
    refused: list[RefusedEdit] = []
    while violations := against(edits):
        broken = {v.edit_id: v.message for v in reversed(violations)}
        culprit = next((edit for edit in edits if edit.id in broken), None)
        if culprit is None:
            break
        refused.append(RefusedEdit(edit=culprit, reason=broken[culprit.id]))
        edits = tuple(edit for edit in edits if edit is not culprit)
    return edits, tuple(refused), violations


def _candidate(
    prompt: PromptVersion, edits: Edits, body: Body, refused: Sequence[RefusedEdit], rest: Sequence[Violation]
) -> Candidate | NoCandidate:
    if rest:
        return NoCandidate(reason=f"the rewrite breaks the guard: {_sentences(v.message for v in rest)}")
    if not edits and refused:
        return NoCandidate(reason=f"the guard refused every edit: {_sentences(r.reason for r in refused)}")
    if not edits:
        return NoCandidate(reason="the rewriter found nothing to change")
    if body == prompt.body:
        return NoCandidate(reason="the edits leave the prompt as it was")
    return Candidate(parent=prompt, edits=edits, body=body)


def _request(document: Document, causes: Sequence[RootCause], rewriter: Rewriter, fence: Fence) -> ModelRequest:
    limits = meta.LIMITS.format(edits=rewriter.limits.max_edits, chars=rewriter.limits.max_edit_chars)
    block = fence.wrap({"causes": [_told(cause) for cause in causes]})
    return ModelRequest(
        purpose="rewrite",
        model=rewriter.model,
        messages=(
            Message(role="system", content=meta.SYSTEM + limits),
            Message(role="user", content=f"{numbered(document)}\n{block}"),
        ),
        reply_schema=meta.SCHEMA,
        reply_name=meta.REPLY_NAME,
        max_tokens=rewriter.max_tokens,
    )


_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)")


def _read_texts(texts: Sequence[str], fence: Fence) -> tuple[str, ...]:
    """The texts as far as a model read them, cut as the fence cuts, and as they read without JSON's escapes.

    Recorded inputs are JSON texts: a copy of what they say has a space where they have a backslash and an `n`.
    """
    shown = [excerpt(text, fence.text_chars) for text in texts]
    spelled = [_ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else " ", text) for text in shown if "\\" in text]
    return tuple(dict.fromkeys((*shown, *spelled)))


def _within(causes: Sequence[RootCause], rewriter: Rewriter) -> tuple[tuple[RootCause, ...], tuple[RootCause, ...]]:
    """The causes that fit into one request, in order, and the rest."""
    ends = accumulate(len(canonical(_told(cause))) for cause in causes[: rewriter.max_causes])
    fitting = sum(1 for end in ends if end <= rewriter.causes_chars)
    return tuple(causes[:fitting]), tuple(causes[fitting:])


def _told(cause: RootCause) -> dict[str, Json]:
    """A cause as the rewriter sees it: counted, with a few other wordings."""
    wordings = dict.fromkeys(g.text for g in cause.gradients if g.text != cause.summary)
    return {
        "label": cause.label,
        "count": len(cause.gradients),
        "sources": len(cause.sources),
        "summary": cause.summary,
        "examples": [excerpt(text, _EXAMPLE_CHARS) for text in list(wordings)[:_EXAMPLES]],
    }


def _edit(fields: JsonObject, number: int, causes: Sequence[RootCause]) -> Edit:
    where = f"edit {number}: "
    op, label = text_in(fields, "op", where=where).strip(), text_in(fields, "cause", where=where).strip()
    text = "" if op == EditOp.REMOVE else text_in(fields, "text", where=where).rstrip()
    cause = next((cause for cause in causes if cause.label == label), None)
    reason = text_in(fields, "reason", where=where).strip()
    if op not in list(EditOp):
        raise Garbled(f'{where}"op" must be one of {", ".join(EditOp)}')
    if cause is None:
        raise Garbled(f'{where}"cause" must be one of {", ".join(c.label for c in causes)}')
    if not reason:
        raise Garbled(f'{where}"reason" must say how the edit removes the cause')
    if len(text.splitlines()) > 1:
        raise Garbled(f'{where}"text" must be one line; make one edit per line')
    line = text_in(fields, "line", where=where).strip()
    return Edit(op=EditOp(op), line=line, text=text, reason=excerpt(reason, _REASON_CHARS), cause=cause)


def _reasons(edits: Edits, violations: Sequence[Violation]) -> str:
    """The violations for the rewriter's eyes; the guard's messages quote nothing that it found."""
    number = {edit.id: f"edit {n}: " for n, edit in enumerate(edits, start=1)}
    return _sentences(number.get(v.edit_id, "") + v.message for v in violations)


def _sentences(messages: Iterable[str]) -> str:
    return " ".join(dict.fromkeys(messages))
