"""A case rebuilt from a recorded model call: the recorded messages matched against the template that made them.

The trace store holds rendered messages, not variables. A wrong reconstruction would poison the evidence, so two things
must be proven before a case exists: `fill` renders exactly what was recorded, and no other values would. Everything
else is `NotReplayable`. Recorded text is hostile and large: all steps are linear in it, none of it reaches a reason.

How uniqueness is proven. Between its first and last literal, a template's literals must occur in order and without
overlap. Taking each as early as possible gives the leftmost embedding, as late as possible the rightmost one, and every
embedding lies between the two: so there is exactly one if and only if they are equal. Uses of the same variable are
first taken as independent, which can only add ways; a value that one message forces is then a literal in the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from optimizer.prompts import Body, Message, Placeholder
from optimizer.template import Variable, composition_tags, fill, pieces
from optimizer.traces.recording import NotReplayable, Reason, Recorded, readings
from optimizer.types import CaseInput

__all__ = ["NotReplayable", "Reason", "rebuild"]

_PROMPT_ROLES = ("system", "developer")


def rebuild(body: Body, recorded_input: str) -> CaseInput | NotReplayable:
    """What the application put into `body` when it sent `recorded_input`.

    A text prompt may have been sent as a plain text, as the leading system or developer message, or as the only user
    message; `fill` always makes it a system message, and only in that role may the two differ. Messages of a
    placeholder come back as they were sent, with variables in them already replaced.

    Args:
        body: the template of the prompt version that the call was linked to.
        recorded_input: raw text as the trace store returns it.
    """
    if composition_tags(body):
        return NotReplayable(reason=Reason.COMPOSED)
    found = readings(recorded_input)
    if isinstance(found, NotReplayable):
        return found
    if isinstance(body, str):
        return _rebuild_text(body, found)
    if found[0].plain:
        return NotReplayable(reason=Reason.NOT_CHAT)
    return _rebuild_chat(body, found[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Alignment:
    """Which recorded message came from which part of the template."""

    own: tuple[tuple[str, str], ...]  # (template content, recorded content)
    slots: dict[str, tuple[Message, ...]] = field(default_factory=dict)
    history: tuple[Message, ...] = ()


def _rebuild_text(body: str, found: Sequence[Recorded]) -> CaseInput | NotReplayable:
    fitting = [reading for reading in found if any(_fits(body, message.content) for message in reading.messages)]
    if len(fitting) > 1:
        return NotReplayable(reason=Reason.AMBIGUOUS_FORM)
    # chat messages that do not fit are not the prompt's; taking their JSON for a plain text would be a guess
    if not fitting or (fitting[0].plain and not found[0].plain):
        return NotReplayable(reason=Reason.NO_MATCH)
    messages = fitting[0].messages
    first, *history = messages
    if not _fits(body, first.content):
        return NotReplayable(reason=Reason.NO_MATCH)
    if any(_fits(body, message.content) for message in history):
        return NotReplayable(reason=Reason.AMBIGUOUS_MESSAGES)
    if first.role not in _PROMPT_ROLES and not (first.role == "user" and not history):
        return NotReplayable(reason=Reason.NO_MATCH)
    alignment = _Alignment(own=((body, first.content),), history=tuple(history))
    expected = (Message(role="system", content=first.content), *history)
    return _proven(body, alignment, expected, fitting[0].tools_json)


def _rebuild_chat(body: tuple[Message | Placeholder, ...], recorded: Recorded) -> CaseInput | NotReplayable:
    messages = recorded.messages
    ways = _ways(body, messages)
    # an application may also have put messages before the prompt; then the start is a guess
    elsewhere = bool(body) and isinstance(body[0], Message) and any(ways[0][1:])
    if ways[0][0] == 0:
        return NotReplayable(reason=Reason.NO_MATCH)
    if ways[0][0] > 1 or elsewhere:
        return NotReplayable(reason=Reason.AMBIGUOUS_MESSAGES)
    own: list[tuple[str, str]] = []
    slots: dict[str, tuple[Message, ...]] = {}
    at = 0
    for i, part in enumerate(body):
        if isinstance(part, Message):
            own.append((part.content, messages[at].content))
            at += 1
            continue
        end = next(j for j in range(at, len(messages) + 1) if ways[i + 1][j])
        if slots.setdefault(part.name, messages[at:end]) != messages[at:end]:
            return NotReplayable(reason=Reason.REPEATED_DIFFERS, detail=part.name)
        at = end
    alignment = _Alignment(own=tuple(own), slots=slots, history=messages[at:])
    return _proven(body, alignment, messages, recorded.tools_json)


def _ways(body: tuple[Message | Placeholder, ...], messages: Sequence[Message]) -> list[list[int]]:
    """`ways[i][j]`: in how many ways the parts from i on can have made the messages from j on; 2 stands for more."""
    end = len(messages)
    ways = [[1] * (end + 1)]  # after the last part, everything is history
    for part in reversed(body):
        after, row = ways[-1], [0] * (end + 1)
        for j in range(end, -1, -1):
            if isinstance(part, Placeholder):
                row[j] = min(2, after[j] + (row[j + 1] if j < end else 0))
            elif (
                j < end and after[j + 1] and part.role == messages[j].role and _fits(part.content, messages[j].content)
            ):
                row[j] = after[j + 1]
        ways.append(row)
    return ways[::-1]


def _proven(
    body: Body, alignment: _Alignment, expected: tuple[Message, ...], tools_json: str
) -> CaseInput | NotReplayable:
    values = _values(alignment.own)
    if isinstance(values, NotReplayable):
        return values
    case_input = CaseInput(
        variables=tuple(sorted(values.items())),
        placeholders=tuple(sorted(alignment.slots.items())),
        history=alignment.history,
        tools_json=tools_json,
    )
    if fill(body, case_input) != expected:
        return NotReplayable(reason=Reason.TEMPLATE_IN_MESSAGES)
    return case_input


def _values(own: Sequence[tuple[str, str]]) -> dict[str, str] | NotReplayable:
    """The values that all messages together force."""
    known: dict[str, str] = {}
    pending = list(own)
    while pending:
        ambiguous: list[tuple[str, str]] = []
        refusal = NotReplayable(reason=Reason.NO_MATCH)
        for content, text in pending:
            found = _split(content, text, known)
            if isinstance(found, dict):
                known |= found
            elif found.reason in (Reason.ADJACENT_VARIABLES, Reason.AMBIGUOUS_VARIABLES):
                ambiguous.append((content, text))
                refusal = found
            else:
                return found
        if len(ambiguous) == len(pending):
            return refusal
        pending = ambiguous
    return known


def _split(content: str, text: str, known: dict[str, str]) -> dict[str, str] | NotReplayable:
    """The values of the unknown variables of one message, if there is exactly one way to read them."""
    literals, holes = _pattern(content, known)
    left = _leftmost(literals, text)
    mirrored = _leftmost([literal[::-1] for literal in reversed(literals)], text[::-1])
    if left is None or mirrored is None:
        return NotReplayable(reason=Reason.REPEATED_DIFFERS if known else Reason.NO_MATCH)
    right = [(len(text) - end, len(text) - start) for start, end in reversed(mirrored)]
    for i, (early, late) in enumerate(zip(left, right, strict=True)):
        if early != late:
            adjacent = "" in literals[1:-1]
            reason = Reason.ADJACENT_VARIABLES if adjacent else Reason.AMBIGUOUS_VARIABLES
            return NotReplayable(reason=reason, detail=holes[max(0, i - 1)].name)
    values: dict[str, str] = {}
    for hole, (_, start), (end, _) in zip(holes, left, left[1:], strict=False):
        value = text[start:end]
        if value == hole.raw:
            return NotReplayable(reason=Reason.UNFILLED, detail=hole.name)
        if values.setdefault(hole.name, value) != value:
            return NotReplayable(reason=Reason.REPEATED_DIFFERS, detail=hole.name)
    return values


def _fits(content: str, text: str) -> bool:
    return _leftmost(_pattern(content, {})[0], text) is not None


def _pattern(content: str, known: dict[str, str]) -> tuple[list[str], list[Variable]]:
    """Literals and the variables between them: always one literal more, some of them empty."""
    literals, holes = [""], list[Variable]()
    for piece in pieces(content):
        if isinstance(piece, str):
            literals[-1] += piece
        elif piece.name in known:
            literals[-1] += known[piece.name]
        else:
            holes.append(piece)
            literals.append("")
    return literals, holes


def _leftmost(literals: Sequence[str], text: str) -> list[tuple[int, int]] | None:
    """Where each literal stands, (start, end), when all but the last are taken as early as possible; None for nowhere.

    Linear: `str.find` is, whatever the text. That is why the rightmost embedding is this one of the mirrored text and
    not one by `str.rfind`, which is not.
    """
    if len(literals) == 1:
        return [(0, len(text))] if text == literals[0] else None
    first, *inner, last = literals
    at, end = len(first), len(text) - len(last)
    if at > end or not text.startswith(first) or not text.endswith(last):
        return None
    spans = [(0, at)]
    for literal in inner:
        start = text.find(literal, at, end)
        if start == -1:
            return None
        at = start + len(literal)
        spans.append((start, at))
    return [*spans, (end, len(text))]
