"""Backward: from losses to gradients, one call of the critic per loss, all at once.

Results stand in the order of the losses, whatever order the answers arrived in, so that everything made from them is
the same in every run. A call that failed drops its gradient and is counted; a wrong gradient must never be made up.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.document import Document
from optimizer.errors import BadReply, Declined, Garbled, Transient
from optimizer.fence import Fence, excerpt
from optimizer.meta import critic as meta
from optimizer.ports import LanguageModel, ModelRequest
from optimizer.prompts import Message, PromptVersion
from optimizer.replies import JsonObject, ask, flag_in, text_in
from optimizer.types import Gradient, TextLoss

GRADIENT_CHARS = 1_000
"""Two sentences were asked for; what is longer is cut."""

_LINE_ENDS = {ord(end): f"\\u{ord(end):04x}" for end in "\u0085\u2028\u2029"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Critic:
    """Who criticises: a model and how to ask it."""

    model: str
    attempts: int
    max_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedLoss:
    """A loss without a gradient, because the call failed."""

    loss: TextLoss
    reason: str


async def backward(
    prompt: PromptVersion, losses: Sequence[TextLoss], model: LanguageModel, *, critic: Critic, fence: Fence
) -> tuple[Gradient | DroppedLoss, ...]:
    """A gradient for every loss, or why there is none, in the order of the losses.

    Permanent and OverBudget pass through and stop the other calls: they would fail the same way. A request that is
    declined for what is in it drops its loss alone, for a stranger may have written that; all of them declined is a
    fault of ours, and is raised.
    """
    shown = numbered(Document.of(prompt.body))
    try:
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(_gradient(shown, loss, model, critic=critic, fence=fence)) for loss in losses]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    results = tuple(call.result() for call in calls)
    declined = [result for result in results if isinstance(result, Declined)]
    if declined and len(declined) == len(results):
        raise declined[0]
    return tuple(
        DroppedLoss(loss=loss, reason=f"Declined: {result}") if isinstance(result, Declined) else result
        for loss, result in zip(losses, results, strict=True)
    )


def numbered(document: Document) -> str:
    """The prompt as the models see it: the word PROMPT, then one line of JSON with every line and its id."""
    lines = json.dumps({"lines": [{"id": line.id, "text": line.text} for line in document.lines]}, ensure_ascii=False)
    return f"PROMPT\n{lines.translate(_LINE_ENDS)}"


async def _gradient(
    shown: str, loss: TextLoss, model: LanguageModel, *, critic: Critic, fence: Fence
) -> Gradient | DroppedLoss | Declined:
    recorded = loss.trace.generation
    block = fence.wrap(
        {"input": recorded.input, "output": recorded.output, "kind": loss.kind.value, "complaint": loss.text}
    )
    request = ModelRequest(
        purpose="backward",
        model=critic.model,
        messages=(Message(role="system", content=meta.SYSTEM), Message(role="user", content=f"{shown}\n{block}")),
        reply_schema=meta.SCHEMA,
        reply_name=meta.REPLY_NAME,
        max_tokens=critic.max_tokens,
    )
    try:
        change, text = (await ask(model, request, _parse, attempts=critic.attempts)).value
    except (BadReply, Transient) as error:
        return DroppedLoss(loss=loss, reason=f"{type(error).__name__}: {error}")
    except Declined as error:
        return error
    return Gradient(loss=loss, warrants_change=change, text=text)


def _parse(fields: JsonObject) -> tuple[bool, str]:
    change, text = flag_in(fields, "change"), excerpt(text_in(fields, "gradient").strip(), GRADIENT_CHARS)
    if not text:
        raise Garbled('"gradient" must say why')
    return change, text
