"""A text that a person made of a candidate goes through the gate as well, as a cycle of its own.

The cycle's slot names the commit that the text was read from, so that it is judged once. Its release waits.
"""

import asyncio
from dataclasses import dataclass

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

SLOT, AGAIN = "merged-", "~"

MOST_TRIES = 50
"""Of one text, a few minutes apart: longer than an outage, and an end for a gate that can never run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The newest cycle about a text: `row` is None while it has not ended, or was not begun."""

    slot: str
    row: CycleRow | None


def trial_of(store: Store, prompt: str, text: ReleaseText) -> Trial:
    """The cycle that judges a text. One that failed said nothing about the text, so another follows. Blocks."""
    for number in range(1, MOST_TRIES + 1):
        slot = f"{SLOT}{text.revision}" + (f"{AGAIN}{number}" if number > 1 else "")
        try:
            row = store.cycles.get(cycle_id(prompt, slot))
        except NotFound:
            return Trial(slot=slot, row=None)
        if row.state is not CycleState.FAILED:
            break
    return Trial(slot=slot, row=row if is_final(CYCLE_TRANSITIONS, row.state) else None)


async def take(house: House, run: Run, state: dict[str, Json]) -> dict[str, Json]:
    """The first stage of such a cycle: the person's text as a candidate, against what production reads now."""
    prompt, now = house.settings.prompt(run.prompt), house.clock.now()
    await asyncio.to_thread(house.store.cycles.advance, run, CycleState.COLLECTING, at=now)
    revision = run.cycle_id.rpartition(f"@{SLOT}")[2].partition(AGAIN)[0]
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
