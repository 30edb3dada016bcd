"""Ablation: which edits does a prompt still need? Asked when no criticism is left, of what the budget has left.

The prompt is run without each edit on a few of the rows that the edit was made for. What it answers as well without is
not needed; but of two edits that do the same, either alone can go and not both, so the prompt without all of them is
run once more, and edits whose rows then fail are put back. The training rows only suggest; whether the shorter prompt
is as good is for the validation rows to say.
"""

from collections.abc import Mapping, Sequence
from math import fsum

from optimizer.search.budget import Budget
from optimizer.search.credit import cases_of
from optimizer.search.entrant import Entrant, values, without
from optimizer.search.tasks import together
from optimizer.search.trials import Trials
from optimizer.types import Case, Edit

_ROWS = 3
"""Rows that each edit is tried on."""


async def ablated(entrant: Entrant, trials: Trials, budget: Budget, *, reserve: int, round_: int) -> Entrant | None:
    """The prompt without the edits that it does not need; None when it needs all, or nobody can pay for knowing.

    Args:
        trials: of the training rows.
        reserve: calls that must be left for proving the result.
    """
    known = values(trials.known(entrant.body))
    tried = [(edit, rows) for edit in entrant.document.edits if (rows := _rows(edit, known, trials))]
    ids = {case.id for _, rows in tried for case in rows}
    every = [case for case in trials.cases if case.id in ids]
    if len(tried) < 2 or budget.left < sum(len(rows) for _, rows in tried) + len(every) + reserve:
        return None
    shorter = [Entrant.of(without(entrant.document, [edit])) for edit, _ in tried]
    await _run(trials, budget, [(one, rows) for one, (_, rows) in zip(shorter, tried, strict=True)])
    unneeded = [
        (edit, rows) for one, (edit, rows) in zip(shorter, tried, strict=True) if not _worse(one, rows, known, trials)
    ]
    bare = Entrant.of(without(entrant.document, [edit for edit, _ in unneeded]))
    await _run(trials, budget, [(bare, every if unneeded else [])])
    missed, gone = {case.id for case in every if _worse(bare, [case], known, trials)}, []
    for edit, rows in unneeded:
        if here := missed.intersection(case.id for case in rows):
            missed -= here
        else:
            gone.append(edit)
    return Entrant.of(without(entrant.document, gone), parent=entrant, round_=round_) if gone else None


def _rows(edit: Edit, known: Mapping[str, float], trials: Trials) -> list[Case]:
    """Rows of the edit's cause that the prompt does not answer with nothing, the best first."""
    wanted = cases_of(edit.cause)
    good = [case for case in trials.cases if case.id in wanted and known.get(case.id, 0.0) > 0.0]
    good.sort(key=lambda case: (-known[case.id], wanted.index(case.id)))
    return good[:_ROWS]


def _worse(shorter: Entrant, rows: Sequence[Case], known: Mapping[str, float], trials: Trials) -> bool:
    """True when the shorter prompt loses score on the rows, or nobody could say."""
    found = values(trials.known(shorter.body))
    return any(case.id not in found for case in rows) or fsum(found[case.id] - known[case.id] for case in rows) < 0


async def _run(trials: Trials, budget: Budget, work: Sequence[tuple[Entrant, Sequence[Case]]]) -> None:
    purses = [budget.grant(trials.unpaid(one.body, rows)) for one, rows in work]
    await together(trials.run(one.body, rows, purse) for (one, rows), purse in zip(work, purses, strict=True))
    for purse in purses:
        purse.close()
