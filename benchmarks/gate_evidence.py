"""What a gate sees of a candidate while it looks at more and more cases, in four worlds.

`Tossed`: every case is new and independent. `Listed`: a fixed list of cases, which is what a reused holdout is.
`Graded`: scores between 0 and 1, many small gains and a few large losses. `Peeking`: new cases under another rule.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol

from gate_product import RULES, Counts, Draws, Product, pair

from gates.claim import claim
from gates.comparison import differences
from gates.screen import screen
from gates.statistics import e_above
from optimizer.types import Pair, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What every candidate is judged with."""

    product: Product
    draws: Draws
    chance: random.Random


class Run(Protocol):
    """One candidate's cases so far."""

    def more(self, cases: int) -> None: ...
    def screened(self, *, last: bool) -> Verdict | None: ...
    def claimed(self, stake: float, *, last: bool) -> Verdict | None: ...
    @property
    def effect(self) -> float: ...
    @property
    def credit(self) -> float: ...


class Counted:
    """A run of which only counts matter; the answers are right or wrong."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seen = Counts()

    def screened(self, *, last: bool) -> Verdict | None:
        return self.world.product.screened(self.seen, last=last)

    def claimed(self, stake: float, *, last: bool) -> Verdict | None:
        return self.world.product.claimed(self.seen, stake=stake, last=last)

    @property
    def effect(self) -> float:
        return self.seen.effect

    @property
    def credit(self) -> float:
        return self.seen.e_value


class Tossed(Counted):
    """New cases; each gets better with chance `up` and worse with chance `down`."""

    def __init__(self, world: World, up: float, down: float) -> None:
        super().__init__(world)
        self._up, self._down = up, down

    def more(self, cases: int) -> None:
        self.seen += self.world.draws.draw(cases, self._up, self._down, self.world.chance)


class Listed(Counted):
    """The given differences, in their order, until they are used up."""

    def __init__(self, world: World, differences: Sequence[int]) -> None:
        super().__init__(world)
        self._differences = differences

    def more(self, cases: int) -> None:
        new = self._differences[self.seen.cases : self.seen.cases + cases]
        self.seen += Counts(len(new), new.count(1), new.count(-1))


class Peeking(Tossed):
    """The same cases under the rule that most people use: a p-value below the stake at any look is a pass."""

    def claimed(self, stake: float, *, last: bool) -> Verdict | None:
        differ = self.seen.better + self.seen.worse
        if differ and (self.seen.better - self.seen.worse) / differ**0.5 >= NormalDist().inv_cdf(1.0 - stake):
            return Verdict.PASS
        return Verdict.UNDECIDED if last else None


class Graded:
    """Many small gains, a few total losses, no gain in the mean; every word is the product's, pair by pair."""

    _PAIRS = (pair(0.7, 1.0), pair(1.0, 1.0), pair(1.0, 0.0))
    _WEIGHTS = (0.40, 0.48, 0.12)

    def __init__(self, world: World) -> None:
        self._chance = world.chance
        self._pairs: list[Pair] = []

    def more(self, cases: int) -> None:
        self._pairs += self._chance.choices(self._PAIRS, self._WEIGHTS, k=cases)

    def screened(self, *, last: bool) -> Verdict | None:
        finding = screen(self._pairs, RULES, last=last)
        return finding.verdict if finding else None

    def claimed(self, stake: float, *, last: bool) -> Verdict | None:
        finding = claim(self._pairs, RULES, stake=stake, last=last)
        return finding.verdict if finding else None

    @property
    def effect(self) -> float:
        found = differences(self._pairs)
        return sum(found) / len(found)

    @property
    def credit(self) -> float:
        return e_above(differences(self._pairs))
