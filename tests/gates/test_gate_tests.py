"""The tests beside the bet: worked by hand, and against every outcome counted one by one."""

import math
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gates.power import LIKELY, smallest_loss
from gates.statistics import at_least, holm, sign_test, z_score
from optimizer.types import Missing


def test_z_by_hand() -> None:
    # mean 1/2, variance ((1/2)^2 * 2 + 0) / 2 = 1/4 of three values 0, 1/2, 1; standard error = (1/2) / sqrt(3)
    assert z_score([0.0, 0.5, 1.0]) == pytest.approx(math.sqrt(3))
    assert z_score([-1.0, 1.0]) == 0.0


@pytest.mark.parametrize("same", [[], [0.5], [0.0] * 9, [1.0] * 9])
def test_where_nothing_varies_there_are_no_standard_errors(same: list[float]) -> None:
    assert z_score(same) is Missing.NOT_RECORDED


@settings(deadline=None)
@given(st.integers(0, 12), st.integers(-1, 13), st.floats(0, 1))
def test_the_tail_is_every_outcome_added_up(tries: int, wanted: int, chance: float) -> None:
    outcomes = (
        math.comb(tries, hits) * chance**hits * (1 - chance) ** (tries - hits)
        for hits in range(max(0, wanted), tries + 1)
    )
    assert at_least(wanted, tries, chance) == pytest.approx(sum(outcomes), abs=1e-12)


def test_the_tail_of_many_tries() -> None:
    exact = sum(math.comb(800, hits) for hits in range(430, 801)) / 2**800
    assert at_least(430, 800, 0.5) == pytest.approx(exact, rel=1e-9)
    assert at_least(370, 800, 0.5) == pytest.approx(1 - sum(math.comb(800, hits) for hits in range(370)) / 2**800)


@pytest.mark.parametrize(
    ("better", "worse", "p"),
    [(0, 0, 1.0), (0, 3, 1 / 8), (0, 4, 1 / 16), (1, 4, 6 / 32), (5, 0, 1.0), (2, 2, 11 / 16)],
)
def test_the_sign_test_counts_coin_tosses(better: int, worse: int, p: float) -> None:
    assert sign_test(better, worse) == pytest.approx(p)
    tosses = list(product((0, 1), repeat=better + worse))
    assert p == pytest.approx(sum(sum(toss) >= worse for toss in tosses) / len(tosses))


def test_holm_by_hand() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx((0.06, 0.03, 0.06))
    assert holm([0.5, 0.9]) == (1.0, 1.0)
    assert holm([]) == ()


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0.001, 0.5))
def test_holm_rejects_what_its_steps_reject(ps: list[float], alpha: float) -> None:
    rejected = 0
    for rank, p in enumerate(sorted(ps)):  # the procedure as it was published: step down until one holds
        if p * (len(ps) - rank) > alpha:
            break
        rejected += 1
    assert sum(p <= alpha for p in holm(ps)) == rejected


def power(cases: int, churn: float, loss: float, p: float, least: float) -> float:
    """The chance that a slice shows a loss: every count of better and worse cases."""
    churn = max(churn, loss)
    up, down = (churn - loss) / 2, (churn + loss) / 2
    total = 0.0
    for better in range(cases + 1):
        for worse in range(cases + 1 - better):
            if (worse - better) / cases > least and sign_test(better, worse) < p:
                ways = math.comb(cases, better) * math.comb(cases - better, worse)
                total += ways * up**better * down**worse * (1 - churn) ** (cases - better - worse)
    return total


@pytest.mark.parametrize(("cases", "churn"), [(20, 0.0), (20, 0.3), (35, 0.1), (50, 0.2)])
def test_the_smallest_loss_is_where_the_chance_reaches_eight_in_ten(cases: int, churn: float) -> None:
    loss = smallest_loss(cases, churn, 0.1)
    assert power(cases, churn, loss, 0.1, 0.05) >= LIKELY - 1e-9
    assert power(cases, churn, loss - 0.003, 0.1, 0.05) < LIKELY


def test_a_smaller_step_of_scores_makes_smaller_losses_visible_but_none_below_the_rule() -> None:
    whole, half = smallest_loss(60, 0.3, 0.1), smallest_loss(60, 0.3, 0.1, size=0.5)
    assert 0.05 < half < whole
    assert smallest_loss(60, 0.9, 0.1, size=0.1) > 0.05


def test_three_cases_show_nothing() -> None:
    assert smallest_loss(3, 0.5, 0.1) == 1.0
    assert smallest_loss(60, 0.3, 0.1, size=0.04) == 1.0  # all cases worse by .04 is less than the .05 of the rule


@settings(deadline=None)
@given(st.integers(4, 60), st.floats(0, 1), st.floats(0.05, 1))
def test_a_smallest_loss_is_a_loss(cases: int, churn: float, size: float) -> None:
    assert 0.0 < smallest_loss(cases, churn, 0.1, size=size) <= 1.0
