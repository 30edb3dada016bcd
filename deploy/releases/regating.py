"""A text that a person made of a candidate goes through the gate as well, as a cycle of its own.

The cycle's slot names the commit that the text was read from, so that it is judged once. Its release waits.
"""

import asyncio

from deploy.collecting import ended, recent_inputs
from deploy.lifecycle import CYCLE_TRANSITIONS, CycleState, is_final
from deploy.store.cycles import CycleRow, cycle_id
from deploy.store.facade import Store
from deploy.store.fence import Run
from deploy.store.release_texts import ReleaseText
from deploy.wiring import House
from optimizer.errors import NotFound
from optimizer.identity import Json
from optimizer.types import Candidate

SLOT = "merged-"


def slot_of(text: ReleaseText) -> str:
    """The slot of the cycle that judges a text."""
    return f"{SLOT}{text.revision}"


def verdict_cycle(store: Store, prompt: str, text: ReleaseText) -> CycleRow | None:
    """The cycle that judged a text, None while it has not ended. Blocks."""
    try:
        row = store.cycles.get(cycle_id(prompt, slot_of(text)))
    except NotFound:
        return None
    return row if is_final(CYCLE_TRANSITIONS, row.state) else None


async def take(house: House, run: Run, state: dict[str, Json]) -> dict[str, Json]:
    """The first stage of such a cycle: the person's text as a candidate, against what production reads now."""
    prompt, now = house.settings.prompt(run.prompt), house.clock.now()
    await asyncio.to_thread(house.store.cycles.advance, run, CycleState.COLLECTING, at=now)
    revision = run.cycle_id.rpartition(f"@{SLOT}")[2]
    text = await asyncio.to_thread(house.store.release_texts.at_revision, run.prompt, revision)
    if text is None:
        return ended("failed", f"there is no text of commit {revision}")
    head = await house.registry.head(prompt.name, label=prompt.label)
    candidate = Candidate(parent=head.production, edits=(), body=text.body)

    def keep() -> None:
        house.store.cycles.note(run.cycle_id, parent_version=head.production.version, candidate_id=candidate.id)
        house.store.lineage.save(run.cycle_id, gradients=(), causes=(), candidate=candidate, at=now)
        house.store.cycles.advance(run, CycleState.OPTIMIZING, at=now)

    replay = await recent_inputs(house, prompt, now)
    await asyncio.to_thread(keep)
    return {**state, "candidate": candidate.id, "replay": replay}
