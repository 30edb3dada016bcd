"""Findings -> verdict. The default is no change: what was not looked at is undecided, and that is not a pass.

A judge that cannot be trusted decides nothing, neither for a candidate nor against it; the same holds for evidence
with gaps. So a fail counts only when what it rests on stands.
"""

from collections.abc import Sequence

from gates.comparison import compared
from gates.words import counted, inside, plain, points
from optimizer.proof import (
    AttackReading,
    CaseCount,
    Claim,
    Comparison,
    Finding,
    Gate,
    GateReport,
    JudgeReading,
    Proof,
    Rerun,
    ResourceReading,
    SliceReading,
)
from optimizer.types import Evidence, Missing, Usage, Verdict

_RESTS_ON = {
    Gate.EVIDENCE: frozenset({Gate.SCREEN, Gate.SLICES, Gate.COST, Gate.LATENCY, Gate.LENGTH}),
    Gate.JUDGE: frozenset({Gate.SCREEN, Gate.CLAIM, Gate.SLICES, Gate.ANCHORS}),
}
"""What a gate's own finding carries: when it is undecided, the fails of these decide nothing."""

_ORDER = {gate: place for place, gate in enumerate(Gate)}


def decide(
    findings: Sequence[Finding],
    *,
    needs: Proof,
    evidence: Evidence,
    claim: Claim | None = None,
    slices: Sequence[SliceReading] = (),
    reruns: Sequence[Rerun] = (),
    attacks: Sequence[AttackReading] = (),
    resources: Sequence[ResourceReading] = (),
    judge: JudgeReading | None = None,
    cases: CaseCount | None = None,
    fixed: Sequence[str] = (),
    usage: Usage | None = None,
) -> GateReport:
    """Any fail that counts fails, any undecided leaves it undecided, and a pass needs what was asked for.

    Args:
        needs: what the release path asks for; with `PROVEN`, a screen alone is undecided.
        evidence: the screen's.
    """
    ordered = sorted((*findings, *_gaps(findings, needs)), key=lambda finding: _ORDER[finding.gate])
    verdict = _verdict(ordered)
    proof = _proof(ordered)
    numbers = compared(evidence.pairs)
    return GateReport(
        verdict=verdict,
        proof=proof,
        reasons=_reasons(ordered, verdict, proof, numbers, claim),
        findings=tuple(ordered),
        evidence=evidence,
        numbers=numbers,
        claim=claim,
        slices=tuple(slices),
        reruns=tuple(reruns),
        attacks=tuple(attacks),
        resources=tuple(resources),
        judge=judge,
        cases=CaseCount() if cases is None else cases,
        fixed=tuple(fixed),
        usage=Usage() if usage is None else usage,
    )


def _gaps(findings: Sequence[Finding], needs: Proof) -> list[Finding]:
    """What a pass needs and nobody looked at; without importance where there is no pass."""
    if any(finding.verdict is not Verdict.PASS for finding in findings):
        return []
    looked_at = {finding.gate for finding in findings}
    gaps = []
    if Gate.EVIDENCE not in looked_at:
        gaps.append((Gate.EVIDENCE, "Nobody looked at whether the evidence is all there."))
    if Gate.SCREEN not in looked_at:
        gaps.append((Gate.SCREEN, "The candidate was not compared with the current prompt."))
    if needs is Proof.PROVEN and Gate.CLAIM not in looked_at:
        gaps.append((Gate.CLAIM, "Screened, not proven: a proof is asked for, and none was made."))
    return [Finding(gate=gate, verdict=Verdict.UNDECIDED, sentence=sentence) for gate, sentence in gaps]


def _verdict(findings: Sequence[Finding]) -> Verdict:
    verdicts = {finding.verdict for finding in _counting(findings)}
    return next((verdict for verdict in (Verdict.FAIL, Verdict.UNDECIDED) if verdict in verdicts), Verdict.PASS)


def _counting(findings: Sequence[Finding]) -> list[Finding]:
    """All but the fails that rest on something undecided; what is undecided itself comes first then."""
    shaky = {finding.gate for finding in findings if finding.verdict is Verdict.UNDECIDED} & _RESTS_ON.keys()
    unfounded = {gate for ground in shaky for gate in _RESTS_ON[ground]}
    counting = [finding for finding in findings if finding.verdict is not Verdict.FAIL or finding.gate not in unfounded]
    return sorted(counting, key=lambda finding: finding.gate not in shaky)


def _proof(findings: Sequence[Finding]) -> Proof:
    """What was shown if nobody had asked for more: a claim that is open takes nothing from a screen."""
    others = [finding for finding in findings if finding.gate is not Gate.CLAIM]
    screened = any(finding.gate is Gate.SCREEN for finding in others)
    if not screened or any(finding.verdict is not Verdict.PASS for finding in others):
        return Proof.NONE
    claims = [finding.verdict for finding in findings if finding.gate is Gate.CLAIM]
    return Proof.PROVEN if claims and set(claims) == {Verdict.PASS} else Proof.SCREENED


def _reasons(
    findings: Sequence[Finding], verdict: Verdict, proof: Proof, numbers: Comparison, claim: Claim | None
) -> tuple[str, ...]:
    """The headline, the numbers, then what every other gate says: first what stands in the way."""
    head = _head(findings, verdict, proof)
    word = {Verdict.PASS: f"Passed ({proof})", Verdict.FAIL: "Failed", Verdict.UNDECIDED: "Undecided"}[verdict]
    others = [finding for finding in findings if finding is not head]
    others.sort(key=lambda finding: finding.verdict is Verdict.PASS)
    said = [f"{word}: {inside(head.sentence)}", *_effect(numbers), *_bet(claim)]
    return tuple(dict.fromkeys([*said, *(finding.sentence for finding in others)]))


def _head(findings: Sequence[Finding], verdict: Verdict, proof: Proof) -> Finding:
    """The finding that made the verdict: the first that stands in the way, or the one that lets it through."""
    if verdict is not Verdict.PASS:
        return next(finding for finding in _counting(findings) if finding.verdict is verdict)
    gate = Gate.CLAIM if proof is Proof.PROVEN else Gate.SCREEN
    return next(finding for finding in findings if finding.gate is gate)


def _effect(numbers: Comparison) -> tuple[str, ...]:
    before, after, effect, span = numbers.baseline_mean, numbers.candidate_mean, numbers.effect, numbers.interval
    if isinstance(before, Missing) or isinstance(after, Missing) or isinstance(effect, Missing):
        return ()
    between = "" if isinstance(span, Missing) else f" (95% interval {points(span[0])} to {points(span[1])})"
    return (
        f"On {counted(numbers.scored, 'case')} the current prompt scored {100 * before:.1f} points of 100 and the "
        f"candidate {100 * after:.1f}: {points(effect)} points{between}; better on {numbers.better}, worse on "
        f"{numbers.worse}.",
    )


def _bet(claim: Claim | None) -> tuple[str, ...]:
    if claim is None:
        return ()
    return (
        f"The claim took a chance of error of {claim.stake:.2%} out of {claim.budget:.0%} a year, of which "
        f"{claim.left:.1%} are left; its evidence is {plain(claim.e_value)} of the {plain(claim.threshold)} that are "
        "needed.",
    )
