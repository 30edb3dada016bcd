"""Evidence as a bet, valid at any number of cases and however often one looks, and the tests beside it.

Standard library only; never decides anything.

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
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from optimizer.types import Missing

GRID = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
"""Stakes: shares of the credit. The small ones find small effects, the large ones find large effects early."""

LARGEST_LOG = 700.0
"""Evidence is reported up to e^700: more would not fit into a float."""

_PRECISION = 1e-6
_NEGLIGIBLE = 1e-17


def e_above(differences: Sequence[float], bound: float = 0.0) -> float:
    """Evidence that the mean is above the bound: the credit after the last case; 1 is none.

    Raises:
        ValueError: a difference is not in [-1, 1].
    """
    return _credit(_times(differences), bound)


def e_below(differences: Sequence[float], bound: float = 0.0) -> float:
    """Evidence that the mean is below the bound; 1 is none."""
    return e_above([-difference for difference in differences], -bound)


def interval(differences: Sequence[float], *, alpha: float = 0.05) -> tuple[float, float]:
    """(low, high) that holds the mean with chance 1 - alpha, at any number of cases; (-1, 1) without any."""
    times = _times(differences)
    mirrored = {-difference: count for difference, count in times.items()}
    return _lowest_plausible(times, 2.0 / alpha), -_lowest_plausible(mirrored, 2.0 / alpha)


def z_score(differences: Sequence[float]) -> float | Missing:
    """Mean in standard errors; missing below two differences, and where all are the same."""
    if len(differences) < 2 or min(differences) == max(differences):
        return Missing.NOT_RECORDED
    mean = fmean(differences)
    squares = math.fsum((difference - mean) ** 2 for difference in differences)
    return mean / math.sqrt(squares / (len(differences) - 1) / len(differences))


def sign_test(better: int, worse: int) -> float:
    """One-sided p-value for "worse": the chance of as many by tossing a coin for each case that differs."""
    return at_least(worse, better + worse, 0.5)


def at_least(wanted: int, tries: int, chance: float) -> float:
    """The chance of `wanted` successes or more in so many independent tries."""
    if wanted > tries * chance:
        return min(1.0, _tail(range(wanted, tries + 1), tries, chance))
    return 1.0 - min(1.0, _tail(range(wanted - 1, -1, -1), tries, chance))


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """P-values corrected for their number (Holm 1979), in the given order."""
    corrected = [1.0] * len(ps)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda place: ps[place])):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[place]))
        corrected[place] = highest
    return tuple(corrected)


def _times(differences: Sequence[float]) -> Mapping[float, int]:
    """How often each difference occurs: scores are mostly 0 and 1, so there are few different ones."""
    times = Counter(differences)
    if any(not -1.0 <= difference <= 1.0 for difference in times):
        raise ValueError("differences must lie in [-1, 1]")
    return times


def _credit(times: Mapping[float, int], bound: float) -> float:
    width = 1.0 + abs(bound)
    moves = [((difference - bound) / width, count) for difference, count in times.items()]
    logs = [math.fsum(count * math.log1p(stake * move) for move, count in moves) for stake in GRID]
    return math.exp(min(_log_mean_exp(logs), LARGEST_LOG))


def _lowest_plausible(times: Mapping[float, int], enough: float) -> float:
    """The least mean that the evidence does not rule out. Evidence falls as the bound rises, so halving finds it."""
    if _credit(times, -1.0) < enough:
        return -1.0
    ruled_out, plausible = -1.0, 1.0
    while plausible - ruled_out > _PRECISION:
        middle = (ruled_out + plausible) / 2.0
        if _credit(times, middle) < enough:
            plausible = middle
        else:
            ruled_out = middle
    return ruled_out  # the wide side: the interval may be too long by the precision, never too short


def _log_mean_exp(logs: Sequence[float]) -> float:
    top = max(logs)
    return top + math.log(sum(math.exp(log - top) for log in logs) / len(logs))


def _tail(hits: Iterable[int], tries: int, chance: float) -> float:
    """Chances added up from the middle outwards, until they no longer count."""
    total = 0.0
    for hit in hits:
        chance_of_it = binomial(hit, tries, chance)
        total += chance_of_it
        if chance_of_it < _NEGLIGIBLE * total:
            break
    return total


def binomial(hits: int, tries: int, chance: float) -> float:
    """The chance of exactly so many successes."""
    if chance in (0.0, 1.0):
        return float(hits == tries * chance)
    ways = math.lgamma(tries + 1) - math.lgamma(hits + 1) - math.lgamma(tries - hits + 1)
    return math.exp(ways + hits * math.log(chance) + (tries - hits) * math.log1p(-chance))
