"""How often the gates call better what is not, what they find of what is, how often they veto an identical prompt.

Simulated, with the product's own functions for every decision: no model, no network. Seeds are fixed, so two runs print
the same. Ends with exit code 1 when a sound stream has more false claims than its ledger staked, when a broken one does
not, or when an identical prompt is vetoed too often.

    .venv/bin/python benchmarks/gate_error.py [--small] [--out benchmarks/gate_figures.json]
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from gate_evidence import World
from gate_figures import Mean, aligned, mean
from gate_missing import missing
from gate_power import STAKE, curves, power
from gate_product import Draws, Product, differing
from gate_streams import BROKEN, BUDGET, STREAMS, Stream, Year, year
from gate_vetoes import vetoes

SEED = 20_261
YEARS, SMALL_YEARS, LEAST_YEARS = 4_000, 120, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Something that the benchmark is to show, and whether it does."""

    text: str
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One stream's years in means. `above` is false claims minus what was staked, or the budget if that is less."""

    name: str
    broken: bool
    years: int
    screened: float
    claims: float
    right: float
    false: Mean
    any_false: float
    misleading: float
    staked: float
    most_staked: float
    above: Mean

    @property
    def fair(self) -> bool:
        """Whether it is what it should be: false claims within the stakes, or clearly above for a broken product."""
        within = self.above.high <= 0.0 and self.most_staked <= BUDGET + 1e-9
        return self.above.low > 0.0 if self.broken else within


def outcome(stream: Stream, world: World, years: int) -> Outcome:
    """A stream's years."""
    seen = [year(stream, world) for _ in range(max(years // stream.dear, LEAST_YEARS))]

    def per_year(pick: str) -> float:
        return sum(float(getattr(one, pick)) for one in seen) / len(seen)

    return Outcome(
        name=stream.name,
        broken=stream.broken,
        years=len(seen),
        screened=_share_screened(seen),
        claims=per_year("claims"),
        right=per_year("right"),
        false=mean([float(one.false) for one in seen]),
        any_false=sum(one.false > 0 for one in seen) / len(seen),
        misleading=per_year("misleading"),
        staked=per_year("staked"),
        most_staked=max(one.staked for one in seen),
        above=mean([one.false - min(one.staked, BUDGET) for one in seen]),
    )


def _share_screened(seen: Sequence[Year]) -> float:
    return sum(one.screened for one in seen) / sum(one.candidates for one in seen)


def stream_table(outcomes: Sequence[Outcome]) -> str:
    """False claims per prompt and year beside what was staked."""
    head = (
        "stream",
        "years",
        "screened",
        "claims",
        "true",
        "false [95%]",
        "any false",
        "for people",
        "staked",
        "false - staked",
    )
    rows = [head]
    for one in outcomes:
        rows.append(
            (
                ("broken: " if one.broken else "") + one.name,
                f"{one.years}",
                f"{one.screened:.1%}",
                f"{one.claims:.1f}",
                f"{one.right:.2f}",
                f"{one.false}",
                f"{one.any_false:.3f}",
                f"{one.misleading:.3f}",
                f"{one.staked:.3f}",
                f"{one.above}",
            )
        )
    return aligned(rows)


def stream_claims(outcomes: Sequence[Outcome]) -> list[Claim]:
    """What has to hold of every stream."""
    made = []
    for one in outcomes:
        said = f"{one.name}: {one.false} false claims a year, {one.staked:.3f} staked"
        made.append(Claim(text=f"caught: {said}" if one.broken else said, holds=one.fair))
    return made


def product_claims(product: Product, apart: float) -> list[Claim]:
    """Whether what was counted here is what the product says."""
    return [
        Claim(text=f"the credit from counts is the product's: {apart:.1e} apart at most", holds=apart < 1e-9),
        Claim(
            text=f"{product.asked_again} remembered answers asked again, {product.disagreed} differed",
            holds=product.asked_again > 0 and product.disagreed == 0,
        ),
    ]


def main() -> int:
    """Run everything, print every figure."""
    given = _arguments()
    started = time.monotonic()
    years = SMALL_YEARS if given.small else YEARS
    product, draws = Product(SEED), Draws()
    outcomes = []
    for stream in (*STREAMS, *BROKEN):
        world = World(product=product, draws=draws, chance=random.Random(f"{SEED} {stream.name}"))
        begun = time.monotonic()
        outcomes.append(outcome(stream, world, years))
        print(f"  {stream.name:50} {time.monotonic() - begun:6.1f} s", file=sys.stderr, flush=True)
    print(stream_table(outcomes))
    powers = power(World(product=product, draws=draws, chance=random.Random(f"{SEED} power")), given.small)
    print(f"\n{powers.table}\n")
    hidden = missing(random.Random(f"{SEED} missing"), small=given.small)
    print(f"{hidden.table}\n")
    vetoed = vetoes(random.Random(f"{SEED} vetoes"), small=given.small)
    print(f"{vetoed.table}\n")
    claims = [
        *product_claims(product, differing(300 if given.small else 3000, SEED)),
        *stream_claims(outcomes),
        *(Claim(text=text, holds=holds) for text, holds in (*powers.claims, *vetoed.claims)),
    ]
    for claim in claims:
        print(f"{'holds ' if claim.holds else 'FAILS '} {claim.text}")
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    if given.out:
        figures = {
            "seed": SEED,
            "budget": BUDGET,
            "first_stake": STAKE,
            "streams": [asdict(one) | {"fair": one.fair} for one in outcomes],
            "power": powers.rows,
            "missing": hidden.rows,
            "vetoes": vetoed.rows,
            "curves": curves(random.Random(f"{SEED} curves")),
            "claims": [asdict(claim) for claim in claims],
        }
        Path(given.out).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0 if all(claim.holds for claim in claims) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--small", action="store_true", help="fewer years and tries: for CI")
    parser.add_argument("--out", help="also write every figure to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
