"""How much a candidate can hide in judgements that could not be made.

Providers and judges fail; then nobody knows the score. Here they fail for the candidate alone, and just where it would
have been wrong: the worst way in which a judgement can be missing. The candidate is no better. The product decides.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from gate_figures import aligned, share
from gate_power import STAKE
from gate_product import RULES, pair
from gate_proposals import CHURN

from gates.claim import claim
from gates.screen import LOOKS
from optimizer.types import Pair, Verdict

SHARES = (0.0, 0.01, 0.02, 0.03, 0.05)
STAKES = (STAKE, STAKE / 5.0)
"""The first of a year, and one as it is after some fifteen claims."""

_PAIRS = (pair(0.0, 1.0), pair(1.0, 0.0), pair(1.0, None), pair(1.0, 1.0))

Row = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """The figures, as text and as rows."""

    table: str
    rows: list[Row]


def missing(chance: random.Random, *, small: bool) -> Missing:
    """Every share of missing judgements."""
    tries = 6 if small else 2000
    rows = [_row(stake, hidden, chance, tries) for stake in STAKES for hidden in SHARES]
    lines = [(f"{row['stake']:g}", f"{row['hidden']:.0%}", f"{row['claim']:.4f}", f"{row['high']:.4f}") for row in rows]
    head = ("stake", "failures not judged", "claim of a null passes", "at most")
    return Missing(table=aligned([head, *lines]), rows=rows)


def _row(stake: float, hidden: float, chance: random.Random, tries: int) -> Row:
    weights = (CHURN, CHURN - hidden, hidden, 1.0 - 2.0 * CHURN)
    passed = sum(_passes(weights, stake, chance) for _ in range(tries))
    return {"stake": stake, "hidden": hidden, "claim": passed / tries, "high": share(passed, tries).high}


def _passes(weights: Sequence[float], stake: float, chance: random.Random) -> bool:
    pairs: list[Pair] = []
    for look in LOOKS:
        pairs += chance.choices(_PAIRS, weights, k=look - len(pairs))
        said = claim(pairs, RULES, stake=stake, last=look == LOOKS[-1])
        if said is not None:
            return said.verdict is Verdict.PASS
    return False
