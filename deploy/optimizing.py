"""The optimize stage: from complaints to one guarded candidate, through the journalled model."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from deploy.collecting import chosen_losses, ended, number_in
from deploy.lifecycle import CycleState
from deploy.releases.remembering import Refused, refused_before
from deploy.settings import PromptSettings, Settings
from deploy.store.fence import Run
from deploy.store.refusals import META_PROMPT, Refusal
from deploy.wiring import House
from optimizer.documents.document import Document
from optimizer.engine import NoCandidate, Outcome, Plan, optimize
from optimizer.fence import Fence
from optimizer.identity import Json
from optimizer.steps.history import PastStep
from optimizer.types import TextLoss

CYCLES_REMEMBERED = 8
"""Judged candidates that the rewriter is told of: with a cycle a day, about a week."""


async def find_candidate(house: House, run: Run, state: dict[str, Json]) -> dict[str, Json]:
    """Gradients, root causes and edits for the chosen complaints; what was found is kept whatever comes of it."""
    prompt = house.settings.prompt(run.prompt)
    await asyncio.to_thread(house.store.cycles.advance, run, CycleState.OPTIMIZING, at=house.clock.now())
    row = await asyncio.to_thread(house.store.cycles.get, run.cycle_id)
    refused = await asyncio.to_thread(refused_before, house, prompt, row.started_at)
    chosen = await asyncio.to_thread(chosen_losses, house.store, prompt, state)
    losses = (*chosen, *(one.review for one in refused if one.review))
    base = await house.registry.get(prompt.name, number_in(state, "base_version"))
    house.progress("optimize", 0, 0)
    outcome = await optimize(
        base,
        losses,
        house.journalled(run),
        plan=plan_of(house.settings, prompt),
        # of the secret alone: a complaint that was edited since must not change the requests about all the others
        fence=Fence.of(row.secret),
        source_texts=source_texts(losses),
        history=await asyncio.to_thread(remembered, house, run, refused),
    )
    await asyncio.to_thread(keep, house, run, outcome)
    if isinstance(outcome.candidate, NoCandidate):
        if len(outcome.dropped) > len(
            outcome.gradients
        ):  # the model failed, so nothing was learned from the complaints
            return ended(
                "failed", f"{outcome.candidate.reason}; run `tracegrad doctor` and check `model` in tracegrad.yaml."
            )
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


def remembered(house: House, run: Run, refused: Sequence[Refused]) -> tuple[PastStep, ...]:
    """What became of the candidates of this prompt's last cycles, oldest first: verdicts, never numbers.

    What people refused or production took back has failed, whatever its gate said.
    """
    gone = {one.candidate.id for one in refused}
    judged = house.store.lineage.judged(run.prompt, before=run.cycle_id, limit=CYCLES_REMEMBERED)
    return (
        *(
            PastStep.of(
                Document.of(candidate.parent.body),
                candidate.edits,
                verdict=verdict,
                reason=f"the gate's verdict: {verdict}",
            )
            for candidate, verdict in judged
            if candidate.id not in gone
        ),
        *(one.step for one in refused),
    )


def source_texts(losses: tuple[TextLoss, ...]) -> tuple[str, ...]:
    """Every hostile text that the engine is about to read: the guard compares edits with them."""
    return tuple(
        text for loss in losses for text in (loss.text, loss.trace.generation.input, loss.trace.generation.output)
    )


def keep(house: House, run: Run, outcome: Outcome) -> None:
    """Save the lineage and what was refused; the same again when the stage is repeated."""
    candidate = None if isinstance(outcome.candidate, NoCandidate) else outcome.candidate
    house.store.lineage.save(
        run.cycle_id, gradients=outcome.gradients, causes=outcome.causes, candidate=candidate, at=house.clock.now()
    )
    house.store.refusals.save(run.cycle_id, refusals(outcome))
    if candidate is not None:
        house.store.cycles.note(run.cycle_id, candidate_id=candidate.id)


def refusals(outcome: Outcome) -> tuple[Refusal, ...]:
    """What the engine did not use, counted by reason, and which meta-prompts it used.

    Only our own words: an error's message may quote a stranger, so no more than its name is kept.
    """
    counted: Counter[tuple[str, str]] = Counter()
    for dropped in outcome.dropped:
        counted["complaint", f"the critic's call failed ({dropped.reason.partition(':')[0]})"] += 1
    if outcome.left_out:
        counted["complaint", "left for another cycle"] = len(outcome.left_out)
    for cause in outcome.refused_causes:
        counted["criticism", cause.reason] += len(cause.gradients)
    for edit in outcome.refused_edits:
        counted["edit", edit.reason] += 1
    for name, version in outcome.meta_versions:
        counted[META_PROMPT, f"{name} v{version}"] = 1
    return tuple(Refusal(kind=kind, reason=reason, count=count) for (kind, reason), count in sorted(counted.items()))
