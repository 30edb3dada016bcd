"""The rewriter's request and how its reply is read.

The request holds the whole text as it is now, the counted criticisms and the last steps under their budgets, and in the
system message what the owner wants kept. It never holds a trace. Nothing here may mend an edit or make one up.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from optimizer.causes.grouping import shared_wordings
from optimizer.documents.document import Document
from optimizer.errors import Garbled
from optimizer.fence import Fence, excerpt
from optimizer.guards.guard import Limits
from optimizer.identity import Json, canonical
from optimizer.meta import rewriter as meta
from optimizer.ports import ModelRequest
from optimizer.prompts import Body, Message
from optimizer.replies import JsonObject, objects_in, text_in
from optimizer.steps.backward import numbered
from optimizer.steps.history import PastStep, told
from optimizer.steps.sampling import sampled
from optimizer.types import Edit, EditOp, RootCause

_EXAMPLES = 4
_EXAMPLE_CHARS = 300
_REASON_CHARS = 300
_EDITS_READ = 40
"""Edits in a reply that is read at all; the guard looks at the rest again after each one that it refuses."""

Check: TypeAlias = Callable[[Body], str]
"""A programmatic rule of the owner's: empty, or what is wrong with a body, in words for the rewriter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A text before and after good edits, from the owner."""

    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewriter:
    """Who edits: a model, how to ask it, and what its edits must keep.

    Attributes:
        max_causes: causes in one request, so that a step stays small enough to explain and to prove.
        causes_chars: budget of all criticisms in one request; causes beyond it wait for the next cycle. It stands for
            tokens: critics write English, and English in JSON has four characters or more to a token, so a quarter of
            the characters is an upper estimate of the tokens that any server counts.
        history_chars: budget of the last steps, in the same unit. `momentum` is how many of them are told.
        adaptive: a step may change less after steps that failed; see `history.adapted`.
        role: what the text is for, when it is no system prompt.
        constraints: rules of the owner in plain words; trusted.
        checks: rules of the owner as functions; a body that breaks one is no candidate.
        examples: the owner's, shown as they are.
        instructions: how to edit, in the owner's words; ours when empty. The rules of safety and the form of the reply
            stay.
        guard: False only where the text is no prompt, or in tests that show what the guard is for.
    """

    model: str
    attempts: int
    max_tokens: int
    max_causes: int
    causes_chars: int
    history_chars: int = 4_000
    momentum: int = 5
    adaptive: bool = False
    role: str = ""
    constraints: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    examples: tuple[Revision, ...] = ()
    instructions: str = ""
    limits: Limits = field(default_factory=Limits)
    guard: bool = True


def request(
    document: Document,
    causes: Sequence[RootCause],
    history: Sequence[PastStep],
    rewriter: Rewriter,
    fence: Fence,
    sample: int,
) -> ModelRequest:
    """The one request for all these causes; another sample of it is another call."""
    block: dict[str, Json] = {"causes": list(fitting(causes, rewriter))}
    if past := told(history, steps=rewriter.momentum, chars=rewriter.history_chars):
        block["history"] = past
    asked = ModelRequest(
        purpose="rewrite",
        model=rewriter.model,
        messages=(
            Message(role="system", content=_system(rewriter)),
            Message(role="user", content=f"{numbered(document)}\n{fence.wrap(block)}"),
        ),
        reply_schema=meta.SCHEMA,
        reply_name=meta.REPLY_NAME,
        max_tokens=rewriter.max_tokens,
    )
    return sampled(asked, sample)


def fitting(causes: Sequence[RootCause], rewriter: Rewriter) -> tuple[dict[str, Json], ...]:
    """The first causes, as the rewriter sees them, as far as the budget goes; the last of them without wordings."""
    shown: list[dict[str, Json]] = []
    left = rewriter.causes_chars
    for cause in causes[: rewriter.max_causes]:
        full = _told(cause)
        entry = next((one for one in (full, {**full, "examples": []}) if len(json.dumps(one)) <= left), None)
        if entry is None:
            break
        shown.append(entry)
        left -= len(json.dumps(entry))
    return tuple(shown)


def edits_in(fields: JsonObject, document: Document, causes: Sequence[RootCause], limits: Limits) -> tuple[Edit, ...]:
    """The reply's edits; they can be made on the document. Raises Garbled."""
    items = objects_in(fields, "edits")
    if len(items) > _EDITS_READ:
        raise Garbled(f'"edits" has {len(items)} entries; make at most {limits.max_edits}')
    edits = tuple(_edit(item, n, causes) for n, item in enumerate(items, start=1))
    document.apply(edits)
    return edits


def _system(rewriter: Rewriter) -> str:
    parts = [
        meta.PROMPT.system(rewriter.instructions),
        meta.LIMITS.format(edits=rewriter.limits.max_edits, chars=rewriter.limits.max_edit_chars),
    ]
    if rewriter.role:
        parts += [meta.ROLE, f"{rewriter.role}\n"]
    if rewriter.constraints:
        parts += [meta.CONSTRAINTS, *(f"{n}. {rule}\n" for n, rule in enumerate(rewriter.constraints, start=1))]
    if rewriter.examples:
        parts += [meta.EXAMPLES, *(canonical({"before": e.before, "after": e.after}) + "\n" for e in rewriter.examples)]
    return "".join(parts)


def _told(cause: RootCause) -> dict[str, Json]:
    """A cause as the rewriter sees it: counted, with a few other wordings that hold no one source's words."""
    return {
        "label": cause.label,
        "count": len(cause.gradients),
        "sources": len(cause.sources),
        "summary": cause.summary,
        "examples": [excerpt(text, _EXAMPLE_CHARS) for text in shared_wordings(cause)[:_EXAMPLES]],
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
    if text.strip() in meta.ECHOES:
        raise Garbled(f'{where}"text" repeats the instructions; write the line itself')
    line = text_in(fields, "line", where=where).strip()
    return Edit(op=EditOp(op), line=line, text=text, reason=excerpt(reason, _REASON_CHARS), cause=cause)
