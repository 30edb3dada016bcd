"""Walks through a text graph. They are iterative: no graph is too deep, and none is walked twice where once will do."""

from collections.abc import Callable, Iterable

from optimizer.autodiff.node import Node
from optimizer.errors import BadInput


def post_order(root: Node) -> tuple[Node, ...]:
    """Every node that the root was computed from, parents first and in their order, the root last.

    Raises:
        BadInput: the graph has a cycle.
    """
    return tuple(_post_order(root, lambda node: reversed(node.parents)))


def from_root(root: Node) -> tuple[Node, ...]:
    """The same nodes, each before its parents, and these in their order: the root first, then what its first parent
    was computed from alone, and so on.

    Raises:
        BadInput: the graph has a cycle.
    """
    return tuple(reversed(_post_order(root, lambda node: node.parents)))


def _post_order(root: Node, stacked: Callable[[Node], Iterable[Node]]) -> list[Node]:
    """Post-order, of the parents the one first that is stacked last."""
    order: list[Node] = []
    entered: set[Node] = set()
    left: set[Node] = set()
    stack = [(root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            left.add(node)
            order.append(node)
        elif node not in entered:
            entered.add(node)
            stack.append((node, True))
            stack.extend((parent, False) for parent in stacked(node))
        elif node not in left:  # it is still open, so we have come from it
            raise BadInput(
                f"the graph has a cycle through '{node.role}'", "compute every variable from earlier ones only"
            )
    return order


def number(order: Iterable[Node]) -> None:
    """Give every node its id: its place in this order."""
    for place, node in enumerate(order, start=1):
        node.id = f"n{place}"


def share_out(order: tuple[Node, ...]) -> None:
    """Say of every node which part of the objective it is itself: the root is all of it, sums hand their part on.

    A part is at most 1: a loss that is added twice is one loss.
    """
    for node in order:
        node.share = 0.0
    order[-1].share = 1.0
    for node in reversed(order):
        if node.function is not None and node.function.weight:
            for parent in node.parents:
                parent.share = min(1.0, parent.share + node.share * node.function.weight)
