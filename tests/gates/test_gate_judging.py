"""Who judges the judge: repetition, order and people."""

from dataclasses import replace

import pytest

from gates.judging import judged, kappa, trusted
from gates.rules import GateRules
from optimizer.proof import Finding, Gate, JudgeReading
from optimizer.types import Arm, Evidence, Missing, Repeat, Shown, Swap, Verdict
from tests.gates.pair_samples import evidence_of

RULES = GateRules()
FIRST, SECOND, NEITHER = Shown.FIRST, Shown.SECOND, Shown.NEITHER


def shown(*orders: tuple[Shown, Shown]) -> Evidence:
    swaps = tuple(Swap(case_id=f"c{n}", forward=there, backward=back) for n, (there, back) in enumerate(orders))
    return replace(evidence_of([]), swaps=swaps)


def repeated(*scores: tuple[float, float]) -> Evidence:
    repeats = [Repeat(case_id=f"c{n}", arm=Arm.BASELINE, first=a, second=b) for n, (a, b) in enumerate(scores)]
    return replace(evidence_of([]), repeats=tuple(repeats))


def finding(reading: JudgeReading) -> Finding:
    found = trusted(reading, RULES)
    assert found.gate is Gate.JUDGE
    return found


def test_noise_by_hand() -> None:
    reading = judged("rubric", repeated((1.0, 0.8), (0.5, 0.5), (0.3, 0.7), (0.2, 0.2)), ())
    # squares .04 + 0 + .16 + 0, over twice four judgements
    assert reading.noise == pytest.approx((0.20 / 8) ** 0.5)
    assert reading.repeated == 4
    assert "4 answers got scores that typically differ by 22 points" in finding(reading).sentence


def test_order_by_hand() -> None:
    reading = judged(
        "pairwise",
        shown((FIRST, FIRST), (FIRST, SECOND), (SECOND, SECOND), (NEITHER, NEITHER), (FIRST, NEITHER), (FIRST, FIRST)),
        (),
    )
    assert (reading.swapped, reading.inconsistent, reading.first_preferred) == (6, 3, 2)


@pytest.mark.parametrize(("place", "word"), [(FIRST, "first"), (SECOND, "second")])
def test_a_judge_that_always_says_a_is_not_trusted(place: Shown, word: str) -> None:
    found = finding(judged("pairwise", shown(*[(place, place)] * 30), ()))
    assert found.verdict is Verdict.UNDECIDED
    assert f"prefers whichever answer is shown {word}: in 30 of 30 pairs" in found.sentence


@pytest.mark.parametrize(
    ("orders", "verdict"),
    [
        ([(FIRST, FIRST)] * 19, Verdict.PASS),  # too few pairs to say so
        ([(FIRST, FIRST)] * 7 + [(FIRST, SECOND)] * 13, Verdict.UNDECIDED),  # p = 1/128
        ([(FIRST, FIRST)] * 9 + [(FIRST, SECOND)] * 21, Verdict.PASS),  # 30%, which is not more than 30%
        ([(FIRST, FIRST)] * 6 + [(SECOND, SECOND)] + [(FIRST, SECOND)] * 13, Verdict.PASS),  # p = 8/128
        ([(SECOND, FIRST)] * 40, Verdict.PASS),  # always for the candidate
        ([(NEITHER, NEITHER)] * 40, Verdict.PASS),
    ],
)
def test_when_the_order_decides(orders: list[tuple[Shown, Shown]], verdict: Verdict) -> None:
    assert finding(judged("pairwise", shown(*orders), ())).verdict is verdict


def test_a_judge_that_changes_its_mind_without_a_side_is_weak() -> None:
    found = finding(judged("pairwise", shown(*[(FIRST, FIRST), (SECOND, SECOND)] * 15), ()))
    assert found.verdict is Verdict.PASS
    assert (
        "In 30 of 30 pairs the order in which answers were shown decided, without favouring a place: a weak judge"
        in (found.sentence)
    )


def test_kappa_by_hand() -> None:
    # 40 both good, 30 both bad, 20 good for people only, 10 for the judge only: agreed .7, by chance .6 * .5 + .4 * .5
    marks = [(0.9, 0.5)] * 40 + [(0.1, 0.4)] * 30 + [(0.5, 0.0)] * 20 + [(0.0, 1.0)] * 10
    assert kappa(marks) == pytest.approx((0.7 - 0.5) / (1 - 0.5))
    assert kappa([(1.0, 1.0), (0.0, 0.0)]) == 1.0
    assert kappa([(1.0, 0.0), (0.0, 1.0)]) == -1.0
    assert kappa([(1.0, 0.0), (1.0, 1.0), (0.0, 0.0), (0.0, 1.0)]) == 0.0


@pytest.mark.parametrize("marks", [[], [(1.0, 1.0)] * 40, [(0.0, 0.2)] * 40])
def test_agreement_is_missing_where_nothing_could_differ(marks: list[tuple[float, float]]) -> None:
    reading = judged("rubric", evidence_of([]), marks)
    assert reading.agreement is Missing.NOT_RECORDED
    assert finding(reading).verdict is Verdict.PASS


BLIND = [(1.0, 0.0), (1.0, 1.0), (0.0, 0.0), (0.0, 1.0)]


def test_a_judge_below_the_floor_does_not_decide() -> None:
    found = finding(judged("rubric", evidence_of([]), BLIND * 8))
    assert found.verdict is Verdict.UNDECIDED
    assert "agreement beyond chance is 0.00 on 32 answers that people scored, too; 0.20 is the least" in found.sentence


def test_few_human_scores_are_told_and_hold_nothing_back() -> None:
    found = finding(judged("rubric", evidence_of([]), BLIND * 7))
    assert found.verdict is Verdict.PASS
    assert found.sentence == (
        "No answer was judged twice. Whether people would agree is not known: 28 answers have a person's score, 30 are "
        "needed."
    )


def test_a_good_judge() -> None:
    marks = [(1.0, 1.0), (0.0, 0.0)] * 20
    assert (
        "Agreement with people beyond chance is 1.00 on 40 answers."
        in finding(judged("rubric", evidence_of([]), marks)).sentence
    )
