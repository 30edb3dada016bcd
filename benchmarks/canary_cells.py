"""One cell of the benchmark: a true effect in a world under rules, and what became of its canaries. Never decides."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from canary_engine import End, Ended, simulate
from canary_world import World
from gate_figures import Mean, aligned, mean, share

from deploy.release_settings import CanarySettings
from gates.error_budget import SHARE
from optimizer.rollouts import CanaryRules

STAKE = SHARE * CanarySettings().budget
"""The first stake of a year."""

RULES = CanarySettings().rules(STAKE)
POINT = 0.01
EFFECTS = (-10, -5, -3, -2, -1, 0, 1, 2, 3, 5, 8)
CLAIMED = (-10, 0, 3, 5, 8)
WEEKLY = (1000, 3000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A true effect, in points, in a world under rules."""

    name: str
    effect: float
    world: World
    rules: CanaryRules = RULES

    @property
    def null(self) -> bool:
        """Whether a promotion would be just false: no better, or worse by the whole margin."""
        return round(self.effect + self.rules.margin / POINT, 6) == 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What became of a cell's canaries.

    Attributes:
        by_2_weeks, by_4_weeks: promoted until then.
        days, units: middle canary until its end, and its candidate units; `units_95` is the 95% point.
        excess_bad: in the mean.
        ends: share of canaries that ended so.
    """

    name: str
    effect: float
    null: bool
    weekly: int
    stake: float
    runs: int
    promoted: Mean
    by_2_weeks: Mean
    by_4_weeks: Mean
    days: float
    units: float
    units_95: float
    excess_bad: Mean
    ends: dict[str, float] = field(default_factory=dict)


def main_cells(*, small: bool) -> list[Cell]:
    """Every effect at both amounts of traffic; in a small run those of which something is claimed."""
    effects = CLAIMED if small else EFFECTS
    return [Cell(name="", effect=effect, world=World(weekly=weekly)) for weekly in WEEKLY for effect in effects]


def other_cells(*, small: bool) -> list[Cell]:
    """Other worlds and other settings; in a small run only where a promotion would be false."""
    settings = CanarySettings()
    slow = World(weekly=1000, maturity=7)
    few, eight = World(weekly=300), CanarySettings(most_weeks=8).rules(STAKE)
    made = [
        Cell(name="production improves by .2 points a day", effect=0, world=World(weekly=1000, drift=0.002)),
        Cell(name="production worsens by .2 points a day", effect=0, world=World(weekly=1000, drift=-0.002)),
        Cell(name="weekends are quieter and harder to please", effect=0, world=World(weekly=1000, season=True)),
        Cell(name="weekends are quieter and harder to please", effect=5, world=World(weekly=1000, season=True)),
    ]
    made += [Cell(name="scores take a week", effect=effect, world=slow) for effect in (-10, 0, 3, 5)]
    made += [Cell(name="little traffic, 8 weeks", effect=e, world=few, rules=eight) for e in (-10, 0, 3, 5, 8)]
    made += [
        Cell(
            name="the stake of the 16th canary of a year",
            effect=e,
            world=World(weekly=1000),
            rules=settings.rules(0.004),
        )
        for e in (0, 3, 5)
    ]
    for weekly, points in ((300, 3), (1000, 3), (1000, 2), (3000, 1)):
        rules = CanarySettings(margin=points * POINT).rules(STAKE)
        made += [
            Cell(name=f"not worse than {points}", effect=effect, world=World(weekly=weekly), rules=rules)
            for effect in (-points, 0, 2)
        ]
    return [cell for cell in made if cell.null or not small]


def figures(cell: Cell, runs: int, seed: int) -> Figures:
    """A cell's canaries."""
    ended = simulate(np.full(runs, cell.effect * POINT), cell.world, cell.rules, seed=seed)
    return Figures(
        name=cell.name,
        effect=cell.effect,
        null=cell.null,
        weekly=cell.world.weekly,
        stake=cell.rules.stake,
        runs=runs,
        promoted=share(int(ended.promoted.sum()), runs),
        by_2_weeks=share(_promoted_by(ended, 14), runs),
        by_4_weeks=share(_promoted_by(ended, 28), runs),
        days=float(np.median(ended.day)),
        units=float(np.median(ended.candidate_units)),
        units_95=float(np.quantile(ended.candidate_units, 0.95)),
        excess_bad=mean([float(one) for one in ended.excess_bad]),
        ends={end.name.lower(): float(np.mean(ended.end == end)) for end in End if end},
    )


def table(rows: Sequence[Figures]) -> str:
    """Cells as text."""
    head = ("", "a week", "effect", "promoted [95%]", "by 2 weeks", "by 4 weeks", "days", "candidate units", "95%")
    lines = [(*head, "excess bad", "harm", "futile", "too late", "uneven")]
    for row in rows:
        lines.append(
            (
                row.name,
                f"{row.weekly}",
                f"{row.effect:+g}",
                f"{row.promoted}",
                f"{row.by_2_weeks.mean:.3f}",
                f"{row.by_4_weeks.mean:.3f}",
                f"{row.days:.0f}",
                f"{row.units:.0f}",
                f"{row.units_95:.0f}",
                f"{row.excess_bad.mean:.1f}",
                *(f"{row.ends[end]:.3f}" for end in ("harm", "futile", "too_late", "uneven")),
            )
        )
    return aligned(lines)


def _promoted_by(ended: Ended, day: int) -> int:
    return int((ended.promoted & (ended.day <= day)).sum())
