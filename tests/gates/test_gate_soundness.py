"""Evidence that is not all there holds a verdict back."""

import pytest

from gates.rules import GateRules
from gates.soundness import sound
from optimizer.proof import Finding, Gate
from optimizer.types import Missing, Verdict
from tests.gates.pair_samples import Score, evidence_of, pairs_of

GOOD: tuple[Score, Score] = (1.0, 1.0)
RULES = GateRules()


def looked_at(*scores: tuple[Score, Score], note: str = "", replayable: float | Missing = 0.9) -> Finding:
    return sound(evidence_of(pairs_of(*scores), note=note), RULES, replayable=replayable)


def test_all_there() -> None:
    finding = looked_at(*[GOOD] * 60)
    assert (finding.gate, finding.verdict) == (Gate.EVIDENCE, Verdict.PASS)
    assert finding.sentence == "Both versions answered 60 cases in the same run with the same model."


@pytest.mark.parametrize(
    ("finding", "why"),
    [
        (looked_at(*[GOOD] * 60, note="promptfoo stopped"), "did not run to its end (promptfoo stopped)"),
        (looked_at(*[GOOD] * 60, note="It stopped; start it."), "did not run to its end (It stopped; start it)."),
        (looked_at(*[GOOD] * 97, *[("down", "down")] * 3), "3 of 100 cases could not be judged (down); at most 2%"),
        (looked_at(*[GOOD] * 30, ("down", 1.0)), "1 of 31 cases could not"),
        (
            looked_at(*[GOOD] * 394, *[(1.0, "slow")] * 6),
            "0 only of the current prompt, 6 only of the candidate (slow)",
        ),
        (
            looked_at(*[GOOD] * 394, *[("slow", 1.0)] * 6),
            "6 only of the current prompt, 0 only of the candidate (slow)",
        ),
        (looked_at(*[GOOD] * 60, replayable=0.49), "Only 49% of the recorded inputs"),
    ],
)
def test_what_holds_back(finding: Finding, why: str) -> None:
    assert finding.verdict is Verdict.UNDECIDED
    assert why in finding.sentence


@pytest.mark.parametrize(
    "finding",
    [
        looked_at(*[GOOD] * 98, *[("down", "down")] * 2),
        looked_at(
            *[GOOD] * 395, *[(1.0, "slow")] * 5
        ),  # a coin falls five times on one side in 1 of 16 rows: p = .0625
        looked_at(*[GOOD] * 492, *[(1.0, "slow")] * 5, *[("slow", 1.0)] * 3),
        looked_at(*[GOOD] * 60, replayable=0.5),
        looked_at(*[GOOD] * 60, replayable=Missing.NOT_RECORDED),
    ],
)
def test_what_does_not(finding: Finding) -> None:
    assert finding.verdict is Verdict.PASS


def test_no_case_at_all_is_not_the_evidence_s_fault() -> None:
    assert looked_at().verdict is Verdict.PASS


def test_the_commonest_trouble_is_named() -> None:
    assert "(judge down)" in looked_at(*[GOOD] * 9, (1.0, "slow"), *[("judge down", 1.0)] * 2).sentence
