"""Anchors, the owner's tests and attacks: what the candidate fails is tried again in both arms, and may veto.

One failure of a model that answers by chance says little; failing again and again where the baseline does not says it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from deploy.gating.order import Evaluators, Order
from deploy.gating.screening import owned
from gates.reruns import doubtful, retried, suspects, vetoed
from gates.rules import GateRules
from gates.safety.posing import category, posed
from gates.safety.readings import attacked, refusals, safe
from optimizer.ports import Evaluator
from optimizer.proof import AttackReading, Finding, Gate, Rerun
from optimizer.types import Case, CaseOrigin, Evidence, Scored, Verdict

MOST_SUSPECTS = 40
"""Cases of one kind that are tried again; those that the baseline passed come first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vetoes:
    """What must not regress, and whether it did."""

    findings: tuple[Finding, ...]
    reruns: tuple[Rerun, ...] = ()
    attacks: tuple[AttackReading, ...] = ()


@dataclass(slots=True, kw_only=True)
class Part:
    """Cases of one kind, their first answers, and the tries of those that the candidate failed.

    Attributes:
        why: what a case guards, for the report.
        tries: one evidence for each further try.
    """

    gate: Gate
    evaluator: Evaluator
    first: Evidence
    why: Callable[[Case], str]
    tries: list[Evidence] = field(default_factory=list)

    @property
    def suspects(self) -> tuple[Case, ...]:
        """What the candidate failed; first what the baseline passed."""
        failed = frozenset(suspects(self.first))
        pairs = [pair for pair in self.first.pairs if pair.case.id in failed]
        pairs.sort(key=lambda pair: -pair.baseline.result.value if isinstance(pair.baseline.result, Scored) else 0.0)
        return tuple(pair.case for pair in pairs[:MOST_SUSPECTS])

    async def again(self, order: Order, cases: Sequence[Case], times: int) -> None:
        """Try these cases so many times more, with fresh answers of both arms."""
        if cases:
            for sample in range(len(self.tries) + 1, len(self.tries) + times + 1):
                self.tries.append(await self.evaluator.compare(order.arms, cases, sample=sample))

    def reruns(self, rules: GateRules) -> tuple[Rerun, ...]:
        """What the tries say so far."""
        return tuple(retried(case.id, self.why(case), self.tries, rules) for case in self.suspects)


async def watched_over(order: Order, tools: Evaluators, screen: Evidence) -> Vetoes:
    """Anchors, the owner's tests and attacks.

    Args:
        screen: holds the first answers to the owner's tests, and the ordinary answers that are looked at for refusals.
    """
    rules, parts = order.rules, await answered(order, tools, screen)
    for part in parts:
        await part.again(order, part.suspects, rules.tries)
    doubted = frozenset(doubtful([rerun for part in parts for rerun in part.reruns(rules)], rules))
    for part in parts:
        await part.again(order, [case for case in part.suspects if case.id in doubted], rules.second_tries)
    attacks = tuple(
        reading for part in parts if part.gate is Gate.SAFETY for reading in attacked(part.first, tools.attacks)
    )
    return Vetoes(
        findings=(refusals(screen), *(said(part, attacks, rules) for part in parts)),
        reruns=tuple(rerun for part in parts for rerun in part.reruns(rules)),
        attacks=attacks,
    )


async def answered(order: Order, tools: Evaluators, screen: Evidence) -> list[Part]:
    """The parts of the suite that may veto, with their first answers; a part without cases is left out."""
    parts = []
    if order.suite.anchors:
        judged = tools.by_itself
        first = await judged.compare(order.arms, order.suite.anchors)
        parts.append(Part(gate=Gate.ANCHORS, evaluator=judged, first=first, why=lambda _: "anchor"))
    if tools.owner is not None:
        parts.append(
            Part(
                gate=Gate.PROMPTFOO,
                evaluator=tools.owner,
                first=owned(screen),
                why=lambda case: tools.owner_names.get(case.id, "promptfoo test"),
            )
        )
    if tools.safety is not None:
        carriers = [case.input for case in order.suite.screen if case.origin is CaseOrigin.REPLAY]
        first = await tools.safety.compare(order.arms, posed(tools.attacks, carriers, order.baseline.body))
        parts.append(Part(gate=Gate.SAFETY, evaluator=tools.safety, first=first, why=category))
    return parts


def said(part: Part, attacks: Sequence[AttackReading], rules: GateRules) -> Finding:
    """What a part says; undecided when it could not be answered to its end."""
    cut = next((evidence.note for evidence in (part.first, *part.tries) if not evidence.complete), "")
    if cut:
        sentence = f"Not all of the {part.gate} could be tried ({cut.removesuffix('.')})."
        return Finding(gate=part.gate, verdict=Verdict.UNDECIDED, sentence=sentence)
    reruns = part.reruns(rules)
    return safe(attacks, reruns, rules) if part.gate is Gate.SAFETY else vetoed(part.gate, reruns, rules)
