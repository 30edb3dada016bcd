"""How much chance of error may still be staked. Stakes are opened, counted in ledger days, and never given back.

A ledger day is one on which the prompt was used, counted from 0: a clock that jumps adds at most one. Whoever stores
stakes opens one in a transaction that also reads the others.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

YEAR_DAYS = 365
"""Ledger days after which a stake no longer counts."""

SHARE = 0.1
"""Of what is left, this much is the next stake: there is always some left, and early releases get more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """The chance of a false claim that one release took. `day` is the ledger day on which it was opened."""

    release: str
    stake: float
    day: int


def left(stakes: Iterable[Stake], *, day: int, budget: float) -> float:
    """What may still be staked on a ledger day, so that no 365 ledger days in a row hold more than the budget.

    A stake of a later day counts, too: days do not come in order when two machines count them.
    """
    spent = math.fsum(stake.stake for stake in stakes if stake.day > day - YEAR_DAYS)
    return max(0.0, budget - spent)


def next_stake(left: float) -> float:
    """The stake that the next release takes; 0 when nothing is left, and then nothing can be claimed."""
    return SHARE * left
