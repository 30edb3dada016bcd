"""Any function as a node of a text graph: a tool, a retriever, a simulator, a test run. Its purpose is its derivative.

What the function raises fails its own node and no other. Its words are kept as the cause and never repeated: they may
hold what a stranger wrote.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from optimizer.autodiff.criticism import Example, checked_examples, criticised
from optimizer.autodiff.loops import called
from optimizer.autodiff.node import Flow, Node, Value, checked
from optimizer.autodiff.variable import Variable
from optimizer.errors import BadInput, Declined, TracegradError
from optimizer.images import Image

Result: TypeAlias = str | int | float | bytes | Image
"""What a function may return."""


def node(
    function: Callable[..., Result | Awaitable[Result]],
    *,
    purpose: str,
    role: str = "",
    examples: Sequence[Example] = (),
) -> Callable[..., Variable]:
    """A function of variables, made from a function of texts and images.

    Args:
        function: synchronous or asynchronous; a synchronous one runs in a thread, so that it holds nobody up. It gets
            `str` and `Image` values in the order of the call and returns text, a number or an image.
        purpose: what it does, in words; the critic is told.
        role: what its results are for; made from the purpose when empty.
        examples: inputs and results that are shown to the critic.

    Returns:
        A function of variables and plain values; calling it adds a node and runs nothing yet.

    Raises:
        BadInput: it is no function, the purpose is empty, or there are too many examples.
    """
    if not callable(function):
        raise BadInput(
            f"what is to be called is of type {type(function).__name__}", "give a function of texts and images"
        )
    if not purpose.strip():
        raise BadInput("a function has no purpose", "say in a few words what it does")
    applied = _Applied(function=function, purpose=purpose, examples=checked_examples(examples))

    def call(*inputs: Variable | Result) -> Variable:
        given = [one if isinstance(one, Variable) else Variable(one, role="a fixed input") for one in inputs]
        return Variable.computed(applied, given, role=role or f"result of: {purpose}")

    return call


@dataclass(frozen=True, slots=True, kw_only=True)
class _Applied:
    function: Callable[..., Any]
    purpose: str
    examples: tuple[Example, ...]
    weight = 0.0

    async def forward(self, node: Node) -> Value:
        """What the function returns.

        Raises:
            Declined: it raised, or returned nothing that a variable can hold.
        """
        values = [parent.value for parent in node.parents]
        try:
            result = await called(node.engine.home if node.engine else None, self.function, *values)
        except TracegradError:
            raise
        except Exception as error:
            raise Declined(
                f"the function to {self.purpose} raised {type(error).__name__}", "look at the function and its input"
            ) from error
        try:
            return checked(result)
        except BadInput as error:
            raise Declined(
                f"the function to {self.purpose} returned a {type(result).__name__}",
                "let it return text, a number or the bytes of an image",
            ) from error

    async def backward(self, node: Node, about: Node) -> Flow:
        """What the critic says about one input."""
        others = [parent for parent in node.parents if parent is not about]
        return await criticised(node, about, inputs=others, examples=self.examples)
