"""Users of a simulated production: when they come, in which arm they fall, what they score and when. Never decides.

A unit gives one to five scores, each good or bad, correlated within the unit; some scores never come, all others after
an exponential delay of which 95% is the time that a unit is watched for. Arrays are runs by units by scores.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]

MOST_SCORES = 5
SEASON = (1.1, 1.1, 1.1, 1.1, 1.1, 0.8, 0.7)
"""Traffic on the days of a week, in parts of the mean day."""

WEEKEND = -0.02
"""How much worse the same prompt scores on the last two days of a week, where a season is asked for."""

HARD = -0.3
NINETEEN_OF_TWENTY = 2.9957
"""After so many mean delays 95% of the scores have come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What production is like.

    Attributes:
        weekly: units a week that give at least one score in time.
        drift: by how much the base rises each day.
        season: weekends have fewer users, and they are harder to please.
        silent: chance that a bad score of the candidate never comes; `missing` is the chance for any other.
        maturity: days in which 95% of the scores come.
        delays: days after which good and bad scores come, where that depends on what they say.
        outage: the share of users who come while the resolver is down: all of them are served the old version, and
            they are harder to please by `HARD`, whatever they are served.
    """

    weekly: int
    base: float = 0.8
    icc: float = 0.3
    missing: float = 0.3
    silent: float | None = None
    drift: float = 0.0
    season: bool = False
    maturity: int = 2
    scores: int = MOST_SCORES
    delays: tuple[float, float] | None = None
    outage: float = 0.0

    @property
    def scored(self) -> float:
        """The share of units that give at least one score in time, where nothing is hidden."""
        given = (1.0 - self.missing) * (1.0 if self.delays else 0.95)
        return float(np.mean([1.0 - (1.0 - given) ** count for count in range(1, self.scores + 1)]))

    def units(self, day: int) -> int:
        """How many are first exposed on a day."""
        return round(self.weekly / 7 / self.scored * (SEASON[day % 7] if self.season else 1.0))

    def quality(self, day: int) -> float:
        """The chance of a good score for the old version."""
        return self.base + self.drift * day + (WEEKEND if self.season and day % 7 >= 5 else 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """Everybody who is first exposed on one day, in order.

    Attributes:
        candidate: the arm that the toss says; `served`: whether the new version was really shown.
        share: chance of the candidate's arm, for each run.
        time: days since the beginning, for each unit; the same in all runs.
        good: (runs, units, scores) what each score says. `after`: when it comes, in days after the first exposure;
            infinite for those that never come, or too late.
    """

    candidate: Truths
    served: Truths
    share: Floats
    time: Floats
    good: Truths
    after: NDArray[np.float32]

    def worth(self, now: float | None = None) -> tuple[Floats, Truths]:
        """(mean of the scores so far, whether there is one); all that come in time, without a moment."""
        if now is None:
            known = np.isfinite(self.after)
        else:
            known = self.after <= (now - self.time).astype(np.float32)[None, :, None]
        count = known.sum(axis=2)
        total = (self.good & known).sum(axis=2)
        return total / np.maximum(count, 1), count > 0

    def of(self, runs: Truths) -> "Users":
        """Some runs only."""
        return Users(
            candidate=self.candidate[runs],
            served=self.served[runs],
            share=self.share[runs],
            time=self.time,
            good=self.good[runs],
            after=self.after[runs],
        )


def users(world: World, day: int, effect: Floats, share: Floats, chance: np.random.Generator) -> Users:
    """A day's users, for runs with these effects and shares."""
    runs, units, most = len(effect), world.units(day), world.scores
    candidate = chance.random((runs, units)) < share[:, None]
    down = chance.random((runs, units)) < world.outage
    served = candidate & ~down
    pleased = np.clip(world.quality(day) + effect[:, None] * served + HARD * down, 0.01, 0.99)
    alike = (1.0 - world.icc) / world.icc
    inclined = chance.beta(pleased * alike, (1.0 - pleased) * alike)
    good = chance.random((runs, units, most), dtype=np.float32) < inclined[:, :, None]
    asked = np.arange(most)[None, None, :] < chance.integers(1, most + 1, (runs, units))[:, :, None]
    hidden = np.float32(world.missing)
    if world.silent is not None:
        hidden = np.where(served[:, :, None] & ~good, np.float32(world.silent), hidden)
    comes = asked & (chance.random((runs, units, most), dtype=np.float32) >= hidden)
    return Users(
        candidate=candidate,
        served=served,
        share=share.copy(),
        time=day + (np.arange(units) + 0.5) / units,
        good=good,
        after=_delays(world, good, comes, chance),
    )


def _delays(world: World, good: Truths, comes: Truths, chance: np.random.Generator) -> NDArray[np.float32]:
    if world.delays:
        after = np.where(good, np.float32(world.delays[0]), np.float32(world.delays[1]))
    else:
        mean = np.float32(world.maturity / NINETEEN_OF_TWENTY)
        after = chance.standard_exponential(good.shape, dtype=np.float32) * mean
    after[~comes | (after > world.maturity)] = np.inf
    return after
