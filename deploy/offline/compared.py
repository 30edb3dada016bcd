"""Two prompts on the same rows: what each was worth there, by what was answered and judged during the run.

Only rows that both were scored on count: anything else would compare two samples and call it a gain.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.offline.ledger import Jury, Ledger
from optimizer.prompts import Body
from optimizer.template import fill
from optimizer.types import Case, Missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Scores in [0, 1], row by row, in the order of the rows."""

    before: tuple[float, ...]
    after: tuple[float, ...]

    @property
    def differences(self) -> tuple[float, ...]:
        """After minus before."""
        return tuple(after - before for before, after in zip(self.before, self.after, strict=True))


def compare(before: Body, after: Body, cases: Sequence[Case], ledger: Ledger, jury: Jury) -> Compared:
    """The scores of two prompts that the run has tried. Asks nobody."""
    pairs = [(_worth(before, case, ledger, jury), _worth(after, case, ledger, jury)) for case in cases]
    both = [(old, new) for old, new in pairs if old is not None and new is not None]
    return Compared(before=tuple(old for old, _ in both), after=tuple(new for _, new in both))


def _worth(body: Body, case: Case, ledger: Ledger, jury: Jury) -> float | None:
    answer = ledger.answer(fill(body, case.input))
    if isinstance(answer, Missing):
        return None
    return 0.0 if answer is None else jury.score(case, answer)
