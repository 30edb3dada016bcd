"""What the owner's evaluators are told and what they answer, by whatever road: one row in, one score out.

Must never let a score outside [0, 1] pass: a wrong scale would spoil every comparison without anybody noticing.
"""

import math
from numbers import Real
from typing import Any

from optimizer.errors import BadInput
from optimizer.fence import excerpt
from optimizer.identity import Json
from optimizer.types import Case, CaseInput, Missing, Scored, Unscored

FEEDBACK_CHARS = 2_000
"""Feedback is read by the critic, for every bad answer; what is longer is cut in the middle."""
ROUNDING = 1e-9
"""What a score may lie outside [0, 1]: a mean of ones can come out a little above 1."""


def row(case: Case, output: str) -> dict[str, Json]:
    """One answer as an evaluator sees it: id, input as the owner wrote it, output, and what was expected or null."""
    reference = None if isinstance(case.reference, Missing) else case.reference
    return {"id": case.id, "input": written(case.input), "output": output, "expected": reference}


def written(case_input: CaseInput) -> Json:
    """An input as the owner wrote it into a row: the user's message alone, or an object with what is in it."""
    history = case_input.history
    bare = not (case_input.variables or case_input.placeholders)
    if bare and len(history) == 1 and history[0].role == "user":
        return history[0].content
    parts: dict[str, Json] = {
        "variables": dict(case_input.variables),
        "messages": [{"role": message.role, "content": message.content} for message in history],
        "placeholders": {
            name: [{"role": message.role, "content": message.content} for message in messages]
            for name, messages in case_input.placeholders
        },
    }
    return {key: value for key, value in parts.items() if value}


def judgement(said: Any) -> Scored | Unscored:
    """A score, a pair of score and feedback, or an object with both.

    Raises:
        BadInput: the score is on another scale.
    """
    score: Any = said
    feedback: Any = ""
    if isinstance(said, dict):
        score, feedback = said.get("score"), said.get("feedback")
    elif isinstance(said, tuple | list) and len(said) == 2:
        score, feedback = said
    feedback = "" if feedback is None else feedback
    if math.isnan(value := _number(score)):
        return Unscored(reason=f"the evaluator gave no score but {_kind(score)}")
    if not isinstance(feedback, str):
        return Unscored(reason=f"the evaluator's feedback is no text but {_kind(feedback)}")
    if not -ROUNDING <= value <= 1.0 + ROUNDING:
        raise BadInput(
            f"the evaluator gave the score {value:.12g}, and a score lies between 0 (worst) and 1 (best)",
            "divide it by the best score that there can be",
        )
    whole = feedback.encode("utf-8", "replace").decode("utf-8")  # half a character cannot be shown or written
    return Scored(value=min(1.0, max(0.0, value)), reason=excerpt(whole.strip(), FEEDBACK_CHARS))


def _number(score: Any) -> float:
    """The score as a number; NaN for what is none. Numbers of numerical libraries are Real too, and True is 1."""
    if not isinstance(score, Real):
        return math.nan
    try:
        return float(score)
    except OverflowError:  # an integer that no float reaches
        return math.inf if isinstance(score, int) and score > 0 else -math.inf


def _kind(value: Any) -> str:
    return "not a number" if isinstance(value, float) else "nothing" if value is None else f"a {type(value).__name__}"
