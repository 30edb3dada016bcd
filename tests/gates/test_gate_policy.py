"""Findings come to one verdict, and the default is no change."""

from itertools import product

import pytest

from gates.comparison import compared
from gates.policy import decide
from optimizer.proof import CaseCount, Claim, Finding, Gate, GateReport, Proof
from optimizer.types import Usage, Verdict
from tests.gates.pair_samples import changed, evidence_of

PASS, FAIL, UNDECIDED = Verdict.PASS, Verdict.FAIL, Verdict.UNDECIDED
EVIDENCE = evidence_of(changed(20, 5, 75))


def found(gate: Gate, verdict: Verdict = PASS, sentence: str = "") -> Finding:
    return Finding(gate=gate, verdict=verdict, sentence=sentence or f"The {gate} says {verdict}.")


SOUND, SCREENED = found(Gate.EVIDENCE), found(Gate.SCREEN)


def decided(*findings: Finding, needs: Proof = Proof.SCREENED) -> GateReport:
    return decide(findings, needs=needs, evidence=EVIDENCE)


def test_a_screen_without_a_claim_passes_unproven_and_says_so() -> None:
    report = decided(SCREENED, SOUND, found(Gate.SLICES))
    assert (report.verdict, report.proof) == (PASS, Proof.SCREENED)
    assert report.reasons[0] == "Passed (screened, not proven): the screen says pass."
    assert [finding.gate for finding in report.findings] == [Gate.EVIDENCE, Gate.SCREEN, Gate.SLICES]


def test_a_claim_proves() -> None:
    report = decided(SOUND, SCREENED, found(Gate.CLAIM), needs=Proof.PROVEN)
    assert (report.verdict, report.proof) == (PASS, Proof.PROVEN)
    assert report.reasons[0] == "Passed (proven): the claim says pass."


@pytest.mark.parametrize(("claim", "verdict"), [(UNDECIDED, UNDECIDED), (FAIL, FAIL)])
def test_a_claim_that_is_not_a_pass_leaves_it_screened(claim: Verdict, verdict: Verdict) -> None:
    report = decided(SOUND, SCREENED, found(Gate.CLAIM, claim), needs=Proof.PROVEN)
    assert (report.verdict, report.proof) == (verdict, Proof.SCREENED)


def test_a_proof_that_was_asked_for_and_not_made_is_undecided() -> None:
    report = decided(SOUND, SCREENED, needs=Proof.PROVEN)
    assert (report.verdict, report.proof) == (UNDECIDED, Proof.SCREENED)
    assert report.reasons[0] == "Undecided: screened, not proven: a proof is asked for, and none was made."


@pytest.mark.parametrize("findings", [(), (SOUND,), (SCREENED,), (found(Gate.GUARD),), (SOUND, found(Gate.CLAIM))])
def test_what_nobody_looked_at_is_no_pass(findings: tuple[Finding, ...]) -> None:
    report = decided(*findings)
    assert (report.verdict, report.proof) == (UNDECIDED, Proof.NONE)


def test_a_claim_without_a_screen_shows_nothing() -> None:
    assert decided(SOUND, found(Gate.CLAIM, FAIL)).proof is Proof.NONE


GROUNDS = {Gate.EVIDENCE, Gate.JUDGE}


@pytest.mark.parametrize("gate", [gate for gate in Gate if gate not in GROUNDS])
def test_any_fail_fails_and_any_undecided_holds_back(gate: Gate) -> None:
    others = [found(other) for other in Gate if other is not gate]
    failed, held = decided(*others, found(gate, FAIL)), decided(*others, found(gate, UNDECIDED))
    assert (failed.verdict, held.verdict) == (FAIL, UNDECIDED)
    assert failed.reasons[0] == f"Failed: the {gate} says fail."
    assert held.reasons[0] == f"Undecided: the {gate} says undecided."
    assert Proof.PROVEN not in (failed.proof, held.proof)


ALL = tuple(product(Verdict, repeat=4))


@pytest.mark.parametrize("verdicts", ALL)
def test_only_passes_pass(verdicts: tuple[Verdict, ...]) -> None:
    gates = (Gate.EVIDENCE, Gate.SCREEN, Gate.ANCHORS, Gate.JUDGE)
    report = decided(*(found(gate, verdict) for gate, verdict in zip(gates, verdicts, strict=True)))
    assert (report.verdict is PASS) == (set(verdicts) == {PASS})
    assert (report.proof is Proof.NONE) == (set(verdicts) != {PASS})


@pytest.mark.parametrize(
    ("ground", "failing", "verdict"),
    [
        (Gate.JUDGE, Gate.SCREEN, UNDECIDED),
        (Gate.JUDGE, Gate.CLAIM, UNDECIDED),
        (Gate.JUDGE, Gate.SLICES, UNDECIDED),
        (Gate.JUDGE, Gate.ANCHORS, UNDECIDED),
        (Gate.JUDGE, Gate.SAFETY, FAIL),
        (Gate.JUDGE, Gate.GUARD, FAIL),
        (Gate.JUDGE, Gate.COST, FAIL),
        (Gate.EVIDENCE, Gate.SCREEN, UNDECIDED),
        (Gate.EVIDENCE, Gate.COST, UNDECIDED),
        (Gate.EVIDENCE, Gate.ANCHORS, FAIL),
        (Gate.EVIDENCE, Gate.GUARD, FAIL),
    ],
)
def test_a_fail_counts_when_what_it_rests_on_stands(ground: Gate, failing: Gate, verdict: Verdict) -> None:
    others = [found(gate) for gate in (Gate.EVIDENCE, Gate.SCREEN) if gate not in (ground, failing)]
    report = decided(*others, found(ground, UNDECIDED), found(failing, FAIL), found(Gate.PROMPTFOO, UNDECIDED))
    assert report.verdict is verdict
    assert report.reasons[0] == (
        f"Failed: the {failing} says fail." if verdict is FAIL else f"Undecided: the {ground} says undecided."
    )


def test_reasons_are_the_headline_the_numbers_and_what_stands_in_the_way_first() -> None:
    report = decided(SOUND, SCREENED, found(Gate.SLICES, FAIL), found(Gate.ANCHORS), found(Gate.COST, UNDECIDED))
    assert report.reasons[0] == "Failed: the slices says fail."
    assert report.reasons[1].startswith(
        "On 100 cases the current prompt scored 80.0 points of 100 and the candidate 95.0: +15.0 points (95% interval "
    )
    assert report.reasons[1].endswith("; better on 20, worse on 5.")
    assert report.reasons[2:] == (
        "The cost says undecided.",
        "The evidence says pass.",
        "The screen says pass.",
        "The anchors says pass.",
    )


def test_a_claim_s_numbers_are_told() -> None:
    claim = Claim(
        stake=0.018,
        threshold=1 / 0.018,
        e_value=123.4,
        numbers=compared(EVIDENCE.pairs),
        budget=0.2,
        left=0.162,
        evidence=EVIDENCE,
    )
    report = decide([SOUND, SCREENED, found(Gate.CLAIM)], needs=Proof.PROVEN, evidence=EVIDENCE, claim=claim)
    assert report.claim == claim
    assert report.reasons[2] == (
        "The claim took a chance of error of 1.80% out of 20% a year, of which 16.2% are left; its evidence is 123 of "
        "the 55.6 that are needed."
    )


def test_nothing_compared_gives_no_numbers() -> None:
    report = decide([found(Gate.GUARD, FAIL, "PII was added.")], needs=Proof.SCREENED, evidence=evidence_of([]))
    assert report.reasons == ("Failed: PII was added.",)
    assert (report.numbers.scored, report.cases, report.usage) == (0, CaseCount(), Usage())


def test_what_is_handed_in_is_in_the_report() -> None:
    report = decide(
        [SOUND, SCREENED],
        needs=Proof.SCREENED,
        evidence=EVIDENCE,
        cases=CaseCount(curated=3),
        fixed=["complaint-1"],
        usage=Usage(calls=4),
    )
    assert (report.cases.curated, report.fixed, report.usage.calls) == (3, ("complaint-1",), 4)
    assert report.evidence is EVIDENCE
    assert report.numbers == compared(EVIDENCE.pairs)
