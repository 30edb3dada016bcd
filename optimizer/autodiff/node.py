"""A node of a text graph: its value, what it was computed from and how, and how it should change.

Values and wiring only. Nothing here runs anything: `dataflow` does.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from optimizer.autodiff.context import Engine, engine_in_use
from optimizer.errors import BadInput, TracegradError
from optimizer.images import Image
from optimizer.types import Gradient

Value: TypeAlias = str | Image

_MIN_SHARE = 0.5
"""For graphs without an engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What came back over one edge of the graph.

    Attributes:
        asked: questions that were put to a critic; what is only passed on asks none.
        failures: why some of them got no answer.
    """

    gradients: Sequence[Gradient] = ()
    asked: int = 0
    failures: Sequence[TracegradError] = ()


class Function(Protocol):
    """One operation, forward and backward together. It belongs to one node.

    Attributes:
        purpose: what it is for, in words; critics are told.
        weight: 0 for every function but sums. A sum hands its share of the objective on to each input, times this
            weight, and its `forward` decides what to do without inputs that could not be computed; no other function is
            asked then.
    """

    @property
    def purpose(self) -> str: ...

    @property
    def weight(self) -> float: ...

    async def forward(self, node: "Node") -> Value:
        """The value of the node, from the values of its parents."""
        ...

    async def backward(self, node: "Node", about: "Node") -> Flow:
        """How `about`, one of the node's parents, should change, given all gradients of the node.

        A node without gradients whose `share` is 0 has nothing to say, and asks nobody.
        """
        ...


class Node:
    """A text or an image, what it is for, and how it should change.

    Attributes:
        role: what it is for, in words: the one thing that a critic must be told.
        requires_grad: whether gradients flow to it; of a computed node, whether they flow through it.
        parents: what it was computed from, in the order of the function's arguments; empty for a leaf.
        instructions: those of its parents that a model obeys, its prompts and templates; the others are data.
        function: what computes it; None for a leaf.
        source: who is behind it: a user, a session, a row. Sources are counted, never shown.
        engine: what it is computed with: the one that was in use when it was made.
        gradients: what `backward` found, in a declared order. A leaf's add up until `zero_grad`; those of a computed
            node are the last pass's.
        id: its number in the graph of the last pass ("n3"), parents first.
        share: which part of the objective of the last pass the node itself is: 1 for its root, what the sums hand on
            for their inputs, 0 for what is judged by others.
        failure: why it could not be computed.
        computing: the work that computes it.
        in_pass: a backward pass runs through it.
    """

    __slots__ = (
        "_value",
        "computing",
        "engine",
        "failure",
        "function",
        "gradients",
        "id",
        "in_pass",
        "instructions",
        "parents",
        "requires_grad",
        "role",
        "share",
        "source",
    )

    def __init__(self, value: object, *, role: str, requires_grad: bool, source: str = "") -> None:
        if not role.strip():
            raise BadInput("a variable has no role", "say in a few words what it is for")
        self._value: Value | None = None if value is None else checked(value)
        self.role = role
        self.requires_grad = requires_grad
        self.source = source
        self.parents: tuple[Node, ...] = ()
        self.instructions: tuple[Node, ...] = ()
        self.function: Function | None = None
        self.engine: Engine | None = engine_in_use()
        self.gradients: list[Gradient] = []
        self.id = ""
        self.share = 0.0
        self.in_pass = False
        self.failure: TracegradError | None = None
        self.computing: asyncio.Task[None] | None = None

    @property
    def pending(self) -> bool:
        """True while it has neither a value nor a failure."""
        return self._value is None and self.failure is None

    @property
    def value(self) -> Value:
        """The text or image.

        Raises:
            BadInput: it has no value yet. TracegradError: why it could not be computed.
        """
        if self.failure is not None:
            raise self.failure
        if self._value is None:
            raise BadInput(f"'{self.role}' has no value yet", "await the variable first")
        return self._value

    @property
    def text(self) -> str:
        """The value of a node that must be text. Raises BadInput when it is an image."""
        value = self.value
        if isinstance(value, Image):
            raise BadInput(f"'{self.role}' is an image where text is needed", "give the image to a multimodal call")
        return value

    def enough(self, *, failed: int, of: int) -> bool:
        """Whether what is left after so many failures is still to be worked with."""
        return of - failed >= (self.engine.min_share if self.engine else _MIN_SHARE) * of

    def settle(self, value: Value) -> None:
        """Give it its value."""
        self._value = value


def checked(value: object) -> Value:
    """A text, number or image as a node holds it. Raises BadInput for anything else."""
    if isinstance(value, bytes):
        return Image(value)
    if isinstance(value, str | Image):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise BadInput(
        f"a variable cannot hold a {type(value).__name__}", "give it text, a number or the bytes of an image"
    )
