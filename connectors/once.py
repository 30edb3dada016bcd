"""Each piece of work done once, however many ask for it and whenever; must never lose a failure of it."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Once(Generic[K, T]):
    """Results by key. Work goes on when one of those who wait for it hangs up."""

    def __init__(self) -> None:
        self._made: dict[K, T] = {}
        self._tasks: dict[K, asyncio.Task[T]] = {}

    def made(self, key: K) -> T | None:
        """The result, if it was asked for and is there."""
        return self._made.get(key)

    async def get(self, key: K, work: Callable[[], Awaitable[T]]) -> T:
        """The result; the first who asks starts the work. Raises what the work raised, to everybody."""
        if key in self._made:
            return self._made[key]
        if key not in self._tasks:
            self._tasks[key] = asyncio.ensure_future(self._run(key, work))
        return await asyncio.shield(self._tasks[key])

    async def _run(self, key: K, work: Callable[[], Awaitable[T]]) -> T:
        self._made[key] = made = await work()
        self._tasks.pop(key, None)  # a finished task weighs several times what its result does
        return made

    async def close(self) -> Exception | None:
        """Call off what is still running. Gives the first failure: a bug, or a cycle that another worker owns now."""
        for task in self._tasks.values():
            task.cancel()
        ended = await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()
        return next((outcome for outcome in ended if isinstance(outcome, Exception)), None)
