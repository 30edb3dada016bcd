"""Measures rewrites: alone, or against each other.

One rewrite is studied on training rows and run on the validation rows at once, for nothing in one waits for the other.
Several are first screened on a few training rows, which decides nothing but who goes on; a merge of the best two joins
them; then they race on the validation rows, and the winner is studied.
"""

from collections.abc import Callable, Sequence

from optimizer.search.budget import Budget
from optimizer.search.credit import credited
from optimizer.search.entrant import Entrant, mean, values
from optimizer.search.merging import merged
from optimizer.search.plan import SearchPlan
from optimizer.search.racing import rungs, survivors
from optimizer.search.rows import Rows
from optimizer.search.study import Studies
from optimizer.search.tasks import together
from optimizer.search.trials import Trials
from optimizer.types import Case

_SPARE = 3
"""Calls set aside for second tries of trials that could not be scored."""


class Contest:
    """Who is run on what, out of one budget."""

    def __init__(self, budget: Budget, studies: Studies, validation: Trials, rows: Rows, *, plan: SearchPlan) -> None:
        self._budget = budget
        self._studies = studies
        self._validation = validation
        self._rows = rows
        self._plan = plan

    async def measure(self, entrant: Entrant, rows: Sequence[Case]) -> None:
        """Study and validate one prompt, at once; what each of both may spend is set aside first."""
        cases = self._validation.cases
        purses = [
            self._budget.grant(self._validation.unpaid(entrant.body, cases) + _SPARE),
            self._budget.grant(self._studies.trials.unpaid(entrant.body, rows) + _SPARE),
        ]

        async def validated() -> None:
            await self._validation.run(entrant.body, cases, purses[0])

        # what the critic says is of use in a further round alone
        criticise = self._budget.left + 2 * _SPARE >= len(cases)
        await together([validated(), self._studies.study(entrant, rows, purses[1], criticise=criticise)])
        for purse in purses:
            purse.close()

    async def winner(self, entrants: Sequence[Entrant], round_: int, announce: Callable[[Entrant], None]) -> Entrant:
        """The best of several rewrites, measured in full.

        Args:
            announce: told of a merge that joins them.
        """
        if len(entrants) > 1:
            entrants = await self._screened(entrants, round_, announce)
        if len(entrants) > 1:
            entrants = await self._raced(entrants)
        await self.measure(entrants[0], self._rows.of_child(entrants[0], round_))
        return entrants[0]

    async def _screened(
        self, entrants: Sequence[Entrant], round_: int, announce: Callable[[Entrant], None]
    ) -> list[Entrant]:
        """The better half on a few training rows, and a merge of the two best."""
        trials = self._studies.trials
        await self._run(trials, entrants, self._rows.of_screen(entrants, round_))
        found = {one.id: values(trials.known(one.body)) for one in entrants}
        kept = [one for one in entrants if one.id in survivors(found)]
        first, second, *_ = sorted(entrants, key=lambda one: -mean(found[one.id]))
        joined = merged(first, second, self._worth(first), self._worth(second), limits=self._plan.limits)
        if joined is not None and joined.id not in found:
            announce(joined)
            kept.append(joined)
        return kept

    def _worth(self, entrant: Entrant) -> dict[str, float]:
        """How many of its cases each root cause has fixed now, as a share."""
        trials = self._studies.trials.known(entrant.body)
        found = credited(entrant.document.edits, trials, passing=self._plan.passing)
        return {credit.edit.cause.id: credit.share for credit in found}

    async def _raced(self, entrants: Sequence[Entrant]) -> list[Entrant]:
        """One of them, by successive halving on the validation cases."""
        left = list(entrants)
        for size in rungs(len(left), len(self._validation.cases)):
            await self._run(self._validation, left, self._validation.cases[:size])
            kept = survivors({one.id: values(self._validation.known(one.body)) for one in left})
            left = [one for one in left if one.id in kept]
            if len(left) == 1:
                break
        return left[:1]

    async def _run(self, trials: Trials, entrants: Sequence[Entrant], cases: Sequence[Case]) -> None:
        purses = [self._budget.grant(trials.unpaid(one.body, cases) + _SPARE) for one in entrants]
        await together(trials.run(one.body, cases, purse) for one, purse in zip(entrants, purses, strict=True))
        for purse in purses:
            purse.close()
