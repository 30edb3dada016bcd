"""The recorded input of a model call, read as the readings it allows. It must never guess: what the values of the loop
cannot hold exactly (media, tool calls, several text parts, unknown fields) is refused with a reason.

Langfuse stores what the application passed: a JSON list of chat messages, an object with messages and tools (its OpenAI
wrapper, `_extract_chat_prompt`), or a plain string, which is stored as it is and so may look like JSON by accident.
"""

import json
import re
from dataclasses import dataclass
from enum import StrEnum

from optimizer.identity import Json
from optimizer.prompts import Message


class Reason(StrEnum):
    """Why a recorded input cannot be replayed."""

    EMPTY = "nothing was recorded"
    NOT_CHAT = "the recorded input is neither chat messages nor the text of a prompt; it may have been cut off"
    UNKNOWN_FIELD = "the recorded input has a field that a replay would lose"
    UNKNOWN_ROLE = "a message has a role that chat models do not share"
    MEDIA = "the recorded input holds images, audio or files"
    TOOLS = "the conversation depends on tool calls"
    SEVERAL_PARTS = "a message has several text parts"
    COMPOSED = "the prompt pulls other prompts in"
    NO_MATCH = "the recorded input does not follow the template"
    UNFILLED = "a variable was left unfilled"
    REPEATED_DIFFERS = "a repeated variable or placeholder has different values"
    ADJACENT_VARIABLES = "two variables stand side by side"
    AMBIGUOUS_VARIABLES = "the values can be told apart in more than one way"
    AMBIGUOUS_MESSAGES = "the messages can be assigned to the prompt in more than one way"
    TEMPLATE_IN_MESSAGES = "a placeholder's messages hold template tags of their own"
    AMBIGUOUS_FORM = "the recorded text can be read as plain text and as JSON"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotReplayable:
    """No case can be made of a recorded input. `detail` names template parts only, never recorded text."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Chat messages with the request's tool definitions, or one plain text (then `plain`, and a single message)."""

    messages: tuple[Message, ...]
    tools_json: str = ""
    plain: bool = False


class _Refused(Exception):
    def __init__(self, reason: Reason) -> None:
        self.reason = reason


_ROLES = frozenset({"system", "developer", "user", "assistant"})
_TOOL_ROLES = frozenset({"tool", "function"})
_TOOL_FIELDS = frozenset({"tool_calls", "function_call", "tool_call_id", "functions", "tool_choice"})
_TEXT_PARTS = frozenset({"text", "input_text", "output_text"})
# sampling parameters shape the answer, not the input; the gate sets its own
_IGNORED = frozenset({"model", "temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "stream"})
_MEDIA_TAG = "@@@langfuseMedia:"  # what the SDK leaves in place of uploaded bytes
_JSON_START = re.compile(r"""\s*(?:\[\s*(?:[\[{"]|$)|\{\s*(?:"|$)|")""")


def readings(recorded_input: str) -> tuple[Recorded, ...] | NotReplayable:
    """Every way to read a recorded input, the likeliest first: any text may also be what it is, a plain text."""
    if not recorded_input.strip():
        return NotReplayable(reason=Reason.EMPTY)
    if _MEDIA_TAG in recorded_input:
        return NotReplayable(reason=Reason.MEDIA)
    try:
        recorded_input.encode()
        value: Json = json.loads(recorded_input)
    except UnicodeEncodeError:
        return NotReplayable(reason=Reason.NOT_CHAT)
    except (ValueError, RecursionError):
        # a JSON text that was cut off begins like JSON, and must not pass for plain text
        if _JSON_START.match(recorded_input):
            return NotReplayable(reason=Reason.NOT_CHAT)
        return (_text(recorded_input),)
    try:
        return _structured(value, recorded_input)
    except _Refused as refused:
        return NotReplayable(reason=refused.reason)


def _text(text: str) -> Recorded:
    return Recorded(messages=(Message(role="system", content=text),), plain=True)


def _structured(value: Json, recorded_input: str) -> tuple[Recorded, ...]:
    if isinstance(value, str):
        return (_text(_encodable(value)), _text(recorded_input))
    if isinstance(value, list):
        return (Recorded(messages=_messages(value)), _text(recorded_input))
    if isinstance(value, dict) and isinstance(found := value.get("messages"), list):
        _refuse_unknown(value, known=frozenset({"messages", "tools"}) | _IGNORED)
        chat = Recorded(messages=_messages(found), tools_json=_tools(value.get("tools")))
        return (chat, _text(recorded_input))
    raise _Refused(Reason.NOT_CHAT)


def _tools(tools: Json) -> str:
    if not tools:
        return ""
    if not isinstance(tools, list):
        raise _Refused(Reason.NOT_CHAT)
    # not canonical: the order of a schema's properties is part of what the model reads
    return _encodable(json.dumps(tools, ensure_ascii=False, separators=(",", ":")))


def _messages(items: list[Json]) -> tuple[Message, ...]:
    if not items:
        raise _Refused(Reason.EMPTY)
    return tuple(_message(item) for item in items)


def _message(item: Json) -> Message:
    if not isinstance(item, dict) or not isinstance(role := item.get("role"), str):
        raise _Refused(Reason.NOT_CHAT)
    if role in _TOOL_ROLES:
        raise _Refused(Reason.TOOLS)
    if item.get("type") in ("message", "chatmessage"):
        item = {key: value for key, value in item.items() if key != "type"}
    _refuse_unknown(item, known=frozenset({"role", "content"}))
    if role not in _ROLES:
        raise _Refused(Reason.UNKNOWN_ROLE)
    return Message(role=role, content=_encodable(_content(item.get("content"))))


def _content(content: Json) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        raise _Refused(Reason.NOT_CHAT)
    if any(isinstance(part, dict) and part.get("type") not in _TEXT_PARTS for part in content):
        raise _Refused(Reason.MEDIA)
    if len(content) > 1:
        # models join parts in their own ways, so the joined text would be a guess
        raise _Refused(Reason.SEVERAL_PARTS)
    part = content[0]
    if not isinstance(part, dict) or not isinstance(text := part.get("text"), str):
        raise _Refused(Reason.NOT_CHAT)
    _refuse_unknown(part, known=frozenset({"type", "text", "cache_control"}))
    return text


def _refuse_unknown(item: dict[str, Json], *, known: frozenset[str]) -> None:
    """Fields that are null or empty say nothing; `tool_choice: "auto"` is what models do anyway."""
    extra = {
        key for key, value in item.items() if key not in known and value and (key, value) != ("tool_choice", "auto")
    }
    if extra & _TOOL_FIELDS:
        raise _Refused(Reason.TOOLS)
    if "audio" in extra:
        raise _Refused(Reason.MEDIA)
    if extra:
        raise _Refused(Reason.UNKNOWN_FIELD)


def _encodable(text: str) -> str:
    """The text, unless it holds lone surrogates: those could never be sent again."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _Refused(Reason.NOT_CHAT) from error
    return text
