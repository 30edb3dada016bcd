"""How much worse a prompt may become in a year by releases that are "not worse": each by its margin, and it adds up.

Whoever stores margins counts a release from the moment its canary begins until it ended without a promotion; a
promoted one counts for a year.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from gates.error_budget import YEAR_DAYS
from optimizer.rollouts import CanaryPlan

MOST = 0.03
"""Three points: the sum of all margins in any 365 ledger days, and so the most for one."""

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenMargin:
    """By how much one release may be worse. `day` is the ledger day on which its canary began."""

    release: str
    margin: float
    day: int


def margin_of(plan: CanaryPlan) -> float:
    """What a promotion takes. Volunteered scores are promoted as better or not at all, so their margin is not used."""
    return plan.rules.margin if plan.metric.sampled else 0.0


def margin_left(taken: Iterable[TakenMargin], *, day: int) -> float:
    """What may still be taken on a ledger day, so that no 365 ledger days in a row hold more than three points."""
    return max(0.0, MOST - math.fsum(one.margin for one in taken if one.day > day - YEAR_DAYS))


def affordable(margin: float, taken: Iterable[TakenMargin], *, day: int) -> bool:
    """Whether a release may begin with this margin."""
    return margin <= margin_left(taken, day=day) + _ROUNDING
