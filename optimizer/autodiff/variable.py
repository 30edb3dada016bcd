"""Variables: the nodes of a text graph as their users see them.

    with use(model, task_model="...", secret=b"..."):
        system = Variable("Answer briefly.", role="system prompt of a support assistant", requires_grad=True)
        answer, loss_of, optimizer = ModelCall(system), JudgedLoss("Is it correct?"), TGD([system])

        optimizer.zero_grad()
        loss = total([loss_of(answer(question)) for question in questions])
        loss.backward()
        optimizer.step()

Calling a function computes nothing: it adds a node. `backward()` (or `await node`, or reading `.value` where no event
loop runs) computes what has no value yet, everything at once that can be at once. Inside a running event loop, put
`await` before `backward()` and `step()`.
"""

from collections.abc import Generator, Iterable, Sequence
from typing import Any

from optimizer.autodiff.context import gradients_wanted, settled
from optimizer.autodiff.dataflow import Pass, backward, forward
from optimizer.autodiff.loops import Work, loop_runs
from optimizer.autodiff.node import Flow, Function, Node, Value, checked
from optimizer.errors import BadInput
from optimizer.fence import excerpt
from optimizer.images import Image

_ROLE_CHARS = 200
"""A sum of sums of sums has a long story; the two ends of it are told."""


class Variable(Node):
    """A text or an image, what it is for, and how it should change; see `Node` for its attributes.

    `value` is its text or image, `text` the same for those who need a `str`. Printing a variable shows its role,
    never its value, and it cannot be formatted into a text: join variables with `+`, or hand them to a call as fields,
    so that gradients find the way back.
    """

    __slots__ = ()

    def __init__(
        self, value: str | int | float | bytes | Image, *, role: str, requires_grad: bool = False, source: str = ""
    ) -> None:
        """A leaf of the graph.

        Args:
            value: text, a number, or the bytes of a PNG, JPEG, GIF or WebP file.
            role: what it is for, in a few words: the one thing that a critic must be told.
            requires_grad: whether it is to be improved.
            source: who is behind it: a user, a session, the id of a row. What one source says counts once or a few
                times, however often it says it.

        Raises:
            BadInput: the value is neither text, number nor image, or the role is empty.
        """
        super().__init__(checked(value), role=role, requires_grad=requires_grad, source=source)

    @classmethod
    def computed(
        cls, function: Function, parents: Sequence[Node], *, role: str, instructions: Sequence[Node] = ()
    ) -> "Variable":
        """A node that a function will compute from its parents; `instructions` are those that a model obeys."""
        node = cls.__new__(cls)
        wanted = gradients_wanted() and any(parent.requires_grad for parent in parents)
        Node.__init__(node, None, role=role, requires_grad=wanted)
        node.function = function
        node.parents = tuple(parents)
        node.instructions = tuple(instructions)
        return node

    @property
    def value(self) -> Value:
        """The text or image; where no event loop runs, it is computed first. Inside one, await the variable before.

        Raises:
            BadInput: it has no value yet, and an event loop runs. TracegradError: why it could not be computed.
        """
        if self.pending and not loop_runs():
            settled(forward(self), self.engine)
        return super().value

    @value.setter
    def value(self, value: str | int | float | bytes | Image) -> None:
        self.settle(checked(value))

    def __await__(self) -> Generator[Any, None, "Variable"]:
        yield from forward(self).__await__()
        return self

    def __add__(self, other: "Variable | str | int") -> "Variable":
        return concatenated(self, other)

    def __radd__(self, other: "str | int") -> "Variable":
        return self if other == 0 else concatenated(other, self)  # 0 is what Python's own sum() begins with

    def backward(self) -> Work[Pass]:
        """Compute what is missing, then send gradients from this loss to every variable that requires them.

        Await it inside an event loop, where nothing happens without; elsewhere it is over when it returns, and `result`
        is what it came to.

        Raises:
            BadInput: nothing requires a gradient, no loss is in the graph, or it has a cycle.
            TracegradError: the model's own Permanent and OverBudget; the first failure, when too much failed.
        """
        return settled(backward(self), self.engine)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self.gradients = []

    def __repr__(self) -> str:
        return f"Variable(role={self.role!r}, requires_grad={self.requires_grad})"

    def __format__(self, spec: str) -> str:
        raise BadInput(
            "a variable in an f-string would be lost to the graph",
            "join it with `+`, hand it to a call as a field, or format its `.text`",
        )


def variable_in(given: object, *, what: str) -> Variable:
    """The variable that a function was given. Raises BadInput, with the name of the argument, for anything else."""
    if isinstance(given, Variable):
        return given
    raise BadInput(
        f"{what} is of type {type(given).__name__}, no variable", "give what a call returned, or make a Variable of it"
    )


def variables_in(given: object, *, what: str) -> tuple[Variable, ...]:
    """The same for a list of variables."""
    if isinstance(given, Iterable) and not isinstance(given, str | bytes):
        return tuple(variable_in(one, what=what) for one in given)
    raise BadInput(f"{what} is of type {type(given).__name__}, no list", "put the variables into a list")


class Concatenation:
    """`a + b`: what is wrong with the whole concerns both parts."""

    purpose = "put texts one after the other"
    weight = 1.0

    async def forward(self, node: Node) -> Value:
        """The texts of the parents, joined; not without all of them."""
        return "".join(parent.text for parent in node.parents)

    async def backward(self, node: Node, about: Node) -> Flow:  # noqa: ARG002  # the same for all
        """The gradients of the whole, each once."""
        return Flow(gradients=tuple(node.gradients))


def concatenated(one: Variable | str | int, other: Variable | str | int) -> Variable:
    """`one + other`; a plain text is a part that never changes."""
    parts = [part if isinstance(part, Variable) else Variable(part, role="a fixed text") for part in (one, other)]
    role = excerpt(f"{parts[0].role}, then {parts[1].role}", _ROLE_CHARS)
    return Variable.computed(Concatenation(), parts, role=role)
