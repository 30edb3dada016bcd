"""The flag service of our own: splits in the database, which the evaluation endpoint serves within seconds.

It must never keep a split in memory: another process may change it, and the kill switch works with the database alone.
"""

import asyncio

from deploy.store.splits import Splits
from optimizer.ports import Clock
from optimizer.rollouts import Split, point


class StoreFlags:
    """FlagService over the database."""

    def __init__(self, splits: Splits, clock: Clock) -> None:
        self._splits = splits
        self._clock = clock

    @property
    def name(self) -> str:
        """See FlagService."""
        return "ofrep"

    async def read(self, prompt: str) -> Split | None:
        """See FlagService; what stands here was written by nobody but us."""
        found = await asyncio.to_thread(self._splits.read, prompt)
        return None if found is None else found[0]

    async def start(self, prompt: str, salt: str) -> Split:
        """See FlagService; the salt is the one that was asked for, unless a rollout stands."""
        return await asyncio.to_thread(self._splits.start, prompt, salt, self._clock.now())

    async def write(self, split: Split, *, expect: Split, why: str) -> bool:  # noqa: ARG002  # the port's signature
        """See FlagService; the reason is in the release's events."""
        return await asyncio.to_thread(self._splits.write, split, expect, self._clock.now())

    def place(self, split: Split, key: str) -> float:
        """See FlagService."""
        return point(split.salt, key)
