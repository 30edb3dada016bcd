"""From answers to units: who was tossed when, with which chance, into which arm, and what came of it. Pure.

A unit is tossed at its first exposure of a phase, by its place and the share of that moment. From then on both arms
follow one rule, whatever version was really served: its answers count until its time is over or the shares change, and
the scores of these answers count until its time is over; later ones are late, and only told. A unit whose first
exposure lies in the minutes after a change of shares is not counted at all: its application may not have heard of it.

The holdback is a phase of its own. Promotion tosses anew who was left: [0, .5) had the candidate and keeps it, and of
[.5, 1), who all had the old version, those below .9 get the new one and those from .9 on keep the old one. So users
who had the candidate are left out (their chance is 1: they say nothing), and users who are known to be at .5 or above
have the chance (.9 - .5) / (1 - .5) = .8 of the new version; users who were never seen have .9. The control group of
[.9, 1) is then compared with [.5, .9), who were treated alike until the promotion, and with new users on both sides.
To compare it with [0, .5) as well would compare users whose good luck has promoted the release with users for whom
luck had no part in it, and hide harm.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import fmean

from deploy.store.exposures import Answered
from optimizer.rollouts import CanaryPlan, Unit
from optimizer.types import Arm, Missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The chance of the candidate's arm from a moment on. Later stages have a greater share.

    Attributes:
        holdback: the candidate is production by now; the share is that of all who do not keep the old version.
    """

    share: float
    since: datetime
    holdback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What came of one phase of a release.

    Attributes:
        units: in order of first exposure.
        late: scores that were given after a unit's time was over, by arm.
        models: names of the models that gave the answers.
    """

    units: tuple[Unit, ...] = ()
    late: Mapping[Arm, int] = field(default_factory=dict)
    models: frozenset[str] = frozenset()


def canary_phase(seen: Iterable[Answered], stages: Sequence[Stage], plan: CanaryPlan, *, until: datetime) -> Phase:
    """Units that were first exposed while the candidate was on trial.

    Args:
        stages: in order; one of the holdback only ends the phase.
        until: everything before it was read.
    """
    counted = []
    for answers in _by_unit(seen, stages[0].since):
        number = _stage_at(stages, answers[0].exposure.at)
        if not stages[number].holdback:
            counted += _counted(answers, stages, number, stages[number].share, plan)
    return _phase(counted, until)


def holdback_phase(seen: Sequence[Answered], stages: Sequence[Stage], plan: CanaryPlan, *, until: datetime) -> Phase:
    """Units that were tossed anew by the promotion; the last of `stages` is the holdback's."""
    held = stages[-1]
    below: dict[str, float] = {}
    for one in (one.exposure for one in seen if stages[0].since <= one.exposure.at < held.since):
        below[one.unit] = max(below.get(one.unit, 0.0), stages[_stage_at(stages, one.at)].share)
    counted = []
    for answers in _by_unit(seen, held.since):
        known = below.get(answers[0].exposure.unit, 0.0)
        if answers[0].exposure.place >= known:
            share = (held.share - known) / (1.0 - known)
            counted += _counted(answers, stages, len(stages) - 1, share, plan)
    return _phase(counted, until)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """A unit with its answers that count. Its time for giving scores ends at `ends`."""

    arm: Arm
    share: float
    answers: Sequence[Answered]
    ends: datetime


def _counted(
    answers: Sequence[Answered], stages: Sequence[Stage], number: int, share: float, plan: CanaryPlan
) -> list[_Counted]:
    """The unit that is first exposed in this stage by the first of these answers; none when it does not count."""
    first = answers[0].exposure
    settled = stages[number].since + timedelta(seconds=plan.settle_s)
    if first.at < settled or not 0.0 < share < 1.0:
        return []
    ends = first.at + timedelta(days=plan.maturity_days)
    shown_until = min([ends, *(stage.since for stage in stages[number + 1 :])])
    arm = Arm.CANDIDATE if first.place < stages[number].share else Arm.BASELINE
    mine = [one for one in answers if one.exposure.at < shown_until]
    return [_Counted(arm=arm, share=share, answers=mine, ends=ends)]


def _phase(counted: Iterable[_Counted], until: datetime) -> Phase:
    late: Counter[Arm] = Counter({Arm.BASELINE: 0, Arm.CANDIDATE: 0})
    units, models = [], set()
    for one in counted:
        late[one.arm] += sum(score.at > one.ends for answer in one.answers for score in answer.scores)
        models |= {answer.exposure.model for answer in one.answers}
        units.append(_unit(one, until))
    ordered = sorted(units, key=lambda unit: (unit.at, unit.key))
    return Phase(units=tuple(ordered), late=dict(late), models=frozenset(models - {""}))


def _unit(one: _Counted, until: datetime) -> Unit:
    first = one.answers[0].exposure
    worths = [score.worth for answer in one.answers for score in answer.scores if score.at <= one.ends]
    return Unit(
        key=first.unit,
        arm=one.arm,
        share=one.share,
        at=first.at,
        value=_mean(worths),
        matured=until >= one.ends,
        failed=fmean(answer.exposure.failed for answer in one.answers),
        latency_s=_mean(answer.exposure.latency_s for answer in one.answers),
        cost_usd=_mean(answer.exposure.cost_usd for answer in one.answers),
    )


def _mean(numbers: Iterable[float | Missing]) -> float | Missing:
    """The mean of those that are known; missing when none is."""
    known = [number for number in numbers if not isinstance(number, Missing)]
    return fmean(known) if known else Missing.NOT_RECORDED


def _by_unit(seen: Iterable[Answered], since: datetime) -> list[list[Answered]]:
    """Each unit's answers since a moment, oldest first."""
    found: dict[str, list[Answered]] = {}
    for one in seen:
        if one.exposure.at >= since:
            found.setdefault(one.exposure.unit, []).append(one)
    return [sorted(answers, key=lambda one: (one.exposure.at, one.exposure.trace_id)) for answers in found.values()]


def _stage_at(stages: Sequence[Stage], at: datetime) -> int:
    """The stage that a moment lies in; it does not lie before the first."""
    return max(number for number, stage in enumerate(stages) if stage.since <= at)
