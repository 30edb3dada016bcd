"""The betting e-process: against its formula, its promises, and simulated streams."""

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gates.statistics import GRID, e_above, e_below, interval

differences = st.lists(st.floats(-1, 1), max_size=40)


def test_worked_examples() -> None:
    assert e_above([]) == 1.0
    assert e_above([1.0]) == pytest.approx(1 + sum(GRID) / len(GRID))
    assert e_above([1.0] * 9) == pytest.approx(sum((1 + g) ** 9 for g in GRID) / len(GRID))
    assert e_above([1.0, -1.0]) < 1.0
    assert e_above([1.0] * 5000) == pytest.approx(math.exp(700))


@settings(deadline=None)
@given(differences)
def test_evidence_is_the_mean_of_the_products(values: list[float]) -> None:
    oracle = sum(math.prod(1 + g * value for value in values) for g in GRID) / len(GRID)
    assert e_above(values) == pytest.approx(oracle)
    assert e_below(values) == pytest.approx(sum(math.prod(1 - g * v for v in values) for g in GRID) / len(GRID))


@settings(deadline=None)
@given(differences, st.floats(-1, 1), st.floats(-1, 1))
def test_evidence_falls_as_the_bound_rises(values: list[float], one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert e_above(values, low) >= e_above(values, high) * (1 - 1e-9)


@settings(deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30))
def test_the_interval_holds_the_mean_and_mirrors(values: list[float]) -> None:
    low, high = interval(values)
    mean = sum(values) / len(values)
    assert -1.0 <= low <= mean + 1e-6
    assert mean - 1e-6 <= high <= 1.0
    mirrored = interval([-value for value in values])
    assert mirrored == pytest.approx((-high, -low), abs=1e-5)
    assert e_above(values, low) >= 40 or low == -1.0
    assert e_below(values, high) >= 40 or high == 1.0


def test_the_interval_without_cases_is_everything() -> None:
    assert interval([]) == (-1.0, 1.0)


@pytest.mark.parametrize("value", [1.01, -1.01, math.nan, math.inf])
def test_a_difference_outside_the_range_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        e_above([0.0, value])


def flips(random: Random, *, better: float, worse: float, n: int) -> list[float]:
    """Pairs of pass/fail scores: the candidate wins with one chance and loses with another."""
    return random.choices((1.0, -1.0, 0.0), weights=(better, worse, 1 - better - worse), k=n)


def test_null_streams_seldom_reach_the_threshold_however_often_one_looks() -> None:
    random = Random(20)
    streams = [flips(random, better=0.12, worse=0.12, n=120) for _ in range(2000)]
    crossed = sum(any(e_above(stream[:n]) >= 20 for n in range(10, 121, 10)) for stream in streams)
    assert crossed <= 0.05 * len(streams)
    assert crossed > 0  # the streams do move: a test that cannot reach the threshold would prove nothing


def test_real_gains_reach_it() -> None:
    random = Random(21)
    found = sum(e_above(flips(random, better=0.20, worse=0.05, n=200)) >= 20 for _ in range(200))
    assert found >= 0.9 * 200


def test_the_interval_covers_the_truth_at_every_look() -> None:
    random = Random(22)
    missed = 0
    for _ in range(60):
        stream = flips(random, better=0.2, worse=0.1, n=150)
        spans = [interval(stream[:n]) for n in (25, 75, 150)]
        missed += any(not low <= 0.1 <= high for low, high in spans)
    assert missed <= 0.05 * 60
