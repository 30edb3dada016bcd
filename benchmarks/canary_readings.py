"""Ways to read the same users: the product's, and wrong ones that a careless product might have.

A reading gives the credit that is held at each daily look; a run is promoted when it ever reaches 1 / stake, after a
week and a hundred candidate units. The users, the shares and the looks are the same for all readings of a world, and
nothing else ends a run, so that a difference is the reading's. numpy; never decides.
"""

from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist

import numpy as np
from canary_engine import Bets, Guess
from canary_world import Floats, Truths, Users, World

from gates.canary.measuring import UNKNOWN
from gates.statistics import GRID

Reading = Callable[[Sequence[Users], World], Floats]
"""The users of each day -> (runs, looks) credit; the first look is after the first day."""

_BETS = np.array(GRID)


def sound(days: Sequence[Users], world: World) -> Floats:
    """The product's: one number for a unit, in order of first exposure, when its time is over."""
    return _on(_matured(days, world), len(days))


def two_counts(days: Sequence[Users], world: World) -> Floats:
    """The product's for volunteered scores: more units with a good one and fewer with a bad one, of all assigned."""
    return _both_counts(days, world, lambda worth: worth > 0.0, lambda worth: worth < 1.0)


def counts_of_means(days: Sequence[Users], world: World) -> Floats:
    """Broken: the same with units whose mean is good or bad. Where the bad one of two scores is hidden, it is good."""
    return _both_counts(days, world, lambda worth: worth >= 0.5, lambda worth: worth < 0.5)


def every_score(days: Sequence[Users], world: World) -> Floats:
    """Broken: each score is a bet, though the scores of a unit say much the same."""
    guess = Guess.before(len(days[0].candidate))

    def moves() -> Iterator[Floats]:
        for one in _after(days, world.maturity):
            if one is None:
                yield np.zeros((len(days[0].candidate), 0))
                continue
            runs, units, most = one.good.shape
            known = np.isfinite(one.after).reshape(runs, units * most)
            arms = np.repeat(one.candidate, most, axis=1)
            yield guess.gains(arms, one.share[:, None], one.good.reshape(runs, units * most).astype(float), known)

    return _on(moves(), len(days))


def restarted(days: Sequence[Users], world: World) -> Floats:
    """Broken: the bet begins anew whenever it has lost half of what it began with, under the same stake."""
    return _on(_matured(days, world), len(days), anew=0.5)


def served(days: Sequence[Users], world: World) -> Floats:
    """Broken: users count for the version that they were served."""
    return _on(_matured(days, world, arm=lambda one: one.served), len(days))


def kth_against_kth(days: Sequence[Users], world: World) -> Floats:
    """Broken: the k-th candidate unit is compared with the k-th control unit."""
    return _paired(days, lambda one: np.broadcast_to(one.time + world.maturity, one.candidate.shape))


def kth_arrived(days: Sequence[Users], world: World) -> Floats:
    """Broken: the same in the order in which scores arrive."""
    del world
    return _paired(days, lambda one: one.time + one.after.min(axis=2))


def textbook(days: Sequence[Users], world: World) -> Floats:
    """Broken: a textbook test at each look; its p-value as credit, so that 1 / stake is p = stake."""
    total = squares = np.zeros(len(days[0].candidate))
    looks = []
    for gains in _matured(days, world):
        total, squares = total + gains.sum(axis=1), squares + (gains**2).sum(axis=1)
        z = total / np.sqrt(np.maximum(squares, 1e-9))
        looks.append([1.0 / max(1.0 - NormalDist().cdf(one), 1e-300) for one in z])
    return np.array(looks).T


def old_enough(days: Sequence[Users], world: World, *, least_days: float, least_units: int) -> Truths:
    """(runs, looks): whether a look may promote at all."""
    matured = np.zeros(len(days[0].candidate), np.int64)
    looks = []
    for day, one in enumerate(_after(days, world.maturity), start=1):
        if one is not None:
            matured = matured + (one.candidate & one.worth()[1]).sum(axis=1)
        looks.append((matured >= least_units) & (day >= least_days))
    return np.stack(looks, axis=1)


# ---- how -----------------------------------------------------------------------------------------------------------


def _both_counts(
    days: Sequence[Users], world: World, good: Callable[[Floats], Truths], bad: Callable[[Floats], Truths]
) -> Floats:
    more = _on(_matured(days, world, lambda worth, known: known & good(worth)), len(days))
    fewer = _on(_matured(days, world, lambda worth, known: known & bad(worth), sign=-1.0), len(days))
    return np.minimum(more, fewer)


def _after(days: Sequence[Users], maturity: int) -> Iterator[Users | None]:
    """At each look the users who have matured since the look before."""
    for look in range(1, len(days) + 1):
        yield days[look - 1 - maturity] if look > maturity else None


def _matured(
    days: Sequence[Users],
    world: World,
    count: Callable[[Floats, Truths], Truths] | None = None,
    *,
    arm: Callable[[Users], Truths] = lambda one: one.candidate,
    sign: float = 1.0,
) -> Iterator[Floats]:
    """The moves of each look. With a `count` each assigned unit is worth 1 or 0, otherwise its mean score."""
    runs = len(days[0].candidate)
    guess = Guess.before(runs) if count is None else Guess.before(runs, UNKNOWN)
    for one in _after(days, world.maturity):
        if one is None:
            yield np.zeros((runs, 0))
            continue
        worth, known = one.worth()
        if count is not None:
            worth, known = count(worth, known).astype(float), np.ones_like(known)
        yield sign * guess.gains(arm(one), one.share[:, None], worth, known)


def _on(moves: Iterator[Floats], looks: int, anew: float = 0.0) -> Floats:
    credit = []
    held: Bets | None = None
    for more in moves:
        held = Bets(logs=np.zeros((len(more), len(_BETS)))) if held is None else held
        held = held.on(more)
        credit.append(held.credit)
        held = Bets(logs=np.where(held.credit[:, None] < anew, 0.0, held.logs))
    assert len(credit) == looks
    return np.stack(credit, axis=1)


def _paired(days: Sequence[Users], when: Callable[[Users], Floats]) -> Floats:
    """The k-th candidate unit against the k-th control unit, in the order in which they are complete."""
    arm = np.concatenate([one.candidate for one in days], axis=1)
    both = [one.worth() for one in days]
    worth = np.concatenate([one for one, _ in both], axis=1)
    known = np.concatenate([one for _, one in both], axis=1)
    done = np.concatenate([when(one) for one in days], axis=1)
    return np.stack([_pairs(*run, len(days)) for run in zip(arm, worth, known, done, strict=True)])


def _pairs(arm: Truths, worth: Floats, known: Truths, done: Floats, looks: int) -> Floats:
    order = np.argsort(done, kind="stable")
    arm, worth, known, done = arm[order], worth[order], known[order], done[order]
    new, old = np.flatnonzero(arm & known), np.flatnonzero(~arm & known)
    pairs = min(len(new), len(old))
    new, old = new[:pairs], old[:pairs]
    logs = np.cumsum(np.log1p(_BETS[:, None] * (worth[new] - worth[old])), axis=1)
    credit = np.concatenate([[1.0], np.exp(np.minimum(logs, 700.0)).mean(axis=0)])
    ready = np.maximum(done[new], done[old])
    return credit[np.searchsorted(ready, np.arange(1, looks + 1), side="right")]
