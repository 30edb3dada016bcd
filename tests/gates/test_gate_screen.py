"""The screen: what passes, what ends it early, and how often it passes what is no better."""

import math
from random import Random

import pytest

from gates.rules import GateRules
from gates.screen import LOOKS, screen
from gates.statistics import binomial, e_below
from optimizer.proof import Finding, Gate
from optimizer.types import Pair, Verdict
from tests.gates.pair_samples import changed, pairs_of

RULES = GateRules()


def last_look(given: list[Pair], rules: GateRules = RULES) -> Finding:
    finding = screen(given, rules, last=True)
    assert finding is not None
    assert finding.gate is Gate.SCREEN
    return finding


def test_better_passes_at_the_last_look_only() -> None:
    given = changed(better=20, worse=5, same=75)
    assert screen(given, RULES, last=False) is None
    finding = last_look(given)
    assert finding.verdict is Verdict.PASS
    # variance (25 - 100 * .15^2) / 99 = .2298, standard error .0479
    assert "+15.0 points, 3.13 standard errors above none (0.84 are needed)" in finding.sentence
    assert "About 20% of candidates that are no better" in finding.sentence


def test_the_threshold_is_where_it_says() -> None:
    # b better, w worse of 100: z = (b - w) / sqrt((b + w - (b - w)^2 / 100) * 100 / 99)
    def z(better: int, worse: int) -> float:
        return (better - worse) / math.sqrt((better + worse - (better - worse) ** 2 / 100) * 100 / 99)

    assert z(13, 9) == pytest.approx(0.852, abs=0.001)
    assert z(14, 10) == pytest.approx(0.815, abs=0.001)
    assert last_look(changed(13, 9, 78)).verdict is Verdict.PASS
    short = last_look(changed(14, 10, 76))
    assert short.verdict is Verdict.UNDECIDED
    assert "+4.0 points, 0.82 standard errors; 0.84 are needed" in short.sentence


@pytest.mark.parametrize("last", [False, True])
def test_harm_ends_it_at_any_look(last: bool) -> None:
    given = changed(better=0, worse=9, same=20)
    assert e_below([-1.0] * 9 + [0.0] * 20) >= 10
    finding = screen(given, RULES, last=last)
    assert finding is not None
    assert (finding.verdict, finding.sentence) == (
        Verdict.FAIL,
        "The candidate answers worse than the current prompt.",
    )


def test_hopeless_candidates_end_early() -> None:
    given = changed(better=2, worse=3, same=195)
    finding = screen(given, RULES, last=False)
    assert finding is not None
    assert finding.verdict is Verdict.FAIL
    assert "gain of 5 points or more can be ruled out" in finding.sentence


def test_a_small_gain_that_is_clear_passes_at_the_last_look() -> None:
    assert last_look(changed(better=8, worse=0, same=392)).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("given", "verdict", "why"),
    [
        (
            pairs_of((0.5, 0.5), times=60),
            Verdict.FAIL,
            "No difference: both versions scored the same on each of 60 cases",
        ),
        (pairs_of((0.25, 0.5), times=60), Verdict.PASS, "+25.0 points. About"),
        (changed(3, 3, 54), Verdict.FAIL, "no better on 60 cases: +0.0 points"),
        (changed(3, 5, 52), Verdict.FAIL, "no better on 60 cases: -3.3 points"),
        (changed(30, 0, 19), Verdict.UNDECIDED, "49 judged cases, and 50 are needed; name a larger dataset"),
        ([], Verdict.UNDECIDED, "0 judged cases, and 50 are needed"),
        (pairs_of(("down", 1.0), times=60), Verdict.UNDECIDED, "0 judged cases, and 50 are needed"),
        (changed(7, 6, 387), Verdict.FAIL, "gain of 5 points or more can be ruled out"),
    ],
)
def test_last_looks(given: list[Pair], verdict: Verdict, why: str) -> None:
    finding = last_look(given)
    assert finding.verdict is verdict
    assert why in finding.sentence


def null_pass_rate(cases: int, churn: float) -> float:
    """The chance that a candidate passes that wins as often as it loses: every count of changed cases."""
    total = 0.0
    for differing in range(cases + 1):
        if (chance := binomial(differing, cases, churn)) < 1e-9:
            continue
        for better in range(differing + 1):
            found = last_look(changed(better, differing - better, cases - differing))
            total += (found.verdict is Verdict.PASS) * chance * binomial(better, differing, 0.5)
    return total


@pytest.mark.parametrize(("cases", "churn"), [(50, 0.02), (50, 0.1), (100, 0.02)])
def test_what_is_no_better_passes_about_once_in_five_times(cases: int, churn: float) -> None:
    assert 0.18 < null_pass_rate(cases, churn) < 0.28


def test_an_order_of_cases_changes_nothing() -> None:
    given = changed(14, 9, 77)
    shuffled = Random(1).sample(given, len(given))
    assert last_look(given) == last_look(shuffled)


def test_looks_double() -> None:
    assert LOOKS == (50, 100, 200, 400, 800)


@pytest.mark.parametrize("last", [True, False])
def test_an_evaluator_that_fits_no_reference_blames_nobody(last: bool) -> None:
    finding = screen(pairs_of((0.0, 0.0), times=200), RULES, last=last)
    assert finding is not None
    assert finding.verdict is Verdict.UNDECIDED
    assert finding.sentence == (
        "Every answer of both versions scored 0 on 200 cases: see whether the evaluator fits the references."
    )
    same = screen(pairs_of((0.0, 0.0), (1.0, 1.0), times=100), RULES, last=last)
    assert same is not None
    assert same.verdict is Verdict.FAIL
