"""Whether production could decide about a release: whose answers there are, what they were given, how many people did.

Reads a week of production, or the newest part of it where there is a lot; changes nothing, and opens no stake.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar, cast

from deploy.collecting import SETTLE
from deploy.doctor import SAMPLE, Check, failed, ok, percent, sentence, warning
from deploy.releases.metrics import metric_of
from deploy.releases.watching import given_by
from deploy.settings import PromptSettings
from deploy.store.ledger import Ledger
from deploy.wiring import House
from gates.error_budget import next_stake
from optimizer.errors import BadSettings
from optimizer.rollouts import Exposure, Metric
from optimizer.rules import EveryScore
from optimizer.types import Generation, Window

WEEK = timedelta(days=7)

ENOUGH = 3_500
"""Answers and scores that are read at most: a little more than the most traffic that we can say something about."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a canary finds with so much traffic, as the table of docs/canary.md has it.

    Attributes:
        units: scored units a week, of both arms.
        three, five: how often a gain of 3 and of 5 points is promoted before the canary ends; the least traffic has
            eight weeks for it.
        days: of the middle canary until it promotes a gain of 5 points.
    """

    units: int
    three: float
    five: float
    days: int


PROMISES = (
    Promise(units=3_000, three=0.955, five=0.996, days=9),
    Promise(units=1_000, three=0.602, five=0.989, days=17),
    Promise(units=300, three=0.188, five=0.670, days=45),
)
"""The most traffic first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """A week of production, as a canary would see it.

    Attributes:
        since: the moment from which it was read: a week ago, or later where there was too much.
        answers: with a key of a unit.
        odd: scores of the metric's name and another kind or value.
        judged: answers that were given a score of the metric.
        scored: units that gave at least one score of the metric.
        whole: everything was read; otherwise the numbers are lower bounds.
    """

    since: datetime
    answers: Sequence[Exposure]
    odd: int
    judged: int
    scored: int
    whole: bool


async def check_production(
    name: str, house: House, prompt: PromptSettings, sample: Sequence[Generation]
) -> AsyncIterator[Check]:
    """Whether production can decide: whose the answers are, and how many of these people say what they think."""
    try:
        metric = metric_of(prompt)
    except BadSettings as error:
        yield failed(name, sentence(error))
        return
    seen = await traffic(house, prompt, metric, sample)
    yield check_units(name, prompt, seen, sample)
    yield check_metric(name, metric, seen)
    if seen.scored:
        yield check_speed(name, prompt, metric, seen)
    yield await check_stake(name, house, prompt)


async def traffic(house: House, prompt: PromptSettings, metric: Metric, sample: Sequence[Generation]) -> Traffic:
    """The last week of production, or the newest part of it."""
    end = house.clock.now() - SETTLE
    window = Window(start=end - stretch(sample, end), end=end)
    shown = house.traces.exposures(window, prompt.name, place=lambda _key: 0.0, by=prompt.release.canary.unit)
    answers, all_answers = await newest(shown)
    said, all_scores = await newest(house.traces.scores(window, (EveryScore(name=metric.score),)))
    unit_of = {answer.trace_id: answer.unit for answer in answers}
    mine = [score for score in said if score.trace_id in unit_of]
    given = [found for score in mine if (found := given_by(score, metric))]
    return Traffic(
        since=window.start if all_answers else answers[-1].at,
        answers=answers,
        odd=len(mine) - len(given),
        judged=len({score.trace_id for score in given}),
        scored=len({unit_of[score.trace_id] for score in given}),
        whole=all_answers and all_scores and end - window.start == WEEK,
    )


def stretch(sample: Sequence[Generation], end: datetime) -> timedelta:
    """How far back about `ENOUGH` answers reach: a source may read all of a window before it gives the first."""
    if len(sample) < SAMPLE:
        return WEEK
    span = max(end - min(one.at for one in sample), timedelta(seconds=1))
    return min(WEEK, span * (ENOUGH / len(sample)))


async def newest(walk: AsyncIterator[T], most: int = ENOUGH) -> tuple[list[T], bool]:
    """The first of a walk, `most` at most, and whether that was all of it."""
    found: list[T] = []
    # every source's walk is a generator, and one that is left early has requests under way
    async with aclosing(cast(AsyncGenerator[T, None], walk)) as rows:
        async for row in rows:
            if len(found) == most:
                return found, False
            found.append(row)
    return found, True


def check_units(name: str, prompt: PromptSettings, seen: Traffic, sample: Sequence[Generation]) -> Check:
    """The share of the answers that say whose they are: nobody else is counted."""
    unit = prompt.release.canary.unit
    known = {answer.trace_id for answer in seen.answers}
    traces = {one.trace_id for one in sample if one.at >= seen.since}
    if not traces:
        return failed(name, "no answer of the last 7 days is linked to it; pass `prompt=` to the generation.")
    share = len(traces & known) / len(traces)
    said = f"{percent(share)} of {len(traces)} answers name a {unit}, and only these are counted"
    if share < 0.5:
        other = "`release.canary.unit: session`" if unit == "user" else "`release.canary.unit: user`"
        return (failed if share == 0 else warning)(name, f"{said}; set the {unit} id of your traces, or {other}.")
    return ok(name, said)


def check_metric(name: str, metric: Metric, seen: Traffic) -> Check:
    """A score of that name and kind is given at all."""
    what = f"a {metric.kind.lower()} score '{metric.score}'"
    some = "the last 7 days" if seen.whole else f"the {len(seen.answers):,} newest"
    if not seen.judged:
        other = f" ({seen.odd} of that name are of another kind)" if seen.odd else ""
        said = f"no answer of {some} has {what}{other}"
        if seen.whole:
            return failed(name, f"{said}; correct `release.canary.metric`, or have it scored.")
        return warning(name, f"{said} yet; see that it comes later, or correct `release.canary.metric`.")
    how = "as a hash decides" if metric.sampled else "by whoever wants to"
    return ok(name, f"{_count(seen, seen.judged)} answers of {some} were given {what}, {how}")


def check_speed(name: str, prompt: PromptSettings, metric: Metric, seen: Traffic) -> Check:
    """What a canary would find with so many users who say what they think."""
    units = f"{_count(seen, seen.scored)} {prompt.release.canary.unit}s a week give such a score"
    more = "" if metric.sampled else ", and more is needed where people choose whether to score (`sampled: false`)"
    found = next((promise for promise in PROMISES if seen.scored >= promise.units), None)
    if prompt.release.canary.margin and metric.sampled:
        return ok(name, f"{units}; what a margin asks for is in docs/canary.md")
    margin = ", set `release.canary.margin`" if metric.sampled else ""
    fix = f"have more answers scored{margin}, or let people alone decide (`policy: propose`, `then: promote`)."
    if found is None:
        least = PROMISES[-1].units
        return warning(
            name, f"{units}: with fewer than {least} a canary rarely proves even a gain of 5 points{more}; {fix}"
        )
    said = (
        f"{units}: with {found.units:,} a gain of 3 points is proven in {percent(found.three)} of canaries, "
        f"and one of 5 in {percent(found.five)}, typically after {found.days} days{more}"
    )
    return ok(name, said) if found.three > 0.5 else warning(name, f"{said}; {fix}")


async def check_stake(name: str, house: House, prompt: PromptSettings) -> Check:
    """What is left of the year's error budget of canaries. No stake is opened."""
    ledgers, budget = house.store.ledgers, prompt.release.canary.budget

    def left_of_year() -> float:
        prompt_id = ledgers.prompt_id(prompt.name, formerly=prompt.formerly)
        return ledgers.left(prompt_id, Ledger.RELEASE, budget)

    left = await asyncio.to_thread(left_of_year)
    stake = next_stake(left)
    said = f"{left:.3g} of the canaries' error budget of {budget:g} a year is left"
    if stake <= 0:
        return warning(name, f"{said}, so no canary can begin; wait, or raise `release.canary.budget`.")
    return ok(name, f"{said}; the next canary stakes {stake:.2g} and promotes at evidence of {1 / stake:.0f}")


def _count(seen: Traffic, number: int) -> str:
    return f"{'' if seen.whole else 'at least '}{number:,}"
