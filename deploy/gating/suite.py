"""Which cases a gate uses: curated, replayed and sealed ones, anchors, and the complaints behind the candidate.

A candidate is never judged on the complaints that it was made from, and a source that ever gave a gradient gives no
replayed case. The sealed part of the replayed inputs is kept for claims: no screen ever sees it.
"""

import hmac
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from deploy.settings import GateSettings, PromptSettings
from gates.cases import choose, content, divided
from optimizer.errors import BadInput, NotFound
from optimizer.identity import digest
from optimizer.ports import CaseSource, PromptRegistry
from optimizer.prompts import PromptVersion
from optimizer.traces.replay import rebuild
from optimizer.types import Case, CaseInput, CaseOrigin, Generation, LossKind, Missing, TextLoss

SEALED_SHARE = 2 / 3
"""Of the sources of recorded inputs; a claim needs more cases than a screen, and each of them once."""

MOST_COMPLAINTS = 30
"""Complaints behind a candidate that are asked again; more would say nothing new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """The cases of one gate, each part in the order in which it is scored.

    Attributes:
        sealed: for claims; some may have been scored by an earlier gate, which the store knows.
        replayable: share of the recorded inputs that could be rebuilt; missing when none was read.
    """

    screen: tuple[Case, ...]
    sealed: tuple[Case, ...] = ()
    anchors: tuple[Case, ...] = ()
    complaints: tuple[Case, ...] = ()
    replayable: float | Missing = Missing.NOT_RECORDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What production left: inputs to replay, and what people said about them.

    Attributes:
        gradient_sources: sources that ever gave a gradient for this prompt.
        complained: the generations behind the candidate's edits; empty for a change that a person wrote.
    """

    inputs: Sequence[Generation]
    losses: Sequence[TextLoss] = ()
    gradient_sources: Collection[str] = ()
    complained: Sequence[Generation] = ()


def anchors_of(prompt: str) -> str:
    """The dataset that holds the anchors of a prompt."""
    return f"tracegrad-anchors-{prompt}"


async def assembled(
    prompt: PromptSettings, source: CaseSource, registry: PromptRegistry, recorded: Recorded, *, secret: bytes
) -> Suite:
    """The suite of one gate.

    Args:
        secret: decides which sources are sealed; whoever does not know it cannot choose his side.

    Raises:
        NotFound, BadInput: a dataset of the owner's is missing or empty.
    """
    gate = prompt.gate
    curated = [case for name in gate.datasets for case in await dataset(prompt, source, name, "datasets")]
    rebuilt = await replayed(registry, recorded.inputs, recorded.losses)
    opened, kept = divided(rebuilt, secret=secret, share=share_of(prompt.gate))
    sources = recorded.gradient_sources
    screen = choose(
        curated,
        choose((), opened, gradient_sources=sources, limit=gate.replayed),
        gradient_sources=sources,
        limit=gate.max_cases,
    )
    owned = [case for name in gate.sealed_datasets for case in await dataset(prompt, source, name, "sealed_datasets")]
    unused = [case for case in kept if case.source_key not in sources]
    complaints = await replayed(registry, recorded.complained, recorded.losses, origin=CaseOrigin.COMPLAINT)
    fixed = await anchors(prompt, source)
    # what this gate shows anyway is nothing to claim on, and what stands there twice is scored once
    shown = {content(case) for case in (*screen, *fixed, *complaints)}
    sealed = {asked: case for case in (*owned, *unused) if (asked := content(case)) not in shown}
    return Suite(
        screen=mixed(screen, secret),
        sealed=mixed(sealed.values(), secret),
        anchors=fixed,
        complaints=choose((), complaints, gradient_sources=(), limit=MOST_COMPLAINTS),
        replayable=len(rebuilt) / len(recorded.inputs) if recorded.inputs else Missing.NOT_RECORDED,
    )


def share_of(gate: GateSettings) -> float:
    """The share of the sources that is sealed. It does not follow the numbers: a source must not change its side."""
    if not gate.claim or gate.sealed == 0:
        return 0.0
    return SEALED_SHARE if gate.replayed else 1.0


def mixed(cases: Iterable[Case], secret: bytes) -> tuple[Case, ...]:
    """The cases in an order that only we know, so that the first look is at every kind of them."""
    return tuple(sorted(cases, key=lambda case: hmac.digest(secret, case.id.encode(), "sha256")))


async def dataset(prompt: PromptSettings, source: CaseSource, name: str, setting: str) -> list[Case]:
    """The cases of one dataset that the owner named. Raises NotFound, and BadInput for an empty one."""
    fix = f"or take it out of `gate.{setting}` of {prompt.name}"
    try:
        cases = [case async for case in source.cases(name)]
    except NotFound as error:
        raise NotFound(error.what, f"create it in Langfuse {fix}") from error
    if not cases:
        raise BadInput(f"the dataset '{name}' holds no active item", f"add some {fix}")
    return cases


async def anchors(prompt: PromptSettings, source: CaseSource) -> tuple[Case, ...]:
    """Complaints that earlier releases fixed, under any name of the prompt; none before the first of them."""
    found: dict[str, Case] = {}
    for name in (*prompt.formerly, prompt.name):
        with suppress(NotFound):
            found.update([(case.id, case) async for case in source.cases(anchors_of(name))])
    return tuple(found.values())


async def replayed(
    registry: PromptRegistry,
    recorded: Sequence[Generation],
    losses: Sequence[TextLoss],
    *,
    origin: CaseOrigin = CaseOrigin.REPLAY,
) -> list[Case]:
    """Cases rebuilt from recorded inputs without doubt; the others are left out.

    Args:
        losses: complaints about the recorded generations, best first; the judge sees them beside the case.
    """
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
                    id=case_id(origin, generation),
                    origin=origin,
                    input=rebuilt,
                    reference=said.get((generation.id, LossKind.CORRECTION), Missing.NO_REFERENCE),
                    source_key=generation.source_key,
                    recorded_output=generation.output,
                    # a bare score says that it was bad, not what was: no help to a judge
                    complaint=said.get((generation.id, LossKind.COMMENT), ""),
                    tags=generation.tags,
                    at=generation.at,
                )
            )
    return cases


def case_id(origin: CaseOrigin, generation: Generation) -> str:
    """The id of a recorded input as a case: the same in every gate."""
    return f"{origin}-{digest(generation.trace_id, generation.id)[:24]}"


async def template(registry: PromptRegistry, name: str, version: int) -> PromptVersion | None:
    """The version that a recorded call was made with; None when somebody has deleted it since."""
    try:
        return await registry.get(name, version)
    except NotFound:
        return None
