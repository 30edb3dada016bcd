"""When ticks happen: every few minutes where something is open, and at once when somebody asks.

Every replica may do this: ticks of one prompt never run beside one another, and one that finds nothing to do changes
nothing. What is due is read from the store alone; nothing outside is asked for a prompt that has nothing open.
"""

import asyncio
import logging
from datetime import datetime, timedelta
from functools import partial

from deploy.cycle import MERGED_PLAN
from deploy.lifecycle import ReleaseState
from deploy.releases.telling import to_tell
from deploy.settings import Settings
from deploy.store.facade import Store
from deploy.store.pull_requests import OPEN
from deploy.workflows import Worker
from optimizer.ports import Clock

MOVING = (ReleaseState.PROPOSED, ReleaseState.APPROVED, ReleaseState.PUBLISHED, ReleaseState.PROGRESSING)

ON_TRIAL = (ReleaseState.PUBLISHED, ReleaseState.PROGRESSING)

log = logging.getLogger("tracegrad")


class Ticker:
    """Asks for ticks until it is stopped."""

    def __init__(self, worker: Worker, store: Store, settings: Settings, clock: Clock) -> None:
        self._worker = worker
        self._store = store
        self._settings = settings
        self._clock = clock
        self._asked = asyncio.Event()
        self._ticks: dict[str, asyncio.Task[None]] = {}
        self._rounds: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """True between start and stop."""
        return self._rounds is not None and not self._rounds.done()

    def start(self) -> None:
        """Begin, on the loop that is running now."""
        self._rounds = asyncio.create_task(self._run(), name="ticker")

    def stop(self) -> None:
        """Ask for no more ticks."""
        for task in (self._rounds, *self._ticks.values()):
            if task is not None:
                task.cancel()

    def nudge(self) -> None:
        """Do not wait for the next round: somebody has decided something."""
        self._asked.set()

    async def round(self) -> None:
        """One tick of every prompt that has something open, beside one another, to the end of the last."""
        await self._begin()
        await asyncio.gather(*self._ticks.values())

    async def _begin(self) -> None:
        """Begin the ticks that are due; a prompt whose tick takes long holds up no other, and gets no second one."""
        now = self._clock.now()
        due = await asyncio.to_thread(lambda: [p.name for p in self._settings.prompts if self._is_due(p.name, now)])
        slot = f"{now:%Y-%m-%dT%H:%M:%S}Z-{self._worker.executor[:8]}"
        for prompt in due:
            if prompt not in self._ticks:
                task = asyncio.create_task(self._tick(prompt, slot), name=f"tick:{prompt}")
                self._ticks[prompt] = task
                task.add_done_callback(partial(self._ended, prompt))

    def _ended(self, prompt: str, task: asyncio.Task[None]) -> None:
        self._ticks.pop(prompt, None)
        if not task.cancelled() and (error := task.exception()):
            log.error("a tick failed", extra={"action": "tick", "prompt": prompt, "error": type(error).__name__})

    def _is_due(self, prompt: str, now: datetime) -> bool:
        return is_due(self._store, self._settings, prompt, now)

    async def _tick(self, prompt: str, slot: str) -> None:
        """One tick, and the cycles that it asks for."""
        id_ = await self._worker.enqueue_tick(prompt, slot)
        state = await self._worker.wait(id_)
        await self._worker.forget(id_)
        gates = state.get("gates")
        for gate in gates if isinstance(gates, list) else ():
            await self._worker.enqueue(prompt, str(gate), MERGED_PLAN)

    async def _run(self) -> None:
        while True:
            try:
                for prompt in await asyncio.to_thread(untended, self._store, self._settings):
                    said = "users are shown a release of a prompt that is not registered any more; nobody watches it"
                    log.error(said, extra={"action": "untended", "prompt": prompt})
                await self._begin()
            except Exception as error:  # the outermost loop of the ticks: one bad round must not end them
                log.error("a round of ticks failed", extra={"action": "tick", "error": type(error).__name__})
            pause_s = timedelta(minutes=self._settings.tend_minutes).total_seconds()
            try:
                await asyncio.wait_for(self._asked.wait(), pause_s)
            except TimeoutError:
                continue
            self._asked.clear()


def is_due(store: Store, settings: Settings, prompt: str, now: datetime) -> bool:
    """Whether a tick of the prompt could do anything. Blocks."""
    if store.orders.pending(prompt) or store.pull_requests.in_state(prompt, OPEN):
        return True
    if to_tell(store, settings, prompt, now):
        return True
    releases = store.releases
    if releases.in_state(prompt, *MOVING):
        return True
    promoted = releases.in_state(prompt, ReleaseState.PROMOTED)
    return any("holdback" in releases.events(row.run_id)[-1].evidence for row in promoted if row.plan is not None)


def untended(store: Store, settings: Settings) -> list[str]:
    """Prompts that a release is on trial for, and that the settings do not name any more. Blocks."""
    registered = {prompt.name for prompt in settings.prompts}
    return [name for name in store.releases.prompts_in(*ON_TRIAL) if name not in registered]
