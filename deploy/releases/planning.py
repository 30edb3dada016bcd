"""What is fixed about a canary before its first unit is exposed, from the old version's past in production.

Read once, and then a part of the plan: numbers that a release could move while it runs must not decide about it.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean

from deploy.collecting import SETTLE
from deploy.releases.watching import given_by
from deploy.settings import PromptSettings
from deploy.store.exposures import Answered, Given
from deploy.wiring import House
from gates.canary.maturity import MOST_DAYS, maturity_days
from optimizer.rollouts import Exposure, Guards, Metric
from optimizer.rules import EveryScore
from optimizer.types import Missing, Window

LOOK_BACK = timedelta(days=2 * MOST_DAYS)
"""As long again as the slowest scores may take, so that there are answers whose scores have all come."""

FEWEST = 20
"""Fewer units than this say nothing about a version."""

NO_PRIOR = 0.5
"""What is expected of an answer of which nothing is known."""

TAIL, HEADROOM = 0.95, 2.0
"""The worst latency or cost that is told from worse ones: twice what 95% of the units stay below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """The old version's past, as far as it decides about a canary.

    Attributes:
        units: of the old version, that have a score; 0 is why the other numbers are guesses.
        prior: their mean worth, in [0, 1].
        healthy: the old version counts as ill below this mean; 0 where nothing is known.
        maturity_days: the owner's, or how long scores take to come.
    """

    units: int
    prior: float
    healthy: float
    maturity_days: float
    guards: Guards


async def past(house: House, prompt: PromptSettings, metric: Metric) -> Past:
    """What production says of the version that carries the owner's label now.

    Raises:
        NotFound: nothing carries the label. Transient, Permanent: as the trace source and the registry.
    """
    now, rules = house.clock.now(), prompt.release.canary
    head = await house.registry.head(prompt.name, label=prompt.label)
    window = Window(start=now - LOOK_BACK, end=now - SETTLE)
    shown = house.traces.exposures(window, prompt.name, place=lambda _key: 0.0, by=rules.unit)
    exposures = [exposure async for exposure in shown]
    said = house.traces.scores(window, (EveryScore(name=metric.score),))
    given = [found async for score in said if (found := given_by(score, metric))]
    seen = joined(exposures, given)
    mine = [one for one in seen if one.exposure.version == head.production.version]
    values = means((one.exposure.unit, score.worth) for one in mine for score in one.scores)
    prior = fmean(values) if values else NO_PRIOR
    return Past(
        units=len(values),
        prior=prior,
        healthy=max(0.0, prior - rules.unhealthy_drop) if len(values) >= FEWEST else 0.0,
        maturity_days=rules.maturity_days or maturity_days(*delays(seen, now).values()),
        guards=Guards(
            latency_s=scale((one.exposure.unit, one.exposure.latency_s) for one in mine),
            cost_usd=scale((one.exposure.unit, one.exposure.cost_usd) for one in mine),
            failed_margin=rules.failed_margin,
            latency_margin=rules.latency_margin,
            cost_margin=rules.cost_margin,
        ),
    )


def joined(exposures: Iterable[Exposure], given: Iterable[Given]) -> list[Answered]:
    """Each answer with its scores."""
    scores: dict[str, list[Given]] = {}
    for score in given:
        scores.setdefault(score.trace_id, []).append(score)
    return [Answered(exposure=one, scores=tuple(scores.get(one.trace_id, ()))) for one in exposures]


def delays(seen: Iterable[Answered], now: datetime) -> dict[int, list[float]]:
    """By version, the days from an answer to each of its scores; only answers whose scores have had time to come."""
    found: dict[int, list[float]] = {}
    for one in seen:
        if one.exposure.at < now - timedelta(days=MOST_DAYS):
            waited = [(score.at - one.exposure.at) / timedelta(days=1) for score in one.scores]
            found.setdefault(one.exposure.version, []).extend(max(0.0, days) for days in waited)
    return found


def means(numbers: Iterable[tuple[str, float | Missing]]) -> list[float]:
    """The mean of each unit that has a number, lowest first."""
    of: dict[str, list[float]] = {}
    for unit, number in numbers:
        if not isinstance(number, Missing):
            of.setdefault(unit, []).append(number)
    return sorted(fmean(known) for known in of.values())


def scale(numbers: Iterable[tuple[str, float | Missing]]) -> float | Missing:
    """What counts as the worst: twice the value that 95% of the units stay below; missing where too few are known."""
    known = means(numbers)
    worst = HEADROOM * known[math.ceil(TAIL * len(known)) - 1] if len(known) >= FEWEST else 0.0
    return worst if worst > 0.0 else Missing.NOT_RECORDED
