"""What production says of a release so far: read since the last look, kept, and made into units from the beginning.

Reads and stores; decides nothing, and changes nothing outside. The version that was really served is told and never
counted: the arm follows from the hash alone.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from deploy.collecting import OVERLAP, SETTLE
from deploy.releases.units import Phase, Stage, canary_phase, holdback_phase
from deploy.store.exposures import Given
from deploy.store.releases import ReleaseRow
from deploy.wiring import House
from optimizer.rollouts import CanaryPlan, Metric, Split, Unit
from optimizer.rules import EveryScore
from optimizer.types import Missing, Score, Window

LATE = timedelta(days=1)
"""Once a day the window reaches back this far beyond what may still count, for rows that came late, were edited or
deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What was seen of a release.

    Attributes:
        now: the phase that the release is in.
        canary: while a holdback is watched, what the canary had come to; None before.
        until: everything before it was read.
    """

    now: Phase
    canary: Phase | None
    until: datetime

    @property
    def units(self) -> tuple[Unit, ...]:
        """Of this phase, in order of first exposure."""
        return self.now.units

    @property
    def late_scores(self) -> int:
        """Scores that came too late to count, in both arms."""
        return sum(self.now.late.values())

    @property
    def models(self) -> frozenset[str]:
        """Names of the models that answered in this phase."""
        return self.now.models


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """From when to when one look reads: answers and scores end at the same moment."""

    answers: Window
    scores: Window


async def watch(house: House, release: ReleaseRow, plan: CanaryPlan, stages: Sequence[Stage]) -> Watched:
    """Read what is new about a release, keep it, and make units of all there is.

    Args:
        stages: every change of shares so far, in order, the holdback's last.

    Raises:
        Transient, Permanent: as the trace source; then nothing was kept.
    """
    prompt, kept = house.settings.prompt(release.prompt), house.store.exposures
    reach = reach_of(release.watched_until, stages[0].since, plan, house.clock.now())
    place = partial(house.flags(prompt, plan).place, Split(prompt=prompt.name, salt=plan.salt))
    shown = house.traces.exposures(reach.answers, prompt.name, place=place, by=plan.unit)
    exposures = [exposure async for exposure in shown]
    rules = (EveryScore(name=plan.metric.score),)
    said = house.traces.scores(reach.scores, rules)
    given = [found async for score in said if (found := given_by(score, plan.metric))]

    def keep() -> Watched:
        until = reach.answers.end
        kept.save(release.run_id, exposures, given, scored=reach.scores, until=until)
        seen = kept.load(release.run_id)
        canary = canary_phase(seen, stages, plan, until=until)
        if not stages[-1].holdback:
            return Watched(now=canary, canary=None, until=until)
        return Watched(now=holdback_phase(seen, stages, plan, until=until), canary=canary, until=until)

    return await asyncio.to_thread(keep)


def reach_of(watched_until: datetime | None, began: datetime, plan: CanaryPlan, now: datetime) -> Reach:
    """What a look has to read.

    The newest minute is left for the next look. A release that was watched into what is the future by now (a clock was
    set back) is read anew from its beginning.
    """
    end = max(now - SETTLE, began)
    if watched_until is None or watched_until > now:
        everything = Window(start=began, end=end)
        return Reach(answers=everything, scores=everything)
    first_today = watched_until.date() != now.date()
    answers = watched_until - (LATE if first_today else OVERLAP)
    scores = answers - timedelta(days=plan.maturity_days) if first_today else answers
    return Reach(
        answers=Window(start=max(answers, began), end=end),
        scores=Window(start=max(scores, began), end=end),
    )


def given_by(score: Score, metric: Metric) -> Given | None:
    """A score as the store keeps it; None when it says nothing about the metric."""
    worth = metric.worth(score)
    if isinstance(worth, Missing):
        return None
    return Given(score_id=score.id, trace_id=score.trace_id, worth=worth, at=score.at)
