"""The gate stage of a cycle: a candidate against its parent, a verdict that is given once, and only a pass goes on."""

import asyncio
from dataclasses import replace
from datetime import datetime

from deploy.collecting import ended, ids_in, losses_about
from deploy.gating.agreement import agreement
from deploy.gating.claiming import Pledge
from deploy.gating.exporting import export
from deploy.gating.order import Order, sha_of
from deploy.gating.proving import prove
from deploy.gating.suite import Recorded, Suite, assembled
from deploy.lifecycle import CycleState
from deploy.optimizing import source_texts
from deploy.settings import PromptSettings
from deploy.store.fence import Run
from deploy.wiring import House, source_secret
from optimizer.identity import Json
from optimizer.proof import GateReport, Proof
from optimizer.types import Candidate, Generation, Gradient, Verdict

PURPOSES = ("task", "judge")
"""What the gate's model calls are for."""


async def gate(house: House, run: Run, state: dict[str, Json]) -> dict[str, Json]:
    """Judge the cycle's candidate; only a pass goes on."""
    await asyncio.to_thread(house.store.cycles.advance, run, CycleState.GATING, at=house.clock.now())
    candidate = await asyncio.to_thread(house.store.lineage.load_candidate, str(state["candidate"]), run.cycle_id)
    # a verdict is given once: when the stage is repeated after a crash, the one that was kept stands
    report = await asyncio.to_thread(house.store.reports.load, run.cycle_id)
    if report is None:
        report = await judged(house, run, state, candidate)
        at = house.clock.now()
        await asyncio.to_thread(house.store.reports.save, run.cycle_id, candidate.id, report, at=at)
    await asyncio.to_thread(house.store.cycles.note, run.cycle_id, verdict=report.verdict)
    began = await asyncio.to_thread(gated_at, house, run)
    prompt, sha = house.settings.prompt(run.prompt), sha_of(candidate.body)
    await export(house, prompt, report, candidate_sha=sha, run_name=run.cycle_id, at=began)
    if report.verdict is not Verdict.PASS:
        return ended("done", report.reasons[0])
    return state


def gated_at(house: House, run: Run) -> datetime:
    """When the gate began: as old as that is the evidence, however long the cycle was interrupted since. Blocks."""
    return next(e.at for e in house.store.cycles.events(run.cycle_id) if e.state is CycleState.GATING)


async def judged(house: House, run: Run, state: dict[str, Json], candidate: Candidate) -> GateReport:
    """The candidate against its parent, on cases that it was not made from."""
    prompt = house.settings.prompt(run.prompt)
    row = await asyncio.to_thread(house.store.cycles.get, run.cycle_id)
    gradients = await asyncio.to_thread(house.store.lineage.gradients, run.cycle_id)
    recorded = await asyncio.to_thread(recorded_for, house, run, state, candidate)
    model = house.journalled(run)
    bodies = (candidate.parent.body, candidate.body)
    async with house.evaluators(prompt, model, row.secret, bodies=bodies) as tools:
        order = Order(
            id=run.cycle_id,
            prompt=prompt,
            baseline=candidate.parent,
            candidate=candidate.body,
            suite=await suite_of(house, prompt, recorded),
            needs=needed(prompt),
            by_person=not candidate.edits,
            source_texts=source_texts(tuple(gradient.loss for gradient in gradients)),
            human=await agreement(house, prompt, tools),
        )
        pledge = await asyncio.to_thread(Pledge.of, house.store, house.clock, order, tools)
        report = await prove(order, tools, pledge)
    # both arms may ask the same thing, which is paid for once: the journal knows
    paid = await asyncio.to_thread(house.store.journal.spent, run.cycle_id, PURPOSES)
    return replace(report, usage=paid)


def needed(prompt: PromptSettings) -> Proof:
    """What a pass takes: a version that no canary will watch has to be proven."""
    return Proof.PROVEN if prompt.claims else Proof.SCREENED


def recorded_for(house: House, run: Run, state: dict[str, Json], candidate: Candidate) -> Recorded:
    """What production left for the gate of a cycle. Blocks."""
    prompt = house.settings.prompt(run.prompt)
    inputs = house.store.traces.generations(ids_in(state, "replay"))
    behind = complained(candidate)
    return Recorded(
        inputs=inputs,
        losses=losses_about(house.store, prompt, [*inputs, *behind]),
        gradient_sources=gradient_sources(house, prompt),
        complained=behind,
    )


def gradient_sources(house: House, prompt: PromptSettings) -> frozenset[str]:
    """Sources that ever gave a gradient, under any name of the prompt. Blocks."""
    # also at the first gate after a rename, when nobody has told the store yet
    house.store.ledgers.prompt_id(prompt.name, formerly=prompt.formerly)
    return house.store.lineage.sources(prompt.name)


def complained(candidate: Candidate) -> tuple[Generation, ...]:
    """The generations behind a candidate's edits, each once."""
    gradients: list[Gradient] = [g for edit in candidate.edits for g in edit.cause.gradients]
    return tuple({g.loss.trace.generation.id: g.loss.trace.generation for g in gradients}.values())


async def suite_of(house: House, prompt: PromptSettings, recorded: Recorded) -> Suite:
    """The cases of a gate; which sources are sealed is decided by this installation's own key."""
    secret = await asyncio.to_thread(source_secret, house.settings.state_dir)
    return await assembled(prompt, house.cases, house.registry, recorded, secret=secret)
