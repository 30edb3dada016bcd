"""Which training rows a prompt is studied and screened on. Every draw is a hash of the seed and the row."""

from collections.abc import Sequence

from optimizer.identity import digest
from optimizer.search.credit import cases_of
from optimizer.search.entrant import Entrant
from optimizer.search.sizes import Sizes
from optimizer.search.study import Studies
from optimizer.types import Case

_SCREENED = 3
"""Rows of each root cause that a rewrite is screened on."""


class Rows:
    """The training rows in the order in which they are used: shuffled by the seed, sources in turns."""

    def __init__(self, studies: Studies, sizes: Sizes, *, seed: int) -> None:
        self._studies = studies
        self._sizes = sizes
        self._seed = seed
        shuffled = sorted(studies.trials.cases, key=lambda case: digest("row", str(seed), case.id))
        self._order = _in_turns(shuffled)

    def of_seed(self) -> list[Case]:
        """The rows that the seed is studied on."""
        return self._order[: self._sizes.train]

    def of_child(self, entrant: Entrant, round_: int) -> list[Case]:
        """The rows that its parent answers badly, a few that it answers well, and unseen ones while there is room."""
        parent = entrant.parent
        if parent is None:
            return self.of_seed()
        known, failing = self._studies.trials.known(parent.body), set(self._studies.failing(parent))
        bad = [case for case in self._order if case.id in failing]
        unseen = [case for case in self._order if case.id not in known]
        return [*bad, *self._well_answered(parent, round_), *unseen][: self._sizes.train]

    def of_screen(self, entrants: Sequence[Entrant], round_: int) -> list[Case]:
        """A few rows of every root cause, and a few that the parents answer well."""
        causes = {edit.cause.id: edit.cause for entrant in entrants for edit in entrant.new_edits}
        parents = {one.parent.id: one.parent for one in entrants if one.parent}.values()
        wanted = {case_id for cause in causes.values() for case_id in cases_of(cause)[:_SCREENED]}
        wanted |= {case.id for parent in parents for case in self._well_answered(parent, round_)}
        return [case for case in self._order if case.id in wanted]

    def _well_answered(self, parent: Entrant, round_: int) -> list[Case]:
        """Rows to see whether anything broke; others in every round."""
        known, failing = self._studies.trials.known(parent.body), set(self._studies.failing(parent))
        good = [case for case in self._order if case.id in known and case.id not in failing]
        good.sort(key=lambda case: digest("regression", str(self._seed), str(round_), case.id))
        return good[: self._sizes.regression]


def _in_turns(rows: Sequence[Case]) -> list[Case]:
    """Every source's first row, then every source's second, and so on."""
    turns: dict[str, int] = {}
    turn_of = []
    for case in rows:
        source = case.source_key or case.id
        turn_of.append(turns.get(source, 0))
        turns[source] = turn_of[-1] + 1
    return [rows[at] for at in sorted(range(len(rows)), key=lambda at: (turn_of[at], at))]
