"""Pairs in numbers."""

import pytest

from gates.comparison import compared, differences
from optimizer.proof import Comparison
from optimizer.types import Missing
from tests.gates.pair_samples import pairs_of


def test_numbers_by_hand() -> None:
    numbers = compared(pairs_of((0.0, 1.0), (0.5, 0.25), (1.0, 1.0), ("judge down", 1.0), (0.0, "judge down")))
    assert (numbers.scored, numbers.unscored, numbers.better, numbers.worse) == (3, 2, 1, 1)
    assert (numbers.baseline_mean, numbers.candidate_mean, numbers.effect) == pytest.approx((0.5, 0.75, 0.25))
    # variance of 1, -1/4, 0 around 1/4 is (9/16 + 4/16 + 1/16) / 2 = 7/16
    assert numbers.z == pytest.approx(0.25 / (7 / 16 / 3) ** 0.5)
    assert not isinstance(numbers.interval, Missing)
    assert numbers.interval[0] < 0.25 < numbers.interval[1]


def test_only_pairs_with_both_scores_differ() -> None:
    assert differences(pairs_of((0.25, 1.0), (1.0, "down"), ("down", 1.0), (1.0, 0.5))) == (0.75, -0.5)


def test_the_last_bits_of_a_mean_are_no_difference() -> None:
    numbers = compared(pairs_of((0.3, 0.1 + 0.2), (0.1 + 0.2, 0.3), times=30))
    assert (numbers.better, numbers.worse, numbers.effect, numbers.z) == (0, 0, 0.0, Missing.NOT_RECORDED)


def test_without_pairs_the_numbers_are_missing() -> None:
    missing = Missing.NOT_RECORDED
    assert compared([]) == Comparison(
        scored=0,
        unscored=0,
        baseline_mean=missing,
        candidate_mean=missing,
        effect=missing,
        interval=missing,
        z=missing,
        better=0,
        worse=0,
    )
    assert compared(pairs_of(("down", "down"), times=4)).unscored == 4
