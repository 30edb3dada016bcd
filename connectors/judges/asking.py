"""What the judges that are language models share: how they are asked, and how an input is told to them."""

from collections.abc import Callable
from typing import TypeVar

from optimizer.errors import BadReply, Declined, Garbled, Transient
from optimizer.fence import excerpt
from optimizer.identity import canonical
from optimizer.ports import LanguageModel, ModelRequest
from optimizer.replies import JsonObject, ask, text_in
from optimizer.types import CaseInput, Unscored

T = TypeVar("T")

ATTEMPTS = 3
"""How often a model is asked for a reply that can be used."""
MAX_TOKENS = 512
REASON_CHARS = 400
"""One sentence was asked for; what is longer is cut."""


async def asked(model: LanguageModel, request: ModelRequest, parse: Callable[[JsonObject], T]) -> T | Unscored:
    """What the judge says. Raises Permanent and OverBudget: those end the whole run."""
    try:
        return (await ask(model, request, parse, attempts=ATTEMPTS)).value
    except (BadReply, Transient, Declined) as error:  # the model has retried by itself, or never will answer this
        return Unscored(reason=f"the judge gave no judgement: {error}")


def reason_in(fields: JsonObject) -> str:
    """The reply's reason, shortened; empty when it gives none. Raises Garbled."""
    return excerpt(text_in({"reason": "", **fields}, "reason"), REASON_CHARS)


def score_in(fields: JsonObject) -> float:
    """The reply's score. Raises Garbled: a score on another scale would spoil every comparison."""
    score = fields.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise Garbled('"score" must be a number from 0 to 1')
    return float(score)


def input_text(case_input: CaseInput) -> str:
    """A case's input as one text: the question alone, or variables and messages as JSON, which nobody can forge."""
    said = [*(message for _, slot in case_input.placeholders for message in slot), *case_input.history]
    if len(said) == 1 and not case_input.variables:
        return said[0].content
    messages = [{"role": message.role, "content": message.content} for message in said]
    return canonical({"variables": dict(case_input.variables), "messages": messages})
