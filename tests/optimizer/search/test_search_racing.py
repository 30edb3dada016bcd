"""Successive halving, and the two bars that a prompt has to clear."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.search.choice import Gain, gain, is_better, length_cost
from optimizer.search.racing import rungs, survivors


@pytest.mark.parametrize(
    ("entrants", "cases", "expected"),
    [
        (1, 40, (40,)),
        (2, 40, (20, 40)),
        (3, 40, (10, 20, 40)),
        (4, 40, (10, 20, 40)),
        (5, 3, (1, 1, 2, 3)),
        (2, 1, (1, 1)),
    ],
)
def test_rungs_double_up_to_all_cases(entrants: int, cases: int, expected: tuple[int, ...]) -> None:
    assert rungs(entrants, cases) == expected


@given(st.integers(1, 9), st.integers(1, 30), st.data())
def test_who_is_best_on_every_case_is_never_dropped(count: int, cases: int, data: st.DataObject) -> None:
    best = data.draw(st.integers(0, count - 1))
    worse = st.lists(st.floats(0, 0.9), min_size=cases, max_size=cases)
    table = {str(n): [1.0] * cases if n == best else data.draw(worse) for n in range(count)}
    left = list(table)
    for size in rungs(count, cases):
        left = list(survivors({one: {f"c{k}": table[one][k] for k in range(size)} for one in left}))
    assert left == [str(best)]


def test_half_survives_in_the_order_given_and_ties_fall_to_the_earlier() -> None:
    assert survivors({"a": {"x": 0.0}, "b": {"x": 1.0}, "c": {"x": 0.5}, "d": {"x": 0.5}}) == ("b", "c")
    assert survivors({"a": {"x": 0.0}, "b": {"x": 1.0}, "c": {"x": 0.5}}) == ("b", "c")
    assert survivors({"a": {"x": 1.0}}) == ("a",)


def test_who_has_answered_fewer_cases_is_compared_on_these() -> None:
    assert survivors({"a": {"x": 0.0, "y": 1.0, "z": 1.0}, "b": {"x": 1.0}}) == ("b",)


def test_a_gain_is_counted_on_the_cases_of_both() -> None:
    found = gain({"a": 1.0, "b": 0.5, "new": 1.0}, {"a": 0.0, "b": 1.0, "old": 1.0})
    assert (found.total, found.cases, found.mean) == (0.5, 2, 0.25)
    assert gain({}, {"a": 1.0}) == Gain(total=0.0, error=0.0, cases=0)


@pytest.mark.parametrize(
    ("won", "lost", "proven"),
    [(0, 0, False), (1, 0, False), (2, 0, False), (3, 0, True), (4, 1, False), (6, 1, True), (0, 3, False)],
)
def test_luck_on_a_few_cases_proves_nothing(won: int, lost: int, proven: bool) -> None:
    old = {f"c{n}": float(n >= won) for n in range(won + lost + 5)}
    new = {f"c{n}": float(not won <= n < won + lost) for n in range(won + lost + 5)}
    assert gain(new, old).proven is proven


def total(value: float) -> Gain:
    return Gain(total=value, error=1.0, cases=10)


@pytest.mark.parametrize(
    ("validation", "training", "cost", "better"),
    [
        (1.0, 0.0, 0.05, True),  # a gain that is worth the length
        (0.3, 0.0, 0.05, False),  # one that is not
        (0.3, 1.0, 0.05, True),  # one that the training rows confirm
        (0.0, 1.0, 0.05, True),
        (0.0, 0.0, 0.05, False),
        (0.0, 0.0, -0.05, True),  # as good and shorter
        (-0.1, 5.0, -0.05, False),  # training rows do not outweigh a loss
    ],
)
def test_the_best_so_far_changes_for_a_reason(validation: float, training: float, cost: float, better: bool) -> None:
    assert is_better(total(validation), total(training), cost) is better
    assert not is_better(Gain(total=0.0, error=0.0, cases=0), total(training), -1.0)


def test_twice_the_length_costs_the_penalty() -> None:
    assert length_cost(200, 100, 0.01) == pytest.approx(0.01)
    assert length_cost(100, 200, 0.01) == pytest.approx(-0.01)
    assert length_cost(0, 0, 0.01) == 0.0
