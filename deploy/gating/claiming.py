"""The claim of one gate: a stake out of the ledger, and sealed cases that nobody has scored before.

The order is what makes it true: the candidate is frozen by its hash when the stake is opened, and only then are cases
drawn, each recorded as used before it is scored. All of it is the same again when a gate is repeated after a crash.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from deploy.gating.looks import joined, looks
from deploy.gating.order import Evaluators, Order
from deploy.store.facade import Store
from deploy.store.ledger import Ledger, StakeRow
from gates.cases import content
from gates.claim import claim
from gates.comparison import compared, differences
from gates.rules import GateRules
from gates.statistics import e_above
from optimizer.errors import OverBudget
from optimizer.identity import digest
from optimizer.ports import Clock
from optimizer.proof import Claim, Finding, Gate
from optimizer.types import Case, CaseOrigin, Evidence, Missing, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Pledge:
    """What a claim takes from the store.

    Attributes:
        prompt_id: survives renames of the prompt.
        release_id: one for each gate, candidate and way of judging: a changed configuration is another claim.
    """

    store: Store
    clock: Clock
    prompt_id: str
    release_id: str
    candidate_sha: str
    budget: float

    @classmethod
    def of(cls, store: Store, clock: Clock, order: Order, tools: Evaluators) -> "Pledge":
        """The pledge of an order. Blocks: it reads and writes the store."""
        prompt = order.prompt
        prompt_id = store.ledgers.prompt_id(prompt.name, formerly=prompt.formerly)
        store.ledgers.record_day(prompt_id, clock.now().date())
        return cls(
            store=store,
            clock=clock,
            prompt_id=prompt_id,
            release_id=digest("claim", order.id, order.candidate_sha, tools.fingerprint),
            candidate_sha=order.candidate_sha,
            budget=prompt.gate.claim_budget,
        )

    def open(self) -> StakeRow:
        """The stake, the same one again when it is open already. Blocks."""
        return self.store.ledgers.open(
            self.prompt_id,
            Ledger.PROPOSAL,
            release_id=self.release_id,
            candidate=self.candidate_sha,
            budget=self.budget,
            at=self.clock.now(),
        )

    def unseen(self, cases: Sequence[Case]) -> tuple[Case, ...]:
        """The cases that nobody has scored for this prompt, but this claim itself. Blocks."""
        counts = self.store.case_uses.counts(self.prompt_id, but=self.release_id)
        return tuple(case for case in cases if content(case) not in counts)

    def draw(self, cases: Sequence[Case], look: int) -> tuple[Case, ...]:
        """The cases that are this look's now, in their order; fewer when another claim was faster. Blocks."""
        uses, gate_id = self.store.case_uses, f"{self.release_id}/{look}"
        asked = [content(case) for case in cases]
        mine = frozenset(uses.draw(self.prompt_id, gate_id, asked, limit=len(asked), at=self.clock.now()))
        return tuple(case for case in cases if content(case) in mine)

    def use(self, cases: Sequence[Case]) -> frozenset[str]:
        """Note that the screen scores these; returns the contents that an earlier gate has used. Blocks."""
        uses, gate_id = self.store.case_uses, f"{self.release_id}/screen"
        before = uses.counts(self.prompt_id, but=self.release_id)
        uses.use(self.prompt_id, gate_id, [content(case) for case in cases], at=self.clock.now())
        return frozenset(before)


async def claimed(order: Order, tools: Evaluators, pledge: Pledge) -> tuple[Finding, Claim | None]:
    """Bet on sealed cases until the bet is won, lost, or the cases are used up.

    Opens no stake when the cases could not decide anything.
    """
    rules = order.rules
    unseen = await asyncio.to_thread(pledge.unseen, order.suite.sealed)
    cases = affordable(unseen, order.prompt.gate.sealed)
    if len(cases) < rules.claim_min_cases:
        return too_few(len(cases), rules), None
    try:
        stake = await asyncio.to_thread(pledge.open)
    except OverBudget as error:
        return unaffordable(error), None
    parts: list[Evidence] = []
    for start, end, last in looks(len(cases)):
        drawn = await asyncio.to_thread(pledge.draw, cases[start:end], end)
        parts.append(await tools.plain.compare(order.arms, drawn))
        evidence = joined(parts)
        finding = claim(
            evidence.pairs,
            rules,
            stake=stake.stake,
            last=last or not evidence.complete,
            complete=evidence.complete,
        )
        if finding is not None:
            return finding, claim_of(evidence, stake, pledge.budget)
    raise AssertionError("the last look always decides")


def affordable(cases: Sequence[Case], replayed: int) -> tuple[Case, ...]:
    """The owner's own cases, and as many recorded ones as he wants to spend on one claim."""
    recorded = [case for case in cases if case.origin is CaseOrigin.REPLAY]
    left_out = frozenset(case.id for case in recorded[replayed:])
    return tuple(case for case in cases if case.id not in left_out)


def claim_of(evidence: Evidence, stake: StakeRow, budget: float) -> Claim:
    """The claim's numbers."""
    moments = [pair.case.at for pair in evidence.pairs if not isinstance(pair.case.at, Missing)]
    return Claim(
        stake=stake.stake,
        threshold=1.0 / stake.stake,
        e_value=e_above(differences(evidence.pairs)),
        numbers=compared(evidence.pairs),
        budget=budget,
        left=stake.left,
        evidence=evidence,
        since=min(moments, default=Missing.NOT_RECORDED),
        until=max(moments, default=Missing.NOT_RECORDED),
    )


def too_few(cases: int, rules: GateRules) -> Finding:
    """Why no claim was made."""
    return Finding(
        gate=Gate.CLAIM,
        verdict=Verdict.UNDECIDED,
        sentence=(
            f"Screened, not proven: {cases} sealed cases are left that nobody has looked at, and a claim needs "
            f"{rules.claim_min_cases}; wait for new traffic, raise `gate.sealed`, or name `gate.sealed_datasets`."
        ),
    )


def unaffordable(error: OverBudget) -> Finding:
    """Why no claim was made although there are cases: `error` is the ledger's refusal."""
    return Finding(
        gate=Gate.CLAIM,
        verdict=Verdict.UNDECIDED,
        sentence=f"Screened, not proven: {error}; wait, or raise `gate.claim_budget`.",
    )
