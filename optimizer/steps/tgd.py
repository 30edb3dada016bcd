"""Textual gradient descent: one step from a text to a candidate, in one request for all root causes.

The rewriter sees the whole text and the counted criticisms, never a trace, and answers with typed edits. No cause means
no call and no change. A reply that cannot be used, and edits that may not stand, are asked for again with the reasons;
what still may not stand is dropped edit by edit. The old text is kept whenever nothing else is certain.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from optimizer.causes.grouping import RefusedCause
from optimizer.documents.document import Document
from optimizer.errors import BadReply
from optimizer.fence import Fence, excerpt
from optimizer.ports import LanguageModel
from optimizer.prompts import PromptVersion
from optimizer.replies import JsonObject, ask, repaired
from optimizer.steps.admission import Admitted, Edits, RefusedEdit, admitted, objections, reasons, sentences
from optimizer.steps.history import PastStep, adapted
from optimizer.steps.rewriting import Revision, Rewriter, edits_in, fitting, request
from optimizer.types import Candidate, RootCause

__all__ = ["NoCandidate", "PastStep", "RefusedEdit", "Revision", "Rewriter", "Step", "step"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCandidate:
    """The text stays as it is, and why: the default.

    Attributes:
        failed: a change was called for and could not be made: no usable reply, or nothing that may stand.
    """

    reason: str
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step came to.

    Attributes:
        candidate: its parent is the version that was given; for a document, an unregistered version of its body.
        causes: those that the rewriter was asked about.
        left_out: those that the request had no room for.
        edits: those that were made, on the lines of the text that was given.
        document: the text with these edits, ready for the next step; None when nothing changed.
    """

    candidate: Candidate | NoCandidate
    causes: tuple[RootCause, ...] = ()
    left_out: tuple[RefusedCause, ...] = ()
    refused: tuple[RefusedEdit, ...] = ()
    edits: Edits = ()
    document: Document | None = None


async def step(
    prompt: PromptVersion | Document,
    causes: Sequence[RootCause],
    model: LanguageModel,
    *,
    rewriter: Rewriter,
    fence: Fence,
    source_texts: Sequence[str],
    history: Sequence[PastStep] = (),
    sample: int = 0,
) -> Step:
    """One rewrite of the text because of these causes, best founded first.

    Args:
        prompt: the text; a document that earlier steps made keeps the ids of its lines.
        source_texts: texts of the traces behind the causes; the guard lets no run of their words in.
        history: earlier steps, oldest first; the last of them are told, and no failed edit is made again.
        sample: independent rewrites of the same request have different numbers.

    Raises:
        Transient, Permanent, OverBudget: the model's own; a reply that stays unusable is a NoCandidate.
    """
    document = prompt if isinstance(prompt, Document) else Document.of(prompt.body)
    parent = PromptVersion(name="", version=0, body=document.body) if isinstance(prompt, Document) else prompt
    count = len(fitting(causes, rewriter))
    told = tuple(causes[:count])
    left_out = tuple(
        RefusedCause(gradients=c.gradients, reason="no room in the rewrite request") for c in causes[count:]
    )
    if not told:
        return Step(candidate=NoCandidate(reason="no root cause calls for a change"), left_out=left_out)
    if rewriter.adaptive:
        rewriter = replace(rewriter, limits=adapted(rewriter.limits, history))
    source_texts = _read_texts(source_texts, fence)
    try:
        made = await _edits(document, told, model, rewriter, fence, source_texts, history, sample)
    except BadReply as error:
        reason = f"the rewriter gave no usable reply in {rewriter.attempts} attempts: {error}"
        return Step(candidate=NoCandidate(reason=reason, failed=True), causes=told, left_out=left_out)
    result = Step(candidate=NoCandidate(reason=""), causes=told, left_out=left_out, refused=made.refused)
    after = document.apply(made.edits)
    if reason := _nothing_new(made, after, document):
        failed = bool(made.rest or made.refused)
        return replace(result, candidate=NoCandidate(reason=reason, failed=failed))
    candidate = Candidate(parent=parent, edits=made.edits, body=after.body)
    return replace(result, candidate=candidate, edits=made.edits, document=after)


async def _edits(
    document: Document,
    causes: Sequence[RootCause],
    model: LanguageModel,
    rewriter: Rewriter,
    fence: Fence,
    source_texts: Sequence[str],
    history: Sequence[PastStep],
    sample: int,
) -> Admitted:
    """Ask for edits, once more if they may not stand, and drop those that still may not."""

    def parse(fields: JsonObject) -> Edits:
        return edits_in(fields, document, causes, rewriter.limits)

    against = objections(document, causes, rewriter, source_texts, history)
    asked = request(document, causes, history, rewriter, fence, sample)
    answer = await ask(model, asked, parse, attempts=rewriter.attempts)
    found = against(answer.value)
    if not found:
        return Admitted(edits=answer.value)
    again = repaired(answer.request, answer.text, reasons(found))
    with suppress(BadReply):  # then the first answer stands, and loses the edits that may not
        answer = await ask(model, again, parse, attempts=1)
    return admitted(answer.value, against)


def _nothing_new(made: Admitted, after: Document, before: Document) -> str:
    """Why there is no candidate; empty when there is one."""
    if made.rest:
        return f"the rewrite breaks the guard: {sentences(objection.message for objection in made.rest)}"
    if not made.edits and made.refused:
        return f"the guard refused every edit: {sentences(refused.reason for refused in made.refused)}"
    if not made.edits:
        return "the rewriter found nothing to change"
    return "the edits leave the prompt as it was" if after.body == before.body else ""


_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)")


def _read_texts(texts: Sequence[str], fence: Fence) -> tuple[str, ...]:
    """The texts as far as a model read them, cut as the fence cuts, and as they read without JSON's escapes.

    Recorded inputs are JSON texts: a copy of what they say has a space where they have a backslash and an `n`.
    """
    shown = [excerpt(text, fence.text_chars) for text in texts]
    spelled = [_ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else " ", text) for text in shown if "\\" in text]
    return tuple(dict.fromkeys((*shown, *spelled)))
