"""What volunteered scores promote: the two counts per assigned unit beside the mean of those who scored. numpy.

In six weeks, nothing but a promotion ends a run. The mean is what a sampled score may use, and is fooled by silence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from canary_broken import AT_ONCE, Trap, promoted, stream
from canary_cells import POINT, RULES
from canary_readings import old_enough, sound, two_counts
from canary_world import World
from gate_figures import Mean, aligned, share


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How often each rule promotes."""

    weekly: int
    effect: float
    silent: float
    runs: int
    counts: Mean
    means: Mean


GRID = ((1000, 5, 0.3), (1000, 8, 0.3), (3000, 3, 0.3), (3000, 5, 0.3), (3000, 8, 0.3), (3000, 0, 0.4), (3000, 0, 0.5))
"""Units a week, points, and the chance that a bad score of the candidate never comes; .3 is that of all others."""


def counted(runs: int, seed: int) -> list[Counted]:
    """Every line."""
    return [_row(weekly, effect, silent, runs, seed) for weekly, effect, silent in GRID]


def count_table(rows: Sequence[Counted]) -> str:
    """Lines as text."""
    lines = [("a week", "effect", "bad scores of the candidate that never come", "two counts", "mean of scored units")]
    lines += [
        (f"{row.weekly}", f"{row.effect:+g}", f"{row.silent:.0%}", f"{row.counts}", f"{row.means}") for row in rows
    ]
    return aligned(lines)


def _row(weekly: int, effect: float, silent: float, runs: int, seed: int) -> Counted:
    trap = Trap(name="", world=World(weekly=weekly, silent=silent), broken=sound, effect=effect * POINT)
    counts = means = 0
    for first in range(0, runs, AT_ONCE):
        days = stream(trap, min(AT_ONCE, runs - first), [seed, first])
        may = old_enough(days, trap.world, least_days=RULES.least_days, least_units=RULES.least_units)
        counts += promoted(two_counts, days, trap.world, may, RULES.stake)
        means += promoted(sound, days, trap.world, may, RULES.stake)
    return Counted(
        weekly=weekly, effect=effect, silent=silent, runs=runs, counts=share(counts, runs), means=share(means, runs)
    )
