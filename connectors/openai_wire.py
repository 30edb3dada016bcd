"""The bytes of the chat completions protocol: request -> body, answer -> reply, error body -> a few words.

Pure: no connection and no clock. Never lets the words of a server carry message text into an error.
"""

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from connectors.pricing import Prices
from optimizer.errors import BadAnswer, CutOff, Declined, EmptyReply, Garbled, Refused
from optimizer.identity import canonical
from optimizer.images import Image
from optimizer.ports import ModelReply, ModelRequest
from optimizer.prompts import Message
from optimizer.types import Missing, Usage

SCHEMA_WORDS = "Reply with one JSON object that follows this JSON schema:"
WORDS_AT_MOST = 200
ECHO_CHARS = 24
"""A run of this many characters of the request inside an error message counts as message text."""
NAME_CHARS = 200
"""Longest name of a model that is kept."""
CHARS_PER_TOKEN = 64
"""More than any text needs; a server that sends more has not counted, or means harm."""
NOT_UNDERSTOOD = ("support", "unrecognized", "unknown", "unexpected", "not permitted", "not allowed", "instead")
"""Words of a server that does not know a parameter, as opposed to one that finds its value too large."""

CHECK_URL = "check the model's base_url; it usually ends in /v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What one model on one server understands, as far as its refusals have taught us."""

    structured: bool = True
    temperature: bool = True
    seed: bool = True
    limit_word: str = "max_tokens"

    def after_refusal(self, words: str, request: ModelRequest, known: "Dialect") -> "Dialect | None":
        """What to try after a 400 or 422 with these words; None when the request itself is at fault.

        Each trait leaves `known`, the dialect that the call began with, at most once: no refusals can go in a circle.
        """
        words = words.lower()
        limit_refused = self.limit_word in words and any(sign in words for sign in NOT_UNDERSTOOD)
        if limit_refused and self.limit_word == known.limit_word:
            other = "max_tokens" if self.limit_word == "max_completion_tokens" else "max_completion_tokens"
            return replace(self, limit_word=other)
        if "temperature" in words and self.temperature:
            return replace(self, temperature=False)
        if "seed" in words and self.seed and _seeded(request):
            return replace(self, seed=False)
        if request.reply_schema and self.structured:
            return replace(self, structured=False)
        return None


def body(request: ModelRequest, dialect: Dialect) -> dict[str, Any]:
    """The JSON body of one call. Raises Declined when the recorded tool definitions are not a JSON list."""
    said: dict[str, Any] = {
        "model": request.model,
        "messages": [{"role": m.role, "content": _content(m)} for m in request.messages],
        dialect.limit_word: request.max_tokens,
    }
    if dialect.temperature:
        said["temperature"] = request.temperature
    if dialect.seed and _seeded(request):
        said["seed"] = request.attempt
    if request.tools_json:
        said["tools"] = _tools(request.tools_json)
    if request.reply_schema and dialect.structured:
        said["response_format"] = {
            "type": "json_schema",
            "json_schema": {
                "name": request.reply_name or "reply",
                "strict": True,
                "schema": json.loads(request.reply_schema),
            },
        }
    elif request.reply_schema:
        said["messages"] = _with_schema(said["messages"], request)
    return said


def _seeded(request: ModelRequest) -> bool:
    """Whether the call is a further sample of a request: the same words, to which a server must not say the same again.

    A first call has no seed, so that calls of an application that wants chance stay by chance.
    """
    return request.attempt > 0 and request.temperature > 0


def _content(message: Message) -> str | list[dict[str, Any]]:
    """A text as it stands; texts and images as parts, in their order. Servers refuse empty parts."""
    if not message.parts:
        return message.content
    return [
        {"type": "image_url", "image_url": {"url": _data_url(part)}}
        if isinstance(part, Image)
        else {"type": "text", "text": part}
        for part in message.parts
        if part != ""
    ]


def _data_url(image: Image) -> str:
    return f"data:{image.media_type};base64,{b64encode(image.data).decode()}"


def _tools(tools_json: str) -> list[Any]:
    try:
        tools = json.loads(tools_json)
    except ValueError:
        tools = None
    if not isinstance(tools, list):
        raise Declined("the case's tool definitions are not a JSON list", "leave this case out")
    return tools


def _with_schema(messages: list[dict[str, Any]], request: ModelRequest) -> list[dict[str, Any]]:
    schema = json.loads(request.reply_schema)
    if request.reply_name:
        schema["title"] = request.reply_name
    asked = f"{SCHEMA_WORDS}\n{canonical(schema)}"
    if messages and messages[0]["role"] in ("system", "developer"):
        first, said = messages[0], messages[0]["content"]
        more = f"{said}\n\n{asked}" if isinstance(said, str) else [*said, {"type": "text", "text": asked}]
        return [{**first, "content": more}, *messages[1:]]
    return [{"role": "system", "content": asked}, *messages]


class _Part(BaseModel):
    text: str = ""


class _Said(BaseModel):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    tool_calls: list[Any] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


class _Choice(BaseModel):
    message: _Said
    finish_reason: str | None = None


# a negative number would pay into the budget, and one that no call can reach would not fit into a table
_Count = Annotated[int, Field(ge=0, le=10**9)]


class _Cached(BaseModel):
    cached_tokens: _Count | None = None


class _Tokens(BaseModel):
    prompt_tokens: _Count = 0
    completion_tokens: _Count = 0
    prompt_tokens_details: _Cached | None = None


class _Completion(BaseModel):
    choices: list[_Choice]
    model: str | None = None
    usage: _Tokens | None = None


def decoded(answer: bytes, server: str) -> dict[str, Any]:
    """The answer as a JSON object. Raises BadAnswer for HTML, invalid UTF-8 and everything else."""
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError) as error:
        what = "HTML" if answer.lstrip()[:1] == b"<" else "something that is not JSON"
        raise BadAnswer(f"{server} answered {what} where a completion was promised", CHECK_URL) from error
    if not isinstance(value, dict):
        raise BadAnswer(f"{server} answered JSON that is not an object", CHECK_URL)
    return value


def reply(value: dict[str, Any], request: ModelRequest, prices: Prices, server: str) -> ModelReply:
    """The usable reply in a decoded answer.

    Raises CutOff, Refused, Garbled or EmptyReply with the usage that was billed all the same, and BadAnswer.
    """
    try:
        completion = _Completion.model_validate(value)
    except ValidationError as error:
        place = ".".join(str(step) for step in error.errors()[0]["loc"])
        # `from None`: pydantic's message quotes the input, and the input is message text
        raise BadAnswer(f"{server} answered a completion with a bad field: {place}", CHECK_URL) from None
    usage = _usage(completion, request, prices)
    choice = completion.choices[0] if completion.choices else _Choice(message=_Said())
    if choice.finish_reason == "length":
        raise CutOff(f"the reply was cut off at {request.max_tokens} tokens", usage=usage)
    if choice.finish_reason == "content_filter":
        raise Refused("the server's content filter withheld the reply", usage=usage)
    if choice.message.refusal:
        raise Refused("the model declined to answer", usage=usage)
    # a lone surrogate is legal in JSON and illegal in every place where the text goes next
    text = choice.message.text.encode("utf-8", "replace").decode("utf-8")
    if len(text) > CHARS_PER_TOKEN * request.max_tokens:
        raise Garbled(f"the reply is far longer than {request.max_tokens} tokens", usage=usage)
    if not text.strip():
        why = "the model called a tool and wrote no text" if choice.message.tool_calls else "the reply holds no text"
        raise EmptyReply(why, usage=usage)
    return ModelReply(text=text, model=(completion.model or request.model)[:NAME_CHARS], usage=usage)


def _usage(completion: _Completion, request: ModelRequest, prices: Prices) -> Usage:
    tokens = completion.usage
    if tokens is None:
        return Usage(calls=1, cost_usd=Missing.NOT_RECORDED)
    details = tokens.prompt_tokens_details
    return Usage(
        calls=1,
        input_tokens=tokens.prompt_tokens,
        output_tokens=tokens.completion_tokens,
        cost_usd=prices.cost_usd(
            (request.model, completion.model or request.model),
            input_tokens=tokens.prompt_tokens,
            cached=(details and details.cached_tokens) or 0,
            output_tokens=tokens.completion_tokens,
        ),
    )


def explanation(answer: object, request: ModelRequest) -> str:
    """The server's own words in an error body, on one line and shortened; empty when there are none.

    Only the fields that hold messages are read, never the ones in which servers repeat the input, and words that
    repeat a stretch of the request all the same are left out.
    """
    said = _message(answer)
    words = " ".join(said.split())[:WORDS_AT_MOST]
    stretches = {words[i : i + ECHO_CHARS] for i in range(len(words) - ECHO_CHARS + 1)}
    if any(stretch in text for message in request.messages for text in _sent(message) for stretch in stretches):
        return "(the server's words repeat the request and are left out)"
    return words


def _sent(message: Message) -> Iterator[str]:
    """What of a message an error could repeat."""
    yield " ".join(message.content.split())
    for part in message.parts:
        yield " ".join(part.split()) if isinstance(part, str) else _data_url(part)


def _message(answer: object) -> str:
    if isinstance(answer, list):
        return _message(answer[0]) if answer else ""
    if isinstance(answer, dict):
        found = next((answer[key] for key in ("error", "message", "detail", "msg") if answer.get(key)), "")
        where = answer.get("loc")
        named = ".".join(str(step) for step in where) if isinstance(where, list) else ""
        return f"{named}: {_message(found)}" if named else _message(found)
    return answer if isinstance(answer, str) and not answer.lstrip().startswith("<") else ""
