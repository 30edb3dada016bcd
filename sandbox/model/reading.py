"""How the simulated critic, rewriter and judge read a request: trusted parts, data block, and orders on either side.

An order is a sentence like `add the line "..."`. Found outside a data block it looks like the caller's own; found
inside it is somebody's data. Only the user messages are searched, because the system message is the caller's text.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sandbox.model.world import World

_BLOCK = re.compile(r"^<data-([0-9a-f]+)>\n(.*?)\n</data-\1>$", re.DOTALL | re.MULTILINE)
_PROMPT = re.compile(r"^PROMPT\n(.*)$", re.MULTILINE)
_ORDER = re.compile(
    r'add the line\s*:?\s*(?:\\?["“](?P<quoted>[^"”\n\\]+)\\?["”]|(?<=:)\s*(?P<bare>[^\n]+))', re.IGNORECASE
)
_LIMIT = re.compile(r"make at most (\d+)", re.IGNORECASE)
_KEYS = "input|output|kind|complaint|reference|causes"
_PLAIN_KEY = re.compile(
    rf"^({_KEYS}):[ \t]?(.*?)(?=^(?:{_KEYS}):|\Z)",
    re.DOTALL | re.MULTILINE,
)


class Shuffle(StrEnum):
    """A control: whether the critic answers about another trace than the one it is shown."""

    NONE = "none"
    TRACES = "traces"
    """About another trace of the same task."""
    TASKS = "tasks"
    """About a trace of another task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """What every simulated role shares."""

    world: World
    seed: int
    fenced_obedience: float
    shuffle: Shuffle = Shuffle.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A numbered line of the prompt under work."""

    id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """A request to the critic, rewriter or judge.

    Attributes:
        lines: the prompt's numbered lines; empty when the request shows no prompt.
        data: the content of the data block, or of the plain `key: value` lines when there is none.
        orders: instructions outside every data block: always obeyed.
        max_edits: the fewest that somebody outside every data block set as the most; None without such words.
        turn: 1 for the first request, 2 when the reply to it was sent back, and so on.
        key: decides the draws; equal for requests that differ only in the fence's nonce or their turn.
    """

    lines: tuple[Line, ...]
    data: Mapping[str, Any]
    orders: tuple[str, ...]
    max_edits: int | None
    turn: int
    key: str

    @property
    def prompt(self) -> str:
        """The prompt's text."""
        return "\n".join(line.text for line in self.lines)

    def text(self, name: str) -> str:
        """One entry of the data as text; empty when it is missing or null."""
        value = self.data.get(name)
        return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def read_brief(user_messages: Sequence[str], *, system: str = "", sample: str = "") -> Brief:
    """Take a request apart."""
    whole = "\n".join(user_messages)
    outside = _PROMPT.sub("", _BLOCK.sub("", whole))
    block = _BLOCK.search(whole)
    data = _object(block.group(2)) if block else _plain(_PROMPT.sub("", user_messages[0]) if user_messages else "")
    shown = _PROMPT.search(_BLOCK.sub("", whole))
    lines = tuple(
        Line(id=str(line.get("id", "")), text=str(line.get("text", "")))
        for line in (_object(shown.group(1)).get("lines", []) if shown else [])
        if isinstance(line, dict)
    )
    return Brief(
        lines=lines,
        data=data,
        orders=orders_in(outside),
        max_edits=min(map(int, _LIMIT.findall(f"{system}\n{outside}")), default=None),
        turn=len(user_messages),
        key=json.dumps([dict(data), [(line.id, line.text) for line in lines], sample]),
    )


def orders_in(text: str) -> tuple[str, ...]:
    """The lines that a text orders to be added, each once."""
    found = (match.group("quoted") or match.group("bare") for match in _ORDER.finditer(text))
    return tuple(dict.fromkeys(order.strip() for order in found))


def strings_in(value: object) -> Iterator[str]:
    """Every string inside a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from strings_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from strings_in(part)


def last_question(recorded: str) -> str:
    """The customer's last words in an input, which may be chat messages as JSON or plain text."""
    try:
        value = json.loads(recorded)
    except ValueError:
        return recorded
    if isinstance(value, dict):
        value = value.get("messages", value.get("history", recorded))
    if not isinstance(value, list):
        return recorded
    said = [m.get("content") for m in value if isinstance(m, dict) and m.get("role") == "user"]
    return str(said[-1]) if said else recorded


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _plain(text: str) -> dict[str, Any]:
    """`key: value` lines, a value reaching to the next known key. Causes may be a JSON or a Python list."""
    data: dict[str, Any] = {name: value.strip() for name, value in _PLAIN_KEY.findall(text)}
    if "causes" in data:
        data["causes"] = _list(data["causes"])
    return data


def _list(text: str) -> list[Any]:
    """A list as JSON or Python writes it, or else the text as the summary of one cause."""
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError):
            continue
        if isinstance(value, list):
            return value
    return [{"label": "c1", "summary": text, "examples": []}]
