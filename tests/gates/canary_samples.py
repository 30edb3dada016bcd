"""Units, plans and days for the tests of a canary."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from optimizer.rollouts import CanaryPlan, CanaryRules, Guards, Metric, Unit
from optimizer.types import Arm, Missing, ScoreKind

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
NONE = Missing.NOT_RECORDED
SAMPLED = Metric(score="helpful", kind=ScoreKind.BOOLEAN, sampled=True)
VOLUNTEERED = replace(SAMPLED, sampled=False)
RULES = CanaryRules(stake=0.02)
PLAN = CanaryPlan(
    candidate="c" * 64,
    version=2,
    base_version=1,
    salt="salt",
    metric=SAMPLED,
    maturity_days=2.0,
    settle_s=120.0,
    prior=0.8,
    healthy=0.7,
    rules=RULES,
)
GUARDS = Guards(latency_s=10.0, cost_usd=0.1)


def ruled(plan: CanaryPlan = PLAN, **changes: float) -> CanaryPlan:
    """The plan with other rules."""
    return replace(plan, rules=replace(plan.rules, **changes))


def after(days: float) -> datetime:
    return BEGAN + timedelta(days=days)


def unit(place: int, *, candidate: bool, value: float | Missing, share: float = 0.5, **more: object) -> Unit:
    """The unit that was exposed so many minutes after the beginning."""
    given = {"matured": True} | more
    return Unit(
        key=f"{place:08}",
        arm=Arm.CANDIDATE if candidate else Arm.BASELINE,
        share=share,
        at=BEGAN + timedelta(minutes=place),
        value=value,
        **given,  # type: ignore[arg-type]
    )


def stream(count: int, candidate: Iterable[float | Missing], control: Iterable[float | Missing]) -> list[Unit]:
    """Units in turn in the control's and the candidate's arm, at even chances; their values go round."""
    arms = (tuple(control), tuple(candidate))
    return [
        unit(place, candidate=bool(place % 2), value=arms[place % 2][place // 2 % len(arms[place % 2])])
        for place in range(count)
    ]
