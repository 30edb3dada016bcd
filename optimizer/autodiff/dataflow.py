"""Forward and backward as dataflow: a node is computed, and an edge criticised, the moment its own inputs are there.

Nothing waits for a level of the graph or for its neighbours: one sample is criticised while another is still computed.
Results stand in the order of the graph, never in the order of arrival, so the same graph and the same replies give the
same gradients at any latency. What fails for its own reasons (a reply that cannot be used, a server that gave up, a
request that was declined) is dropped and reported; the pass fails when too little is left, or when everything would
fail alike, and has changed nothing then.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from optimizer.autodiff.graph import from_root, number, post_order, share_out
from optimizer.autodiff.node import Flow, Node
from optimizer.errors import BadInput, BadReply, Declined, Transient
from optimizer.types import Gradient

DROPPED = (BadReply, Transient, Declined)
"""Failures that concern one call alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What a backward pass came to.

    Attributes:
        asked: questions that were put to a critic.
        dropped: why some of them gave no gradient, in the order of the graph.
        failed: why nodes could not be computed, in the order of the graph.
    """

    asked: int
    dropped: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


async def forward(root: Node) -> None:
    """Compute every node that has no value yet, the root last. A node that fails says so in `failure`."""

    async def compute_all(group: asyncio.TaskGroup) -> None:
        _computing(post_order(root), group)

    await _grouped(compute_all)


def _computing(order: Sequence[Node], group: asyncio.TaskGroup) -> dict[Node, asyncio.Task[None]]:
    """Tasks that compute the nodes that have no value yet."""
    tasks: dict[Node, asyncio.Task[None]] = {}

    async def computed(node: Node) -> None:
        for parent in node.parents:
            if parent in tasks:
                await tasks[parent]
        await _compute(node)

    async def awaited(node: Node, elsewhere: asyncio.Task[None]) -> None:
        """Another pass computes it already; when that one is called off, it is computed here."""
        await asyncio.wait({elsewhere})
        if node.pending:
            await computed(node)

    here = asyncio.get_running_loop()
    for node in order:
        if not node.pending:
            continue
        if node.computing is None or node.computing.done() or node.computing.get_loop() is not here:
            node.computing = tasks[node] = group.create_task(computed(node))
        else:
            tasks[node] = group.create_task(awaited(node, node.computing))
    return tasks


async def _compute(node: Node) -> None:
    assert node.function is not None, "a leaf has a value"
    failures = [parent.failure for parent in node.parents if parent.failure is not None]
    if failures and not node.function.weight:
        node.failure = failures[0]
        return
    try:
        node.settle(await node.function.forward(node))
    except DROPPED as error:
        node.failure = error


async def backward(root: Node) -> Pass:
    """Gradients for every variable that requires them; see `Variable.backward`."""
    order = post_order(root)
    if not root.requires_grad:
        raise BadInput(
            "nothing in this graph requires a gradient", "make a Variable with requires_grad=True, outside no_grad()"
        )
    with _alone(order):
        number(order)
        share_out(order)
        for node in order:
            if node.function is not None:
                node.gradients = []
        into = await _flows(root, order)
        report = _report(root, into, [node for node in order if node.failure is not None])
        for node, flows in into.items():  # only now: a pass that failed has changed no leaf
            if node.function is None:
                _add(node, flows)
        return report


@contextmanager
def _alone(order: Sequence[Node]) -> Iterator[None]:
    """Of two passes at once through one variable, the order of the gradients would be that of arrival."""
    mine = [node for node in order if node.requires_grad]
    if any(node.in_pass for node in mine):
        raise BadInput(
            "another backward pass runs through the same variables", "add the losses with total() and go back once"
        )
    for node in mine:
        node.in_pass = True
    try:
        yield
    finally:
        for node in mine:
            node.in_pass = False


async def _flows(root: Node, order: Sequence[Node]) -> dict[Node, list[Flow]]:
    """What came back to every node, in the order of the graph; the computed ones have their gradients.

    Forward and backward run in one: a sample that is computed is criticised while another is still being computed.
    """
    live = [node for node in from_root(root) if node.requires_grad]
    into: defaultdict[Node, list[asyncio.Task[Flow]]] = defaultdict(list)

    async def flow(group: asyncio.TaskGroup) -> None:
        computing = _computing(order, group)
        group.create_task(sound(computing.get(root)))
        for node in live:
            ready = group.create_task(collected(node, computing.get(node)))
            for parent in dict.fromkeys(node.parents):
                if parent.requires_grad:
                    into[parent].append(group.create_task(edge(node, parent, ready)))

    async def sound(computing: asyncio.Task[None] | None) -> None:
        await _over(computing)
        if root.failure is not None:
            raise root.failure

    async def collected(node: Node, computing: asyncio.Task[None] | None) -> None:
        """Over when the node has its value and its gradients. Sums pass on what they get, and need no value for it."""
        if node.function is None:
            return
        if not node.function.weight:
            await _over(computing)
        for task in into[node]:
            await task
        _add(node, [task.result() for task in into[node]])

    async def edge(node: Node, about: Node, ready: asyncio.Task[None]) -> Flow:
        await ready
        return await _edge(node, about)

    await _grouped(flow)
    return {node: [task.result() for task in into[node]] for node in live}


async def _over(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        await task


async def _edge(node: Node, about: Node) -> Flow:
    assert node.function is not None, "a leaf has no parents"
    if node.failure is not None and not node.function.weight:  # that of a sum may come later, or not: no matter
        return Flow()
    try:
        return await node.function.backward(node, about)
    except DROPPED as error:
        return Flow(asked=1, failures=(error,))


def _add(node: Node, flows: Iterable[Flow]) -> None:
    """Each gradient once, by whatever way it came: a sum of sums says nothing twice."""

    def said(gradient: Gradient) -> tuple[str, bool, str]:
        return gradient.loss.id, gradient.warrants_change, gradient.text

    known = {said(gradient): gradient for gradient in node.gradients}
    for flow in flows:
        for gradient in flow.gradients:
            known.setdefault(said(gradient), gradient)
    node.gradients = list(known.values())


def _report(root: Node, into: Mapping[Node, Sequence[Flow]], failed: Sequence[Node]) -> Pass:
    flows = [flow for flows in into.values() for flow in flows]
    if not failed and not any(flow.asked or flow.gradients for flow in flows):
        raise BadInput("no loss says anything about this graph", "end it in a loss, or in a sum of losses")
    asked = sum(flow.asked for flow in flows)
    failures = [failure for flow in flows for failure in flow.failures]
    if failures and not root.enough(failed=len(failures), of=asked):
        raise failures[0]
    return Pass(
        asked=asked,
        dropped=tuple(f"{type(failure).__name__}: {failure}" for failure in failures),
        failed=tuple(f"{node.id}, {node.role}: {type(node.failure).__name__}" for node in failed),
    )


async def _grouped(start: Callable[[asyncio.TaskGroup], Awaitable[None]]) -> None:
    """Run what `start` starts in a task group; of several failures the first is raised, as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            await start(group)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
