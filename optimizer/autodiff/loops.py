"""Where the work of a graph is done: in the caller's event loop, or in a private one for callers that have none.

A private loop lives as long as the outermost `use` block, so that connections outlast one call. Functions that are no
coroutines run in threads; what they ask of the graph is done in the loop that waits for them.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from contextvars import ContextVar, copy_context
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Generic, TypeVar

from optimizer.errors import BadInput

T = TypeVar("T")

THREADS = 64
"""Functions of one block that are at work at once: they wait for tools and servers more than they compute."""

_waiting: ContextVar[asyncio.AbstractEventLoop | None] = ContextVar("waiting", default=None)
"""In a function's thread: the loop that waits for the function."""


class Work(Generic[T]):
    """Something to be awaited; where no event loop runs, it is over already."""

    def __init__(self, to_do: Coroutine[Any, Any, T]) -> None:
        self._to_do = to_do
        self._done: list[T] = []

    @classmethod
    def over(cls, to_do: Coroutine[Any, Any, T], home: "Home | None") -> "Work[T]":
        """The work, done now."""
        work = cls(to_do)
        work._done.append(home.run(to_do) if home else _apart(to_do))
        return work

    @property
    def result(self) -> T:
        """What came of it. Raises BadInput before it was awaited."""
        if not self._done:
            raise BadInput("this work is not done yet", "await it first")
        return self._done[0]

    def __repr__(self) -> str:
        return f"Work({'done: see .result' if self._done else 'nothing is done yet: put await before it'})"

    def __await__(self) -> Generator[Any, None, T]:
        if not self._done:
            self._done.append((yield from self._to_do.__await__()))
        return self._done[0]


def loop_runs() -> bool:
    """True inside an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class Home:
    """A private event loop and threads, for the life of the outermost `use` block. Both are made when first needed."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._one_at_a_time = threading.Lock()
        self._runner: asyncio.Runner | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._models: list[object] = []
        self._opened: list[object] = []
        self._connections = AsyncExitStack()
        self._closed = False

    @property
    def open_here(self) -> bool:
        """True in the thread of its block, as long as that lasts."""
        return not self._closed and self._thread == threading.get_ident()

    def adopt(self, model: object) -> None:
        """Open the model when the private loop is used, and close it with the loop."""
        self._models.append(model)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work to its end. Raises BadInput when the block has ended."""
        if (waiting := _waiting.get()) is not None:
            return asyncio.run_coroutine_threadsafe(work, waiting).result()
        with self._one_at_a_time:
            if self._closed:
                work.close()
                raise BadInput("the `with use(...)` block of this variable has ended", "do the work inside the block")
            if self._runner is None:
                self._runner = asyncio.Runner()
            return self._runner.run(self._connected(work), context=copy_context())

    async def _connected(self, work: Coroutine[Any, Any, T]) -> T:
        for model in self._models:
            if isinstance(model, AbstractAsyncContextManager) and not any(model is one for one in self._opened):
                self._opened.append(model)
                await self._connections.enter_async_context(model)
        return await work

    def pool(self) -> ThreadPoolExecutor:
        """The threads; made anew for work that is awaited after the block."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="graph")
        return self._pool

    def close(self) -> None:
        """End the loop and what was opened in it; threads end when their function does."""
        self._closed = True
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
        if self._runner is not None and loop_runs():  # it served a thread, and the block stands in a coroutine
            ending = threading.Thread(target=self._end)
            ending.start()
            ending.join()
        elif self._runner is not None:
            self._end()

    def _end(self) -> None:
        assert self._runner is not None
        with self._runner as runner:
            runner.run(self._connections.aclose())


def _apart(work: Coroutine[Any, Any, T]) -> T:
    """For graphs without a model."""
    waiting = _waiting.get()
    return asyncio.run_coroutine_threadsafe(work, waiting).result() if waiting else asyncio.run(work)


async def called(home: Home | None, function: Callable[..., Any], *args: object, **fields: object) -> Any:
    """What a function returns, and if that is awaitable, what comes of it.

    A function that is no coroutine runs in a thread, so that it holds nobody up. One that says that it was cancelled
    when nobody cancelled it has failed.
    """
    try:
        return await _called(home, function, *args, **fields)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise RuntimeError("CancelledError") from error


async def _called(home: Home | None, function: Callable[..., Any], *args: object, **fields: object) -> Any:
    if iscoroutinefunction(function):
        return await function(*args, **fields)
    loop, context = asyncio.get_running_loop(), copy_context()
    context.run(_waiting.set, loop)
    work = partial(context.run, _guarded, function, *args, **fields)
    found = await loop.run_in_executor(home.pool() if home else None, work)
    return await found if isawaitable(found) else found


def _guarded(function: Callable[..., Any], *args: object, **fields: object) -> Any:
    """The call, without the one exception that a future refuses: it would be waited for for ever."""
    try:
        return function(*args, **fields)
    except StopIteration as error:
        raise RuntimeError("StopIteration") from error
