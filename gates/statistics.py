"""Evidence as a bet, valid at any number of cases and however often one looks. Standard library only.

Start with one credit and bet on each case where two prompts differ, without knowing it beforehand. If the mean is not
positive, nobody can expect to gain: the chance of ever holding 20 credits is at most 1 in 20 (Ville's inequality).
The bets are a fixed grid of stakes, averaged. Values must lie in [-1, 1]: anything wider
would let one case ruin a bettor, and is refused.

    E(d)      = mean over g of prod_i (1 + g d_i)            d_i in [-1, 1], null: no positive mean
    E(+, c)   = E((d - c) / (1 + |c|))                       null: the mean is at most c
    E(-, c)   = E((c - d) / (1 + |c|))                       null: the mean is at least c
    interval  = all c with E(+, c) < 2/a and E(-, c) < 2/a   holds the mean with chance 1 - a
"""

import math
from collections.abc import Sequence

GRID = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
"""Stakes: shares of the credit. The small ones find small effects, the large ones find large effects early."""

LARGEST_LOG = 700.0
"""Evidence is reported up to e^700: more would not fit into a float."""

_PRECISION = 1e-6


def e_above(differences: Sequence[float], bound: float = 0.0) -> float:
    """Evidence that the mean is above the bound: the credit after the last case; 1 is none."""
    if any(not -1.0 <= difference <= 1.0 for difference in differences):
        raise ValueError("differences must lie in [-1, 1]")
    width = 1.0 + abs(bound)
    logs = [sum(math.log1p(stake * (difference - bound) / width) for difference in differences) for stake in GRID]
    return math.exp(min(_log_mean_exp(logs), LARGEST_LOG))


def e_below(differences: Sequence[float], bound: float = 0.0) -> float:
    """Evidence that the mean is below the bound; 1 is none."""
    return e_above([-difference for difference in differences], -bound)


def interval(differences: Sequence[float], *, alpha: float = 0.05) -> tuple[float, float]:
    """(low, high) that holds the mean with chance 1 - alpha, at any number of cases; (-1, 1) without any."""
    low = _lowest_plausible(differences, 2.0 / alpha)
    return low, -_lowest_plausible([-difference for difference in differences], 2.0 / alpha)


def _lowest_plausible(differences: Sequence[float], enough: float) -> float:
    """The least mean that the evidence does not rule out. Evidence falls as the bound rises, so halving finds it."""
    if e_above(differences, -1.0) < enough:
        return -1.0
    ruled_out, plausible = -1.0, 1.0
    while plausible - ruled_out > _PRECISION:
        middle = (ruled_out + plausible) / 2.0
        if e_above(differences, middle) < enough:
            plausible = middle
        else:
            ruled_out = middle
    return ruled_out  # the wide side: the interval may be too long by the precision, never too short


def _log_mean_exp(logs: Sequence[float]) -> float:
    top = max(logs)
    return top + math.log(sum(math.exp(log - top) for log in logs) / len(logs))
