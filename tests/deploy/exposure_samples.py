"""Answers of production under a release, by hand."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from deploy.store.exposures import Answered, Given
from optimizer.rollouts import CanaryPlan, CanaryRules, Exposure, Metric
from optimizer.types import Missing, ScoreKind

BEGAN = datetime(2026, 11, 2, tzinfo=UTC)
METRIC = Metric(score="helpful", kind=ScoreKind.NUMERIC)
PLAN = CanaryPlan(
    candidate="sha",
    version=2,
    base_version=1,
    salt="salt",
    metric=METRIC,
    maturity_days=2.0,
    settle_s=120.0,
    prior=0.8,
    healthy=0.7,
    rules=CanaryRules(stake=0.02),
)


def after(**span: float) -> datetime:
    """A moment after the release began."""
    return BEGAN + timedelta(**span)


def shown(
    unit: str, place: float, at: datetime, *, trace: str = "", version: int = 1, failed: bool = False, model: str = "m"
) -> Exposure:
    """One answer."""
    trace_id = trace or f"{unit}@{at:%d-%H:%M}"
    return Exposure(
        trace_id=trace_id, unit=unit, place=place, at=at, version=version, model=model, failed=failed, latency_s=1.0
    )


def answer(unit: str, place: float, at: datetime, *scores: tuple[float, datetime], **given: object) -> Answered:
    """One answer with (worth, moment) of its scores."""
    exposure = shown(unit, place, at, **given)  # type: ignore[arg-type]
    made = (
        Given(score_id=f"{exposure.trace_id}/{number}", trace_id=exposure.trace_id, worth=worth, at=when)
        for number, (worth, when) in enumerate(scores)
    )
    return Answered(exposure=exposure, scores=tuple(made))


def costing(one: Answered, cost_usd: float | Missing, latency_s: float | Missing) -> Answered:
    """The same answer at another price."""
    return replace(one, exposure=replace(one.exposure, cost_usd=cost_usd, latency_s=latency_s))


def all_given(seen: Sequence[Answered]) -> list[Given]:
    """Every score of these answers."""
    return [score for one in seen for score in one.scores]
