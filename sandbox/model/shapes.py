"""How other optimizers ask: the shapes of their requests, and what stands in them.

Three shapes are known: a reflection with the current instruction and graded examples in code fences, text gradients in
tags, and named fields between `[[ ## name ## ]]` headers. Reading looks at structure only, never at the wording around
it, and must not invent what a request does not show.
"""

import re
from dataclasses import dataclass

from sandbox.model.wire import Call

_FENCED = re.compile(r"^```[^\n`]*\n(.*?)\n```[^\S\n]*$", re.DOTALL | re.MULTILINE)
_EXAMPLE = re.compile(r"^# Example \d+\s*$", re.MULTILINE)
_PART = re.compile(r"^## ([^\n]+)\n", re.MULTILINE)
_SUBTITLE = re.compile(r"^#{3,6} [^\n]*\n", re.MULTILINE)
_FIELD = re.compile(r"^\[\[ ## (\w+) ## \]\]\n", re.MULTILINE)
_WANTED = re.compile(r"`\[\[ ## (\w+) ## \]\]`")
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
    """Asks for named fields, given others."""

    given: dict[str, str]
    wanted: tuple[str, ...]


def read_free(call: Call) -> Reflection | Blame | Relay | Update | Fields:
    """What a request without a reply name asks for."""
    said = call.user[-1] if call.user else ""
    whole = f"{call.system}\n{said}"
    if _WANTED.search(said):
        return fields_in(said)
    if "<IMPROVED_VARIABLE>" in whole:
        return _update(said)
    if "<VARIABLE>" in said:
        return _edge(said)
    fenced = _FENCED.findall(said)
    if len(fenced) >= 2:
        return Reflection(prompt=fenced[0], examples=_examples(fenced[1]))
    return Relay(said=_tagged(call.system, "GRADE") or call.system)


def task_in(call: Call) -> tuple[str, str, str]:
    """The prompt and the question of a task request, and the header that the answer needs; empty for none."""
    said = call.user[-1] if call.user else ""
    fields = fields_in(said) if _WANTED.search(said) else None
    objective = _OBJECTIVE.search(call.system)
    if fields is None or not fields.given or not fields.wanted or objective is None:
        return call.system, said, ""
    prompt = "\n".join(line.strip() for line in objective.group(1).strip().split("\n"))
    return prompt, next(iter(fields.given.values())), fields.wanted[0]


def fields_in(said: str) -> Fields:
    """The fields of a request; the reminder of what is wanted ends the last one."""
    wanted = [name for name in _WANTED.findall(said) if name != "completed"]
    parts = _FIELD.split(said)
    given = dict(zip(parts[1::2], parts[2::2], strict=True))
    for name, value in given.items():
        reminder = _WANTED.search(value)
        cut = value.rfind("\n\n", 0, reminder.start()) if reminder else len(value)
        given[name] = (value[:cut] if cut >= 0 else "").strip()
    return Fields(given=given, wanted=tuple(dict.fromkeys(wanted)))


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
