"""Worlds in which a careless reading calls better what is no better, each beside the product's of the same users.

The candidate is the same as the old version. Nothing but a promotion ends a run, which is the worst case for a sound
reading and fair to a broken one. Never decides; says which were caught.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from canary_readings import (
    Reading,
    counts_of_means,
    every_score,
    kth_against_kth,
    kth_arrived,
    old_enough,
    restarted,
    served,
    sound,
    textbook,
    two_counts,
)
from canary_world import Truths, Users, World, users
from gate_figures import Mean, share

from optimizer.rollouts import CanaryRules

AT_ONCE = 100
RAMP_DAYS = 6
"""The first stage lasts about so long at 1,000 units a week; here always, so that all readings see the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trap:
    """A world, a broken reading, and the sound one beside it."""

    name: str
    world: World
    broken: Reading
    right: Reading = sound
    shares: tuple[float, float] = (0.1, 0.5)
    days: int = 42
    effect: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """How often each reading promotes a candidate that is no better."""

    name: str
    weekly: int
    runs: int
    broken: Mean
    sound: Mean
    stake: float

    @property
    def ratio(self) -> float:
        """How many times as often as the sound one; as the sound one's upper bound where it never does."""
        return self.broken.mean / (self.sound.mean or self.sound.high)

    @property
    def caught(self) -> bool:
        """The broken reading is shown to be over the stake, at twice the sound one; that is within the stake."""
        return self.broken.low > self.stake and self.ratio >= 2.0


TRAPS = (
    Trap(name="every score a bet", world=World(weekly=1000, missing=0.0), broken=every_score),
    Trap(name="every score a bet, up to 20 a user", world=World(weekly=1000, scores=20), broken=every_score),
    Trap(
        name="k-th against k-th, production improves by .2 points a day",
        world=World(weekly=3000, drift=0.002),
        broken=kth_against_kth,
        shares=(0.05, 0.05),
    ),
    Trap(
        name="order of arrival, good scores after 7 days and bad ones after 1",
        world=World(weekly=1000, scores=1, maturity=7, delays=(7.0, 1.0)),
        broken=kth_arrived,
    ),
    Trap(name="the bet begins anew whenever it has lost half", world=World(weekly=3000), broken=restarted),
    Trap(name="a textbook test at every look", world=World(weekly=1000), broken=textbook),
    Trap(
        name="counted by the version served, the resolver is down for 10% of the users",
        world=World(weekly=1000, base=0.83, outage=0.1),
        broken=served,
    ),
    Trap(
        name="complete cases, the candidate's unhappy users answer 50% instead of 70%",
        world=World(weekly=1000, silent=0.5),
        broken=sound,
        right=two_counts,
    ),
    Trap(
        name="the same, counted by each user's mean",
        world=World(weekly=1000, silent=0.5),
        broken=counts_of_means,
        right=two_counts,
    ),
)


def caught(trap: Trap, rules: CanaryRules, runs: int, seed: int) -> Caught:
    """Both readings of the same users."""
    broken = right = 0
    for first in range(0, runs, AT_ONCE):
        days = stream(trap, min(AT_ONCE, runs - first), [seed, first])
        may = old_enough(days, trap.world, least_days=rules.least_days, least_units=rules.least_units)
        broken += promoted(trap.broken, days, trap.world, may, rules.stake)
        right += promoted(trap.right, days, trap.world, may, rules.stake)
    return Caught(
        name=trap.name,
        weekly=trap.world.weekly,
        runs=runs,
        broken=share(broken, runs),
        sound=share(right, runs),
        stake=rules.stake,
    )


def stream(trap: Trap, runs: int, seed: Sequence[int]) -> list[Users]:
    """Some runs' users, day by day."""
    chance, effect = np.random.default_rng(list(seed)), np.full(runs, trap.effect)
    first, full = trap.shares
    return [
        users(trap.world, day, effect, np.full(runs, first if day < RAMP_DAYS else full), chance)
        for day in range(trap.days)
    ]


def promoted(reading: Reading, days: Sequence[Users], world: World, may: Truths, stake: float) -> int:
    """How many runs a reading promotes at any look at which it may."""
    return int(((reading(days, world) >= 1.0 / stake) & may).any(axis=1).sum())
