"""Cost, latency and length: not much more than before, as far as anybody measured."""

import math
from dataclasses import replace
from random import Random

import pytest

from gates.resources import resourced, resources
from gates.rules import GateRules
from optimizer.proof import Gate, ResourceReading
from optimizer.types import Arm, Missing, Pair, Verdict
from tests.gates.pair_samples import a_pair, an_answer

RULES = GateRules(cost_margin=1.10, latency_margin=1.25, length_margin=1.25)


def pairs_with(*ratios: float, seconds: float = 0.2) -> list[Pair]:
    """Pairs whose candidate took this many times as much, in everything."""
    return [
        replace(
            a_pair(f"c{n:03}", 1.0, 1.0),
            baseline=an_answer("c", Arm.BASELINE, 1.0, cost_usd=0.001, latency_s=seconds, output="x" * 1000),
            candidate=an_answer(
                "c", Arm.CANDIDATE, 1.0, cost_usd=0.001 * r, latency_s=seconds * r, output="x" * round(1000 * r)
            ),
        )
        for n, r in enumerate(ratios)
    ]


def verdicts(pairs: list[Pair]) -> list[Verdict]:
    return [reading.verdict for reading in resources(pairs, RULES)]


def test_numbers_by_hand() -> None:
    cost, latency, length = resources(pairs_with(*[1.25, 0.8] * 50), RULES)
    assert [reading.gate for reading in (cost, latency, length)] == [Gate.COST, Gate.LATENCY, Gate.LENGTH]
    assert cost.ratio == pytest.approx(1.0)
    assert not isinstance(cost.interval, Missing)
    # log ratios of +-log 1.25 deviate by log 1.25 * sqrt(100 / 99); Student's 95% point at 99 degrees is 1.6604
    half = 1.6604 * math.log(1.25) * math.sqrt(100 / 99) / 10
    assert cost.interval == pytest.approx((math.exp(-half), math.exp(half)), rel=1e-4)
    assert (cost.baseline_mean, cost.candidate_mean) == pytest.approx((0.001, 0.001025))
    assert (length.baseline_mean, length.margin, length.unit) == (1000.0, 1.25, "characters")


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([1.0] * 20, [Verdict.PASS] * 3),
        ([1.09] * 20, [Verdict.PASS] * 3),
        ([1.11] * 20, [Verdict.FAIL, Verdict.PASS, Verdict.PASS]),
        ([1.5] * 20, [Verdict.FAIL] * 3),
        ([0.5] * 20, [Verdict.PASS] * 3),
        ([0.5, 2.2] * 10, [Verdict.UNDECIDED] * 3),
        ([1.5] * 19, [Verdict.PASS] * 3),
        ([], [Verdict.PASS] * 3),
    ],
)
def test_verdicts(ratios: list[float], expected: list[Verdict]) -> None:
    assert verdicts(pairs_with(*ratios)) == expected


def told(pairs: list[Pair]) -> dict[Gate, str]:
    return {reading.gate: resourced(reading, pairs).sentence for reading in resources(pairs, RULES)}


def test_sentences() -> None:
    assert told(pairs_with(*[1.05] * 30))[Gate.COST] == (
        "The cost of an answer stays within what is tolerated: 1.05 times the current prompt's (90% interval 1.05 "
        "to 1.05; up to 1.10 is tolerated)."
    )
    assert told(pairs_with(*[1.5] * 30))[Gate.LATENCY].startswith("The time to answer rises too far: 1.50 times")
    assert "may rise too far, more cases are needed" in told(pairs_with(*[0.5, 2.2] * 10))[Gate.LENGTH]
    assert told([])[Gate.LENGTH] == "The length of an answer was not compared: 0 of 0 cases have it for both versions."


def test_what_was_not_priced_or_waited_for_is_told_and_holds_nothing_back() -> None:
    pairs = [
        replace(
            pair,
            baseline=replace(pair.baseline, latency_s=Missing.NOT_RECORDED),
            candidate=replace(pair.candidate, usage=replace(pair.candidate.usage, cost_usd=Missing.NOT_PRICED)),
        )
        for pair in pairs_with(*[3.0] * 40)
    ]
    cost, latency, length = resources(pairs, RULES)
    assert (cost.verdict, latency.verdict, length.verdict) == (Verdict.PASS, Verdict.PASS, Verdict.FAIL)
    assert cost.ratio is cost.interval is Missing.NOT_RECORDED
    assert (
        resourced(cost, pairs).sentence
        == "The cost of an answer was not compared: 0 of 40 cases have it for both versions."
    )


def test_free_instant_and_empty_answers_are_left_out_and_counted() -> None:
    nothing = replace(
        a_pair("z", 1.0, 0.0),
        baseline=an_answer("z", Arm.BASELINE, 1.0, cost_usd=0.0, latency_s=0.0, output=""),
        candidate=an_answer("z", Arm.CANDIDATE, 0.0, cost_usd=0.0, latency_s=0.0, output=""),
    )
    pairs = [*pairs_with(*[1.0] * 30), nothing, nothing]
    assert verdicts(pairs) == [Verdict.PASS] * 3
    assert "30 of 32 cases have it" in told(pairs)[Gate.LENGTH]
    assert verdicts([nothing] * 40) == [Verdict.PASS] * 3


def test_a_cost_beyond_the_margin_seldom_passes() -> None:
    random, passed = Random(40), 0
    for _ in range(400):  # true ratio: exactly the margin
        ratios = [1.10 * math.exp(random.gauss(0.0, 0.3)) for _ in range(25)]
        reading: ResourceReading = resources(pairs_with(*ratios), RULES)[0]
        passed += reading.verdict is Verdict.PASS
    assert 0 < passed <= 34  # 5% of 400 are 20; more than 34 happen once in a thousand such tests
