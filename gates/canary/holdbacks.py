"""A look at a promoted release while some users still get the version before it. It can be taken back, never promoted.

Without a part that keeps the old version there is nothing to compare with, and a fall in scores could be anything.
"""

from collections.abc import Sequence
from datetime import datetime

from gates.canary.deciding import HOLDBACK
from gates.canary.looking import seen_by
from optimizer.rollouts import CanaryPlan, Look, Unit


def holdback_look(
    plan: CanaryPlan, units: Sequence[Unit], *, at: datetime, began: datetime, late_scores: int = 0
) -> Look:
    """What production says of a release since its promotion: to wait, to take it back, to halt, or to finish.

    Args:
        units: those that the promotion tossed, new ones and anew, with their values since then and not those of the
            canary: its evidence for the release would hide harm that begins later. The candidate's arm has the new
            version.
        began: when the release was promoted.
    """
    return seen_by(HOLDBACK, plan, units, at=at, began=began, widened=True, late_scores=late_scores)
