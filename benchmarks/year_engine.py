"""Many canaries at once, one per prompt-year, looked at daily: the bets of `gates.canary.wealth`, from counts.

`canary_engine.py` bets on each unit, which is exact, and too slow for a year. The one liberty here: what is guessed for
a unit comes from the units of the days before, not also from those of its own day. Then a day is counts of values, and
a year of thousands of prompts fits into seconds. `year_checks.py` compares the numbers and the decisions with the
product's own looks. It never decides by anything but the product's rules.
"""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from year_world import VALUES, Floats, World

from gates.canary.wealth import PRIOR_UNITS
from gates.statistics import GRID
from optimizer.rollouts import CanaryRules

Truths = NDArray[np.bool_]
Codes = NDArray[np.int8]

MATURITY = 3
"""Days after which a unit's scores are all there: `Users.good_days` ends with the third."""

HOLDBACK_SHARE, HOLDBACK_DAYS = 0.1, 28.0
_BETS = np.array(GRID)
_AGES = MATURITY + 1


class Phase(IntEnum):
    """Where a prompt stands."""

    IDLE = 0
    FIRST = 1
    FULL = 2
    HOLDBACK = 3


class End(IntEnum):
    """How a canary or a holdback ended today; nought for those that did not."""

    NOT = 0
    UNEVEN = 1
    HARM = 2
    FUTILE = 3
    PROMOTED = 4
    TOO_LATE = 5
    TAKEN_BACK = 6
    FINISHED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """What a product does; the default is ours.

    Attributes:
        expires: a candidate that waits is dropped after so many days.
        patient: no canary begins before the holdback of the release before it is over.
        futility: canaries are given up when a gain is ruled out.
        restarted: bets that lose begin anew at the next look, under the same stake.
        by_arrival: a unit is bet on when its score arrives, with the share that holds then.

    The last three are mistakes, where they are not as they are by default.
    """

    expires: float = math.inf
    patient: bool = False
    futility: bool = True
    restarted: bool = False
    by_arrival: bool = False


SOUND = Conduct()


class Canaries:
    """The bets of all prompt-years. `open` begins some, `day` adds a day of traffic and says which ended, and how."""

    def __init__(self, world: World, conduct: Conduct, seed: int, rules: CanaryRules) -> None:
        count, values, bets = world.count, len(VALUES), len(GRID)
        self._world, self._conduct, self._rules = world, conduct, rules
        self._chance = np.random.default_rng([seed, 3])
        self.phase: Codes = np.zeros(count, dtype=np.int8)
        self.began = np.zeros(count)
        self.stake = np.ones(count)
        self._prior = np.zeros(count)
        self._promote = np.zeros((count, bets))
        self._futile = np.zeros((count, bets))
        self._harm = np.zeros((count, bets))
        self._uneven = np.zeros((2, count, bets))
        self._unscored = np.zeros((2, count))
        self._matured = np.zeros(count)
        self._past = np.zeros((2, count))  # sum and number of matured values
        self._arrived = np.zeros((2, count))  # the same of those that have arrived
        # of the last days, youngest first: counts by arm, value and delay; their factors of harm; their shares; effects
        self._counts: list[Floats] = [np.zeros((count, 2, values, _AGES)) for _ in range(_AGES)]
        self._factors: list[Floats] = [np.zeros((count, bets, 2 * values)) for _ in range(_AGES)]
        self._shares: list[Floats] = [np.full(count, 0.5) for _ in range(_AGES)]
        self._effects: list[Floats] = [np.zeros(count) for _ in range(_AGES)]
        self.numbers = self._numbers()
        self.weight = np.zeros(count)
        self.effect = np.zeros(count)
        """Sums over the matured units: of v, and of v times the true effect."""

    @property
    def share(self) -> Floats:
        """The chance of the new version's arm."""
        shares = np.array([0.0, self._rules.first_share, self._rules.full_share, 1.0 - HOLDBACK_SHARE])
        return shares[self.phase]

    @property
    def running(self) -> Truths:
        """Where a canary runs."""
        found: Truths = (self.phase == Phase.FIRST) | (self.phase == Phase.FULL)
        return found

    def open(self, these: Truths, phase: Phase, *, today: float, prior: Floats) -> None:
        """New bets: a canary, or the holdback of what was promoted. `prior` is the old version's mean worth so far."""
        self.phase[these] = phase
        self.began[these] = today
        self._prior[these] = prior[these]
        self.weight[these] = self.effect[these] = 0.0
        self._matured[these] = 0.0
        self._forget(these)

    def _forget(self, these: Truths) -> None:
        for kept in (self._promote, self._futile, self._harm):
            kept[these] = 0.0
        for pair in (self._uneven, self._past, self._arrived):
            pair[:, these] = 0.0
        for counts in self._counts:
            counts[these] = 0.0

    def day(self, old: Floats, new: Floats) -> Codes:
        """A day of traffic with these qualities of the two versions, and the look at its end."""
        self._roll()
        if self._conduct.restarted:
            losing = self.evidence(self._promote) < 1.0
            for kept in (self._promote, self._futile, self._harm):
                kept[losing] = 0.0
        self._expose(old, new)
        if self._conduct.by_arrival:
            self._bet_by_arrival()
        else:
            self._bet()
        return self._look()

    def _roll(self) -> None:
        rings: tuple[list[Floats], ...] = (self._counts, self._factors, self._shares, self._effects)
        for ring in rings:
            ring.insert(0, ring.pop())

    def _expose(self, old: Floats, new: Floats) -> None:
        world, share = self._world, self.share
        common = world.common
        units = np.where(self.phase == Phase.IDLE, 0.0, world.scored) / world.scores.observed
        for arm, (quality, part) in enumerate(((old, 1.0 - share), (new, share))):
            chances = world.scores.chances(quality + common, world.grudge)
            rates = (units * part)[:, None] * chances
            self._counts[0][:, arm] = self._chance.poisson(rates[:, :-1, None] * world.scores.delays)
            self._unscored[arm] = self._chance.poisson(rates[:, -1])
        self._shares[0] = np.where(share > 0.0, share, 0.5)
        self._effects[0] = new - old
        control, candidate = self._counts[0].sum(axis=(2, 3)).T + self._unscored
        p = self._shares[0][:, None]
        for place, sign in enumerate((1.0, -1.0)):
            moves = candidate[:, None] * np.log1p(sign * _BETS * (1.0 - p))
            self._uneven[place] += moves + control[:, None] * np.log1p(-sign * _BETS * p)

    def _bet(self) -> None:
        self._factors[0] = self._logs(-1.0, 0.0, 0, self._guess(self._arrived))
        for age in range(_AGES):
            coming = self._counts[age][..., age]
            self._harm += _summed(self._factors[age], coming)
            self._add(self._arrived, coming)
        matured = self._counts[-1].sum(axis=3)
        guess = self._guess(self._past)
        self._promote += _summed(self._logs(1.0, 0.0, -1, guess), matured)
        self._futile += _summed(self._logs(-1.0, self._rules.gain, -1, guess), matured)
        self._add(self._past, matured)
        self._mature(matured)

    def _bet_by_arrival(self) -> None:
        coming = np.sum([self._counts[age][..., age] for age in range(_AGES)], axis=0)
        guess = self._guess(self._past)
        self._harm += _summed(self._logs(-1.0, 0.0, 0, guess), coming)
        self._promote += _summed(self._logs(1.0, 0.0, 0, guess), coming)
        self._futile += _summed(self._logs(-1.0, self._rules.gain, 0, guess), coming)
        self._add(self._past, coming)
        self._mature(self._counts[-1].sum(axis=3))

    def _mature(self, matured: Floats) -> None:
        self._matured += matured[:, 1].sum(axis=1)
        weight = matured.sum(axis=(1, 2)) * self._shares[-1] * (1.0 - self._shares[-1])
        self.weight += weight
        self.effect += weight * self._effects[-1]

    def _guess(self, sums: Floats) -> Floats:
        guess: Floats = (PRIOR_UNITS * self._prior + sums[0]) / (PRIOR_UNITS + sums[1])
        return guess

    def _add(self, sums: Floats, counts: Floats) -> None:
        by_value = counts.sum(axis=1)
        sums[0] += by_value @ VALUES
        sums[1] += by_value.sum(axis=1)

    def _logs(self, sign: float, bound: float, age: int, guess: Floats) -> Floats:
        """What a unit adds to the log of each bet: (prompt-years, bets, arms and values)."""
        p = self._shares[age][:, None]
        surprise = VALUES - guess[:, None]
        gains = np.concatenate((-p * surprise, (1.0 - p) * surprise), axis=1)
        moves = sign * (gains - p * (1.0 - p) * bound)
        logs: Floats = np.log1p(_BETS[:, None] * moves[:, None, :])
        return logs

    def _look(self) -> Codes:
        """The product's rules in the product's order: the first that speaks decides."""
        rules = self._rules
        days = self._world.today + 1.0 - self.began
        running, held = self.running, self.phase == Phase.HOLDBACK
        self.numbers = self._numbers()
        harmful = self.numbers["harm"] >= rules.harm
        enough = (days >= rules.least_days) & (self._matured >= rules.least_units)
        uneven = self.numbers["share"] >= rules.share_alarm
        futile = (self.numbers["futile"] >= rules.futile) & self._conduct.futility
        proven = enough & (self.numbers["promote"] >= 1.0 / self.stake)
        said = np.select(
            [
                running & uneven,
                running & harmful,
                running & futile,
                running & proven,
                running & (days >= rules.most_days),
                held & harmful,
                held & (days >= HOLDBACK_DAYS),
            ],
            [End.UNEVEN, End.HARM, End.FUTILE, End.PROMOTED, End.TOO_LATE, End.TAKEN_BACK, End.FINISHED],
            End.NOT,
        ).astype(np.int8)
        wide = (self.phase == Phase.FIRST) & (said == End.NOT) & (self._matured >= rules.first_units)
        self.phase[wide] = Phase.FULL
        self.phase[said != End.NOT] = Phase.IDLE
        return said

    def _numbers(self) -> dict[str, Floats]:
        """The evidence, named as in a `Look`."""
        return {
            "promote": self.evidence(self._promote),
            "harm": self.evidence(self._harm),
            "futile": self.evidence(self._futile),
            "share": (self.evidence(self._uneven[0]) + self.evidence(self._uneven[1])) / 2.0,
        }

    @staticmethod
    def evidence(logs: Floats) -> Floats:
        """The mean of what the bettors hold."""
        found: Floats = np.exp(np.minimum(logs, 700.0)).mean(axis=-1)
        return found


def _summed(logs: Floats, counts: Floats) -> Floats:
    """Logs of all units, by bet."""
    flat = counts.reshape(len(counts), -1, 1)
    total: Floats = (logs @ flat)[:, :, 0]
    return total
