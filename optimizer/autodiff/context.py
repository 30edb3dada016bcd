"""What a text graph is computed with: the language model in use, and whether gradients are wanted.

Both live in context variables, so that two tenants in one process never meet. A node remembers the engine that it was
made under; nothing here may be a global.
"""

from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from optimizer.autodiff.loops import Home, Work, loop_runs
from optimizer.errors import BadInput
from optimizer.fence import Fence
from optimizer.ports import LanguageModel

T = TypeVar("T")


class Worded(Protocol):
    """A variable that holds text."""

    @property
    def text(self) -> str: ...


Instructions: TypeAlias = Worded | str
"""How one of the engine's own models works, as far as an owner may say so; empty for our own words."""


def worded(instructions: Instructions) -> str:
    """The instructions as they stand now."""
    return instructions if isinstance(instructions, str) else instructions.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A language model, and how a graph asks it.

    Attributes:
        task_model, critic_model: names of the models that answer and that criticise.
        samples: independent gradients for every edge; more of them vary less.
        attempts: calls for one usable reply.
        min_share: share of the calls of a pass that must succeed, (0, 1]; what failed is dropped and reported.
        critic_instructions: how the critic criticises prompts.
        home: where the work is done that somebody asks for who has no event loop.
    """

    model: LanguageModel
    task_model: str
    critic_model: str
    fence: Fence
    samples: int = 1
    attempts: int = 3
    max_tokens: int = 2_048
    min_share: float = 0.5
    critic_instructions: Instructions = ""
    home: Home = field(default_factory=Home, compare=False, repr=False)


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
    critic_instructions: Instructions = "",
) -> Iterator[Engine]:
    """Compute every graph that is built inside the block with this model.

    Where no event loop runs, the work is done in a private one, which lives as long as the outermost block. A model
    that was used there and has connections is closed with it: make a new one for the next block. Inside an event loop
    the model is the caller's to open and close.

    Args:
        model: what answers requests, such as `connectors.openai.OpenAIModel(base_url, api_key)`.
        task_model: the name by which its server knows the model that your application uses.
        critic_model: the name of the one that judges, criticises and rewrites; the task model when empty.
        secret: random bytes, such as `secrets.token_bytes(32)`; they make the fences around texts of strangers. Keep
            them from whoever writes these texts, and the same ones to send the same requests again.
        samples, attempts, max_tokens, min_share: see `Engine`.
        critic_instructions: how the critic criticises prompts, as a text or as a variable (`critic_variable`).

    Raises:
        BadInput: one of these cannot be worked with.
    """
    _check(model, task_model, secret, min(samples, attempts, max_tokens), min_share)
    around = _engine.get()
    shared = around.home if around is not None and around.home.open_here else None
    home = shared or Home()
    home.adopt(model)
    engine = Engine(
        model=model,
        task_model=task_model,
        critic_model=critic_model or task_model,
        fence=Fence.of(secret),
        samples=samples,
        attempts=attempts,
        max_tokens=max_tokens,
        min_share=min_share,
        critic_instructions=critic_instructions,
        home=home,
    )
    before = _engine.set(engine)
    try:
        yield engine
    finally:
        _engine.reset(before)
        if shared is None:
            home.close()


def _check(model: object, task_model: object, secret: object, least: int, min_share: float) -> None:
    if not callable(getattr(model, "complete", None)):
        raise BadInput(
            f"the model is of type {type(model).__name__} and answers nothing",
            "give an object with `complete`, such as connectors.openai.OpenAIModel, and the name as task_model",
        )
    if not isinstance(task_model, str) or not task_model.strip():
        raise BadInput("no task model was named", "give the name that its server knows it by")
    if not isinstance(secret, bytes):
        raise BadInput(f"the secret of the fences is of type {type(secret).__name__}", "give bytes: b'...'")
    if not secret:
        raise BadInput("the secret of the fences is empty", "give some random bytes")
    if least < 1:
        raise BadInput("samples, attempts and max_tokens are counts", "give 1 or more for each")
    if not 0 < min_share <= 1:
        raise BadInput("min_share is a share", "give a number above 0, and 1 at most")


@contextmanager
def no_grad() -> Iterator[None]:
    """Variables that are computed inside the block need no gradient and pass none on: for answers without criticism."""
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


def settled(work: Coroutine[Any, Any, T], engine: Engine | None) -> Work[T]:
    """The work, to be awaited; where no event loop runs, it is over when this returns."""
    return Work(work) if loop_runs() else Work.over(work, engine.home if engine else None)
