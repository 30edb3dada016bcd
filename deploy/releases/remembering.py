"""What was refused is not proposed again: the edits of releases that people rejected or production took back.

The optimizer is told of them as failed steps, by our own words; what a reviewer wrote becomes a complaint about the
edit, and goes the way of every complaint: fenced, weighed, and one source among others.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from deploy.lifecycle import ReleaseState
from deploy.releases.errand import Errand
from deploy.settings import PromptSettings
from deploy.store.facade import Store
from deploy.store.refused_edits import RefusedRelease
from deploy.store.releases import OURS
from deploy.wiring import House
from optimizer.documents.document import Document
from optimizer.identity import digest
from optimizer.steps.history import PastStep
from optimizer.types import Candidate, Generation, LossKind, TextLoss, Trace, Verdict

SAID = {
    ReleaseState.REJECTED: "a person who reviewed it refused it",
    ReleaseState.ROLLED_BACK: "production took it back: users were served worse",
    ReleaseState.HALTED: "production took it back: users were served worse",
    ReleaseState.RETIRED: "production showed no gain",
}

MOST_REMEMBERED = 50
"""Refused releases that the optimizer is told of, the newest."""


async def remember(errand: Errand, *, because: ReleaseState, words: str = "", actor: str = OURS) -> None:
    """Keep the edits of a release as refused."""
    candidate, store, prompt = await errand.candidate(), errand.house.store, errand.prompt
    refused = RefusedRelease(
        run_id=errand.release.run_id,
        edit_ids=tuple(edit.id for edit in candidate.edits),
        because=because.value,
        words=words,
        actor=actor,
        at=errand.now,
    )

    def keep() -> None:
        store.refused_edits.keep(store.ledgers.prompt_id(prompt.name, formerly=prompt.formerly), refused)

    await asyncio.to_thread(keep)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A refused candidate: as a step that failed, and as a complaint where a reviewer said why."""

    candidate: Candidate
    step: PastStep
    review: TextLoss | None


def refused_before(house: House, prompt: PromptSettings, at: datetime) -> tuple[Refused, ...]:
    """What was refused of a prompt until then, oldest first. Blocks."""
    store = house.store
    found = store.refused_edits.of(store.ledgers.prompt_id(prompt.name, formerly=prompt.formerly))
    until = [refused for refused in found if refused.at <= at]
    return tuple(_refused(store, refused) for refused in until[-MOST_REMEMBERED:])


def _refused(store: Store, refused: RefusedRelease) -> Refused:
    release = store.releases.get(refused.run_id)
    candidate = store.lineage.load_candidate(release.candidate_id, release.cycle_id)
    before, reason = Document.of(candidate.parent.body), SAID[ReleaseState(refused.because)]
    return Refused(
        candidate=candidate,
        step=PastStep.of(before, candidate.edits, verdict=Verdict.FAIL, reason=reason),
        review=_loss(refused, candidate) if refused.words.strip() else None,
    )


def _loss(refused: RefusedRelease, candidate: Candidate) -> TextLoss:
    """A reviewer is a source of its own; what was reviewed is the edit, not a user's question."""
    about = Generation(
        id=digest("review", refused.run_id),
        trace_id=f"review-{digest(refused.run_id)[:16]}",
        prompt_name=candidate.parent.name,
        prompt_version=candidate.parent.version,
        environment="review",
        at=refused.at,
        input="A reviewer read a proposed change of the prompt and refused it.",
        output="\n".join(edit.text or f"(removes line {edit.line})" for edit in candidate.edits),
        model="",
        source_key=digest("reviewer", refused.actor),
    )
    return TextLoss(trace=Trace(generation=about, scores=()), kind=LossKind.COMMENT, text=refused.words, weight=1.0)
