"""The one call of the critic: a text, what came of it and what was said about that, in; what is wrong with it, out.

Used for recorded traces (`optimizer.steps.backward`) and for the edges of a text graph. Several independent answers to
one question vary less than one: they are asked for at once, stand in their declared order, and the same words count
once.
A criticism that no reply gave must never be made up.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from optimizer.errors import BadReply, Declined, Garbled, TracegradError, Transient
from optimizer.fence import Fence, excerpt
from optimizer.identity import Json
from optimizer.images import Image
from optimizer.meta import chain as chain_meta
from optimizer.meta import critic as critic_meta
from optimizer.ports import LanguageModel, ModelRequest
from optimizer.prompts import Message
from optimizer.replies import JsonObject, ask, flag_in, text_in
from optimizer.steps.sampling import sampled

GRADIENT_CHARS = 1_000
"""Two sentences were asked for; what is longer is cut."""

SHOWN_CHARS = 48_000
"""Budget of a text that is no prompt, about 12,000 tokens: what a tool returned may be of any length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Critic:
    """Who criticises: a model and how to ask it.

    Attributes:
        attempts: calls for one usable reply.
        samples: independent criticisms of one thing, 1 or more.
        instructions: how to criticise a prompt, in the owner's words; ours when empty. The rules of safety and the form
            of the reply stay, and a text that is no prompt is criticised as ever.
    """

    model: str
    attempts: int
    max_tokens: int
    samples: int = 1
    instructions: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a text stands that is no prompt: what it is for, and what the function that it went into is for."""

    role: str
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Criticism:
    """What the critic said. `change` is False when the text is not to blame; `text` then says why."""

    change: bool
    text: str


async def criticise(
    shown: str,
    about: Mapping[str, Json],
    model: LanguageModel,
    *,
    critic: Critic,
    fence: Fence,
    place: Place | None = None,
    images: Sequence[Image] = (),
) -> tuple[Criticism, ...]:
    """Ask the critic, as often as it gives samples; what several samples say in the same words counts once.

    Args:
        shown: the text that may have to change, as `numbered` shows it; one that is no prompt may be a stranger's, and
            is fenced here too.
        about: "input", "output", "kind" and "complaint"; hostile texts, fenced here.
        place: of a text that is no prompt; None for a system prompt that answered.
        images: those among the inputs.

    Raises:
        BadReply, Transient, Declined: no sample gave a criticism; the first sample's failure.
        Permanent, OverBudget: the model's own, at once.
    """
    text = _quoted(shown, fence) if place else shown
    request = _request(f"{text}\n{fence.wrap(about)}", critic, place, images)
    results = await _answers([sampled(request, number) for number in range(critic.samples)], model, critic)
    if said := tuple(dict.fromkeys(result for result in results if isinstance(result, Criticism))):
        return said
    raise next(result for result in results if isinstance(result, TracegradError))


async def _answers(
    requests: Sequence[ModelRequest], model: LanguageModel, critic: Critic
) -> list[Criticism | TracegradError]:
    """All at once. A single one without a group of its own, so that what ends the process ends its siblings at once."""
    if len(requests) == 1:
        return [await _answer(requests[0], model, critic)]
    try:
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(_answer(request, model, critic)) for request in requests]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return [call.result() for call in calls]


def _request(user: str, critic: Critic, place: Place | None, images: Sequence[Image]) -> ModelRequest:
    system = (
        chain_meta.SYSTEM + chain_meta.place(place.role, place.purpose)
        if place
        else critic_meta.PROMPT.system(critic.instructions)
    )
    return ModelRequest(
        purpose="backward",
        model=critic.model,
        messages=(
            Message(role="system", content=system),
            Message(role="user", content=user, parts=(user, *images) if images else ()),
        ),
        reply_schema=critic_meta.SCHEMA,
        reply_name=critic_meta.REPLY_NAME,
        max_tokens=critic.max_tokens,
    )


def _quoted(shown: str, fence: Fence) -> str:
    """The shown text between two lines that nobody outside could have written; ASCII, and within its budget."""
    title, given = shown.split("\n")
    lines = json.loads(given)["lines"]
    told = json.dumps({"lines": lines})
    if len(told) > SHOWN_CHARS:
        ends = excerpt("\n".join(line["text"] for line in lines), SHOWN_CHARS)
        told = json.dumps({"lines": [{"id": "1", "text": ends}]})
    nonce = next(nonce for nonce in map(fence.nonce, count()) if nonce not in told)
    return f"<text-{nonce}>\n{title}\n{told}\n</text-{nonce}>"


async def _answer(request: ModelRequest, model: LanguageModel, critic: Critic) -> Criticism | TracegradError:
    """One sample's criticism, or why there is none; what would fail every call is raised."""
    try:
        return (await ask(model, request, _parse, attempts=critic.attempts)).value
    except (BadReply, Transient, Declined) as error:
        return error


def _parse(fields: JsonObject) -> Criticism:
    change, text = flag_in(fields, "change"), excerpt(text_in(fields, "gradient").strip(), GRADIENT_CHARS)
    if not text:
        raise Garbled('"gradient" must say why')
    if text in critic_meta.ECHOES or text in chain_meta.ECHOES:
        raise Garbled('"gradient" repeats the instructions; say what is the case here')
    return Criticism(change=change, text=text)
