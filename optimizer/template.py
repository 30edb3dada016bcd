"""The registry's template language: `{{variables}}`, chat placeholders and composition tags, read and filled.

Follows Langfuse's SDK (`TextPromptClient.compile`, `ChatPromptClient.compile`), which is the oracle in the tests: one
pass from left to right, no logic, names trimmed, unknown variables left as they stand. Values are never templates:
what a value holds is never looked at again.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from optimizer.prompts import Body, Message, Placeholder
from optimizer.types import CaseInput

_OPENING = "{{"
_CLOSING = "}}"
# what the server looks for (parsePromptDependencyTags.ts): no tag spans lines
_COMPOSITION = re.compile(r"@@@langfusePrompt:[^\n]*?@@@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One use of a variable. `raw` is the tag as it was written, braces included."""

    name: str
    raw: str


def pieces(content: str) -> Iterator[str | Variable]:
    """Literal texts (never empty) and variables of one template, in order; their texts add up to the template."""
    at = 0
    while (start := content.find(_OPENING, at)) != -1:
        end = content.find(_CLOSING, start)
        if end == -1:
            break
        if start > at:
            yield content[at:start]
        at = end + len(_CLOSING)
        yield Variable(name=content[start + len(_OPENING) : end].strip(), raw=content[start:at])
    if at < len(content):
        yield content[at:]


def contents(body: Body) -> tuple[str, ...]:
    """The template texts of a body: the text itself, or every chat message's content."""
    return (body,) if isinstance(body, str) else tuple(p.content for p in body if isinstance(p, Message))


def variable_uses(body: Body) -> tuple[str, ...]:
    """The variables' names in order, one for each use."""
    return tuple(p.name for content in contents(body) for p in pieces(content) if isinstance(p, Variable))


def variables(body: Body) -> frozenset[str]:
    """The names of the variables that a body uses."""
    return frozenset(variable_uses(body))


def placeholders(body: Body) -> tuple[str, ...]:
    """The names of a chat body's placeholders, in order."""
    return () if isinstance(body, str) else tuple(p.name for p in body if isinstance(p, Placeholder))


def composition_tags(body: Body) -> tuple[str, ...]:
    """The tags that pull other prompts in, in order, as they were written."""
    return tuple(tag for content in contents(body) for tag in _COMPOSITION.findall(content))


def render(content: str, values: Mapping[str, str]) -> str:
    """One template with its variables replaced; a variable without a value stays as it stands."""
    return "".join(p if isinstance(p, str) else values.get(p.name, p.raw) for p in pieces(content))


def fill(body: Body, case_input: CaseInput) -> tuple[Message, ...]:
    """The messages that an application sends: the filled prompt, then the history.

    A text prompt becomes one system message. As in the SDK, the messages of a placeholder are templates too. A
    placeholder without messages expands to nothing: the SDK would leave its marker in the list, which no model takes.
    """
    values = dict(case_input.variables)
    slots = dict(case_input.placeholders)
    parts = (Message(role="system", content=body),) if isinstance(body, str) else body
    filled = tuple(
        Message(role=message.role, content=render(message.content, values))
        for part in parts
        for message in (slots.get(part.name, ()) if isinstance(part, Placeholder) else (part,))
    )
    return filled + case_input.history
