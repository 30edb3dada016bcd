"""The gate stage: both arms on the same cases, through promptfoo, and a verdict.

`prove` is the same for a cycle's candidate and for one that a person wrote.
"""

import asyncio
from collections.abc import Collection, Sequence

from deploy.collecting import ended
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
from optimizer.replay import NotReplayable, rebuild
from optimizer.types import Arm, Case, CaseOrigin, GateReport, Generation, Missing, Verdict


async def gate(house: House, run: Run, state: dict[str, Json]) -> dict[str, Json]:
    """Judge the cycle's candidate; only a pass goes on."""
    prompt = house.settings.prompt(run.prompt)
    await asyncio.to_thread(house.store.cycles.advance, run, CycleState.GATING, at=house.clock.now())
    candidate = await asyncio.to_thread(house.store.lineage.load_candidate, str(state["candidate"]), run.cycle_id)
    row = await asyncio.to_thread(house.store.cycles.get, run.cycle_id)
    gradients = await asyncio.to_thread(house.store.lineage.gradients, run.cycle_id)
    recorded = await asyncio.to_thread(recorded_inputs, house, state)
    cases = await gate_cases(
        prompt, house.cases, house.registry, recorded, gradient_sources={g.source_key for g in gradients}
    )
    evaluator = house.evaluator(prompt, house.journalled(run), row.secret)
    report = await prove(prompt, evaluator, candidate.parent, candidate.body, cases)

    def keep() -> None:
        house.store.reports.save(run.cycle_id, candidate.id, report, at=house.clock.now())
        house.store.cycles.note(run.cycle_id, verdict=report.verdict)

    await asyncio.to_thread(keep)
    if report.verdict is not Verdict.PASS:
        return ended("done", report.reasons[0])
    return state


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
) -> tuple[Case, ...]:
    """Curated cases of the owner's datasets, then production inputs of sources that gave no gradient."""
    curated = []
    for dataset in prompt.gate.datasets:
        try:
            curated += [case async for case in source.cases(dataset)]
        except NotFound as error:
            fix = f"create it in Langfuse or take it out of `gate.datasets` of {prompt.name}"
            raise NotFound(error.what, fix) from error
    replayed = (await replayed_cases(registry, recorded))[: prompt.gate.replayed * 2]
    return choose(curated, replayed, gradient_sources=gradient_sources, limit=prompt.gate.max_pairs)


async def replayed_cases(registry: PromptRegistry, recorded: Sequence[Generation]) -> list[Case]:
    """Cases rebuilt from recorded inputs without doubt; the others are left out."""
    versions: dict[tuple[str, int], PromptVersion] = {}
    cases = []
    for generation in recorded:
        key = (generation.prompt_name, generation.prompt_version)
        if key not in versions:
            versions[key] = await registry.get(*key)
        rebuilt = rebuild(versions[key].body, generation.input)
        if not isinstance(rebuilt, NotReplayable):
            cases.append(
                Case(
                    id=f"replay-{digest(generation.trace_id, generation.id)[:24]}",
                    origin=CaseOrigin.REPLAY,
                    input=rebuilt,
                    reference=Missing.NO_REFERENCE,
                    source_key=generation.source_key,
                    recorded_output=generation.output,
                    tags=generation.tags,
                )
            )
    return cases


def recorded_inputs(house: House, state: dict[str, Json]) -> tuple[Generation, ...]:
    """The generations that the collect stage put aside for replay."""
    ids = state["replay"]
    assert isinstance(ids, list)
    return house.store.traces.generations([str(generation_id) for generation_id in ids])
