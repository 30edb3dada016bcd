"""What a text graph is computed with: the language model in use, and whether gradients are wanted.

Both live in context variables, so that two tenants in one process never meet. A node remembers the engine that it was
made under; nothing here may be a global.
"""

import asyncio
from collections.abc import Awaitable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from optimizer.errors import BadInput
from optimizer.fence import Fence
from optimizer.ports import LanguageModel

T = TypeVar("T")


class Loop:
    """An event loop for callers that have none. Made when it is first needed, one for the life of an engine."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None
        self._closed = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work to its end. Raises BadInput when the engine's block has ended."""
        if self._closed:
            work.close()
            raise BadInput("the `with use(...)` block of this variable has ended", "do the work inside the block")
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(work, context=copy_context())

    def close(self) -> None:
        """End the loop, if there is one."""
        self._closed = True
        if self._runner is not None:
            self._runner.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A language model, and how a graph asks it.

    Attributes:
        task_model, critic_model: names of the models that answer and that criticise.
        samples: independent gradients for every edge; more of them vary less.
        attempts: calls for one usable reply.
        min_share: share of the calls of a pass that must succeed, (0, 1]; what failed is dropped and reported.
    """

    model: LanguageModel
    task_model: str
    critic_model: str
    fence: Fence
    samples: int = 1
    attempts: int = 3
    max_tokens: int = 2_048
    min_share: float = 0.5
    loop: Loop = field(default_factory=Loop, compare=False, repr=False)


_engine: ContextVar[Engine | None] = ContextVar("engine", default=None)
_wants_gradients: ContextVar[bool] = ContextVar("wants_gradients", default=True)


@contextmanager
def use(
    model: LanguageModel,
    *,
    task_model: str,
    critic_model: str = "",
    secret: bytes,
    samples: int = 1,
    attempts: int = 3,
    max_tokens: int = 2_048,
    min_share: float = 0.5,
) -> Iterator[Engine]:
    """Compute every graph that is built inside the block with this model.

    Args:
        critic_model: the task model when empty.
        secret: makes the fences around texts of strangers; keep it from whoever writes these texts.
        samples, attempts, max_tokens, min_share: see `Engine`.
    """
    engine = Engine(
        model=model,
        task_model=task_model,
        critic_model=critic_model or task_model,
        fence=Fence.of(secret),
        samples=samples,
        attempts=attempts,
        max_tokens=max_tokens,
        min_share=min_share,
    )
    before = _engine.set(engine)
    try:
        yield engine
    finally:
        _engine.reset(before)
        engine.loop.close()


@contextmanager
def no_grad() -> Iterator[None]:
    """Variables that are computed inside the block need no gradient and pass none on."""
    before = _wants_gradients.set(False)
    try:
        yield
    finally:
        _wants_gradients.reset(before)


def engine_in_use() -> Engine | None:
    """The engine of the innermost `use` block."""
    return _engine.get()


def gradients_wanted() -> bool:
    """False inside `no_grad`."""
    return _wants_gradients.get()


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """Something that may be awaited and is over already."""

    result: T

    def __await__(self) -> Generator[None, None, T]:
        return self.result
        yield


def settled(work: Coroutine[Any, Any, T], engine: Engine | None) -> Awaitable[T]:
    """The work, to be awaited; where no event loop runs, it is over when this returns."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return Done(engine.loop.run(work) if engine else asyncio.run(work))
    return work
