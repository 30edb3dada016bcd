"""Merges two rewrites of one prompt: for every root cause the edit that fixed more of its cases."""

from optimizer.errors import Garbled
from optimizer.search.credit import better_by_cause, credits
from optimizer.search.entrant import Entrant
from optimizer.search.trials import Trials


def merged(parent: Entrant, ours: Entrant, theirs: Entrant, trials: Trials, *, passing: float) -> Entrant | None:
    """The merge, or None when the two edits of a line contradict each other.

    Args:
        parent: the prompt that both rewrite.
        trials: of the rows that both were screened on.
    """
    kept = better_by_cause(
        credits(ours.step, trials.known(ours.body), passing=passing),
        credits(theirs.step, trials.known(theirs.body), passing=passing),
    )
    edits = (*kept[0], *kept[1])
    try:
        document = parent.document.apply(edits)
    except Garbled:
        return None
    return Entrant(
        document=document,
        body=document.body,
        edits=(*parent.edits, *edits),
        step=edits,
        parent=parent.id,
        round=ours.round,
    )
