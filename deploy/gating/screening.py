"""The screen: both arms on the open cases, look by look, and everything that the same answers tell besides."""

from dataclasses import dataclass, replace

from deploy.gating.looks import joined, looks
from deploy.gating.order import Evaluators, Order
from gates.comparison import compared
from gates.judging import judged, trusted
from gates.resources import resourced, resources
from gates.screen import screen
from gates.slices import confirmed, doubted, sliced, slices
from gates.soundness import sound
from optimizer.proof import Finding, JudgeReading, ResourceReading, SliceReading
from optimizer.types import CaseOrigin, Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """What the screen's answers tell."""

    evidence: Evidence
    findings: tuple[Finding, ...]
    slices: tuple[SliceReading, ...]
    resources: tuple[ResourceReading, ...]
    judge: JudgeReading


async def screened(order: Order, tools: Evaluators) -> Screened:
    """Score the open cases and the owner's own tests until the screen has decided."""
    rules, cases = order.rules, order.suite.screen
    parts: list[Evidence] = []
    if tools.owner is not None and tools.owner_cases:
        parts.append(await tools.owner.compare(order.arms, tools.owner_cases))
    for start, end, last in looks(len(cases)):
        runner = tools.plain if start else tools.screen
        parts.append(await runner.compare(order.arms, cases[start:end]))
        evidence = joined(parts)
        # what is missing already cannot be made up for, and a dead judge is waited for with every case
        missing = compared(evidence.pairs).unscored > rules.max_unscored * len(cases)
        found = screen(evidence.pairs, rules, last=last or missing or not evidence.complete)
        if found is not None:
            break
    assert found is not None, "the last look always decides"
    by_slice = await slices_of(order, tools, evidence)
    return read(order, tools, evidence, found, by_slice)


async def slices_of(order: Order, tools: Evaluators, evidence: Evidence) -> tuple[SliceReading, ...]:
    """The slices; one that seems to have lost is answered once more, and that decides."""
    readings = slices(evidence.pairs, order.rules)
    cases = [case for case in doubted(evidence.pairs, readings) if case.origin is not CaseOrigin.CONFIG]
    if not cases or not evidence.complete:
        return readings
    again = await tools.plain.compare(order.arms, cases, sample=1)
    return confirmed(readings, again.pairs, order.rules)


def read(
    order: Order, tools: Evaluators, evidence: Evidence, found: Finding, by_slice: tuple[SliceReading, ...]
) -> Screened:
    """Every finding that needs no further answer."""
    rules = order.rules
    taken = resources(evidence.pairs, rules)
    judge = judged(tools.judge.name, evidence, order.human)
    return Screened(
        evidence=evidence,
        findings=(
            sound(evidence, rules, replayable=order.suite.replayable),
            found,
            sliced(by_slice, rules),
            trusted(judge, rules),
            *(resourced(reading, evidence.pairs) for reading in taken),
        ),
        slices=by_slice,
        resources=taken,
        judge=judge,
    )


def owned(evidence: Evidence) -> Evidence:
    """The part of the evidence that comes from the owner's own tests."""
    return replace(evidence, pairs=tuple(p for p in evidence.pairs if p.case.origin is CaseOrigin.CONFIG))
