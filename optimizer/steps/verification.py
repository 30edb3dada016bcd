"""Self-verification: does a rewritten text answer each root cause? Asked before any evaluation is paid.

One call for all causes. Three answers: yes, no, not known; a reply that cannot be used is never a yes. It is a screen
for edits that miss their cause, and must never stand in for evidence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.documents.document import Document
from optimizer.errors import BadReply, Declined, Garbled, Transient
from optimizer.fence import Fence, excerpt
from optimizer.identity import Json
from optimizer.meta import verifier as meta
from optimizer.ports import LanguageModel, ModelRequest
from optimizer.prompts import Message
from optimizer.replies import JsonObject, ask, flag_in, objects_in, text_in
from optimizer.steps.backward import numbered
from optimizer.steps.critic import Critic
from optimizer.types import Missing, RootCause

_WHY_CHARS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Whether a text deals with one root cause.

    Attributes:
        answered: missing when nobody could say; that is not a yes.
        why: in the verifier's words, or why nobody could say.
    """

    cause: RootCause
    answered: bool | Missing
    why: str


async def verify(
    document: Document, causes: Sequence[RootCause], model: LanguageModel, *, critic: Critic, fence: Fence
) -> tuple[Answered, ...]:
    """Whether the document deals with each cause, in the order of the causes; no causes, no call.

    Args:
        causes: their labels differ.
        critic: who is asked; one sample.

    Raises:
        Permanent, OverBudget: the model's own. Any other failure makes every answer unknown.
    """
    if not causes:
        return ()

    def parse(fields: JsonObject) -> tuple[Answered, ...]:
        return _answers(fields, causes)

    try:
        return (await ask(model, _request(document, causes, critic, fence), parse, attempts=critic.attempts)).value
    except (BadReply, Transient, Declined) as error:
        why = f"the verifier's call failed ({type(error).__name__})"
        return tuple(Answered(cause=cause, answered=Missing.NOT_RECORDED, why=why) for cause in causes)


def _request(document: Document, causes: Sequence[RootCause], critic: Critic, fence: Fence) -> ModelRequest:
    told: list[Json] = [{"label": cause.label, "summary": cause.summary} for cause in causes]
    return ModelRequest(
        purpose="verify",
        model=critic.model,
        messages=(
            Message(role="system", content=meta.SYSTEM),
            Message(role="user", content=f"{numbered(document)}\n{fence.wrap({'causes': told})}"),
        ),
        reply_schema=meta.SCHEMA,
        reply_name=meta.REPLY_NAME,
        max_tokens=critic.max_tokens,
    )


def _answers(fields: JsonObject, causes: Sequence[RootCause]) -> tuple[Answered, ...]:
    """One answer for every cause, in their order; Garbled when that is not what the reply holds."""
    given = {}
    items = objects_in(fields, "answers")
    for number, item in enumerate(items, start=1):
        where = f"answer {number}: "
        why = text_in(item, "why", where=where).strip()
        if not why or why in meta.ECHOES:
            raise Garbled(f'{where}"why" must say which line deals with the cause, or what is missing')
        given[text_in(item, "cause", where=where).strip()] = flag_in(item, "answered"), excerpt(why, _WHY_CHARS)
    labels = [cause.label for cause in causes]
    if len(given) != len(items) or set(given) != set(labels):
        raise Garbled(f'"answers" must hold each of {", ".join(labels)} once, and no other cause')
    return tuple(Answered(cause=cause, answered=given[cause.label][0], why=given[cause.label][1]) for cause in causes)
