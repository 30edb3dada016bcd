"""The world of a simulated year: what candidates are worth, how judges and users score, how traffic drifts.

Everything that the three rules share is drawn here, from generators of its own, so that they meet the same candidates
and the same traffic. Scenarios are fixed: a line that does not hold is reported, never bent. Qualities, effects and
biases are parts of the scale: .01 is a point.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DAYS, WEEK = 364, 7
BASE, CEILING = 0.80, 0.95
SEASON = np.array([1.1, 1.1, 1.1, 1.1, 1.1, 0.75, 0.75])
"""Traffic of the days of a week."""

_MOST_ANSWERS, _ICC = 5, 0.3
_DRIFT_SD, _DRIFT_STAYS, _WEEKEND = 0.02, 0.98, -0.01
"""The base wanders by 2 points (sd; a day keeps 98% of the day before) and is a point lower on weekends."""

VALUES = np.array(sorted({good / scored for scored in range(1, _MOST_ANSWERS + 1) for good in range(scored + 1)}))
"""What a unit can be worth: the mean of one to five scores that are right or wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """What candidates are worth. Good ones shrink as quality nears the ceiling; the rest do not.

    Attributes:
        good, harmful: their shares; all others change nothing.
        gain: lowest and highest effect of good ones, evenly spread.
        loss: the same of harmful ones; with a lowest of nought it is the scale of a half-normal loss.
    """

    name: str
    good: float
    harmful: float
    gain: tuple[float, float] = (0.01, 0.08)
    loss: tuple[float, float] = (0.01, 0.10)


RICH = Mix(name="30% good, 40% null, 30% harmful", good=0.30, harmful=0.30)
POOR = Mix(name="15% good, 45% null, 40% harmful", good=0.15, harmful=0.40, gain=(0.0, 0.06), loss=(0.0, 0.04))
HOSTILE = Mix(name="half null, half harmful", good=0.0, harmful=0.5)
NULL = Mix(name="all null", good=0.0, harmful=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """How users score, in both arms alike.

    Attributes:
        missing_good, missing_bad: chance that a good or a bad answer stays without a score.
        grudge: share of units that call every answer bad; on `raids` days of the year `raid` of them do.
        good_days, bad_days: when a unit's scores arrive: chances of 0, 1, 2 and 3 days, for a value of 1 and of 0;
            others lie between.
    """

    missing_good: float = 0.3
    missing_bad: float = 0.3
    grudge: float = 0.0
    raid: float = 0.0
    raids: int = 0
    good_days: tuple[float, ...] = (0.4, 0.3, 0.2, 0.1)
    bad_days: tuple[float, ...] = (0.6, 0.2, 0.1, 0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A year's conditions. `key` names it in tables and in the file of figures.

    Attributes:
        bias_sd: of the judge's liking for a candidate that users do not share.
        candidates: a week; the best of them on 100 development cases is looked at.
        units: scored a week.
        novelty: candidates please by up to so much more at first; half of it is gone after each `fades` days.
        model_change: on one day in the middle half of the year every version becomes so much worse.
        part_sd: of the difference of a candidate's effect in a part of the traffic whose share wanders between 10%
            and 60%; offline cases are four weeks old.
    """

    key: str
    name: str
    mix: Mix
    bias_sd: float = 0.0
    candidates: int = 5
    units: int = 1_000
    users: Users = field(default_factory=Users)
    novelty: float = 0.0
    fades: float = 14.0
    model_change: float = 0.0
    part_sd: float = 0.0


def _grid() -> list[Scenario]:
    return [
        Scenario(
            key=f"{number}-{'biased' if bias else 'honest'}-{candidates}-{units}",
            name=f"{mix.name}; {'biased' if bias else 'honest'} judge; {candidates} a week; {units:,} units",
            mix=mix,
            bias_sd=bias,
            candidates=candidates,
            units=units,
        )
        for number, mix in ((0, RICH), (1, POOR), (3, HOSTILE))
        for bias in (0.0, 0.03)
        for candidates in (5, 1)
        for units in (1_000, 3_000)
    ]


def _others() -> list[Scenario]:
    """Two more, fixed before anything was run; why is told in `year.py`."""
    made = []
    for units in (1_000, 3_000):
        made.append(
            Scenario(
                key=f"fading-{units}",
                name=f"gains that fade, and a new model; {units:,} units",
                mix=RICH,
                units=units,
                novelty=0.03,
                model_change=-0.05,
            )
        )
        made.append(
            Scenario(
                key=f"drifting-{units}",
                name=f"drifting traffic, missing scores, down-voters; {units:,} units",
                mix=POOR,
                bias_sd=0.03,
                units=units,
                part_sd=0.03,
                users=Users(missing_good=0.3, missing_bad=0.5, grudge=0.05, raid=0.3, raids=12),
            )
        )
    return made


SCENARIOS = (*_grid(), *_others())
