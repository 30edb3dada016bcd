"""Going on with erasures that were interrupted, or that wait until a cycle or a release has ended.

One that waits is looked at in the database alone; Langfuse is asked, and the file rewritten, only when something of
what it waited for has ended.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from deploy.forgetting.erasures import Erasures
from deploy.forgetting.forgetting import Copies, Source, forget
from deploy.store.facade import Store
from deploy.store.forgotten import Forgotten, Pending
from optimizer.ports import Clock

PAUSE_S = 3600.0
"""Between rounds; a person may wait for an hour, where a cycle that is at work would break."""

log = logging.getLogger("tracegrad")


class Resuming:
    """Goes on with erasures until it is stopped.

    Args:
        copies: opens what reaches our copies in Langfuse; only when it is needed.
    """

    def __init__(self, store: Store, clock: Clock, copies: Callable[[], AbstractAsyncContextManager[Copies]]) -> None:
        self._store = store
        self._clock = clock
        self._copies = copies
        self._rounds: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, on the loop that is running now."""
        self._rounds = asyncio.create_task(self._run(), name="forgetting")

    def stop(self) -> None:
        """Begin no more rounds; one that is interrupted is taken up again."""
        if self._rounds is not None:
            self._rounds.cancel()

    async def round(self) -> int:
        """Go on with everything that can go on; how many erasures are finished now."""
        forgotten = Forgotten(self._store.engine)
        before = await asyncio.to_thread(forgotten.pending)
        due = [pending for pending in before if await asyncio.to_thread(self._is_due, pending)]
        if due:
            async with self._copies() as copies:
                for pending in due:
                    source = Source(keys=(pending.source_key,), traces=pending.traces)
                    await forget(self._store, copies, source, at=self._clock.now())
        finished = len(before) - len(await asyncio.to_thread(forgotten.pending))
        if finished:
            log.info("erased", extra={"action": "forget", "sources": finished})
        return finished

    def _is_due(self, pending: Pending) -> bool:
        if pending.waiting is None:
            return True
        person = Erasures(self._store.engine).find((pending.source_key,), pending.traces, began=pending.at)
        return person.waiting != pending.waiting

    async def _run(self) -> None:
        while True:
            try:
                await self.round()
            except Exception as error:  # the outermost loop: what cannot be done now is done in an hour
                log.error("an erasure failed", extra={"action": "forget", "error": type(error).__name__})
            await asyncio.sleep(PAUSE_S)
