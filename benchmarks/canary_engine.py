"""Thousands of canaries at once: the product's rules on numpy arrays, looked at daily.

`canary_product.py` compares them with `gates.canary.look` day by day.

    ended = simulate(np.full(2000, 0.03), World(weekly=1000), CanaryRules(stake=0.02), seed=1)
    ended.promoted.mean(), np.median(ended.day)

Matured units are the first ones of all that were exposed, so what was bet on them stays; only the scores of the last
few days are bet on anew at each look, for the alarm. The grid, the weight of the prior and every threshold are the
product's own.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from canary_world import Floats, Truths, Users, World, users
from numpy.typing import NDArray

from gates.canary.wealth import PRIOR_UNITS
from gates.statistics import GRID
from optimizer.rollouts import CanaryRules

PRIOR = 0.8
AT_ONCE = 250
"""Runs that are simulated together: more do not fit into the caches."""

_BLOCK = 64  # factors lie in [0.1, 1.9]; the product of so many stays inside a double
_BETS = np.array(GRID)


class End(IntEnum):
    """How a canary ended, in the order in which a look asks."""

    RUNNING = 0
    UNEVEN = 1
    HARM = 2
    FUTILE = 3
    PROMOTED = 4
    TOO_LATE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What became of each run.

    Attributes:
        day: of the look that ended it.
        candidate_units: in the candidate's arm, exposed until then, that give a score in time.
        excess_bad: bad answers beyond those that the old version would have given, one for each of these units.
    """

    end: NDArray[np.int64]
    day: NDArray[np.int64]
    candidate_units: NDArray[np.int64]
    excess_bad: Floats

    @property
    def promoted(self) -> Truths:
        return self.end == End.PROMOTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Bets:
    """What is held on one series of bets, as logarithms: one for each run and each bet of the grid."""

    logs: Floats

    @property
    def credit(self) -> Floats:
        return np.exp(np.minimum(self.logs, 700.0)).mean(axis=1)

    def on(self, moves: Floats) -> "Bets":
        """After further units; a move of 0 is no bet."""
        return Bets(logs=self.logs + logs_of(moves))

    def of(self, runs: Truths) -> "Bets":
        return Bets(logs=self.logs[runs])


def logs_of(moves: Floats) -> Floats:
    """(runs, units) -> (runs, bets): the logarithm of the product of 1 + bet * move."""
    starts = np.arange(0, moves.shape[1], _BLOCK)
    if not len(starts):
        return np.zeros((len(moves), len(_BETS)))
    made = [np.log(np.multiply.reduceat(1.0 + bet * moves, starts, axis=1)).sum(axis=1) for bet in _BETS]
    return np.stack(made, axis=1)


@dataclass(slots=True)
class Guess:
    """The running mean of earlier units."""

    total: Floats
    units: Floats

    @classmethod
    def before(cls, runs: int, prior: float = PRIOR) -> "Guess":
        return cls(np.full(runs, prior * PRIOR_UNITS), np.full(runs, PRIOR_UNITS))

    def gains(self, candidate: Truths, share: Floats, worth: Floats, known: Truths) -> Floats:
        """(A - p)(Y - m) of further units, 0 for those without a value; moves the mean past them."""
        worth = np.where(known, worth, 0.0)
        totals = np.cumsum(np.column_stack([self.total, worth]), axis=1)
        counts = np.cumsum(np.column_stack([self.units, known]), axis=1)
        self.total, self.units = totals[:, -1], counts[:, -1]
        guess = totals[:, :-1] / counts[:, :-1]
        return np.where(known, (candidate - share) * (worth - guess), 0.0)

    def copy(self) -> "Guess":
        return Guess(self.total, self.units)

    def of(self, runs: Truths) -> "Guess":
        return Guess(self.total[runs], self.units[runs])


@dataclass(slots=True)
class Canaries:
    """Runs that still go on."""

    which: NDArray[np.int64]
    effect: Floats
    share: Floats
    widened: Truths
    guess: Guess
    promote: Bets
    futile: Bets
    harm: Bets
    more: Bets
    fewer: Bets
    matured: NDArray[np.int64]
    exposed: NDArray[np.int64]
    waiting: list[Users]

    @classmethod
    def begin(cls, effect: Floats, rules: CanaryRules) -> "Canaries":
        runs = len(effect)
        none = Bets(logs=np.zeros((runs, len(_BETS))))
        nought = np.zeros(runs, np.int64)
        return cls(
            which=np.arange(runs),
            effect=effect,
            share=np.full(runs, rules.first_share),
            widened=np.zeros(runs, np.bool_),
            guess=Guess.before(runs),
            promote=none,
            futile=none,
            harm=none,
            more=none,
            fewer=none,
            matured=nought,
            exposed=nought,
            waiting=[],
        )

    def only(self, runs: Truths) -> None:
        """Forget the others."""
        for name in ("which", "effect", "share", "widened", "matured", "exposed"):
            setattr(self, name, getattr(self, name)[runs])
        for name in ("guess", "promote", "futile", "harm", "more", "fewer"):
            setattr(self, name, getattr(self, name).of(runs))
        self.waiting = [one.of(runs) for one in self.waiting]

    def expose(self, new: Users) -> None:
        """A day's users: they count for the shares at once."""
        self.waiting.append(new)
        surprise = new.candidate - new.share[:, None]
        self.more, self.fewer = self.more.on(surprise), self.fewer.on(-surprise)
        self.exposed = self.exposed + (new.candidate & new.worth()[1]).sum(axis=1)

    def mature(self, rules: CanaryRules) -> None:
        """The first waiting day's users have had their time."""
        old = self.waiting.pop(0)
        worth, known = old.worth()
        gains = self.guess.gains(old.candidate, old.share[:, None], worth, known)
        weights = np.where(known, (old.share * (1.0 - old.share))[:, None], 0.0)
        self.promote = self.promote.on(gains + weights * rules.margin)
        self.futile = self.futile.on(weights * rules.gain - gains)
        self.harm = self.harm.on(-gains)
        self.matured = self.matured + (old.candidate & known).sum(axis=1)

    def harmed(self, now: int) -> Floats:
        """The alarm on scores as they arrive."""
        guess, harm = self.guess.copy(), self.harm
        for one in self.waiting:
            worth, known = one.worth(now)
            harm = harm.on(-guess.gains(one.candidate, one.share[:, None], worth, known))
        return harm.credit

    def look(self, day: int, rules: CanaryRules) -> NDArray[np.int64]:
        """How each run ends today; the share of those that go on may change."""
        enough = (day >= rules.least_days) & (self.matured >= rules.least_units)
        said = [
            (self.more.credit + self.fewer.credit) / 2.0 >= rules.share_alarm,
            self.harmed(day) >= rules.harm,
            self.futile.credit >= rules.futile,
            enough & (self.promote.credit >= 1.0 / rules.stake),
            np.full(len(self.which), day >= rules.most_days),
        ]
        end = np.select(said, [int(one) for one in End][1:], int(End.RUNNING))
        widen = (end == End.RUNNING) & ~self.widened & (self.matured >= rules.first_units)
        self.widened = self.widened | widen
        self.share = np.where(self.widened, rules.full_share, rules.first_share)
        return end


def simulate(effects: Floats, world: World, rules: CanaryRules, *, seed: int) -> Ended:
    """One canary for each effect. The same seed gives the same runs."""
    parts = [
        _some(effects[first : first + AT_ONCE], world, rules, np.random.default_rng([seed, first]))
        for first in range(0, len(effects), AT_ONCE)
    ]
    return Ended(
        end=np.concatenate([one.end for one in parts]),
        day=np.concatenate([one.day for one in parts]),
        candidate_units=np.concatenate([one.candidate_units for one in parts]),
        excess_bad=np.concatenate([one.excess_bad for one in parts]),
    )


def _some(effects: Floats, world: World, rules: CanaryRules, chance: np.random.Generator) -> Ended:
    going = Canaries.begin(effects, rules)
    end, day, units = (np.zeros(len(effects), np.int64) for _ in range(3))
    for today in range(1, int(np.ceil(rules.most_days)) + 1):
        going.expose(users(world, today - 1, going.effect, going.share, chance))
        if len(going.waiting) > world.maturity:
            going.mature(rules)
        said = going.look(today, rules)
        over = said != End.RUNNING
        if not over.any():
            continue
        which = going.which[over]
        end[which], day[which], units[which] = said[over], today, going.exposed[over]
        going.only(~over)
        if not len(going.which):
            break
    return Ended(end=end, day=day, candidate_units=units, excess_bad=np.maximum(-effects, 0.0) * units)
