"""Where a loss comes from: the run behind an output of a text graph, as the trace that every gradient leads back to.

A run outside production is a trace too: undated, without scores, its source the row or person that the graph's author
named. Nothing here may interpret a text.
"""

from collections import Counter

from optimizer.autodiff.graph import post_order
from optimizer.autodiff.node import Node
from optimizer.fence import TEXT_CHARS, excerpt
from optimizer.identity import Json, canonical, digest
from optimizer.images import Image
from optimizer.types import UNDATED, Generation, Trace


def trace_of(output: Node, *, source: str = "") -> Trace:
    """The run that computed this output.

    Args:
        source: who is behind the loss, when that is not who is behind the input.
    """
    given = _given(output)
    asked, answered = _as_input(given), shown(output)
    behind = source or next((node.source for node in (*given, output) if node.source), "")
    key = digest("run", asked, answered, behind)
    generation = Generation(
        id=key,
        trace_id=key,
        prompt_name="",
        prompt_version=0,
        environment="",
        at=UNDATED,
        input=asked,
        output=answered,
        model=output.engine.task_model if output.engine else "",
        # inputs of which nobody said where they come from are as many sources as there are different ones
        source_key=behind or (digest("input", asked) if given else ""),
    )
    return Trace(generation=generation, scores=())


def input_of(output: Node) -> str:
    """The data that the output was computed from, without any instructions: one text as it stands, several as JSON."""
    return _as_input(_given(output))


def shown(node: Node) -> str:
    """The node's text; an image by its digest."""
    value = node.value
    return f"(image {value.sha256[:12]})" if isinstance(value, Image) else value


def _given(output: Node) -> list[Node]:
    """The leaves below the output that are data: no instructions, and nothing that is being optimized.

    What several functions were given stands once; what one function was given twice stands twice.
    """
    order, data = post_order(output), set[Node]()
    known = Counter[str]()
    for node in order:
        here = Counter[str]()
        for leaf in dict.fromkeys(node.parents):
            if leaf.function is None and not leaf.requires_grad and leaf not in node.instructions:
                text = shown(leaf)
                here[text] += 1
                if here[text] > known[text]:
                    data.add(leaf)
        known |= here
    return [node for node in order if node in data]


def _as_input(given: list[Node]) -> str:
    if len(given) == 1:
        return shown(given[0])
    chars = TEXT_CHARS // max(1, len(given))
    told: list[Json] = [{"role": node.role, "text": excerpt(shown(node), chars)} for node in given]
    return canonical(told) if told else ""
