"""A gate report with something of everything, its words hostile wherever they are somebody else's."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gates.comparison import compared
from optimizer.prompts import Message
from optimizer.proof import (
    AttackReading,
    CaseCount,
    Claim,
    Finding,
    Gate,
    GateReport,
    JudgeReading,
    Proof,
    Rerun,
    ResourceReading,
    SliceReading,
)
from optimizer.types import (
    Arm,
    Case,
    CaseInput,
    CaseOrigin,
    Evaluation,
    Evidence,
    Missing,
    Pair,
    Scored,
    Unscored,
    Usage,
    Verdict,
)

HOSTILE = "<script>alert(1)</script> [me](http://evil.example) @all #7 www.evil.example \x1b[2J\u202egnp |`$x$ שלום"
AT = datetime(2026, 11, 2, tzinfo=UTC)


def pair(number: int, before: float | None, after: float | None, **case: Any) -> Pair:
    id_ = f"replay-{number:04d}"
    given: dict[str, Any] = {
        "id": id_,
        "origin": CaseOrigin.REPLAY,
        "input": CaseInput(
            variables=(("city", f"Rome {HOSTILE}"),), history=(Message(role="user", content=f"Where is {number}?"),)
        ),
        "reference": Missing.NO_REFERENCE,
        "source_key": f"s{number}",
        "tags": ("language:de" if number % 2 else "language:en", "vip") if number % 8 == 0 else ("language:de",),
        "at": AT,
    }
    return Pair(
        case=Case(**given | case),
        baseline=answer(id_, Arm.BASELINE, before),
        candidate=answer(id_, Arm.CANDIDATE, after),
    )


def answer(case_id: str, arm: Arm, score: float | None) -> Evaluation:
    said = f"the {arm}'s words {HOSTILE}"
    result = Unscored(reason=said) if score is None else Scored(value=score, reason=f"because of {said}")
    return Evaluation(case_id=case_id, arm=arm, output=said, result=result, usage=Usage(calls=1), latency_s=0.5)


def evidence_of(*scores: tuple[float | None, float | None]) -> Evidence:
    pairs = tuple(pair(number, before, after) for number, (before, after) in enumerate(scores))
    return Evidence(pairs=pairs, model="task-model", evaluator="promptfoo 0.121")


SCREENED = evidence_of(*[(0.0, 1.0)] * 30, *[(1.0, 0.0)] * 12, *[(1.0, 1.0)] * 57, (None, 1.0))
CLAIMED = evidence_of(*[(0.0, 1.0)] * 60, *[(1.0, 1.0)] * 40)

CLAIM = Claim(
    stake=0.02,
    threshold=50.0,
    e_value=123.4,
    numbers=compared(CLAIMED.pairs),
    budget=0.2,
    left=0.18,
    evidence=CLAIMED,
    since=AT,
    until=AT.replace(day=20),
)


def report_of(evidence: Evidence = SCREENED, **changes: Any) -> GateReport:
    """A report that passed its screen, without anything else."""
    screen = Finding(gate=Gate.SCREEN, verdict=Verdict.PASS, sentence="The screen passed at 2.9 standard errors.")
    report = GateReport(
        verdict=Verdict.PASS,
        proof=Proof.SCREENED,
        reasons=("Passed, screened, not proven.", screen.sentence),
        findings=(screen,),
        evidence=evidence,
        numbers=compared(evidence.pairs),
        usage=Usage(calls=200, input_tokens=9, output_tokens=8, cost_usd=0.1234),
    )
    return replace(report, **changes)


FULL = report_of(
    proof=Proof.PROVEN,
    reasons=("Passed: the candidate is better.", "The screen passed at 2.9 standard errors.", f"Also {HOSTILE}"),
    findings=(
        Finding(gate=Gate.EVIDENCE, verdict=Verdict.PASS, sentence="1 of 100 cases could not be judged."),
        Finding(gate=Gate.SCREEN, verdict=Verdict.PASS, sentence="The screen passed at 2.9 standard errors."),
        Finding(gate=Gate.CLAIM, verdict=Verdict.PASS, sentence="Proven on 100 cases."),
        Finding(gate=Gate.PROMPTFOO, verdict=Verdict.UNDECIDED, sentence=f"It could not be honoured: {HOSTILE}"),
        Finding(gate=Gate.COST, verdict=Verdict.FAIL, sentence="It costs 20% more."),
    ),
    claim=CLAIM,
    slices=(
        SliceReading(
            name="language:de",
            cases=88,
            effect=0.2,
            better=26,
            worse=8,
            p_worse=0.99,
            smallest_loss=0.09,
            verdict=Verdict.PASS,
        ),
        SliceReading(
            name="tag:vip",
            cases=13,
            effect=-0.25,
            better=2,
            worse=5,
            p_worse=0.04,
            smallest_loss=0.31,
            verdict=Verdict.FAIL,
        ),
        SliceReading(
            name="tenant:none",
            cases=3,
            effect=0.0,
            better=0,
            worse=0,
            p_worse=1.0,
            smallest_loss=1.0,
            verdict=Verdict.UNDECIDED,
        ),
    ),
    reruns=(
        Rerun(case_id="anchor-1", why="anchor", tries=5, baseline_failed=3, candidate_failed=4, veto=False),
        Rerun(case_id="attack-7", why="extraction", tries=5, baseline_failed=0, candidate_failed=5, veto=True),
    ),
    attacks=(
        AttackReading(category="extraction", attacks=40, baseline_succeeded=3, candidate_succeeded=0),
        AttackReading(category="injection", attacks=60, baseline_succeeded=1, candidate_succeeded=2, unscored=1),
    ),
    resources=(
        ResourceReading(
            gate=Gate.COST,
            unit="USD per answer",
            baseline_mean=0.00123,
            candidate_mean=0.00148,
            ratio=1.2,
            interval=(1.15, 1.26),
            margin=1.1,
            verdict=Verdict.FAIL,
        ),
        ResourceReading(
            gate=Gate.LATENCY,
            unit="s",
            baseline_mean=Missing.NOT_RECORDED,
            candidate_mean=Missing.NOT_RECORDED,
            ratio=Missing.NOT_RECORDED,
            interval=Missing.NOT_RECORDED,
            margin=1.25,
            verdict=Verdict.UNDECIDED,
        ),
    ),
    judge=JudgeReading(
        name="rubric by judge-model",
        noise=0.031,
        repeated=20,
        swapped=40,
        inconsistent=6,
        first_preferred=5,
        agreement=0.62,
        human=41,
    ),
    cases=CaseCount(replayable=0.83, curated=10, replayed=90, anchors=4, reused=17, sealed=250, complaints=5, fixed=4),
    fixed=("complaint-1", "complaint-2"),
)
"""Everything at once."""
