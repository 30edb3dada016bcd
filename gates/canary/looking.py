"""One look at production while a release progresses. Pure: what it sees are units, what it gives is a `Look`.

Looks cost nothing: the evidence is valid at any number of them. There is one bet for each release, from its first unit
on; a stage, a look or a restart never begins it again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from gates.canary.deciding import CANARY, Moment, Rule, decided
from gates.canary.measuring import measured
from optimizer.rollouts import CanaryPlan, Look, Unit


def look(
    plan: CanaryPlan, units: Sequence[Unit], *, at: datetime, began: datetime, widened: bool, late_scores: int = 0
) -> Look:
    """What production says of the candidate so far.

    Args:
        units: everybody who was first exposed since `began`, once.
        began: when the first unit could be exposed.
        widened: the second stage has begun.
        late_scores: how many scores came too late to count; reported only.

    Raises:
        ValueError: a stake, share, value or prior outside its range.
    """
    if not 0.0 < plan.rules.stake < 1.0:
        raise ValueError("a stake must lie between 0 and 1")
    return seen_by(CANARY, plan, units, at=at, began=began, widened=widened, late_scores=late_scores)


def seen_by(
    order: Sequence[Rule],
    plan: CanaryPlan,
    units: Sequence[Unit],
    *,
    at: datetime,
    began: datetime,
    widened: bool,
    late_scores: int,
) -> Look:
    """All numbers of the units, and what rules in this order make of them."""
    seen = measured(plan, units)
    days = (at - began) / timedelta(days=1)
    decision, sentence = decided(order, Moment(plan=plan, seen=seen, days=days, widened=widened))
    return Look(
        at=at,
        candidate=seen.candidate,
        control=seen.control,
        promote=seen.promote,
        harm=seen.harm,
        futile=seen.futile,
        share=seen.share,
        effect=seen.effect,
        interval=seen.interval,
        decision=decision,
        sentence=sentence,
        alarms=tuple(rail.alarm for rail in seen.rails),
        late_scores=late_scores,
    )
