"""The optimize stage: from complaints to one guarded candidate, through the journalled model."""

import asyncio

from deploy.collecting import chosen_losses, ended
from deploy.lifecycle import CycleState
from deploy.settings import PromptSettings, Settings
from deploy.store.fence import Run
from deploy.wiring import House
from optimizer.engine import NoCandidate, Outcome, Plan, optimize
from optimizer.fence import Fence
from optimizer.identity import Json
from optimizer.types import TextLoss


async def find_candidate(house: House, run: Run, state: dict[str, Json]) -> dict[str, Json]:
    """Gradients, root causes and edits for the chosen complaints; what was found is kept whatever comes of it."""
    prompt = house.settings.prompt(run.prompt)
    await asyncio.to_thread(house.store.cycles.advance, run, CycleState.OPTIMIZING, at=house.clock.now())
    losses = await asyncio.to_thread(chosen_losses, house, prompt, state)
    row = await asyncio.to_thread(house.store.cycles.get, run.cycle_id)
    version = state["base_version"]
    assert isinstance(version, int)
    base = await house.registry.get(prompt.name, version)
    house.progress("optimize", 0, 0)
    texts = source_texts(losses)
    outcome = await optimize(
        base,
        losses,
        house.journalled(run),
        plan=plan_of(house.settings, prompt),
        fence=Fence.of(row.secret, *texts),
        source_texts=texts,
    )
    await asyncio.to_thread(keep, house, run, outcome)
    if isinstance(outcome.candidate, NoCandidate):
        return ended("skipped", f"no change: {outcome.candidate.reason}")
    return {**state, "candidate": outcome.candidate.id}


def plan_of(settings: Settings, prompt: PromptSettings) -> Plan:
    """The engine's plan, from the owner's settings."""
    return Plan(
        critic_model=settings.model.critic,
        rewriter_model=settings.model.critic,
        max_losses=prompt.max_complaints,
        quorum=prompt.quorum,
    )


def source_texts(losses: tuple[TextLoss, ...]) -> tuple[str, ...]:
    """Every hostile text that the engine is about to read: the guard compares edits with them."""
    return tuple(
        text for loss in losses for text in (loss.text, loss.trace.generation.input, loss.trace.generation.output)
    )


def keep(house: House, run: Run, outcome: Outcome) -> None:
    """Save the lineage; the same again when the stage is repeated."""
    candidate = None if isinstance(outcome.candidate, NoCandidate) else outcome.candidate
    house.store.lineage.save(
        run.cycle_id, gradients=outcome.gradients, causes=outcome.causes, candidate=candidate, at=house.clock.now()
    )
    if candidate is not None:
        house.store.cycles.note(run.cycle_id, candidate_id=candidate.id)
