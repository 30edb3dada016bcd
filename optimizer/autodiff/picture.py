"""A text graph to look at: as JSON for dashboards, and as Mermaid text for documents.

The texts of a graph are strangers': here they are cut, and in a diagram every character that could mean something to
Mermaid, to HTML or to Markdown is spelled out as a number. Nothing here may compute or change a node.
"""

import json
from collections.abc import Iterator

from optimizer.autodiff.graph import post_order
from optimizer.autodiff.node import Node
from optimizer.fence import excerpt
from optimizer.identity import Json
from optimizer.images import Image

VALUE_CHARS = 200
LABEL_CHARS = 60

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ,")
"""A point or a dash could start a list in Markdown."""


def as_json(variable: Node) -> str:
    """The graph that the variable was computed from.

    {"nodes": [{"id", "role", "kind", "state", "requires_grad", "value", "gradients"}], "edges": [{"from", "to"}]},
    nodes in the order in which they can be computed, ids "n1", "n2", ...; the same graph gives the same text.

    Raises:
        BadInput: the graph has a cycle.
    """
    ids = _ids(variable)
    nodes: list[Json] = [_entry(node, name) for node, name in ids.items()]
    edges: list[Json] = [{"from": one, "to": other} for one, other in _edges(ids)]
    return json.dumps({"nodes": nodes, "edges": edges}, ensure_ascii=True, indent=1)


def as_mermaid(variable: Node) -> str:
    """The same graph as the text of a Mermaid flowchart. What requires a gradient has a thick border.

    Values are those of now: to see a prompt beside the answers that came from it, draw before `step()`.

    Raises:
        BadInput: the graph has a cycle.
    """
    ids = _ids(variable)
    boxes = [f"    {name}{_box(node, name)}" for node, name in ids.items()]
    arrows = [f"    {one} --> {other}" for one, other in _edges(ids)]
    changing = ",".join(name for node, name in ids.items() if node.requires_grad)
    style = ["    classDef changing stroke-width:3px", f"    class {changing} changing"] if changing else []
    return "\n".join(["flowchart TD", *boxes, *arrows, *style]) + "\n"


def _ids(variable: Node) -> dict[Node, str]:
    return {node: f"n{place}" for place, node in enumerate(post_order(variable), start=1)}


def _edges(ids: dict[Node, str]) -> Iterator[tuple[str, str]]:
    """Each edge once, though a function may take one input twice."""
    for node, name in ids.items():
        for parent in dict.fromkeys(node.parents):
            yield ids[parent], name


def _entry(node: Node, name: str) -> dict[str, Json]:
    return {
        "id": name,
        "role": excerpt(node.role, VALUE_CHARS),
        "kind": node.function.purpose if node.function else "input",
        "state": _state(node),
        "requires_grad": node.requires_grad,
        "value": excerpt(_text(node), VALUE_CHARS),
        "gradients": len(node.gradients),
    }


def _state(node: Node) -> str:
    return "failed" if node.failure else "pending" if node.pending else "computed"


def _text(node: Node) -> str:
    """The value as text; empty when there is none."""
    if node.failure is not None or node.pending:
        return ""
    value = node.value
    return f"{value.media_type}, {len(value.data)} bytes" if isinstance(value, Image) else value


def _box(node: Node, name: str) -> str:
    """The box of a node: its role, its value, and how many gradients it has; leaves are round."""
    lines = [f"{name}: {node.role}", _text(node)]
    if node.failure is not None:
        lines.append("failed")
    if node.gradients:
        lines.append(f"gradients: {len(node.gradients)}")
    label = "<br/>".join(_escaped(_beginning(" ".join(line.split()))) for line in lines if line)
    return f'["{label}"]' if node.function else f'(["{label}"])'


def _beginning(line: str) -> str:
    """What fits into a label: a picture is looked at, not searched."""
    return line if len(line) <= LABEL_CHARS else f"{line[:LABEL_CHARS].rstrip()}…"


def _escaped(text: str) -> str:
    """Every character but letters, digits, spaces and commas as a Mermaid entity: `#35;` is a number sign."""
    return "".join(char if char in _PLAIN else f"#{ord(char)};" for char in text)
