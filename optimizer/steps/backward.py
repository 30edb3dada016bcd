"""Backward: from losses to gradients, the critic asked about every loss, all at once.

Results stand in the order of the losses, whatever order the answers arrived in, so that everything made from them is
the same in every run. A loss whose calls all failed drops its gradient and is counted; a wrong gradient must never be
made up.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.documents.document import Document
from optimizer.errors import BadReply, Declined, Transient
from optimizer.fence import Fence
from optimizer.ports import LanguageModel
from optimizer.prompts import PromptVersion
from optimizer.steps.critic import Critic, criticise
from optimizer.types import Gradient, TextLoss

__all__ = ["Critic", "DroppedLoss", "backward", "numbered"]

_LINE_ENDS = {ord(end): f"\\u{ord(end):04x}" for end in "\u0085\u2028\u2029"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedLoss:
    """A loss without a gradient, because the calls failed."""

    loss: TextLoss
    reason: str


async def backward(
    prompt: PromptVersion, losses: Sequence[TextLoss], model: LanguageModel, *, critic: Critic, fence: Fence
) -> tuple[Gradient | DroppedLoss, ...]:
    """The gradients of every loss, or why there is none, in the order of the losses.

    One gradient a loss, or up to `critic.samples`: as many as differ in their words.

    Permanent and OverBudget pass through and stop the other calls: they would fail the same way. A request that is
    declined for what is in it drops its loss alone, for a stranger may have written that; all of them declined is a
    fault of ours, and is raised.
    """
    shown = numbered(Document.of(prompt.body))
    try:
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(_gradients(shown, loss, model, critic=critic, fence=fence)) for loss in losses]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    results = [call.result() for call in calls]
    declined = [result for result in results if isinstance(result, Declined)]
    if declined and len(declined) == len(results):
        raise declined[0]
    return tuple(
        gradient
        for loss, result in zip(losses, results, strict=True)
        for gradient in ([_dropped(loss, result)] if isinstance(result, Exception) else result)
    )


def numbered(document: Document) -> str:
    """The prompt as the models see it: the word PROMPT, then one line of JSON with every line and its id."""
    lines = json.dumps({"lines": [{"id": line.id, "text": line.text} for line in document.lines]}, ensure_ascii=False)
    return f"PROMPT\n{lines.translate(_LINE_ENDS)}"


async def _gradients(
    shown: str, loss: TextLoss, model: LanguageModel, *, critic: Critic, fence: Fence
) -> tuple[Gradient, ...] | BadReply | Transient | Declined:
    """The loss's gradients, or the failure that concerns this loss alone."""
    recorded = loss.trace.generation
    about = {"input": recorded.input, "output": recorded.output, "kind": loss.kind.value, "complaint": loss.text}
    try:
        said = await criticise(shown, dict(about), model, critic=critic, fence=fence)
    except (BadReply, Transient, Declined) as error:
        return error
    return tuple(Gradient(loss=loss, warrants_change=one.change, text=one.text) for one in said)


def _dropped(loss: TextLoss, error: Exception) -> DroppedLoss:
    return DroppedLoss(loss=loss, reason=f"{type(error).__name__}: {error}")
