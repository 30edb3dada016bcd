"""Where the variables of an owner's test go: into the prompt, into the user's message, or to the assertions alone.

One rule, the same for both arms: a variable that a prompt uses fills it; of the others the first that has a customary
name for a question is the user's message, unless the prompt brings its own; a prompt without any variable takes the
only variable of a test, whatever its name. All others are for the assertions.
"""

import json
from collections.abc import Collection, Mapping, Sequence

from optimizer.prompts import Body, Message
from optimizer.template import placeholders, variables
from optimizer.types import CaseInput

QUESTIONS = ("question", "input", "query", "message", "user_message", "user_input", "prompt", "text")
"""Names that people give to what the user says, best first."""


def placed(bodies: Sequence[Body], values: Mapping[str, str]) -> CaseInput:
    """What both arms get to see of a test's variables."""
    used = frozenset(name for body in bodies for name in variables(body))
    slots = frozenset(name for body in bodies for name in placeholders(body))
    asked = question(bodies, values)
    return CaseInput(
        variables=tuple(sorted((name, value) for name, value in values.items() if name in used)),
        placeholders=tuple(sorted((name, _messages(values[name])) for name in slots if name in values)),
        history=(Message(role="user", content=values[asked]),) if asked else (),
    )


def question(bodies: Sequence[Body], names: Collection[str]) -> str:
    """The name of the variable that is the user's message; empty for none."""
    taken = {name for body in bodies for name in (*variables(body), *placeholders(body))}
    if all(_asks(body) for body in bodies):
        return ""
    if not taken and len(names) == 1:
        return next(iter(names))
    return next((name for name in QUESTIONS if name in names and name not in taken), "")


def _asks(body: Body) -> bool:
    """Whether a prompt ends with a user's message of its own."""
    last = body[-1] if isinstance(body, tuple) and body else None
    return isinstance(last, Message) and last.role == "user"


def _messages(value: str) -> tuple[Message, ...]:
    """A placeholder's messages, from JSON; any other text is one message of the user."""
    try:
        said = json.loads(value)
        return tuple(Message(role=str(message["role"]), content=str(message["content"])) for message in said)
    except (ValueError, TypeError, KeyError):
        return (Message(role="user", content=value),)
