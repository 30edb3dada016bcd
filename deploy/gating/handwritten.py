"""A change that a person wrote, through the same gates as a cycle's candidate, with the same cases and the same budget.

Nothing is published, and no cycle is begun. What is used up stays used: sealed cases that were scored, and the stake of
a claim, also when the gate is interrupted.
"""

import asyncio
import secrets
from dataclasses import dataclass, field, replace

from deploy.collecting import losses_about, recent_inputs
from deploy.gating.agreement import agreement
from deploy.gating.claiming import Pledge
from deploy.gating.exporting import export
from deploy.gating.order import Order
from deploy.gating.proving import prove
from deploy.gating.stage import gradient_sources, suite_of
from deploy.gating.suite import Recorded
from deploy.settings import PromptSettings
from deploy.store.fence import Run
from deploy.store.journal import InMemoryJournal
from deploy.store.journalled import JournalledModel
from deploy.wiring import House
from gates.comparison import compared
from optimizer.errors import BadInput
from optimizer.prompts import Body
from optimizer.proof import GateReport, Proof
from optimizer.types import Evidence, Usage, Verdict

SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a person wants judged.

    Attributes:
        prompt: its settings, with what the person wants otherwise this once.
        baseline: what the candidate is compared with; None for the version that production reads.
        claim: prove it on sealed cases, too.
    """

    prompt: PromptSettings
    candidate: Body
    baseline: Body | None = None
    claim: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it. `address` is where Langfuse shows the comparison; empty when it does not."""

    report: GateReport
    address: str = ""


@dataclass(frozen=True, slots=True)
class Till:
    """What a gate outside a cycle asked and paid. Kept in memory: when the process ends, nobody goes on with it.

    Attributes:
        gate_id: never used before, so that a gate that is repeated opens a stake of its own.
    """

    gate_id: str = field(default_factory=lambda: f"gate-{secrets.token_hex(12)}")
    journal: InMemoryJournal = field(default_factory=InMemoryJournal)

    @property
    def paid(self) -> Usage:
        """Every call that was answered so far."""
        return self.journal.spent(self.gate_id)

    def model(self, house: House, prompt: PromptSettings) -> JournalledModel:
        """The house's model: the same request is paid once, and all of them together within the prompt's budget."""
        run = Run(cycle_id=self.gate_id, prompt=prompt.name, workflow_id="", token="")
        return JournalledModel(house.model, self.journal, run, capacity=house.capacity, budget_usd=prompt.budget_usd)


async def judged(house: House, change: Change, till: Till) -> Outcome:
    """The verdict on a person's change.

    Raises:
        BadInput: the candidate is another kind of prompt; a dataset is empty, or an evaluator cannot be used.
        Transient, Permanent: what the house's connectors raise; nothing was decided.
    """
    prompt, began = change.prompt, house.clock.now()
    head = await house.registry.head(prompt.name, label=prompt.label)
    baseline = head.production
    if change.baseline is not None:
        baseline = replace(baseline, body=alike(change.baseline, baseline.body, "baseline"))
    candidate = alike(change.candidate, baseline.body, "candidate")
    if candidate == baseline.body:
        named = f"version {baseline.version}" if change.baseline is None else "the baseline"
        return Outcome(report=unchanged(named, claim=change.claim))
    recorded = await recorded_for(house, prompt)
    model, secret = till.model(house, prompt), secrets.token_bytes(SECRET_BYTES)
    async with house.evaluators(prompt, model, secret, bodies=(baseline.body, candidate)) as tools:
        order = Order(
            id=till.gate_id,
            prompt=prompt,
            baseline=baseline,
            candidate=candidate,
            suite=await suite_of(house, prompt, recorded),
            needs=Proof.PROVEN if change.claim else Proof.SCREENED,
            by_person=True,
            human=await agreement(house, prompt, tools),
        )
        pledge = await asyncio.to_thread(Pledge.of, house.store, house.clock, order, tools)
        report = replace(await prove(order, tools, pledge), usage=till.paid)
    sha = order.candidate_sha
    address = await export(house, prompt, report, candidate_sha=sha, run_name=till.gate_id, at=began)
    return Outcome(report=report, address=address)


def alike(body: Body, other: Body, what: str) -> Body:
    """A file's prompt as the registry would hold it: of the same kind, and without the line break that ends a file."""
    if isinstance(body, str) != isinstance(other, str):
        kinds = ("plain text", "a chat") if isinstance(other, str) else ("a chat", "plain text")
        raise BadInput(f"the prompt is {kinds[0]}, and the {what} is {kinds[1]}", f"write the {what} as {kinds[0]}")
    if isinstance(body, str) and isinstance(other, str) and not other.endswith("\n"):
        return body.removesuffix("\n").removesuffix("\r")
    return body


async def recorded_for(house: House, prompt: PromptSettings) -> Recorded:
    """What production left for this gate. Sources that ever gave a gradient give no case here either."""
    ids = await recent_inputs(house, prompt, house.clock.now())

    def read() -> Recorded:
        inputs = house.store.traces.generations(map(str, ids))
        return Recorded(
            inputs=inputs,
            losses=losses_about(house.store, prompt, inputs),
            gradient_sources=gradient_sources(house, prompt),
        )

    return await asyncio.to_thread(read)


def unchanged(baseline: str, *, claim: bool) -> GateReport:
    """The report on a candidate that is the baseline: it cannot make anything worse, and nothing was asked.

    Args:
        claim: a proof was wanted, and there is nothing to prove.
    """
    return GateReport(
        verdict=Verdict.UNDECIDED if claim else Verdict.PASS,
        proof=Proof.NONE,
        reasons=(f"No change: the candidate is {baseline}, word for word, so nothing was asked.",),
        findings=(),
        evidence=Evidence(pairs=(), model="", evaluator=""),
        numbers=compared(()),
    )
