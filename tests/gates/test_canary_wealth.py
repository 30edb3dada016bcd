"""The bet on tossed units: against its formula, its promises, and simulated streams."""

import math
from itertools import accumulate
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gates.canary.wealth import PRIOR_UNITS, Toss, Wealth, uneven, wealth
from gates.statistics import GRID
from optimizer.types import Missing

PRIOR = 0.8

tosses = st.lists(
    st.builds(Toss, candidate=st.booleans(), share=st.sampled_from([0.05, 0.1, 0.5, 0.9]), value=st.floats(0.0, 1.0)),
    max_size=40,
)
bounds = st.floats(-1.0, 1.0)


def by_hand(units: list[Toss], sign: int, bound: float) -> float:
    """The formula, factor by factor."""
    products = [1.0] * len(GRID)
    for place, one in enumerate(units):
        guess = (PRIOR_UNITS * PRIOR + sum(u.value for u in units[:place])) / (PRIOR_UNITS + place)
        p = one.share
        move = sign * (((1 if one.candidate else 0) - p) * (one.value - guess) - p * (1 - p) * bound)
        products = [product * (1 + bet * move) for product, bet in zip(products, GRID, strict=True)]
    return sum(products) / len(GRID)


def drawn(random: Random, count: int, *, base: float, effect: float, share: float = 0.5) -> list[Toss]:
    made = []
    for _ in range(count):
        candidate = random.random() < share
        value = float(random.random() < base + effect * candidate)
        made.append(Toss(candidate=candidate, share=share, value=value))
    return made


def test_without_units_there_is_no_evidence() -> None:
    none = wealth([], prior=PRIOR)
    assert (none.above(), none.below(), none.above(-0.5)) == (1.0, 1.0, 1.0)
    assert isinstance(none.effect, Missing)
    assert isinstance(none.interval(), Missing)


def test_one_unit_by_hand() -> None:
    one = wealth([Toss(candidate=True, share=0.1, value=1.0)], prior=0.8)
    assert one.gains == (pytest.approx(0.9 * 0.2),)
    assert one.weights == (pytest.approx(0.09),)
    assert one.effect == 1.0  # 2.0, which no effect can be
    assert one.above() == pytest.approx(1 + 0.18 * sum(GRID) / len(GRID))


def test_the_second_unit_is_compared_with_what_the_first_one_said() -> None:
    both = wealth([Toss(candidate=False, share=0.5, value=0.0), Toss(candidate=True, share=0.5, value=1.0)], prior=0.8)
    assert both.gains == (pytest.approx(-0.5 * -0.8), pytest.approx(0.5 * (1 - 8 / 11)))


@settings(deadline=None)
@given(tosses, bounds)
def test_evidence_is_the_mean_of_the_products(units: list[Toss], bound: float) -> None:
    seen = wealth(units, prior=PRIOR)
    assert seen.above(bound) == pytest.approx(by_hand(units, +1, bound), rel=1e-9)
    assert seen.below(bound) == pytest.approx(by_hand(units, -1, bound), rel=1e-9)


@settings(deadline=None)
@given(tosses, bounds, bounds)
def test_evidence_falls_as_the_bound_rises(units: list[Toss], one: float, other: float) -> None:
    low, high = sorted((one, other))
    seen = wealth(units, prior=PRIOR)
    assert seen.above(low) >= seen.above(high) * (1 - 1e-9)
    assert seen.below(high) >= seen.below(low) * (1 - 1e-9)


@settings(deadline=None)
@given(tosses.filter(bool))
def test_the_interval_holds_the_effect_and_all_that_is_not_ruled_out(units: list[Toss]) -> None:
    seen = wealth(units, prior=PRIOR)
    interval = seen.interval()
    assert not isinstance(interval, Missing)
    assert not isinstance(seen.effect, Missing)
    low, high = interval
    assert -1.0 <= low <= seen.effect <= high <= 1.0
    assert low == -1.0 or seen.above(low) >= 40.0 > seen.above(low + 2e-5)
    assert high == 1.0 or seen.below(high) >= 40.0 > seen.below(high - 2e-5)


def test_the_interval_is_too_wide_rather_than_too_narrow() -> None:
    seen = wealth(drawn(Random(4), 600, base=0.6, effect=0.2), prior=PRIOR)
    interval = seen.interval()
    assert not isinstance(interval, Missing)
    low, high = interval
    assert -1.0 < low < 0.2 < high < 1.0
    assert seen.above(low) >= 40.0
    assert seen.below(high) >= 40.0
    narrower = seen.interval(alpha=0.5)
    assert not isinstance(narrower, Missing)
    assert low < narrower[0] < narrower[1] < high


@settings(deadline=None)
@given(tosses)
def test_the_arms_may_be_swapped(units: list[Toss]) -> None:
    swapped = [Toss(candidate=not one.candidate, share=1 - one.share, value=one.value) for one in units]
    seen, other = wealth(units, prior=PRIOR), wealth(swapped, prior=PRIOR)
    assert seen.above() == pytest.approx(other.below())
    assert seen.below(0.03) == pytest.approx(other.above(-0.03))


@settings(deadline=None)
@given(tosses, st.integers(0, 40))
def test_later_units_do_not_change_what_was_bet_on_earlier_ones(units: list[Toss], first: int) -> None:
    assert wealth(units[:first], prior=PRIOR).gains == wealth(units, prior=PRIOR).gains[:first]


def test_a_replay_gives_the_same_bits_as_going_on() -> None:
    units = drawn(Random(3), 3000, base=0.8, effect=0.03)
    for seen in (1, 255, 256, 257, 3000):
        replayed = wealth(list(units)[:seen], prior=PRIOR)
        going_on = wealth(units, prior=PRIOR)
        cut = Wealth(gains=going_on.gains[:seen], weights=going_on.weights[:seen])
        assert (replayed.above(), replayed.below(0.03)) == (cut.above(), cut.below(0.03))


def test_a_hundred_thousand_units_neither_overflow_nor_vanish_into_an_error() -> None:
    units = [Toss(candidate=bool(place % 2), share=0.5, value=float(place % 2)) for place in range(100_000)]
    seen = wealth(units, prior=0.5)
    assert seen.above() == pytest.approx(math.exp(700))
    assert seen.below() == 0.0
    assert seen.above(1.0) < 10.0


@pytest.mark.parametrize(
    ("toss", "prior", "said"),
    [
        (Toss(candidate=True, share=0.5, value=1.1), 0.5, "value"),
        (Toss(candidate=True, share=0.5, value=math.nan), 0.5, "value"),
        (Toss(candidate=True, share=0.0, value=1.0), 0.5, "share"),
        (Toss(candidate=True, share=1.0, value=1.0), 0.5, "share"),
        (Toss(candidate=True, share=0.5, value=1.0), 1.5, "prior"),
    ],
)
def test_what_would_let_one_unit_ruin_a_bettor_is_refused(toss: Toss, prior: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        wealth([toss], prior=prior)


def test_uneven_shares_are_seen_in_both_directions() -> None:
    fair = [(bool(place % 10 == 0), 0.1) for place in range(400)]
    assert uneven([]) == 1.0
    assert uneven(fair) < 1.0
    assert uneven([(True, 0.5)] * 10) == pytest.approx(
        sum((1 + g / 2) ** 10 + (1 - g / 2) ** 10 for g in GRID) / len(GRID) / 2
    )
    assert uneven([(False, 0.5)] * 10) == uneven([(True, 0.5)] * 10)
    assert uneven([(bool(place % 5 == 0), 0.1) for place in range(400)]) > 100.0  # a fifth instead of a tenth
    assert uneven([(bool(place % 40 == 0), 0.1) for place in range(400)]) > 100.0


def ever(random: Random, *, tau: float, enough: float) -> bool:
    """Whether evidence gets there at any look while the weighted mean effect so far is none or negative.

    The base falls by 30 points, and the share changes because of what was seen.
    """
    units: list[Toss] = []
    for place in range(300):
        share = 0.1 if len(units) < 50 or sum(one.value for one in units[-30:]) > 27 else 0.5
        effect = tau if place < 100 else -tau
        units += drawn(random, 1, base=0.9 - place / 1000, effect=effect, share=share)
    seen = wealth(units, prior=PRIOR)
    earned = list(accumulate(one.share * (1 - one.share) * (tau if i < 100 else -tau) for i, one in enumerate(units)))
    return any(
        earned[n - 1] <= 1e-12 and Wealth(gains=seen.gains[:n], weights=seen.weights[:n]).above() >= enough
        for n in range(20, 301, 20)
    )


@pytest.mark.parametrize("tau", [0.0, 0.1])
def test_evidence_for_nothing_is_as_rare_as_promised(tau: float) -> None:
    random = Random(f"ville {tau}")
    runs = 500
    assert sum(ever(random, tau=tau, enough=10.0) for _ in range(runs)) <= 0.1 * runs
    if tau == 0.0:
        assert sum(ever(random, tau=tau, enough=2.0) for _ in range(100)) > 5  # the streams do move


def test_a_real_gain_is_found() -> None:
    random = Random(8)
    found = [wealth(drawn(random, 800, base=0.7, effect=0.15), prior=PRIOR).above() >= 50 for _ in range(40)]
    assert sum(found) >= 36


def test_the_interval_holds_the_truth_at_every_look() -> None:
    random = Random(9)
    missed = 0
    for _ in range(60):
        units = drawn(random, 400, base=0.7, effect=0.1, share=0.3)
        intervals = [wealth(units[:n], prior=PRIOR).interval() for n in (50, 150, 400)]
        missed += any(not isinstance(one, Missing) and not one[0] <= 0.1 <= one[1] for one in intervals)
    assert missed <= 3
