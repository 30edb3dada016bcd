"""Sums of losses: every gradient passes once, unchanged, and no model is called."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from optimizer.autodiff.node import Flow, Node, Value
from optimizer.autodiff.variable import Variable, variables_in
from optimizer.errors import BadInput
from optimizer.fence import excerpt
from optimizer.steps.critic import SHOWN_CHARS


def total(losses: Sequence[Variable]) -> Variable:
    """The losses as one. Those that could not be computed are left out, as long as enough are left.

    Raises:
        BadInput: there are none, or one is no variable.
    """
    some = _some(losses)
    return Variable.computed(_Sum(weight=1.0), some, role=f"all of {len(some)} losses")


def mean(losses: Sequence[Variable]) -> Variable:
    """The losses as one, each counting 1/n. The same words stand once in its text, counted; no gradient is left out.

    Raises:
        BadInput: there are none, or one is no variable.
    """
    some = _some(losses)
    return Variable.computed(_Sum(weight=1.0 / len(some)), some, role=f"mean of {len(some)} losses")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sum:
    """Losses side by side; of weight 1 a total, of less a mean."""

    weight: float
    purpose = "put losses together"

    async def forward(self, node: Node) -> Value:
        """The sum or mean of numbers; of texts, all of them, in a mean the same words once.

        Raises:
            TracegradError: the first failure, when too few losses could be computed.
        """
        failures = [parent.failure for parent in node.parents if parent.failure is not None]
        if failures and not node.enough(failed=len(failures), of=len(node.parents)):
            raise failures[0]
        there = [parent for parent in node.parents if parent.failure is None]
        numbers = _numbers([parent.text for parent in there])
        if numbers is not None:
            return f"{sum(numbers) / (1 if self.weight == 1.0 else len(numbers)):g}"
        # what is added to itself says nothing twice, or sums of sums would double their text with every level
        texts = [parent.text for parent in dict.fromkeys(there)]
        if self.weight == 1.0:
            return excerpt("\n".join(texts), SHOWN_CHARS)
        counted = (f"({count} times) {text}" if count > 1 else text for text, count in Counter(texts).items())
        return excerpt("\n".join(counted), SHOWN_CHARS)

    async def backward(self, node: Node, about: Node) -> Flow:  # noqa: ARG002  # the same for all
        """The gradients of the sum, each once, by their weight."""
        return Flow(
            gradients=tuple(
                replace(gradient, loss=replace(gradient.loss, weight=gradient.loss.weight * self.weight))
                for gradient in node.gradients
            )
        )


def _some(losses: Sequence[Variable]) -> tuple[Variable, ...]:
    some = variables_in(losses, what="what is to be summed")
    if not some:
        raise BadInput("there are no losses to put together", "give a list of one or more")
    return some


def _numbers(texts: Sequence[str]) -> list[float] | None:
    try:
        return [float(text) for text in texts]
    except ValueError:
        return None
