"""How long scores count, and how much worse releases may become in a year."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.canary.margins import MOST, TakenMargin, affordable, margin_left, margin_of
from gates.canary.maturity import FEWEST, MOST_DAYS, UNKNOWN_DAYS, maturity_days
from tests.gates.canary_samples import PLAN, VOLUNTEERED, ruled


@pytest.mark.parametrize(
    ("delays", "days"),
    [
        ([0.1] * 95 + [9.0] * 5, 1.0),  # 95 of 100 came on the first day
        ([0.1] * 94 + [2.5] * 6, 3.0),
        ([3.0] * 100, 3.0),
        ([3.01] * 100, 4.0),
        ([40.0] * 100, 14.0),
        ([0.0] * FEWEST, 1.0),
        ([0.0] * (FEWEST - 1), UNKNOWN_DAYS),
        ([], UNKNOWN_DAYS),
    ],
)
def test_the_time_in_which_most_scores_come(delays: list[float], days: float) -> None:
    assert maturity_days(delays) == days


def test_the_slower_arm_counts() -> None:
    quick, slow = [0.5] * 50, [4.5] * 50
    assert maturity_days(quick, slow) == maturity_days(slow, quick) == 5.0
    assert maturity_days(quick, [9.0]) == 1.0  # one delay says nothing about an arm
    assert maturity_days() == UNKNOWN_DAYS


@given(st.lists(st.floats(0, MOST_DAYS), min_size=FEWEST, max_size=200))
def test_at_least_nineteen_of_twenty_scores_come_in_time(delays: list[float]) -> None:
    days = maturity_days(delays)
    assert 1.0 <= days <= MOST_DAYS
    assert sum(delay <= days for delay in delays) >= 0.95 * len(delays)


def test_margins_add_up_to_three_points_in_a_year() -> None:
    taken = [TakenMargin(release="a", margin=0.01, day=0), TakenMargin(release="b", margin=0.01, day=100)]
    assert margin_left([], day=0) == MOST
    assert margin_left(taken, day=364) == pytest.approx(0.01)
    assert margin_left(taken, day=365) == pytest.approx(0.02)
    assert affordable(0.01, taken, day=364)
    assert not affordable(0.011, taken, day=364)
    assert affordable(0.02, taken, day=365)
    assert affordable(0.0, [*taken, TakenMargin(release="c", margin=0.03, day=200)], day=364)


@given(st.lists(st.tuples(st.floats(0, MOST), st.integers(0, 900)), max_size=30))
def test_no_year_holds_more_than_three_points(asked: list[tuple[float, int]]) -> None:
    taken: list[TakenMargin] = []
    for place, (margin, day) in enumerate(sorted(asked, key=lambda one: one[1])):
        if affordable(margin, taken, day=day):
            taken.append(TakenMargin(release=str(place), margin=margin, day=day))
    for first in range(900):
        assert sum(one.margin for one in taken if first <= one.day < first + 365) <= MOST + 1e-7


def test_volunteered_scores_take_no_margin() -> None:
    assert margin_of(ruled(margin=0.01)) == 0.01
    assert margin_of(ruled(replace(PLAN, metric=VOLUNTEERED), margin=0.01)) == 0.0
