"""The world of a simulated year: what candidates are worth, how judges and users score, how traffic drifts.

Everything that the three rules share is drawn here, from generators of its own, so that they meet the same candidates
and the same traffic. Scenarios are fixed: a line that does not hold is reported, never bent. Qualities, effects and
biases are parts of the scale: .01 is a point.
"""

from dataclasses import dataclass, field
from math import comb, exp, lgamma

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


# ---- versions ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Versions:
    """One version of each prompt-year: what lasts of its quality, and what does not. All arrays have one entry each.

    Attributes:
        level: lasting quality, at the mean share of the part.
        part: by how much the part likes it more than all others do, beside the start version.
        charm: what it pleases more while it is new; `born` is the day of its first exposure.
    """

    level: Floats
    part: Floats
    charm: Floats
    born: Floats

    @classmethod
    def start(cls, count: int, level: float = BASE) -> "Versions":
        """The version that the year begins with."""
        return cls(np.full(count, level), np.zeros(count), np.zeros(count), np.zeros(count))

    def where(self, these: NDArray[np.bool_], other: "Versions") -> "Versions":
        """This version, and the other one for `these` prompt-years."""
        return Versions(
            np.where(these, other.level, self.level),
            np.where(these, other.part, self.part),
            np.where(these, other.charm, self.charm),
            np.where(these, other.born, self.born),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """A week's candidates, before it is known on what they are built: shape (prompt-years, candidates)."""

    kind: Floats
    size: Floats
    half_normal: Floats
    bias: Floats
    part: Floats
    charm: Floats
    development: NDArray[np.float32]
    fresh: NDArray[np.float32]
    """Draws that decide the outcome of each case: (.., candidates, cases), and (.., cases) for the chosen one."""

    def effects(self, mix: Mix, level: Floats) -> Floats:
        """What each is worth on top of a version of this quality."""
        room = np.clip((CEILING - level) / (CEILING - BASE), 0.0, None)[:, None]
        low, high = mix.gain
        gains = (low + (high - low) * self.size) * room
        low, high = mix.loss
        losses = low + (high - low) * self.size if low else high * np.abs(self.half_normal)
        return np.where(self.kind < mix.good, gains, np.where(self.kind < mix.good + mix.harmful, -losses, 0.0))


# ---- a year --------------------------------------------------------------------------------------------------------


class World:
    """A year of `count` prompt-years of one scenario: call `day` for each day in turn, `week` for each week."""

    def __init__(self, scenario: Scenario, count: int, seed: int) -> None:
        self.scenario, self.count = scenario, count
        self._chance = np.random.default_rng([seed, 1])
        self._traffic = np.random.default_rng([seed, 2])
        self._phase = self._traffic.random(count) * DAYS
        self._change = self._traffic.integers(DAYS // 4, 3 * DAYS // 4, count)
        raids = self._traffic.random((count, DAYS)).argsort(axis=1)[:, : scenario.users.raids]
        self._raided = np.zeros((count, DAYS), dtype=bool)
        np.put_along_axis(self._raided, raids, True, axis=1)
        self._wander = _DRIFT_SD * self._traffic.standard_normal(count)
        self.scores = Scores(scenario.users)
        self.common = np.zeros(count)
        self.scored = np.zeros(count)
        self.grudge = np.zeros(count)
        self.today = -1

    def day(self, today: int) -> None:
        """Draws a day's traffic: what is common to both arms, scored units to be expected, share of down-voters."""
        users, place = self.scenario.users, today % WEEK
        step = np.sqrt(1.0 - _DRIFT_STAYS**2) * _DRIFT_SD
        self._wander = _DRIFT_STAYS * self._wander + step * self._traffic.standard_normal(self.count)
        self.common = self._wander + _WEEKEND * (place >= 5) + self.scenario.model_change * (today >= self._change)
        busy = np.exp(0.1 * self._traffic.standard_normal(self.count))
        self.scored = self.scenario.units * SEASON[place] / SEASON.sum() * busy
        self.grudge = np.where(self._raided[:, today], users.raid, users.grudge)
        self.today = today

    def week(self) -> Candidates:
        """Draws the candidates of the week."""
        chance, count, many = self._chance, self.count, self.scenario.candidates
        return Candidates(
            kind=chance.random((count, many)),
            size=chance.random((count, many)),
            half_normal=chance.standard_normal((count, many)),
            bias=self.scenario.bias_sd * chance.standard_normal((count, many)),
            part=self.scenario.part_sd * chance.standard_normal((count, many)),
            charm=self.scenario.novelty * chance.random((count, many)),
            development=chance.random((count, many, 100), dtype=np.float32),
            fresh=chance.random((count, 400), dtype=np.float32),
        )

    def tilt(self, day: float) -> Floats:
        """The share of the part, minus its mean over the year."""
        return 0.25 * np.sin(2.0 * np.pi * (day + self._phase) / DAYS)

    def lasting(self, versions: Versions) -> Floats:
        """Quality today without what is common to all versions, and without what fades."""
        return versions.level + versions.part * self.tilt(self.today)

    def quality(self, versions: Versions) -> Floats:
        """Quality today without what is common to all versions."""
        age = np.maximum(self.today - versions.born, 0.0)
        return self.lasting(versions) + versions.charm * 0.5 ** (age / self.scenario.fades)


# ---- scores --------------------------------------------------------------------------------------------------------


class Scores:
    """What units are worth and when that is known, by the quality of what they are shown."""

    _GRID = np.linspace(0.2, 0.995, 160)

    def __init__(self, users: Users) -> None:
        table = np.array([_chances(quality, users) for quality in self._GRID])
        self._table = table
        self._spite = _chances(0.0, users)
        self.observed = 1.0 - float(_chances(BASE, users)[-1])
        weight = VALUES[:, None]
        self.delays = weight * np.array(users.good_days) + (1.0 - weight) * np.array(users.bad_days)

    def chances(self, quality: Floats, grudge: Floats) -> Floats:
        """Chances of each value, and of no score at all (the last column): (prompt-years, values + 1)."""
        place = np.clip((quality - self._GRID[0]) / (self._GRID[1] - self._GRID[0]), 0.0, len(self._GRID) - 1.001)
        below = place.astype(np.intp)
        part = (place - below)[:, None]
        honest = (1.0 - part) * self._table[below] + part * self._table[below + 1]
        mixed: Floats = (1.0 - grudge[:, None]) * honest + grudge[:, None] * self._spite
        return mixed

    def mean(self, quality: Floats, grudge: Floats) -> Floats:
        """What the mean of the scored units will be."""
        chances = self.chances(quality, grudge)[:, :-1]
        worth: Floats = chances @ VALUES / chances.sum(axis=1)
        return worth


def _chances(quality: float, users: Users) -> Floats:
    """By enumeration: one to five answers, good ones clustered in units, each scored or not."""
    found = np.zeros(len(VALUES) + 1)
    for answers in range(1, _MOST_ANSWERS + 1):
        for good, chance in enumerate(_clustered(answers, quality)):
            seen_good = _binomial(good, 1.0 - users.missing_good)
            seen_bad = _binomial(answers - good, 1.0 - users.missing_bad)
            for right, one in enumerate(seen_good):
                for wrong, other in enumerate(seen_bad):
                    place = np.searchsorted(VALUES, right / (right + wrong)) if right + wrong else -1
                    found[place] += chance * one * other / _MOST_ANSWERS
    return found


def _clustered(answers: int, quality: float) -> list[float]:
    """Beta-binomial chances of 0 to `answers` good ones, with the given correlation within a unit."""
    if not 0.0 < quality < 1.0:
        return [float(good == answers * quality) for good in range(answers + 1)]
    spread = 1.0 / _ICC - 1.0
    up, down = quality * spread, (1.0 - quality) * spread
    logs = [
        lgamma(answers + 1) - lgamma(good + 1) - lgamma(answers - good + 1)
        + lgamma(good + up) + lgamma(answers - good + down) - lgamma(answers + spread)
        - lgamma(up) - lgamma(down) + lgamma(spread)
        for good in range(answers + 1)
    ]  # fmt: skip
    return [exp(one) for one in logs]


def _binomial(tries: int, chance: float) -> list[float]:
    return [comb(tries, hits) * chance**hits * (1.0 - chance) ** (tries - hits) for hits in range(tries + 1)]
