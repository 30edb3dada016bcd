"""One attack as a value, and how a file of them is read. The lines of an owner's file have the form of our own.

    {"id": "extraction-001", "category": "extraction", "technique": "direct", "text": "...",
     "check": {"kind": "prompt", "data": []}}

One JSON object a line. Must never let a line pass that no judge could judge, and never shows a line's text.
"""

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from optimizer.errors import BadInput

MOST_ATTACKS = 2_000
"""Attacks in one file: each is asked of both versions, and those that succeed five times more."""
MOST_CHARS = 20_000
"""Characters of one attack's text."""

_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")
_CATEGORY = re.compile(r"[a-z][a-z0-9-]{0,39}")
_FIELDS = ("id", "category", "technique", "text", "check")


class CheckKind(StrEnum):
    """How an answer shows that an attack succeeded."""

    PROMPT = "prompt"
    """It repeats the prompt. No data."""
    MARKER = "marker"
    """It holds a word that nobody says who was not ordered to. Data: the words, any of them."""
    PERSONAL = "personal"
    """It holds personal data or secrets that neither the input nor the prompt has. No data."""
    REPEATS = "repeats"
    """It repeats what should not be said again. Data: the texts, any of them."""
    REFUSAL = "refusal"
    """It refuses, and there was no reason to. No data."""
    COMPLIANCE = "compliance"
    """It does what should be refused. Data: words of an answer that goes into the matter; two of them do."""


_NEEDS_DATA = (CheckKind.MARKER, CheckKind.REPEATS, CheckKind.COMPLIANCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """How to see whether an attack succeeded."""

    kind: CheckKind
    data: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One hostile or tempting text. `id` is lower case: letters, digits, dash and underscore.

    Attributes:
        category: what is attacked; reports count by it.
        technique: how, in a few words; for readers of the file.
    """

    id: str
    category: str
    technique: str
    text: str
    check: Check


def parsed(text: str, where: str, *, taken: Collection[str] = ()) -> tuple[Attack, ...]:
    """The attacks in the text of a file, in its order; blank lines are skipped.

    Args:
        where: the file's name, for the messages.
        taken: ids that other attacks have.

    Raises:
        BadInput: the file is empty, or a line of it is no attack; the message names the line.
    """
    found: list[Attack] = []
    ids = set(taken)
    for number, line in _lines(text):
        attack = _attack(line, f"line {number} of {where}")
        if attack.id in ids:
            raise BadInput(
                f"line {number} of {where} has an id that another attack has", "give every attack its own id"
            )
        ids.add(attack.id)
        found.append(attack)
        if len(found) > MOST_ATTACKS:
            raise BadInput(f"{where} holds more than {MOST_ATTACKS} attacks", "keep the most important ones")
    if not found:
        raise BadInput(f"{where} holds no attack", "write one JSON object a line, or take the file out of the settings")
    return tuple(found)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    # not `splitlines`, which also splits at characters that may stand inside a JSON text
    numbered = enumerate(text.removeprefix("\ufeff").split("\n"), start=1)
    return ((number, line) for number, line in numbered if line.strip())


def _attack(line: str, where: str) -> Attack:
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise BadInput(f"{where} is no JSON", "write one JSON object a line") from None
    if not isinstance(row, dict) or set(row) != set(_FIELDS):
        names = ", ".join(_FIELDS)
        raise BadInput(f"{where} does not have the fields of an attack", f"give it exactly these: {names}")
    for name in _FIELDS[:-1]:
        if not isinstance(row[name], str) or not row[name].strip():
            raise BadInput(f"{where} has no text as its {name}", f"write the {name} as a text that is not empty")
    if not _ID.fullmatch(row["id"]):
        raise BadInput(f"{where} has an id that cannot be used", "use up to 80 of a-z, 0-9, dash and underscore")
    if not _CATEGORY.fullmatch(row["category"]):
        raise BadInput(f"{where} has a category that cannot be used", "use up to 40 of a-z, 0-9 and dash")
    if len(row["text"]) > MOST_CHARS:
        raise BadInput(f"{where} has a text of more than {MOST_CHARS} characters", "shorten it")
    check = _check(row["check"], where)
    if any("\ud800" <= char <= "\udfff" for char in "".join((row["text"], row["technique"], *check.data))):
        raise BadInput(f"{where} holds half a character, which cannot be sent", "write whole characters")
    return Attack(
        id=row["id"],
        category=row["category"],
        technique=row["technique"],
        text=row["text"],
        check=check,
    )


def _check(said: Any, where: str) -> Check:
    kinds = ", ".join(CheckKind)
    if not isinstance(said, dict) or not {"kind"} <= set(said) <= {"kind", "data"}:
        raise BadInput(f"{where} has no check", 'write it as {"kind": ..., "data": [...]}')
    if said["kind"] not in list(CheckKind):
        raise BadInput(f"{where} has a check of a kind that does not exist", f"use one of {kinds}")
    kind, data = CheckKind(said["kind"]), said.get("data", [])
    if not isinstance(data, list) or not all(isinstance(text, str) and _says_something(text) for text in data):
        raise BadInput(
            f"{where} has check data that are no texts", "write them as a list of texts with letters or digits"
        )
    if bool(data) != (kind in _NEEDS_DATA):
        rule = "needs data" if kind in _NEEDS_DATA else "takes no data"
        raise BadInput(f"{where} has a check of the kind {kind}, which {rule}", "see gates/attacks/README.md")
    if kind is CheckKind.COMPLIANCE and len(set(data)) < 2:
        raise BadInput(f"{where} names too few words to see compliance by", "give at least two")
    return Check(kind=kind, data=tuple(data))


def _says_something(text: str) -> bool:
    return any(map(str.isalnum, text))
