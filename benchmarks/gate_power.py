"""What the gates find of candidates that are better, beside a test of fixed size and "the mean is higher"."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from gate_evidence import Run, Tossed, World
from gate_figures import aligned, share
from gate_product import Counts
from gate_streams import BUDGET, SCREEN_LOOKS

from gates.error_budget import SHARE
from gates.screen import LOOKS
from gates.statistics import e_above, sign_test
from optimizer.types import Verdict

GAINS = (-0.05, 0.0, 0.02, 0.05, 0.08, 0.15)
CHURNS = (0.03, 0.06, 0.12)
STAKE = SHARE * BUDGET
"""The stake of the first claim of a year."""

P_VALUE = 0.05
"""What McNemar's test has to be below: the usual one, and what that claim may err, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """The figures, as text and as rows, and what has to hold of them."""

    table: str
    rows: list[dict[str, float]]
    claims: list[tuple[str, bool]]


def power(world: World, small: bool) -> Power:
    """Every gain at every churn."""
    tries = 300 if small else 4000
    rows = [_row(world, gain, churn, tries) for churn in CHURNS for gain in GAINS]
    return Power(table=_table(rows), rows=rows, claims=_claims(rows, tries))


def _row(world: World, gain: float, churn: float, tries: int) -> dict[str, float]:
    """One line of the table. Shares of passes, and mean numbers of cases."""
    up, down = churn + max(gain, 0.0), churn + max(-gain, 0.0)
    screened = [_walked(Tossed(world, up, down), SCREEN_LOOKS, None) for _ in range(tries)]
    claimed = [_walked(Tossed(world, up, down), LOOKS, STAKE) for _ in range(tries)]
    fewer = [_walked(Tossed(world, up, down), SCREEN_LOOKS, STAKE) for _ in range(tries)]
    fixed = {cases: [world.draws.draw(cases, up, down, world.chance) for _ in range(tries)] for cases in (200, 400)}
    screen_passes = sum(passed for passed, _ in screened) / tries
    claim_passes = sum(passed for passed, _ in claimed) / tries
    return {
        "churn": churn,
        "gain": gain,
        "screen": screen_passes,
        "screen_cases": sum(cases for _, cases in screened) / tries,
        "claim": claim_passes,
        "claim_cases": sum(cases for _, cases in claimed) / tries,
        "claim_400": sum(passed for passed, _ in fewer) / tries,
        "proven": screen_passes * claim_passes,
        "mcnemar_200": sum(_mcnemar(seen) < P_VALUE for seen in fixed[200]) / tries,
        "mcnemar_400": sum(_mcnemar(seen) < P_VALUE for seen in fixed[400]) / tries,
        "mean_200": sum(seen.effect > 0.0 for seen in fixed[200]) / tries,
    }


def _walked(run: Run, looks: Sequence[int], stake: float | None) -> tuple[bool, int]:
    """Whether a screen, or a claim with its stake, passes, and after how many cases it ends."""
    before = 0
    for look in looks:
        run.more(look - before)
        before = look
        last = look == looks[-1]
        said = run.screened(last=last) if stake is None else run.claimed(stake, last=last)
        if said is not None:
            return said is Verdict.PASS, look
    return False, before


@cache
def _mcnemar(seen: Counts) -> float:
    """The exact one-sided p-value for "better" when the number of cases was fixed beforehand."""
    return sign_test(seen.worse, seen.better)


def _table(rows: Sequence[dict[str, float]]) -> str:
    head = ("churn", "gain", "screen", "cases", "claim", "cases", "claim, 400", "both", "McNemar 200")
    lines: list[tuple[str, ...]] = [(*head, "McNemar 400", "mean higher, 200")]
    for row in rows:
        lines.append(
            (
                f"{row['churn']:.2f}",
                f"{100 * row['gain']:+.0f}",
                f"{row['screen']:.3f}",
                f"{row['screen_cases']:.0f}",
                f"{row['claim']:.3f}",
                f"{row['claim_cases']:.0f}",
                *(f"{row[name]:.3f}" for name in ("claim_400", "proven", "mcnemar_200", "mcnemar_400")),
                f"{row['mean_200']:.3f}",
            )
        )
    return aligned(lines)


def _claims(rows: Sequence[dict[str, float]], tries: int) -> list[tuple[str, bool]]:
    made = []
    for row in rows:
        where = f"at churn {row['churn']:g}"
        if row["gain"] <= 0.0:
            most = share(round(row["claim"] * tries), tries).high
            made.append(
                (f"a claim at {100 * row['gain']:+.0f} {where} within its stake: {row['claim']:.4f}", most <= STAKE)
            )
        if row["gain"] == 0.0:
            made.append(
                (f"the screen lets one null in five through {where}: {row['screen']:.3f}", row["screen"] <= 0.25)
            )
        if row["gain"] == 0.15:
            made.append((f"a claim finds +15 {where}: {row['claim']:.3f}", row["claim"] >= 0.99))
        if row["gain"] == 0.08:
            made.append((f"the screen passes +8 {where}: {row['screen']:.3f}", row["screen"] >= 0.97))
    return made


def curves(chance: random.Random) -> dict[str, list[list[float]]]:
    """Credits after every tenth case, for the plot: bets on 20 candidates that are no better, and on two that are."""
    return {
        "null": [_credits(chance, 0.0) for _ in range(20)],
        "+5": [_typical(chance, 0.05)],
        "+10": [_typical(chance, 0.10)],
    }


def _typical(chance: random.Random, gain: float) -> list[float]:
    """Of 21 bets the one whose credit after 400 cases is in the middle."""
    return sorted((_credits(chance, gain) for _ in range(21)), key=lambda credits: credits[40])[10]


def _credits(chance: random.Random, gain: float) -> list[float]:
    churn = CHURNS[1]
    seen = chance.choices((1.0, -1.0, 0.0), (churn + gain, churn, 1.0 - gain - 2.0 * churn), k=LOOKS[-1])
    return [float(f"{e_above(seen[:cases]):.4g}") for cases in range(0, LOOKS[-1] + 1, 10)]
