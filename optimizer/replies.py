"""Structured replies of a language model: found in the text, checked, and asked for again when they cannot be used.

A reply is read strictly or not at all. Nothing here may guess at a missing field, complete a reply that was cut off, or
choose between two answers: the repair request costs one call, a wrong guess costs a prompt.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeAlias, TypeVar

from optimizer.errors import BadReply, Garbled
from optimizer.fence import excerpt
from optimizer.identity import canonical
from optimizer.meta import repair as meta
from optimizer.ports import LanguageModel, ModelRequest
from optimizer.prompts import Message

T = TypeVar("T")

JsonObject: TypeAlias = dict[str, Any]

REPLY_CHARS = 100_000
"""Longer replies are refused unread: no reply that we ask for comes near it."""

_OPENINGS = 200
"""Braces that open nothing, before a reply is refused: each costs as much as what stands before it."""

_ECHO_CHARS = 4_000
"""How much of an unusable reply is shown to its author again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[T]):
    """A usable reply: what it says, the request that got it, and its text."""

    value: T
    request: ModelRequest
    text: str


async def ask(
    model: LanguageModel, request: ModelRequest, parse: Callable[[JsonObject], T], *, attempts: int
) -> Answer[T]:
    """Ask until a reply can be used, telling the model each time why the last one could not.

    Args:
        parse: makes the value from the reply's JSON object; raises Garbled with a reason fit for the model's eyes.
        attempts: calls at most, 1 or more.

    Raises:
        BadReply: the last attempt's, when none can be used. Other errors of the model pass through at once.
    """
    for left in range(attempts - 1, -1, -1):
        said = ""
        try:
            said = (await model.complete(request)).text
            return Answer(value=parse(json_object(said)), request=request, text=said)
        except BadReply as error:
            if not left:
                raise
            request = repaired(request, said, str(error))
    raise ValueError("attempts must be 1 or more")


def repaired(request: ModelRequest, said: str, reason: str) -> ModelRequest:
    """The same request again, followed by the reply that it got and why that one cannot be used."""
    reply = Message(role="assistant", content=excerpt(said, _ECHO_CHARS) or meta.NO_REPLY)
    note = Message(role="user", content=meta.REQUEST.format(reason=reason.rstrip(".")))
    return replace(request, messages=(*request.messages, reply, note), attempt=request.attempt + 1)


def json_object(text: str) -> JsonObject:
    """The one JSON object in a reply, whatever stands around it. Raises Garbled.

    Code fences and prose are passed over. The same object twice is one; two different ones are a refusal, because the
    first may be an echo of the request and the second a quotation from the data.
    """
    if len(text) > REPLY_CHARS:
        raise Garbled(f"it is longer than {REPLY_CHARS} characters")
    try:
        found = {canonical(value): value for value in _objects(text)}
    except (RecursionError, ValueError) as error:
        raise Garbled("its JSON is nested too deeply or holds something that is not JSON") from error
    if not found:
        raise Garbled("there is no complete JSON object in it")
    if len(found) > 1:
        raise Garbled(f"there are {len(found)} different JSON objects in it, and one is wanted")
    return next(iter(found.values()))


def text_in(fields: JsonObject, name: str, *, where: str = "") -> str:
    """A field that must be a string, as it stands. Raises Garbled."""
    value = fields.get(name)
    if not isinstance(value, str):
        raise Garbled(f'{where}"{name}" must be a string')
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise Garbled(f'{where}"{name}" holds half a character')
    return value


def flag_in(fields: JsonObject, name: str) -> bool:
    """A field that must be true or false. Raises Garbled."""
    value = fields.get(name)
    if not isinstance(value, bool):
        raise Garbled(f'"{name}" must be true or false')
    return value


def objects_in(fields: JsonObject, name: str) -> list[JsonObject]:
    """A field that must be a list of objects. Raises Garbled."""
    value = fields.get(name)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Garbled(f'"{name}" must be a list of objects')
    return value


def _each_name_once(pairs: list[tuple[str, Any]]) -> JsonObject:
    """An object; which of two values for one name is meant, nobody can say."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise Garbled("a name stands twice in one of its objects")
    return dict(pairs)


def _objects(text: str) -> Iterator[JsonObject]:
    """Every outermost JSON object, in order."""
    decoder = json.JSONDecoder(object_pairs_hook=_each_name_once)
    vain = 0
    start = text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except json.JSONDecodeError:
            end, vain = start + 1, vain + 1
            if vain > _OPENINGS:
                raise Garbled("there is no complete JSON object in it, only braces") from None
        else:
            yield value
        start = text.find("{", end)
