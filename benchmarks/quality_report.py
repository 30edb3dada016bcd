"""What the runs of `benchmarks/quality.py` say: means, worst runs, paired intervals, and which claims hold.

Runs are paired by family, seed and held-out row: every system answers the same rows with the same draws. Intervals come
from a bootstrap over seeds and, within each, over rows. A peer that did better on a family is compared there, although
it was chosen by the same data: that is hard on us and easy on it.
"""

import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from quality_runs import CONTROLS, OURS, PLAIN, Family, Outcome

_RESAMPLES = 2_000
_GAIN_LEFT, _GAIN_KEPT = 0.10, 0.95
"""Shares of the plain runs' gain up to which a gain counts as gone, and from which as kept."""


def accuracy(hits: Sequence[int]) -> float:
    """Share of held-out rows answered right."""
    return sum(hits) / len(hits)


def of_oracle(outcome: Outcome) -> float:
    """Accuracy as a share of the oracle prompt's, on the same rows."""
    return accuracy(outcome.hits) / accuracy(outcome.oracle_hits)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean with its 95% interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def paired(ours: Sequence[Outcome], theirs: Sequence[Outcome], chance: random.Random) -> Interval:
    """Ours minus theirs on the same rows of the same seeds, by a bootstrap over seeds and rows."""
    by_seed = {outcome.job.seed: outcome.hits for outcome in theirs}
    apart = [
        [a - b for a, b in zip(outcome.hits, by_seed[outcome.job.seed], strict=True)]
        for outcome in ours
        if outcome.job.seed in by_seed
    ]
    means = sorted(
        statistics.fmean(
            statistics.fmean(chance.choices(rows, k=len(rows))) for rows in chance.choices(apart, k=len(apart))
        )
        for _ in range(_RESAMPLES)
    )
    return Interval(
        mean=statistics.fmean(map(statistics.fmean, apart)),
        low=means[round(0.025 * _RESAMPLES)],
        high=means[round(0.975 * _RESAMPLES) - 1],
    )


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Something that the benchmark is to show, and whether it does."""

    text: str
    holds: bool


@dataclass(frozen=True, kw_only=True)
class Results:
    """All outcomes of one benchmark."""

    outcomes: tuple[Outcome, ...]

    def runs(self, system: str, family: Family | None = None, control: str = "") -> list[Outcome]:
        """The runs of a system, of one family or of all."""
        return [
            o
            for o in self.outcomes
            if o.job.system == system and o.job.control.name == control and family in (None, o.job.family)
        ]

    @property
    def families(self) -> list[Family]:
        """In the order in which they were run."""
        return list(dict.fromkeys(outcome.job.family for outcome in self.outcomes))

    @property
    def systems(self) -> list[str]:
        """Ours first."""
        return sorted({o.job.system for o in self.outcomes}, key=lambda system: (system != OURS, system))

    @property
    def peers(self) -> list[str]:
        return self.systems[1:]

    def mean(self, system: str, family: Family | None = None) -> float:
        """Mean accuracy; every family counts alike."""
        families = [family] if family else self.families
        return statistics.fmean(statistics.fmean(accuracy(o.hits) for o in self.runs(system, one)) for one in families)

    def against_best_peer(self, family: Family) -> tuple[str, Interval] | None:
        """The best peer on a family, and ours minus it."""
        if not self.peers:
            return None
        best = max(self.peers, key=lambda peer: self.mean(peer, family))
        chance = random.Random(f"bootstrap {family.name}")
        return best, paired(self.runs(OURS, family), self.runs(best, family), chance)


def tables(results: Results) -> str:
    """Every figure, as text."""
    parts = [_systems(results), _families(results)]
    if any(o.job.control is not PLAIN and o.job.control.name for o in results.outcomes):
        parts.append(_controls(results))
    notes = [
        f"{o.job.system} on {o.job.family.name}, seed {o.job.seed}: " + (o.failed or f"{o.overdrawn} calls overdrawn")
        for o in results.outcomes
        if o.failed or o.overdrawn
    ]
    return "\n\n".join([*parts, *(["\n".join(notes)] if notes else [])])


def _systems(results: Results) -> str:
    head: tuple[str, ...] = (
        "system",
        "accuracy",
        "of oracle",
        "worst",
        "worse than seed",
        "s to 90%",
        "of start",
        "reached",
    )
    head = (*head, "task calls", "requests", "k tokens", "wall s")
    rows = [head]
    for system in results.systems:
        runs = results.runs(system)
        rows.append(
            (
                system,
                f"{results.mean(system):.3f}",
                f"{statistics.fmean(map(of_oracle, runs)):.3f}",
                f"{min(map(of_oracle, runs)):.3f}",
                f"{worse(runs)}/{len(runs)}",
                _seconds(runs, lambda o: o.near_s),
                _seconds(runs, lambda o: o.near_from_start_s),
                f"{sum(o.near_s is not None for o in runs)}/{len(runs)}",
                f"{statistics.median(o.calls.get('task', 0) for o in runs):.0f}",
                f"{statistics.median(sum(o.calls.values()) - o.calls['faults'] for o in runs):.0f}",
                f"{statistics.median(o.tokens for o in runs) / 1000:.0f}",
                f"{statistics.median(o.wall_s for o in runs):.1f}",
            )
        )
    ours = results.runs(OURS)
    for name, hits in (("oracle", [o.oracle_hits for o in ours]), ("seed prompt", [o.seed_hits for o in ours])):
        rows.append((name, f"{statistics.fmean(map(accuracy, hits)):.3f}", *([""] * (len(head) - 2))))
    return _aligned(rows)


def _families(results: Results) -> str:
    rows = [("family", "seed prompt", "oracle", *results.systems, "ours minus best peer, 95%")]
    for family in results.families:
        runs = results.runs(OURS, family)
        best = results.against_best_peer(family)
        rows.append(
            (
                family.name,
                f"{statistics.fmean(accuracy(o.seed_hits) for o in runs):.3f}",
                f"{statistics.fmean(accuracy(o.oracle_hits) for o in runs):.3f}",
                *(f"{results.mean(system, family):.3f}" for system in results.systems),
                f"{best[1]} ({best[0]})" if best else "no peer was run",
            )
        )
    return _aligned(rows)


def _controls(results: Results) -> str:
    rows = [("control, ours", "accuracy", "gain", "share of the plain gain", "worst of oracle")]
    switched = [o for control in CONTROLS for o in results.runs(OURS, control=control.name)]
    for name in ("", *(control.name for control in CONTROLS)):
        runs = results.runs(OURS, control=name) if name else _plain_of(results, switched)
        if runs:
            share = f"{_gain(runs) / _gain(_plain_of(results, runs)):.2f}"
            worst = f"{min(map(of_oracle, runs)):.3f}"
            found = statistics.fmean(accuracy(o.hits) for o in runs)
            rows.append((name or "none", f"{found:.3f}", f"{_gain(runs):+.3f}", share, worst))
    return _aligned(rows)


def claims(results: Results) -> list[Claim]:
    """What is claimed of these runs."""
    ours = results.runs(OURS)
    shares = [of_oracle(outcome) for outcome in ours]
    made = [
        Claim(
            text=f"0.97 of the oracle on average: {statistics.fmean(shares):.3f}",
            holds=statistics.fmean(shares) >= 0.97,
        ),
        Claim(text=f"0.90 of the oracle in the worst run: {min(shares):.3f}", holds=min(shares) >= 0.90),
        Claim(text=f"never worse than the seed prompt: {worse(ours)} of {len(ours)}", holds=worse(ours) == 0),
    ]
    for family in results.families:
        if best := results.against_best_peer(family):
            text = f"{family.name}: not significantly below the best peer, {best[0]}: {best[1]}"
            made.append(Claim(text=text, holds=best[1].high >= 0))
    for peer in results.peers:
        apart = results.mean(OURS) - results.mean(peer)
        made.append(Claim(text=f"above {peer} on average: {apart:+.3f}", holds=apart > 0))
        fast, slow = _median_near(ours), _median_near(results.runs(peer))
        made.append(
            Claim(text=f"sooner at 90% of the oracle than {peer}: {fast:.1f} s, {slow:.1f} s", holds=fast < slow)
        )
    return [*made, *_control_claims(results)]


def _control_claims(results: Results) -> list[Claim]:
    made = []
    if runs := results.runs(OURS, control=CONTROLS[0].name):
        share = _gain(runs) / _gain(_plain_of(results, runs))
        made.append(Claim(text=f"replies of another task leave no gain: {share:.2f} of it", holds=share <= _GAIN_LEFT))
    if runs := results.runs(OURS, control=CONTROLS[2].name):
        share = _gain(runs) / _gain(_plain_of(results, runs))
        text = f"malformed replies and faults leave the gain: {share:.2f} of it"
        made.append(Claim(text=text, holds=share >= _GAIN_KEPT))
    return made


def worse(runs: Sequence[Outcome]) -> int:
    """Runs whose final prompt is worse than the seed's on the held-out rows."""
    return sum(sum(o.hits) < sum(o.seed_hits) for o in runs)


def _plain_of(results: Results, runs: Sequence[Outcome]) -> list[Outcome]:
    """The runs of ours without switches on the same families and seeds."""
    same = {(o.job.family, o.job.seed) for o in runs}
    return [o for o in results.runs(OURS) if (o.job.family, o.job.seed) in same]


def _gain(runs: Sequence[Outcome]) -> float:
    return statistics.fmean(accuracy(o.hits) - accuracy(o.seed_hits) for o in runs)


def _median_near(runs: Sequence[Outcome]) -> float:
    """Median seconds to 90% of the oracle; a run that never got there took for ever."""
    return statistics.median(float("inf") if o.near_s is None else o.near_s for o in runs)


def _seconds(runs: Sequence[Outcome], pick: Callable[[Outcome], float | None]) -> str:
    found = statistics.median(float("inf") if (value := pick(o)) is None else value for o in runs)
    return "never" if found == float("inf") else f"{found:.1f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
