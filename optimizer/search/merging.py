"""Merges two rewrites of one base: for every root cause the edits of the side that dealt with it better."""

from collections.abc import Mapping
from typing import TypeAlias

from optimizer.documents.document import Document
from optimizer.documents.merging import Conflict, merge
from optimizer.guards.guard import Limits, check
from optimizer.search.entrant import Entrant, without

Worth: TypeAlias = Mapping[str, float]
"""How well a rewrite deals with each root cause, by the cause's id, [0, 1]."""


def merged(ours: Entrant, theirs: Entrant, our_worth: Worth, their_worth: Worth, *, limits: Limits) -> Entrant | None:
    """The merge, which may be the same text as one of the two; None when it is more than the guard lets a step do.

    Ties stay with `ours`, causes that only one side has edits for with that side, and sections in which the two
    contradict each other with `ours`.
    """
    both = {edit.cause.id for edit in ours.document.edits} & {edit.cause.id for edit in theirs.document.edits}
    lost = {cause for cause in both if their_worth.get(cause, 0.0) > our_worth.get(cause, 0.0)}
    result = merge(_without_causes(ours.document, lost), _without_causes(theirs.document, both - lost))
    document = result.document if isinstance(result, Conflict) else result
    made = Entrant.of(document, parent=ours.parent, round_=ours.round)
    before = ours.parent.body if ours.parent else document.base
    return None if check(before, made.body, (), limits=limits) else made


def _without_causes(document: Document, causes: set[str]) -> Document:
    return without(document, [edit for edit in document.edits if edit.cause.id in causes])
