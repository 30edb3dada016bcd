"""The gate stage: both arms on the same cases, through promptfoo, and a verdict.

`prove` is the same for a cycle's candidate and for one that a person wrote.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace

from deploy.collecting import ended, ids_in, losses_about
from deploy.lifecycle import CycleState
from deploy.settings import PromptSettings
from deploy.store.fence import Run
from deploy.wiring import House
from gates.cases import choose
from gates.verdict import GateRules, decide
from optimizer.errors import NotFound
from optimizer.identity import Json, digest
from optimizer.ports import CaseSource, Evaluator, PromptRegistry
from optimizer.prompts import Body, PromptVersion
from optimizer.traces.replay import rebuild
from optimizer.types import (
    Arm,
    Candidate,
    Case,
    CaseInput,
    CaseOrigin,
    GateReport,
    Generation,
    LossKind,
    Missing,
    TextLoss,
    Verdict,
)

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
    if report.verdict is not Verdict.PASS:
        return ended("done", report.reasons[0])
    return state


async def judged(house: House, run: Run, state: dict[str, Json], candidate: Candidate) -> GateReport:
    """The candidate against its parent, on cases that it was not made from."""
    prompt = house.settings.prompt(run.prompt)
    row = await asyncio.to_thread(house.store.cycles.get, run.cycle_id)
    gradients = await asyncio.to_thread(house.store.lineage.gradients, run.cycle_id)
    recorded = await asyncio.to_thread(house.store.traces.generations, ids_in(state, "replay"))
    cases = await gate_cases(
        prompt,
        house.cases,
        house.registry,
        recorded,
        gradient_sources={gradient.source_key for gradient in gradients},
        losses=await asyncio.to_thread(losses_about, house.store, prompt, recorded),
    )
    evaluator = house.evaluator(prompt, house.journalled(run), row.secret)
    report = await prove(prompt, evaluator, candidate.parent, candidate.body, cases)
    # both arms may ask the same thing, which is paid for once: the journal knows
    paid = await asyncio.to_thread(house.store.journal.spent, run.cycle_id, PURPOSES)
    return replace(report, usage=paid)


async def prove(
    prompt: PromptSettings, evaluator: Evaluator, baseline: PromptVersion, body: Body, cases: Sequence[Case]
) -> GateReport:
    """Run both arms on the cases and decide."""
    draft = PromptVersion(name=baseline.name, version=baseline.version, body=body, config_json=baseline.config_json)
    evidence = await evaluator.compare({Arm.BASELINE: baseline, Arm.CANDIDATE: draft}, cases)
    return decide(evidence, GateRules(threshold=prompt.gate.threshold, min_pairs=prompt.gate.min_pairs))


async def gate_cases(
    prompt: PromptSettings,
    source: CaseSource,
    registry: PromptRegistry,
    recorded: Sequence[Generation],
    *,
    gradient_sources: Collection[str],
    losses: Sequence[TextLoss] = (),
) -> tuple[Case, ...]:
    """Curated cases of the owner's datasets, then production inputs of sources that gave no gradient.

    Args:
        losses: complaints about the recorded generations, best first; the judge sees them beside the case.
    """
    curated = []
    for dataset in prompt.gate.datasets:
        try:
            curated += [case async for case in source.cases(dataset)]
        except NotFound as error:
            fix = f"create it in Langfuse or take it out of `gate.datasets` of {prompt.name}"
            raise NotFound(error.what, fix) from error
    rebuilt = await replayed_cases(registry, recorded, losses)
    replayed = choose((), rebuilt, gradient_sources=gradient_sources, limit=prompt.gate.replayed)
    return choose(curated, replayed, gradient_sources=gradient_sources, limit=prompt.gate.max_pairs)


async def replayed_cases(
    registry: PromptRegistry, recorded: Sequence[Generation], losses: Sequence[TextLoss]
) -> list[Case]:
    """Cases rebuilt from recorded inputs without doubt; the others are left out."""
    templates: dict[tuple[str, int], PromptVersion | None] = {}
    said: dict[tuple[str, LossKind], str] = {}
    for loss in losses:
        said.setdefault((loss.trace.generation.id, loss.kind), loss.text)
    cases = []
    for generation in recorded:
        key = (generation.prompt_name, generation.prompt_version)
        if key not in templates:
            templates[key] = await template(registry, *key)
        version = templates[key]
        rebuilt = rebuild(version.body, generation.input) if version else None
        if isinstance(rebuilt, CaseInput):
            cases.append(
                Case(
                    id=f"replay-{digest(generation.trace_id, generation.id)[:24]}",
                    origin=CaseOrigin.REPLAY,
                    input=rebuilt,
                    reference=said.get((generation.id, LossKind.CORRECTION), Missing.NO_REFERENCE),
                    source_key=generation.source_key,
                    recorded_output=generation.output,
                    # a bare score says that it was bad, not what was: no help to a judge
                    complaint=said.get((generation.id, LossKind.COMMENT), ""),
                    tags=generation.tags,
                )
            )
    return cases


async def template(registry: PromptRegistry, name: str, version: int) -> PromptVersion | None:
    """The version that a recorded call was made with; None when somebody has deleted it since."""
    try:
        return await registry.get(name, version)
    except NotFound:
        return None
