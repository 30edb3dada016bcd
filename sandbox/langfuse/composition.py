"""What a prompt's text refers to: variables, message placeholders and other prompts. Pure functions on text."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 5
VARIABLE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
TAG = re.compile(r"@@@langfusePrompt:(.*?)@@@")
REFERENCE = re.compile(r"name=([^|]+)\|(version|label)=(.+)")


@dataclass(frozen=True, slots=True)
class Reference:
    """A composition tag: the text it stands in for, and the prompt it names."""

    name: str
    version: int | None
    label: str | None


@dataclass(frozen=True, slots=True)
class Node:
    """One prompt version, as far as composition cares."""

    id: str
    name: str
    version: int
    type: str
    prompt: Any


class Unresolvable(Exception):
    """A reference leads nowhere, in a circle, too deep, or to a chat prompt."""


def contents(prompt: Any) -> list[str]:
    """The texts of a prompt: itself, or its messages' contents."""
    if isinstance(prompt, str):
        return [prompt]
    return [message["content"] for message in prompt if isinstance(message.get("content"), str)]


def variables(prompt: Any) -> set[str]:
    """The names between double braces."""
    return {name for text in contents(prompt) for name in VARIABLE.findall(text)}


def placeholders(prompt: Any) -> set[str]:
    """The names of the slots for message lists."""
    return set() if isinstance(prompt, str) else {item["name"] for item in prompt if item.get("type") == "placeholder"}


def references(prompt: Any) -> list[Reference]:
    """The prompts that this one includes, in order; a malformed tag is plain text."""
    return [found for text in contents(prompt) for tag in TAG.findall(text) if (found := reference(tag))]


def reference(inside: str) -> Reference | None:
    """Read what stands between `@@@langfusePrompt:` and `@@@`."""
    match = REFERENCE.fullmatch(inside)
    if match is None or (match[2] == "version" and not match[3].isdigit()):
        return None
    if match[2] == "version":
        return Reference(match[1], int(match[3]), None)
    return Reference(match[1], None, match[3])


Find = Callable[[Reference], Node | None]


def resolve(root: Node, find: Find) -> tuple[Any, dict[str, Any] | None]:
    """The prompt with its references replaced by text, and the graph of what was included (None without any).

    Raises:
        Unresolvable: see there.
    """
    dependencies: dict[str, list[dict[str, Any]]] = {}

    def expand(node: Node, text: str, above: tuple[str, ...]) -> str:
        def included(match: re.Match[str]) -> str:
            wanted = reference(match[1])
            if wanted is None:
                return match[0]
            child = _child(wanted, find, (*above, node.name))
            entry = {"id": child.id, "name": child.name, "version": child.version}
            if entry not in dependencies.setdefault(node.id, []):
                dependencies[node.id].append(entry)
            return expand(child, child.prompt, (*above, node.name))

        return TAG.sub(included, text)

    if isinstance(root.prompt, str):
        prompt: Any = expand(root, root.prompt, ())
    else:
        prompt = [
            item | {"content": expand(root, item["content"], ())} if isinstance(item.get("content"), str) else item
            for item in root.prompt
        ]
    if not dependencies:
        return prompt, None
    top = {"name": root.name, "version": root.version, "id": root.id}
    return prompt, {"root": top, "dependencies": dependencies}


def _child(wanted: Reference, find: Find, above: tuple[str, ...]) -> Node:
    called = f"{wanted.name} - {'version ' + str(wanted.version) if wanted.label is None else 'label ' + wanted.label}"
    if wanted.name in above:
        raise Unresolvable(f"Circular dependency detected involving prompt '{wanted.name}'")
    if len(above) > MAX_DEPTH:
        raise Unresolvable(f"Maximum nesting depth exceeded ({MAX_DEPTH})")
    child = find(wanted)
    if child is None:
        raise Unresolvable(f"Prompt dependency not found: {called}")
    if child.type != "text":
        raise Unresolvable(f"Prompt dependency is not a text prompt: {called}")
    return child
