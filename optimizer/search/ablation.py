"""Ablation: which edits does a prompt still need? Asked when no criticism is left, of what the budget has left.

The prompt is run without each edit on a few of the rows that the edit was made for. What it answers as well without is
not needed; but of two edits that do the same, either alone can go and not both, so the prompt without all of them is
run once more, and edits whose rows then fail are put back. The training rows only suggest; whether the shorter prompt
is as good is for the validation rows to say.
"""

from collections.abc import Sequence

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
    rows = {edit.id: _rows(edit, entrant, trials) for edit in entrant.document.edits}
    tried = [edit for edit in entrant.document.edits if rows[edit.id]]
    every = [case for case in trials.cases if any(case in rows[edit.id] for edit in tried)]
    if len(tried) < 2 or budget.left < sum(len(rows[edit.id]) for edit in tried) + len(every) + reserve:
        return None
    lone = {edit.id: Entrant.of(without(entrant.document, {edit.id})) for edit in tried}
    await _run(trials, budget, [(lone[edit.id], rows[edit.id]) for edit in tried])
    unneeded = [edit for edit in tried if _as_good(lone[edit.id], entrant, rows[edit.id], trials)]
    if not unneeded:
        return None
    bare = Entrant.of(without(entrant.document, {edit.id for edit in unneeded}))
    await _run(trials, budget, [(bare, every)])
    gone = set[str]()
    worse = {case.id for case in every if not _as_good(bare, entrant, [case], trials)}
    for edit in unneeded:
        missed = worse.intersection(case.id for case in rows[edit.id])
        if missed:
            worse -= missed
        else:
            gone.add(edit.id)
    return Entrant.of(without(entrant.document, gone), parent=entrant, round_=round_) if gone else None


def _rows(edit: Edit, entrant: Entrant, trials: Trials) -> list[Case]:
    """Rows of the edit's cause that the prompt answers well now."""
    wanted, known = cases_of(edit.cause), values(trials.known(entrant.body))
    good = [case for case in trials.cases if case.id in wanted and known.get(case.id, 0.0) > 0.0]
    good.sort(key=lambda case: (-known[case.id], wanted.index(case.id)))
    return good[:_ROWS]


def _as_good(shorter: Entrant, entrant: Entrant, rows: Sequence[Case], trials: Trials) -> bool:
    with_it, without_it = values(trials.known(entrant.body)), values(trials.known(shorter.body))
    return all(case.id in without_it for case in rows) and sum(without_it[case.id] for case in rows) >= sum(
        with_it[case.id] for case in rows
    )


async def _run(trials: Trials, budget: Budget, work: Sequence[tuple[Entrant, Sequence[Case]]]) -> None:
    purses = [budget.grant(trials.unpaid(one.body, rows)) for one, rows in work]
    await together(trials.run(one.body, rows, purse) for (one, rows), purse in zip(work, purses, strict=True))
    for purse in purses:
        purse.close()
