"""Rows of a JSONL file -> cases. Every fault is named by file and line, never by what a row says.

{"id": "c1", "input": "the user's message", "expected": "optional"}
{"id": "c2", "input": {"variables": {...}, "messages": [{"role", "content"}], "placeholders": {"name": [...]}}}
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.offline.texts import read, whole
from optimizer.errors import BadInput
from optimizer.prompts import Body, Message
from optimizer.template import placeholders, variables
from optimizer.types import Case, CaseInput, CaseOrigin, Missing

ROW = '{"id": "c1", "input": "the user\'s message", "expected": "optional"}'
MESSAGE = '{"role": "user", "content": "..."}'
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_NAME = re.compile(r"[A-Za-z_][\w.-]*")
"""A variable that a row has to fill; any other text between double braces stays as it stands."""
_ROLES = ("user", "assistant", "system", "developer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The cases of one file, in its order."""

    path: Path
    cases: tuple[Case, ...]
    lines: dict[str, int]

    def where(self, case: Case) -> str:
        """The file and line of a case."""
        return f"{self.path}:{self.lines[case.id]}"


def load(path: Path) -> Rows:
    """Read a file of rows. Raises BadInput for the first row that cannot be used, and for a file without any."""
    lines: dict[str, int] = {}
    cases: list[Case] = []
    for number, line in enumerate(read(path).split("\n"), start=1):
        if not line.strip():
            continue
        case = _case(line, f"{path}:{number}")
        if case.id in lines:
            raise BadInput(f"{path}:{number} has the same id as line {lines[case.id]}", "give every row its own id")
        lines[case.id] = number
        cases.append(case)
    return Rows(path=path, cases=tuple(cases), lines=lines)


def check_filled(prompt: Body, rows: Rows) -> None:
    """Every row fills every variable of the prompt, and no placeholder that it does not have. Raises BadInput."""
    used = sorted(name for name in variables(prompt) if _NAME.fullmatch(name))
    slots = set(placeholders(prompt))
    for case in rows.cases:
        given = dict(case.input.variables)
        for name in used:
            if name not in given:
                raise BadInput(
                    f"{rows.where(case)} gives no value for {{{{{name}}}}}, which the prompt uses",
                    f'write its input like {{"variables": {{"{name}": "..."}}, "messages": [{MESSAGE}]}}',
                )
        if not slots.issuperset(name for name, _ in case.input.placeholders):
            raise BadInput(
                f"{rows.where(case)} fills a placeholder that the prompt does not have", "correct its name or drop it"
            )


def check_apart(train: Rows, validation: Rows) -> None:
    """No row stands in both files, by its id or by its input. Raises BadInput."""
    asked = {case.input: case for case in train.cases}
    for case in validation.cases:
        if case.id in train.lines:
            same = f"id as {train.path}:{train.lines[case.id]}"
        elif case.input in asked:
            same = f"input as {train.where(asked[case.input])}"
        else:
            continue
        raise BadInput(
            f"{validation.where(case)} has the same {same}, and a score on rows that were learnt from proves nothing",
            "let every row stand in one of the two files",
        )


def repeated(rows: Rows) -> int:
    """How many rows have the input of another one."""
    return len(rows.cases) - len({case.input for case in rows.cases})


def _case(line: str, where: str) -> Case:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where} is not JSON", f"write one row a line, like {ROW}") from error
    _known(fields, ("id", "input", "expected"), where)
    if not whole(json.dumps(fields, ensure_ascii=False)):
        raise BadInput(f"{where} holds half a character", "write the whole character, or leave it out")
    number, expected = fields.get("id"), fields.get("expected")
    case_id = str(number) if isinstance(number, int) and not isinstance(number, bool) else number
    if not isinstance(case_id, str) or not _ID.fullmatch(case_id):
        raise BadInput(
            f"{where} has no usable id", "give it one of 1 to 128 letters, digits, dashes and underscores, in quotes"
        )
    if expected is not None and not isinstance(expected, str):
        raise BadInput(f'{where} has an "expected" that is no text', "put it into quotes, or leave it out")
    return Case(
        id=case_id,
        origin=CaseOrigin.DATASET,
        input=_input(fields.get("input"), where),
        reference=Missing.NO_REFERENCE if expected is None else expected,
        source_key=case_id,
    )


def _input(said: Any, where: str) -> CaseInput:
    if isinstance(said, str) and said.strip():
        return CaseInput(history=(Message(role="user", content=said),))
    if not isinstance(said, dict) or not any(said.values()):
        raise BadInput(f"{where} has no input", f"write one row a line, like {ROW}")
    _known(said, ("variables", "messages", "placeholders"), f"{where}, in its input,")
    values, slots = said.get("variables", {}), said.get("placeholders", {})
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise BadInput(f"{where} has variables that are no texts", 'write them like {"name": "value"}')
    if not isinstance(slots, dict):
        raise BadInput(f"{where} has placeholders without names", f'write them like {{"name": [{MESSAGE}]}}')
    return CaseInput(
        variables=tuple(sorted(values.items())),
        placeholders=tuple((name, _messages(slots[name], where)) for name in sorted(slots)),
        history=_messages(said.get("messages", []), where),
    )


def _messages(said: Any, where: str) -> tuple[Message, ...]:
    if not isinstance(said, list):
        raise BadInput(f"{where} has messages that are no list", f"write them like [{MESSAGE}]")
    for message in said:
        sound = isinstance(message, dict) and set(message) == {"role", "content"}
        if not sound or message["role"] not in _ROLES or not isinstance(message["content"], str):
            raise BadInput(
                f"{where} has a message that is not one", f"write it like {MESSAGE}; the roles are {', '.join(_ROLES)}"
            )
    return tuple(Message(role=message["role"], content=message["content"]) for message in said)


def _known(fields: Any, keys: tuple[str, ...], where: str) -> None:
    if not isinstance(fields, dict):
        raise BadInput(f"{where} is not a JSON object", f"write one row a line, like {ROW}")
    if set(fields) - set(keys):
        raise BadInput(f"{where} has a key that nobody reads", f"leave only {', '.join(keys)}")
