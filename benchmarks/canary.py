"""What a canary finds, how soon, and what it costs; and whether wrong ways of reading production are caught.

Simulated, by the product's rules: `canary_engine.py` runs thousands of canaries at once and is compared with
`gates.canary.look` day by day in this run. 2,000 canaries for each true effect; users give one to five correlated
scores, 30% of the scores never come, most others within 2 days; looks are daily. Seeds are fixed, so two runs print the
same. Ends with exit code 1 when a claim does not hold or a broken way of reading is not caught.

    .venv/bin/python benchmarks/canary.py [--small] [--out benchmarks/canary_figures.json]

With --small a claim fails only when the figures contradict it, since few runs show little.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from canary_broken import TRAPS, Caught, caught
from canary_cells import RULES, STAKE, Figures, figures, main_cells, other_cells, table
from canary_counts import Counted, count_table, counted
from canary_guards import RAILS, Raised, guard_table, raised
from canary_product import Compared, compare, compare_readings
from canary_world import World
from gate_figures import Mean, aligned

SEED = 20_261
RUNS, SMALL_RUNS = 2000, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Something that the benchmark is to show, and whether it does."""

    text: str
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What counts as shown: the strict end of an interval, or in a small run the generous one."""

    small: bool

    def at_least(self, what: str, found: Mean, least: float) -> Claim:
        end = found.high if self.small else found.low
        return Claim(text=f"{what}: {found}, at least {least:g}", holds=end >= least)

    def at_most(self, what: str, found: Mean, most: float) -> Claim:
        end = found.low if self.small else found.high
        return Claim(text=f"{what}: {found}, at most {most:g}", holds=end <= most)


def power_claims(rows: Sequence[Figures], proof: Proof) -> list[Claim]:
    """What has to hold of the main table."""
    by = {(row.weekly, row.effect): row for row in rows}
    made = [proof.at_most(f"null promoted at {n} a week", by[n, 0].promoted, STAKE) for n in (1000, 3000)]
    for weekly in (1000, 3000):
        worst = by[weekly, -10]
        text = f"-10 points promoted {worst.promoted.mean * worst.runs:.0f} times of {worst.runs} at {weekly} a week"
        made.append(Claim(text=text, holds=worst.promoted.mean == 0.0))
    worst = by[1000, -10]
    made += [
        Claim(text=f"-10 points stopped after {worst.days:.0f} days, at most 8", holds=worst.days <= 8),
        Claim(text=f"and {worst.units:.0f} candidate units, at most 170", holds=worst.units <= 170),
        Claim(text=f"and {worst.units_95:.0f} at its 95% point, at most 350", holds=worst.units_95 <= 350),
    ]
    for effect, least in ((3, (0.55, 0.92)), (5, (0.95, 0.99)), (8, (0.99, 0.99))):
        for weekly, enough in zip((1000, 3000), least, strict=True):
            made.append(proof.at_least(f"{effect:+} found at {weekly} a week", by[weekly, effect].promoted, enough))
    made.append(proof.at_least("+8 found by 2 weeks at 1000 a week", by[1000, 8].by_2_weeks, 0.88))
    made.append(proof.at_least("+5 found by 2 weeks at 3000 a week", by[3000, 5].by_2_weeks, 0.95))
    return made


def other_claims(rows: Sequence[Figures], proof: Proof) -> list[Claim]:
    """A promotion is false in every world at most at its stake, also where "not worse" is asked for."""
    return [
        proof.at_most(f"{row.name}, {row.effect:+g} points at {row.weekly} a week promoted", row.promoted, row.stake)
        for row in rows
        if row.null
    ]


def trap_claims(rows: Sequence[Caught], proof: Proof) -> list[Claim]:
    """Every broken way is caught, and the sound one is within its stake in the same world."""
    made = []
    for row in rows:
        found = row.broken.high > row.stake if proof.small else row.caught
        text = f"caught: {row.name}: {row.broken} where {row.stake:g} is allowed, {row.ratio:.1f} times the sound way"
        made.append(Claim(text=text, holds=found))
        made.append(proof.at_most(f"the sound way in the same world ({row.name})", row.sound, row.stake))
    return made


def product_claims(compared: Sequence[Compared]) -> list[Claim]:
    """What ran here is the product."""
    looks, differed = sum(one.looks for one in compared), sum(one.differed for one in compared)
    apart = max(one.apart for one in compared)
    ends = {name for one in compared for name, times in one.ends.items() if times}
    return [
        Claim(text=f"the product decided the same on {looks} looks, differed on {differed}", holds=differed == 0),
        Claim(text=f"its evidence is the same: {apart:.1e} apart at most, as logarithms", holds=apart < 1e-9),
        Claim(text=f"the looks ended in {', '.join(sorted(ends)).lower()}", holds=len(ends) == 5),
    ]


def trap_table(rows: Sequence[Caught]) -> str:
    """Broken readings beside the sound one."""
    lines = [("broken", "a week", "promotes what is no better [95%]", "the sound way", "times")]
    lines += [(row.name, f"{row.weekly}", f"{row.broken}", f"{row.sound}", f"{row.ratio:.1f}") for row in rows]
    return aligned(lines)


def compared_all(*, small: bool) -> list[Compared]:
    """Canaries that end in every way, in a quiet and in a drifting world."""
    quick = replace(RULES, first_units=20, least_units=50, most_days=14.0)
    uneven = replace(quick, margin=0.03, share_alarm=1.1)
    drifting = World(weekly=500, drift=-0.002, season=True, maturity=3)
    made = [
        compare(World(weekly=700), quick, (-0.3, 0.03, 0.2), seed=SEED),
        compare(World(weekly=700), replace(quick, gain=0.15), (0.0,), seed=SEED),
        compare(drifting, uneven, (0.0, 0.1), seed=SEED + 1),
        compare_readings(World(weekly=300, silent=0.5), RULES, days=10 if small else 28, seed=SEED + 2),
    ]
    if not small:
        made.append(compare(World(weekly=1000), RULES, (-0.1, -0.03, 0.0, 0.03, 0.05, 0.08), seed=SEED + 3))
        made.append(compare(World(weekly=300, drift=0.002), RULES, (-0.1, 0.0, 0.0, 0.08), seed=SEED + 4))
    return made


def main() -> int:
    """Run everything, print every figure."""
    given = _arguments()
    started = time.monotonic()
    runs, proof = SMALL_RUNS if given.small else RUNS, Proof(small=given.small)
    compared = compared_all(small=given.small)
    _progress(started, "compared with the product")
    rows: list[Figures] = []
    for cell in main_cells(small=given.small):
        rows.append(figures(cell, runs, SEED))
        _progress(started, f"{cell.world.weekly} a week, {cell.effect:+}")
    print(f"{table(rows)}\n")
    others = [figures(cell, runs, SEED + 3) for cell in other_cells(small=given.small)]
    _progress(started, "other worlds and settings")
    print(f"{table(others)}\n")
    traps: list[Caught] = []
    for trap in TRAPS:
        traps.append(caught(trap, RULES, runs, SEED + 4))
        _progress(started, trap.name)
    print(f"{trap_table(traps)}\n")
    counts = counted(runs // 4, SEED + 5) if not given.small else []
    _progress(started, "volunteered scores")
    print(f"{count_table(counts)}\n" if counts else "")
    guards = [raised(rail, runs // 2, SEED + 6) for rail in RAILS]
    _progress(started, "guard rails")
    print(f"{guard_table(guards)}\n")
    claims = [
        *product_claims(compared),
        *power_claims(rows, proof),
        *other_claims(others, proof),
        *trap_claims(traps, proof),
        *guard_claims(guards, proof),
    ]
    for claim in claims:
        print(f"{'PASS' if claim.holds else 'FAIL'} {claim.text}")
    if given.out:
        _write(Path(given.out), rows, others, traps, counts, guards, claims)
    return 0 if all(claim.holds for claim in claims) else 1


def guard_claims(rows: Sequence[Raised], proof: Proof) -> list[Claim]:
    """A guard rail seldom stops what did not change."""
    most = 1.0 / RULES.harm
    return [proof.at_most(f"guard rail, {row.name}: alarm", row.raised, most) for row in rows if row.null]


def _write(
    path: Path,
    rows: Sequence[Figures],
    others: Sequence[Figures],
    traps: Sequence[Caught],
    counts: Sequence[Counted],
    guards: Sequence[Raised],
    claims: Sequence[Claim],
) -> None:
    everything = {
        "seed": SEED,
        "stake": STAKE,
        "cells": [asdict(row) for row in rows],
        "others": [asdict(row) for row in others],
        "traps": [asdict(row) | {"ratio": row.ratio, "caught": row.caught} for row in traps],
        "counts": [asdict(row) for row in counts],
        "guards": [asdict(row) for row in guards],
        "claims": [asdict(claim) for claim in claims],
    }
    path.write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")


def _progress(started: float, what: str) -> None:
    print(f"  {time.monotonic() - started:6.1f} s  {what}", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--small", action="store_true", help="fewer canaries: for CI")
    parser.add_argument("--out", help="also write every figure to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
