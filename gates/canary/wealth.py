"""Evidence from tossed units: one bet, four uses (better, not worse, harmful, futile). Never decides anything.

Unit i was tossed into the candidate's arm (A = 1) or the control's (A = 0) with the known chance p and is worth Y in
[0, 1]; m is what one would have guessed for it from the units before it, in the order in which they were first exposed.

    gain    x = (A - p) (Y - m)      mean of x given all before = v tau, tau the unit's effect
    weight  v = p (1 - p)
    E(s, c) = mean over g of prod_i (1 + s g (x_i - v_i c))
    E(+, c)   evidence that the effect is above c, E(-, c) that it is below
    effect  = sum x / sum v: the mean effect, weighted by how evenly the units were tossed
    interval  all c with E(+, c) < 2/a and E(-, c) < 2/a

1 + g v (tau - c) <= exp(g v (tau - c)), so each product divided by exp(g sum v (tau - c)) cannot be expected to grow:
while the weighted mean effect is at most c, E(+, c) ever reaches 1/a with a chance of at most a, for any drift of the
traffic, any change of the chances and any rule of stopping. That needs the grid to be fixed: bets that learn would only
be fair if no unit at all had an effect above c. It also needs ONE number for a unit however many scores it gave, and
the order of the tosses, not the order in which scores arrive.

Nothing is kept between looks: all units are bet on again from the first, and the same units give the same bits.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from gates.statistics import GRID, LARGEST_LOG
from optimizer.types import Missing

PRIOR_UNITS = 10.0
"""The guess for the first units counts like so many units; wrong guesses cost power, never validity."""

_AT_ONCE = 256  # factors lie in [0.1, 1.9], so that a product of so many stays far inside a double
_PRECISION = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Toss:
    """One unit: in which arm it fell, with which chance of the candidate's, and what it is worth in [0, 1]."""

    candidate: bool
    share: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Wealth:
    """What bettors hold after the last unit, for every sign and bound. `gains`, `weights`: one for each unit."""

    gains: tuple[float, ...]
    weights: tuple[float, ...]

    def above(self, bound: float = 0.0) -> float:
        """Evidence that the effect is above a bound in [-1, 1]; 1 is none."""
        return _credit([gain - weight * bound for gain, weight in zip(self.gains, self.weights, strict=True)])

    def below(self, bound: float = 0.0) -> float:
        """Evidence that the effect is below a bound in [-1, 1]; 1 is none."""
        return _credit([weight * bound - gain for gain, weight in zip(self.gains, self.weights, strict=True)])

    @property
    def effect(self) -> float | Missing:
        """The mean effect, weighted by how evenly the units were tossed; missing without any unit."""
        if not self.gains:
            return Missing.NOT_RECORDED
        return min(1.0, max(-1.0, math.fsum(self.gains) / math.fsum(self.weights)))

    def interval(self, alpha: float = 0.05) -> tuple[float, float] | Missing:
        """(low, high) that holds the effect with chance 1 - alpha at every look; missing without any unit."""
        if not self.gains:
            return Missing.NOT_RECORDED
        mirrored = Wealth(gains=tuple(-gain for gain in self.gains), weights=self.weights)
        return self._lowest_plausible(2.0 / alpha), -mirrored._lowest_plausible(2.0 / alpha)

    def _lowest_plausible(self, enough: float) -> float:
        """The least effect that is not ruled out. Evidence falls as the bound rises, so halving finds it."""
        if self.above(-1.0) < enough:
            return -1.0
        ruled_out, plausible = -1.0, 1.0
        while plausible - ruled_out > _PRECISION:
            middle = (ruled_out + plausible) / 2.0
            if self.above(middle) < enough:
                plausible = middle
            else:
                ruled_out = middle
        return ruled_out  # the wide side: too long by the precision, never too short


def wealth(tosses: Iterable[Toss], *, prior: float) -> Wealth:
    """Bets on units in the order in which they were first exposed.

    Args:
        prior: what a unit is worth, as guessed before the first one.

    Raises:
        ValueError: a value or the prior is not in [0, 1], or a share not in (0, 1).
    """
    gains, weights = [], []
    total, units = prior * PRIOR_UNITS, PRIOR_UNITS
    _require(0.0 <= prior <= 1.0, "a prior must lie in [0, 1]")
    for toss in tosses:
        _require(0.0 <= toss.value <= 1.0, "a unit's value must lie in [0, 1]")
        _require(0.0 < toss.share < 1.0, "a unit's share must lie in (0, 1)")
        gains.append((toss.candidate - toss.share) * (toss.value - total / units))
        weights.append(toss.share * (1.0 - toss.share))
        total, units = total + toss.value, units + 1.0
    return Wealth(gains=tuple(gains), weights=tuple(weights))


def uneven(tosses: Iterable[tuple[bool, float]]) -> float:
    """Evidence that units do not fall into the arms with the chances that were written: in either direction.

    Args:
        tosses: for each unit whether it fell into the candidate's arm, and with which chance.
    """
    surprises = [candidate - share for candidate, share in tosses]
    return (_credit(surprises) + _credit([-surprise for surprise in surprises])) / 2.0


def _credit(moves: list[float]) -> float:
    logs = [
        math.fsum(
            math.log(math.prod([1.0 + bet * move for move in moves[first : first + _AT_ONCE]]))
            for first in range(0, len(moves), _AT_ONCE)
        )
        for bet in GRID
    ]
    return math.fsum(math.exp(min(log, LARGEST_LOG)) for log in logs) / len(GRID)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
