"""Can this prompt's gate decide anything? What the doctor finds out about it, each with what to do.

Pays for nothing and uses up nothing: no case is scored, no stake opened.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

from deploy.doctor import Check, failed, ok, sentence, warning
from deploy.gating.agreement import opinions
from deploy.gating.stage import gradient_sources, suite_of
from deploy.gating.suite import Recorded, Suite, dataset
from deploy.settings import PromptSettings, Settings
from deploy.store.ledger import Ledger
from deploy.wiring import House
from gates.cases import content
from gates.error_budget import next_stake
from gates.rules import GateRules
from optimizer.errors import TracegradError
from optimizer.types import CaseOrigin, Generation

NEEDS_EMBEDDINGS = ("similar", "not-similar")
"""promptfoo assertions that compare meanings. One such as `similar:cosine` says how, after the colon."""


async def check_gate(house: House, prompt: PromptSettings, sample: Sequence[Generation]) -> AsyncIterator[Check]:
    """The gate of one prompt: its evaluator, its cases and its error budget.

    Args:
        sample: recent generations of the prompt.
    """
    name = f"gate {prompt.name}"
    for check in check_embeddings(name, house.settings, prompt):
        yield check
    yield await check_evaluators(name, house, prompt)
    async for check in check_people(name, house, prompt):
        yield check
    missing = [check async for check in check_datasets(name, house, prompt)]
    for check in missing:
        yield check
    if missing:
        return
    recorded = Recorded(inputs=sample, gradient_sources=await asyncio.to_thread(gradient_sources, house, prompt))
    suite = await suite_of(house, prompt, recorded)
    yield check_screen(name, prompt, suite)
    async for check in check_claims(name, house, prompt, suite):
        yield check


def check_embeddings(name: str, settings: Settings, prompt: PromptSettings) -> list[Check]:
    """An assertion that compares meanings needs a model for them."""
    kinds = {str(assertion.get("type", "")).partition(":")[0] for assertion in prompt.gate.assertions}
    if kinds.isdisjoint(NEEDS_EMBEDDINGS):
        return []
    if not settings.model.embedding:
        return [failed(name, "an assertion of type `similar` needs embeddings; name a model at `model.embedding`.")]
    return [ok(name, f"`similar` is answered by {settings.model.embedding}")]


async def check_evaluators(name: str, house: House, prompt: PromptSettings) -> Check:
    """The owner's function, server or promptfoo configuration can be used."""
    head = await house.registry.head(prompt.name, label=prompt.label)
    bodies = (head.production.body, head.production.body)
    try:
        async with house.evaluators(prompt, house.model, b"doctor", bodies=bodies) as tools:
            said = f"answers are judged by {tools.judge.name}"
            if tools.told:
                return warning(name, f"{said}; {' '.join(finding.sentence for finding in tools.told)}")
            owned = f", and by {len(tools.owner_cases)} tests of your promptfoo configuration" if tools.owner else ""
            return ok(name, f"{said}{owned}; {len(tools.attacks) or 'no'} attacks are tried")
    except TracegradError as error:
        return failed(name, sentence(error))


async def check_people(name: str, house: House, prompt: PromptSettings) -> AsyncIterator[Check]:
    """A misspelt name would leave the judge uncompared, and nobody would notice."""
    wanted = prompt.gate.human_score
    if not wanted:
        return
    found, needed = len(await opinions(house, prompt)), GateRules().judge_humans
    said = f"of the last {prompt.lookback_days:g} days, {found} answers have a score '{wanted}'"
    if not found:
        yield warning(name, f"{said}; correct `gate.human_score`, or have people score some.")
    else:
        yield ok(name, f"{said}; the judge is held to people's scores from {needed} on")


async def check_datasets(name: str, house: House, prompt: PromptSettings) -> AsyncIterator[Check]:
    """Only what is wrong: a dataset that is missing or empty."""
    for setting in ("datasets", "sealed_datasets"):
        for named in getattr(prompt.gate, setting):
            try:
                await dataset(prompt, house.cases, named, setting)
            except TracegradError as error:
                yield failed(name, sentence(error))


def check_screen(name: str, prompt: PromptSettings, suite: Suite) -> Check:
    """Whether the screen can pass anything at all."""
    curated = sum(case.origin is CaseOrigin.DATASET for case in suite.screen)
    said = (
        f"a screen has {len(suite.screen)} cases, {curated} from datasets, {len(suite.screen) - curated} replayed, "
        f"and {len(suite.anchors)} anchors beside"
    )
    if len(suite.screen) < prompt.gate.min_cases:
        return warning(
            name, f"{said}, and passes nothing on fewer than {prompt.gate.min_cases}; name a larger dataset."
        )
    return ok(name, said)


async def check_claims(name: str, house: House, prompt: PromptSettings, suite: Suite) -> AsyncIterator[Check]:
    """What is left to prove something with: unseen cases, and error budget."""
    if prompt.release.watched:
        yield ok(name, "nothing is claimed: production proves what passes")
        return
    if not prompt.gate.claim:
        yield ok(name, "`claim` is off: what passes is screened, not proven")
        return
    left, used = await asyncio.to_thread(spent, house, prompt)
    unseen = [case for case in suite.sealed if content(case) not in used]
    said = f"{len(unseen)} sealed cases that nobody has scored yet"
    if len(unseen) < prompt.gate.min_cases:
        yield warning(
            name,
            f"{said}, and a claim needs {prompt.gate.min_cases}; wait for new traffic, raise `gate.sealed`, or name "
            "`gate.sealed_datasets`.",
        )
    else:
        yield ok(name, said)
    budget = prompt.gate.claim_budget
    stake = next_stake(left)
    said = f"{left:.3g} of the error budget of {budget:g} a year is left"
    if stake <= 0:
        yield warning(name, f"{said}, so nothing can be proven; wait, or raise `gate.claim_budget`.")
    else:
        yield ok(name, f"{said}; the next claim stakes {stake:.2g} and needs evidence of {1 / stake:.0f}")


def spent(house: House, prompt: PromptSettings) -> tuple[float, frozenset[str]]:
    """What is left of the prompt's budget, and the cases that a gate has scored. Blocks."""
    ledgers = house.store.ledgers
    prompt_id = ledgers.prompt_id(prompt.name, formerly=prompt.formerly)
    left = ledgers.left(prompt_id, Ledger.PROPOSAL, prompt.gate.claim_budget)
    return left, frozenset(house.store.case_uses.counts(prompt_id))
