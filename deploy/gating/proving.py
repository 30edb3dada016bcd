"""The whole gate on one candidate: what costs nothing first, and nothing that could not change the verdict any more."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from deploy.gating.claiming import Pledge, claimed
from deploy.gating.order import Evaluators, Order
from deploy.gating.screening import Screened, screened
from deploy.gating.vetoing import Vetoes, watched_over
from gates.cases import content
from gates.policy import decide
from gates.reruns import FAILED_BELOW
from gates.safety.guarding import guarded, leaked
from optimizer.proof import CaseCount, Claim, Finding, GateReport, Proof
from optimizer.types import CaseOrigin, Evaluation, Evidence, Scored, Verdict


async def prove(order: Order, tools: Evaluators, pledge: Pledge) -> GateReport:
    """Judge a candidate: guard, screen, vetoes, and a claim where a proof is needed.

    The same order with the same answers gives the same report. What it cost is for the caller to add.

    Raises:
        TracegradError: what the store or an evaluator raises when it cannot start; nothing was decided.
    """
    # a long dataset takes seconds to compare with a text, and a daemon's pulse must go on
    findings = [*await asyncio.to_thread(guards, order), *tools.told]
    if any(finding.verdict is not Verdict.PASS for finding in findings):  # known beforehand: nothing is paid for it
        return decide(findings, needs=order.needs, evidence=nothing(tools))
    used = await asyncio.to_thread(pledge.use, order.suite.screen)
    screen = await screened(order, tools)
    sealed = len(await asyncio.to_thread(pledge.unseen, order.suite.sealed))
    told = Told(order=order, screen=screen, counts=counted(order, screen.evidence, used=used, sealed=sealed))
    findings += screen.findings
    if failing(findings):
        return told.report(findings)
    vetoes = await watched_over(order, tools, screen.evidence)
    findings += vetoes.findings
    if failing(findings):
        return told.report(findings, vetoes)
    fixed = await fixed_by(order, tools)
    claim: Claim | None = None
    # a claim that could not make a pass would use up sealed cases and budget for nothing
    if order.needs is Proof.PROVEN and all(finding.verdict is Verdict.PASS for finding in findings):
        finding, claim = await claimed(order, tools, pledge)
        findings.append(finding)
    return told.report(findings, vetoes, fixed, claim)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What every report of this gate tells from the screen on."""

    order: Order
    screen: Screened
    counts: CaseCount

    def report(
        self,
        findings: Sequence[Finding],
        vetoes: Vetoes | None = None,
        fixed: tuple[str, ...] = (),
        claim: Claim | None = None,
    ) -> GateReport:
        """The verdict on what was found so far."""
        screen = self.screen
        return decide(
            findings,
            needs=self.order.needs,
            evidence=screen.evidence,
            claim=claim,
            slices=screen.slices,
            reruns=vetoes.reruns if vetoes else (),
            attacks=vetoes.attacks if vetoes else (),
            resources=screen.resources,
            judge=screen.judge,
            cases=replace(self.counts, fixed=len(fixed)),
            fixed=fixed,
        )


def guards(order: Order) -> Sequence[Finding]:
    """What the two texts alone tell; nothing is asked."""
    suite = order.suite
    # apart, since a few answers are many of a few cases; sealed ones count only where somebody claims on them
    kinds = ((*suite.screen, *suite.anchors), suite.sealed if order.needs is Proof.PROVEN else ())
    leaks = [leaked(order.candidate, order.baseline.body, cases) for cases in kinds]
    guard = guarded(order.baseline.body, order.candidate, by_person=order.by_person, source_texts=order.source_texts)
    return [guard, *filter(None, leaks)]


def failing(findings: Sequence[Finding]) -> bool:
    """Whether nothing that follows could let the candidate through any more."""
    return any(finding.verdict is Verdict.FAIL for finding in findings)


def nothing(tools: Evaluators) -> Evidence:
    """The evidence of a gate that asked nothing."""
    return Evidence(pairs=(), model="", evaluator=tools.plain.name)


def counted(order: Order, evidence: Evidence, *, used: frozenset[str], sealed: int) -> CaseCount:
    """The cases that there were, also those that a screen which ended early did not come to."""
    origins = [case.origin for case in order.suite.screen]
    owned = sum(pair.case.origin is CaseOrigin.CONFIG for pair in evidence.pairs)
    return CaseCount(
        replayable=order.suite.replayable,
        curated=origins.count(CaseOrigin.DATASET) + owned,
        replayed=origins.count(CaseOrigin.REPLAY),
        anchors=len(order.suite.anchors),
        reused=sum(content(pair.case) in used for pair in evidence.pairs),
        sealed=sealed,
        complaints=len(order.suite.complaints),
    )


async def fixed_by(order: Order, tools: Evaluators) -> tuple[str, ...]:
    """The complaints behind the candidate that it answers well and the baseline does not. Told, never evidence."""
    if not order.suite.complaints:
        return ()
    evidence = await tools.by_itself.compare(order.arms, order.suite.complaints)
    return tuple(pair.case.id for pair in evidence.pairs if good(pair.candidate) and bad(pair.baseline))


def good(evaluation: Evaluation) -> bool:
    """An answer that was judged to be good."""
    return isinstance(evaluation.result, Scored) and evaluation.result.value >= FAILED_BELOW


def bad(evaluation: Evaluation) -> bool:
    """An answer that was judged to be bad."""
    return isinstance(evaluation.result, Scored) and evaluation.result.value < FAILED_BELOW
