"""How other optimizers ask: the shapes of their requests, and what stands in them.

Three shapes are known: a reflection with the current instruction and graded examples in code fences, text gradients in
tags, and named fields between `[[ ## name ## ]]` headers, answered in the same way or as a JSON object. Reading looks
at structure only, never at the wording around it, and must not invent what a request does not show.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from sandbox.model.wire import Call

_FENCED = re.compile(r"^```[^\n`]*\n(.*?)\n```[^\S\n]*$", re.DOTALL | re.MULTILINE)
_EXAMPLE = re.compile(r"^# Example \d+\s*$", re.MULTILINE)
_PART = re.compile(r"^## ([^\n]+)\n", re.MULTILINE)
_SUBTITLE = re.compile(r"^#{3,6} [^\n]*\n", re.MULTILINE)
_FIELD = re.compile(r"^\[\[ ## (\w+) ## \]\]\n", re.MULTILINE)
_WANTED = re.compile(r"`\[\[ ## (\w+) ## \]\]`")
_WANTED_KEYS = re.compile(r"JSON object[^\n]*?((?:`\w+`[^\n`]*)+)\Z")
_KEY = re.compile(r"`(\w+)`")
_OBJECTIVE = re.compile(r"objective is:\s*\n(.*)\Z", re.DOTALL)
_FIRST_WORDS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One run of a prompt, with what was said about the output."""

    question: str
    output: str
    feedback: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reflection:
    """Asks for a new instruction because of graded examples; the reply stands in a code fence."""

    prompt: str
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """Asks what a prompt should do better because of one graded example."""

    prompt: str
    example: Example


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """Asks for feedback on an answer, or for an evaluation; `said` is the judgement that the request shows."""

    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Asks for a better prompt because of feedback; the reply stands between tags."""

    prompt: str
    feedback: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Asks for named fields, given others; `as_json` for a JSON object of them."""

    given: dict[str, str]
    wanted: tuple[str, ...]
    as_json: bool = False


_PLAIN = "OK."
"""To a question that is none of these."""


def read_free(call: Call) -> Reflection | Blame | Relay | Update | Fields:
    """What a request without a reply name asks for."""
    said = call.user[-1] if call.user else ""
    whole = f"{call.system}\n{said}"
    if _FIELD.search(said):
        return fields_in(said)
    if "<IMPROVED_VARIABLE>" in whole:
        return _update(said)
    if "<VARIABLE>" in said:
        return _edge(said)
    fenced = _FENCED.findall(said)
    if len(fenced) >= 2:
        return Reflection(prompt=fenced[0], examples=_examples(fenced[1]))
    return Relay(said=_tagged(call.system, "GRADE") or call.system or _PLAIN)


def task_in(call: Call) -> tuple[str, str, str]:
    """The prompt and the question of a task request, and the header that the answer needs; empty for none."""
    said = call.user[-1] if call.user else ""
    fields, objective = fields_in(said), _OBJECTIVE.search(call.system)
    if not fields.given or not fields.wanted or objective is None:
        return call.system, said, ""
    prompt = "\n".join(line.strip() for line in objective.group(1).strip().split("\n"))
    return prompt, next(iter(fields.given.values())), fields.wanted[0]


def fields_in(said: str) -> Fields:
    """The fields of a request; the last paragraph says what is wanted."""
    shown, _, reminder = said.rstrip().rpartition("\n\n")
    keys = _WANTED_KEYS.search(reminder)
    names = _KEY.findall(keys.group(1)) if keys else [name for name in _WANTED.findall(reminder) if name != "completed"]
    parts = _FIELD.split(shown)
    given = {name: value.strip() for name, value in zip(parts[1::2], parts[2::2], strict=True)}
    return Fields(given=given, wanted=tuple(dict.fromkeys(names)), as_json=keys is not None)


def listed_examples(text: str) -> tuple[Example, ...]:
    """Graded examples as a JSON list: inputs, outputs and feedback of each."""
    try:
        rows = json.loads(text)
    except ValueError:
        return ()
    rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return tuple(
        Example(
            question=_values(row, "inputs"), output=_values(row, "generated outputs"), feedback=_values(row, "feedback")
        )
        for row in rows
    )


def _values(row: dict[str, Any], name: str) -> str:
    value = next((value for key, value in row.items() if key.lower() == name), "")
    return "\n".join(map(str, value.values())) if isinstance(value, dict) else str(value)


def _examples(text: str) -> tuple[Example, ...]:
    found = []
    for shown in _EXAMPLE.split(text)[1:]:
        parts = _PART.split(shown)
        values = [_SUBTITLE.sub("", value).strip() for value in parts[2::2]]
        by_name = dict(zip((name.strip().lower() for name in parts[1::2]), values, strict=True))
        found.append(
            Example(
                question=by_name.get("inputs", ""),
                output=by_name.get("generated outputs", ""),
                feedback=by_name.get("feedback", ""),
            )
        )
    return tuple(found)


def _edge(said: str) -> Blame | Relay:
    """One edge of a text graph: about the prompt of a conversation, or about the answer that was judged in it."""
    prompt, output = _tagged(said, "LM_SYSTEM_PROMPT"), _tagged(said, "LM_OUTPUT")
    if not _is_of(_tagged(said, "VARIABLE"), prompt):
        return Relay(said=output)
    _, _, feedback = _tagged(said, "OBJECTIVE_FUNCTION").partition(":")
    return Blame(
        prompt=prompt, example=Example(question=_tagged(said, "LM_INPUT"), output=output, feedback=feedback.strip())
    )


def _update(said: str) -> Update:
    """The prompt whole from a conversation that shows it, because its own span may be shortened."""
    variable = _tagged(said, "VARIABLE")
    shown = [text for text in _all_tagged(said, "LM_SYSTEM_PROMPT") if _is_of(variable, text)]
    return Update(prompt=shown[0] if shown else variable, feedback=tuple(_all_tagged(said, "FEEDBACK")))


def _is_of(variable: str, text: str) -> bool:
    """True when a variable's span, maybe shortened, begins as the text does."""
    words = variable.split()[:_FIRST_WORDS]
    return bool(words) and text.split()[: len(words)] == words


def _tagged(text: str, tag: str) -> str:
    found = _all_tagged(text, tag)
    return found[0] if found else ""


def _all_tagged(text: str, tag: str) -> list[str]:
    spans = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return [span.strip() for span in spans if span.strip()]
