"""The sample behind an output of a text graph, as a trace: gradients lead back to where they came from.

A run outside production is a trace too: undated, without scores. It holds what the run began with and what came out,
and who was behind it: the first source that somebody named among what it began with.
"""

from collections.abc import Sequence

from optimizer.autodiff.graph import post_order
from optimizer.autodiff.node import Node
from optimizer.fence import TEXT_CHARS, excerpt
from optimizer.identity import Json, canonical, digest
from optimizer.images import Image
from optimizer.types import UNDATED, Generation, Trace


def trace(output: Node) -> Trace:
    """The run that ended in this output."""
    began = [node for node in post_order(output) if node.function is None and node is not output]
    source = next((leaf.source for leaf in began if leaf.source), output.source)
    given, said = _given([leaf for leaf in began if not leaf.requires_grad]), shown(output)
    run = digest("run", source, given, said)
    generation = Generation(
        id=run,
        trace_id=run,
        prompt_name="",
        prompt_version=0,
        environment="",
        at=UNDATED,
        input=given,
        output=said,
        model=output.engine.task_model if output.engine else "",
        source_key=source,
    )
    return Trace(generation=generation, scores=())


def shown(node: Node) -> str:
    """The node's text; an image by its digest."""
    value = node.value
    return f"image {value.sha256}" if isinstance(value, Image) else value


def _given(leaves: Sequence[Node]) -> str:
    """What a run began with that nobody changes: one text as it stands, several with their roles."""
    if len(leaves) == 1:
        return shown(leaves[0])
    chars = TEXT_CHARS // max(1, len(leaves))
    told: list[Json] = [{"role": leaf.role, "text": excerpt(shown(leaf), chars)} for leaf in leaves]
    return canonical(told) if told else ""
