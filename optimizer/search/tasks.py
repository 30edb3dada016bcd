"""Coroutines at once: all of them end, or the first error that is raised ends them all."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def nursery() -> AsyncIterator[asyncio.TaskGroup]:
    """A group whose first error cancels the rest and is raised as it is, not as a group."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in the order of the work."""
    async with nursery() as group:
        tasks = [group.create_task(coroutine) for coroutine in work]
    return [task.result() for task in tasks]
