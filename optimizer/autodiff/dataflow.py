"""Forward and backward as dataflow: a node is computed, and an edge criticised, the moment its own inputs are there.

Nothing waits for a level of the graph or for its neighbours. Results stand in the order of the graph, never in the
order of arrival, so the same graph and the same replies give the same gradients at any latency. Walks are iterative:
no graph is too deep. What fails for its own reasons (a reply that cannot be used, a server that gave up, a request that
was declined) is dropped and reported; the pass fails when too little is left, or when everything would fail alike.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from optimizer.autodiff.node import Node
from optimizer.errors import BadInput, BadReply, Declined, TracegradError, Transient
from optimizer.types import Gradient

DROPPED = (BadReply, Transient, Declined)
"""Failures that concern one call alone."""

_MIN_SHARE = 0.5
"""For graphs without an engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What a backward pass came to.

    Attributes:
        asked: edges that were asked about.
        dropped: why edges gave no gradient, in the order of the graph.
        failed: why nodes could not be computed, in the order of the graph.
    """

    asked: int
    dropped: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def post_order(root: Node) -> tuple[Node, ...]:
    """Every node that the root was computed from, parents first, the root last.

    Raises:
        BadInput: the graph has a cycle.
    """
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
            stack.extend((parent, False) for parent in reversed(node.parents))
        elif node not in left:  # it is still open, so we have come from it
            raise BadInput(
                f"the graph has a cycle through '{node.role}'", "compute every variable from earlier ones only"
            )
    return tuple(order)


async def forward(root: Node) -> None:
    """Compute every node that has no value yet, the root last. A node that fails says so in `failure`."""
    tasks: dict[Node, asyncio.Task[None]] = {}

    async def computed(node: Node) -> None:
        for parent in node.parents:
            if parent in tasks:
                await tasks[parent]
        await _compute(node)

    async def compute_all(group: asyncio.TaskGroup) -> None:
        for node in post_order(root):
            if not node.pending:
                continue
            if node.computing is None or node.computing.done():
                node.computing = group.create_task(computed(node))
            tasks[node] = node.computing

    await _grouped(compute_all)


async def _compute(node: Node) -> None:
    assert node.function is not None, "a leaf has a value"
    failures = [parent.failure for parent in node.parents if parent.failure is not None]
    least = node.engine.min_share if node.engine else _MIN_SHARE
    enough = node.function.tolerant and len(node.parents) - len(failures) >= least * len(node.parents)
    if failures and not enough:
        node.failure = failures[0]
        return
    try:
        node.settle(await node.function.forward(node))
    except DROPPED as error:
        node.failure = error


async def backward(root: Node) -> Pass:
    """Gradients for every variable that requires them; see `Variable.backward`."""
    await forward(root)
    if root.failure is not None:
        raise root.failure
    if not root.requires_grad:
        raise BadInput(
            "nothing in this graph requires a gradient", "make a Variable with requires_grad=True, outside no_grad()"
        )
    order = post_order(root)
    live = [node for node in reversed(order) if node.requires_grad and node.failure is None]
    into: defaultdict[Node, list[asyncio.Task[_Edge]]] = defaultdict(list)

    async def collect(node: Node) -> None:
        for task in into[node]:
            await task
        _add(node, [gradient for task in into[node] for gradient in task.result().gradients])

    async def edge(node: Node, about: Node, ready: asyncio.Task[None]) -> _Edge:
        await ready
        return await _edge(node, about)

    async def flow(group: asyncio.TaskGroup) -> None:
        for node in live:
            ready = group.create_task(collect(node))
            for parent in dict.fromkeys(node.parents):
                if parent.requires_grad and parent.failure is None:
                    into[parent].append(group.create_task(edge(node, parent, ready)))

    await _grouped(flow)
    edges = [task.result() for node in live for task in into[node]]
    return _report(edges, [node for node in order if node.failure is not None], root)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edge:
    """What one edge gave."""

    gradients: Sequence[Gradient] = ()
    asked: bool = False
    error: TracegradError | None = None


async def _edge(node: Node, about: Node) -> _Edge:
    assert node.function is not None, "a leaf has no parents"
    asked = node.function.asks
    try:
        return _Edge(gradients=await node.function.backward(node, about), asked=asked)
    except DROPPED as error:
        return _Edge(asked=asked, error=error)


def _add(node: Node, gradients: Iterable[Gradient]) -> None:
    """Each gradient once, by whatever way it came: a sum of sums says nothing twice."""
    known = {(g.loss.id, g.warrants_change, g.text) for g in node.gradients}
    for gradient in gradients:
        key = (gradient.loss.id, gradient.warrants_change, gradient.text)
        if key not in known:
            known.add(key)
            node.gradients.append(gradient)


def _report(edges: Sequence[_Edge], failed: Sequence[Node], root: Node) -> Pass:
    asked = sum(edge.asked for edge in edges)
    errors = [edge.error for edge in edges if edge.error is not None]
    least = root.engine.min_share if root.engine else _MIN_SHARE
    if errors and asked - len(errors) < least * asked:
        raise errors[0]
    return Pass(
        asked=asked,
        dropped=tuple(f"{type(error).__name__}: {error}" for error in errors),
        failed=tuple(f"{node.role}: {type(node.failure).__name__}" for node in failed),
    )


async def _grouped(start: Callable[[asyncio.TaskGroup], Awaitable[None]]) -> None:
    """Run what `start` starts in a task group; of several failures the first is raised, as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            await start(group)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
