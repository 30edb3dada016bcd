"""One release in one tick: what every step of it is given, and the two ways in which a step may act.

`once` is for the outside world: done once, recorded, and looked for before it is repeated. `move` is for our own table.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from deploy.lifecycle import ReleaseState
from deploy.releases import labels
from deploy.settings import PromptSettings
from deploy.store.effects import Frozen
from deploy.store.fence import Run
from deploy.store.releases import OURS, ReleaseEvent, ReleaseRow
from deploy.wiring import House
from optimizer.errors import Permanent, Transient
from optimizer.identity import Json
from optimizer.ports import FlagService
from optimizer.prompts import Body
from optimizer.rollouts import CanaryPlan
from optimizer.types import Candidate

PAUSES_S = (0.5, 5.0, 30.0)
"""Between attempts at an effect while the other side is away; each looks first for what the one before has done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One release, as it stands, on its way through a tick.

    Attributes:
        run: its `cycle_id` is the release's id, under which effects are recorded.
    """

    house: House
    run: Run
    release: ReleaseRow

    @property
    def prompt(self) -> PromptSettings:
        """The settings of its prompt."""
        return self.house.settings.prompt(self.release.prompt)

    @property
    def now(self) -> datetime:
        """The present moment."""
        return self.house.clock.now()

    @property
    def flags(self) -> FlagService:
        """Where its applications ask; other settings count from the next release on."""
        return self.house.flags(self.prompt, self.release.plan)

    @property
    def watched(self) -> bool:
        """Whether production decides about it."""
        return self.release.policy == "canary" or self.prompt.release.then == "canary"

    async def once(self, key: str, send: Callable[[str], Awaitable[Json]], *, forward: bool = False) -> Json:
        """An effect, done once, and asked for again while the other side is away. Raises Frozen for a forward one.

        After a halt everything is done anew that a person orders: what was done before it has been undone since.
        """
        effects = self.house.store.effects
        halts = sum(event.state is ReleaseState.HALTED for event in await self.events())
        key = f"{key}/after-halt-{halts}" if halts else key
        for pause_s in PAUSES_S:
            try:
                return await effects.once(self.run, key, send, forward=forward)
            except Frozen:
                raise
            except Transient as error:
                if error.retry_after_s > PAUSES_S[-1]:
                    raise  # asked before that, the other side may shut us out for good; a later tick asks
                await asyncio.sleep(max(pause_s, error.retry_after_s))
        return await effects.once(self.run, key, send, forward=forward)

    async def move(
        self,
        to: ReleaseState,
        reason: str,
        *,
        actor: str = OURS,
        version: int | None = None,
        approver: str | None = None,
        evidence: Mapping[str, Json] | None = None,
    ) -> "Errand":
        """The release after a move of its table. Raises IllegalMove."""
        row = await asyncio.to_thread(
            self.house.store.releases.advance,
            self.release.run_id,
            to,
            at=self.now,
            reason=reason,
            version=version,
            approver=approver,
            actor=actor,
            evidence=evidence,
        )
        return replace(self, release=row)

    async def waits(self, reason: str) -> "Errand":
        """The release where it stands, with what it is waiting for."""
        await asyncio.to_thread(self.house.store.releases.note, self.release.run_id, reason)
        return replace(self, release=replace(self.release, reason=reason))

    async def events(self) -> tuple[ReleaseEvent, ...]:
        """Every move that the release made."""
        return await asyncio.to_thread(self.house.store.releases.events, self.release.run_id)

    async def candidate(self) -> Candidate:
        """What its cycle found. Raises Permanent when its words were erased with those of a person."""
        release, lineage = self.release, self.house.store.lineage
        found = await asyncio.to_thread(lineage.load_candidate, release.candidate_id, release.cycle_id)
        return whole(found, release.candidate_id)

    async def body(self) -> Body:
        """The text that is released: a person's, when one changed the candidate in a pull request."""
        changed = await asyncio.to_thread(self.house.store.release_texts.of, self.release.run_id)
        return changed.body if changed else (await self.candidate()).body

    def planned(self, plan: CanaryPlan) -> "Errand":
        """The release with the plan of its canary."""
        return replace(self, release=replace(self.release, plan=plan))

    def run_for(self, row: ReleaseRow) -> Run:
        """The same tick, about another release of the prompt."""
        return replace(self.run, cycle_id=row.run_id)

    async def labelled(self, label: str) -> int:
        """The version that a label points to now, 0 when none does."""
        return await labels.standing(self.house.registry, self.release.prompt, label)

    async def point(self, key: str, label: str, *, to: int, expect: int | None = None, forward: bool = False) -> bool:
        """Move a label, once; False when it stands elsewhere. `expect` is None for wherever it was found first."""
        name, registry = self.release.prompt, self.house.registry
        was = expect
        if was is None:
            was = number(await self.once(f"{key}/was", partial(labels.found, registry, name, label)))
        return bool(await self.once(key, partial(labels.moved, registry, name, label, to, was), forward=forward))


def whole(candidate: Candidate, id_: str) -> Candidate:
    """The candidate, if it still reads as it did when it was judged. Raises Permanent."""
    if candidate.id != id_:
        raise Permanent("the candidate was erased together with a person's words", "reject it, and run another cycle")
    return candidate


def number(value: Json) -> int:
    """A number that an effect left."""
    assert isinstance(value, int)
    return value
