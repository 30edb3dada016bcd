"""Slices: what blocks, what is too small to say, and that no slice is ever called fine."""

from itertools import product

import pytest

from gates.power import smallest_loss
from gates.rules import GateRules
from gates.slices import LONGEST_TAG, MOST, confirmed, doubted, sliced, slices
from gates.statistics import sign_test
from optimizer.proof import Gate, SliceReading
from optimizer.types import Pair, Verdict
from tests.gates.pair_samples import a_pair, changed, pairs_of

RULES = GateRules()


def reading_of(pairs: list[Pair], name: str = "language:de") -> SliceReading:
    (found,) = (reading for reading in slices(pairs, RULES) if reading.name == name)
    return found


def test_a_reading_by_hand() -> None:
    reading = reading_of(changed(2, 7, 31, ("language:de",)))
    assert (reading.cases, reading.better, reading.worse, reading.verdict) == (40, 2, 7, Verdict.FAIL)
    assert reading.effect == pytest.approx(-5 / 40)
    assert reading.p_worse == pytest.approx((36 + 9 + 1) / 2**9)  # seven, eight or nine tails of nine
    assert reading.smallest_loss == smallest_loss(40, 9 / 40, 0.1)


@pytest.mark.parametrize(
    ("better", "worse", "same", "verdict"),
    [
        (0, 4, 36, Verdict.FAIL),  # p = 1/16, 10 points
        (0, 3, 37, Verdict.PASS),  # p = 1/8
        (0, 4, 76, Verdict.PASS),  # 5 points are not more than 5
        (0, 5, 75, Verdict.FAIL),
        (2, 6, 32, Verdict.PASS),  # p = 37/256
        (0, 19, 0, Verdict.UNDECIDED),
        (0, 20, 0, Verdict.FAIL),
        (5, 0, 35, Verdict.PASS),
        (0, 0, 40, Verdict.PASS),
    ],
)
def test_what_blocks(better: int, worse: int, same: int, verdict: Verdict) -> None:
    assert reading_of(changed(better, worse, same, ("language:de",))).verdict is verdict


def test_a_case_counts_in_each_of_its_slices_and_once_in_each() -> None:
    readings = slices(
        [a_pair("c", 0.0, 1.0, ("language:de", "vip", "language:de", " vip ", "a:b:c", ":x", "x:"))], RULES
    )
    assert {reading.name: reading.cases for reading in readings} == {
        "language:de": 1,
        "tag:vip": 1,
        "a:b:c": 1,
        "tag::x": 1,
        "tag:x:": 1,
    }


def test_unscored_pairs_count_in_no_slice() -> None:
    assert slices(pairs_of(("down", 1.0), (1.0, "down"), tags=("language:de",)), RULES) == ()


def test_a_tag_of_a_megabyte_names_a_slice_in_a_few_words() -> None:
    (reading,) = slices([a_pair("c", 0.0, 1.0, ("x" * 1_000_000,))], RULES)
    assert len(reading.name) <= LONGEST_TAG + len("tag:")


def many(slices_of_them: int, worse: int) -> list[Pair]:
    return [pair for n in range(slices_of_them) for pair in changed(0, worse, 40 - worse, (f"tenant:{n}",))]


def test_beyond_five_slices_p_values_are_corrected() -> None:
    five, six = slices(many(5, 4), RULES), slices(many(6, 4), RULES)
    assert [reading.p_worse for reading in five] == pytest.approx([1 / 16] * 5)
    assert [reading.p_worse for reading in six] == pytest.approx([6 / 16] * 6)
    assert {reading.verdict for reading in five} == {Verdict.FAIL}
    assert {reading.verdict for reading in six} == {Verdict.PASS}


def test_slices_that_are_too_small_do_not_count_for_the_correction() -> None:
    small = [pair for n in range(50) for pair in changed(1, 0, 3, (f"user:{n}",))]
    readings = slices([*many(5, 4), *small], RULES)
    assert [reading.verdict for reading in readings] == [Verdict.FAIL] * 5 + [Verdict.UNDECIDED] * 50
    assert {reading.smallest_loss for reading in readings[5:]} == {1.0}


def test_the_worst_comes_first_and_the_order_of_cases_changes_nothing() -> None:
    pairs = [
        *changed(3, 3, 30, ("language:en",)),
        *changed(1, 3, 30, ("language:fr",)),
        *changed(0, 1, 3, ("language:zu",)),
        *changed(0, 9, 30, ("language:de",)),
    ]
    readings = slices(pairs, RULES)
    assert [reading.name for reading in readings] == ["language:de", "language:fr", "language:en", "language:zu"]
    assert slices(pairs[::-1], RULES) == readings


def test_a_block_fails_and_names_the_slice() -> None:
    finding = sliced(slices(changed(2, 7, 31, ("language:de",)), RULES), RULES)
    assert (finding.gate, finding.verdict) == (Gate.SLICES, Verdict.FAIL)
    assert finding.sentence == (
        "The candidate is worse on part of the cases: language:de -12.5 points on 40 cases (better on 2, worse on 7)."
    )


def test_a_pass_says_what_would_have_gone_unseen() -> None:
    pairs = [*changed(2, 3, 35, ("language:de",)), *changed(0, 1, 3, ("language:zu",))]
    readings = slices(pairs, RULES)
    finding = sliced(readings, RULES)
    assert finding.verdict is Verdict.PASS
    assert finding.sentence == (
        "No slice is shown to be worse by more than 5 points. The lowest: language:de -2.5 points on 40 cases (better "
        f"on 2, worse on 3), where a loss of less than {100 * readings[0].smallest_loss:.0f} points may go unseen. "
        "1 slice has fewer than 20 cases: too few."
    )


def test_without_slices_it_says_so() -> None:
    assert "No case carries a tag" in sliced((), RULES).sentence
    few = sliced(slices(changed(0, 19, 0, ("vip",)), RULES), RULES)
    assert (few.verdict, "Too few cases in every slice (1 in all)" in few.sentence) == (Verdict.PASS, True)


def block_rate(cases: int, up: float, down: float) -> float:
    """The chance that one slice blocks: every count of better and worse cases, asked of the rule itself."""
    from_scores = {(1, 0): up, (0, 1): down, (0, 0): 1 - up - down}
    chances: dict[tuple[int, int], float] = {(0, 0): 1.0}
    for _ in range(cases):
        more: dict[tuple[int, int], float] = {}
        for (better, worse), ((b, w), p) in product(chances, from_scores.items()):
            more[better + b, worse + w] = more.get((better + b, worse + w), 0.0) + chances[better, worse] * p
        chances = more
    return sum(
        chance
        for (better, worse), chance in chances.items()
        if (better - worse) / cases < -RULES.slice_loss and sign_test(better, worse) < RULES.slice_p
    )


def test_how_often_a_slice_blocks() -> None:
    assert block_rate(40, 0.05, 0.05) < 0.03  # a candidate that changes nothing there
    assert block_rate(80, 0.10, 0.10) < 0.07
    assert block_rate(80, 0.05, 0.15) > 0.6  # one that loses ten points
    assert block_rate(40, 0.05, 0.25) > 0.8  # one that loses twenty


def test_a_slice_that_seems_to_have_lost_is_decided_by_fresh_answers() -> None:
    lost = changed(0, 15, 15, ("lost",))
    first = slices([*lost, *changed(9, 0, 21, ("fine",))], RULES)
    assert len(doubted(lost, first)) == 30
    assert doubted(changed(9, 0, 21, ("fine",)), first) == ()
    same_again = confirmed(first, changed(0, 12, 18, ("lost",)), RULES)
    assert [(reading.name, reading.verdict, reading.worse) for reading in same_again] == [
        ("tag:lost", Verdict.FAIL, 12),
        ("tag:fine", Verdict.PASS, 0),
    ]
    assert confirmed(first, changed(4, 5, 21, ("lost",)), RULES)[0].verdict is Verdict.PASS
    unclear = confirmed(first, changed(0, 12, 3, ("lost",)), RULES)
    assert unclear[0].verdict is Verdict.UNDECIDED
    finding = sliced(unclear, RULES)
    assert finding.verdict is Verdict.UNDECIDED, "a loss that could not be looked at again is no pass"
    assert finding.sentence.startswith("The candidate may be worse on part of the cases")


def test_of_very_many_slices_the_largest_are_read() -> None:
    pairs = [pair for number in range(150) for pair in changed(0, 0, 1 + (number < 5), (f"order-{number:03}",))]
    readings = slices(pairs, RULES)
    assert len(readings) == MOST
    assert {f"tag:order-{number:03}" for number in range(5)} <= {reading.name for reading in readings}
