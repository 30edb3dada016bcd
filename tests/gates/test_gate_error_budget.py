"""The budget holds in every year of ledger days, whatever is opened when."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gates.error_budget import SHARE, YEAR_DAYS, Stake, left, next_stake

BUDGET = 0.2


def opened(days: list[int]) -> list[Stake]:
    """The ledger after openings on these days, one after the other."""
    stakes: list[Stake] = []
    for number, day in enumerate(days):
        stake = next_stake(left(stakes, day=day, budget=BUDGET))
        stakes.append(Stake(release=f"r{number}", stake=stake, day=day))
    return stakes


def worst_year(stakes: list[Stake]) -> float:
    """The most that any 365 days in a row hold; such a stretch may as well begin on a day of a stake."""
    return max(
        math.fsum(s.stake for s in stakes if start <= s.day < start + YEAR_DAYS) for start in {s.day for s in stakes}
    )


def test_worked_example() -> None:
    stakes = opened([1, 1, 2])
    assert [stake.stake for stake in stakes] == pytest.approx([0.02, 0.018, 0.0162])
    assert left(stakes, day=2, budget=BUDGET) == pytest.approx(0.1458)
    assert left(stakes, day=365, budget=BUDGET) == pytest.approx(0.1458)
    assert left(stakes, day=366, budget=BUDGET) == pytest.approx(0.1838)  # the first day's are a year old
    assert left(stakes, day=367, budget=BUDGET) == BUDGET


@settings(deadline=None)
@given(st.lists(st.integers(0, 1500), min_size=1, max_size=80))
def test_no_year_holds_more_than_the_budget_in_whatever_order_the_days_come(days: list[int]) -> None:
    assert worst_year(opened(days)) <= BUDGET


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=200))
def test_nor_when_days_pass_slowly(steps: list[int]) -> None:
    days, day = [], 0
    for step in steps:
        day += step
        days.append(day)
    stakes = opened(days)
    assert worst_year(stakes) <= BUDGET
    assert all(stake.stake > 0 for stake in stakes)


def test_stakes_of_later_days_count_where_days_go_backwards() -> None:
    assert 0.9 * BUDGET < worst_year(opened([300] * 40 + [0] * 40)) <= BUDGET


def test_a_thousand_stakes_on_one_day_leave_next_to_nothing() -> None:
    stakes = opened([7] * 1000)
    assert worst_year(stakes) <= BUDGET
    assert left(stakes, day=7, budget=BUDGET) < 1e-9


def test_a_budget_that_was_lowered_leaves_nothing() -> None:
    assert left(opened([1, 1]), day=1, budget=0.01) == 0.0
    assert next_stake(0.0) == 0.0


def test_the_share() -> None:
    assert next_stake(1.0) == SHARE == 0.1
