"""How often the guard rails on errors and latency raise an alarm, and how soon, with changes and without any.

The product's bet on other numbers: a unit's share of failed answers, and its mean latency in parts of a scale. Nothing
else ends a run. numpy; never decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from canary_broken import AT_ONCE, RAMP_DAYS
from canary_cells import RULES
from canary_engine import Bets, Guess
from canary_world import Floats, World
from gate_figures import Mean, aligned, share

from gates.canary.measuring import UNKNOWN
from optimizer.rollouts import Guards

WORLD = World(weekly=1000)
SCALE_S = 10.0
"""What counts as the worst latency; its middle is 2 s, so this is what one answer in 300 takes."""

DAYS = 42
FAILING = 0.02
SPREAD = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Rail:
    """What changes: share of failed answers, or how many times as slow."""

    name: str
    failing: float = FAILING
    slower: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """How often within six weeks, and after how many days in the middle of those."""

    name: str
    null: bool
    runs: int
    raised: Mean
    days: float


RAILS = (
    Rail(name="errors 2% and 2%"),
    Rail(name="errors 2% and 4%", failing=0.04),
    Rail(name="errors 2% and 10%", failing=0.1),
    Rail(name="latency the same"),
    Rail(name="latency 1.3 times", slower=1.3),
    Rail(name="latency 2 times", slower=2.0),
)


def raised(rail: Rail, runs: int, seed: int) -> Raised:
    """One rail's alarms."""
    days = np.concatenate([_some(rail, min(AT_ONCE, runs - first), [seed, first]) for first in range(0, runs, AT_ONCE)])
    hits = days[days <= DAYS]
    return Raised(
        name=rail.name,
        null=rail.failing == FAILING and rail.slower == 1.0,
        runs=runs,
        raised=share(len(hits), runs),
        days=float(np.median(hits)) if len(hits) else float(DAYS),
    )


def guard_table(rows: Sequence[Raised]) -> str:
    """Rails as text."""
    lines = [("old and new version", "alarm in 6 weeks [95%]", "after days")]
    lines += [(row.name, f"{row.raised}", f"{row.days:.0f}") for row in rows]
    return aligned(lines)


def _some(rail: Rail, runs: int, seed: Sequence[int]) -> Floats:
    """The day of each run's alarm; the day after the last for none."""
    chance = np.random.default_rng(list(seed))
    guards = Guards()
    slow = rail.name.startswith("latency")
    guess = Guess.before(runs, 1.0 - UNKNOWN if slow else 1.0)
    margin = guards.latency_margin if slow else guards.failed_margin
    held = Bets(logs=np.zeros((runs, 7)))
    when = np.full(runs, DAYS + 1.0)
    for day in range(DAYS):
        p = RULES.first_share if day < RAMP_DAYS else RULES.full_share
        candidate = chance.random((runs, WORLD.units(day))) < p
        worth = _latency(rail, candidate, chance) if slow else _failed(rail, candidate, chance)
        gains = guess.gains(candidate, np.full((runs, 1), p), 1.0 - worth, np.ones_like(candidate))
        held = held.on(-margin * p * (1.0 - p) - gains)
        when = np.where((held.credit >= RULES.harm) & (when > DAYS), day + 1.0, when)
    return when


def _failed(rail: Rail, candidate: np.ndarray, chance: np.random.Generator) -> Floats:
    answers = chance.integers(1, 6, candidate.shape)
    failed: Floats = chance.binomial(answers, np.where(candidate, rail.failing, FAILING)) / answers
    return failed


def _latency(rail: Rail, candidate: np.ndarray, chance: np.random.Generator) -> Floats:
    latency = 2.0 * chance.lognormal(0.0, SPREAD, candidate.shape) * np.where(candidate, rail.slower, 1.0)
    slow: Floats = np.minimum(latency / SCALE_S, 1.0)
    return slow
