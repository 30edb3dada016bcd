"""The simulated judge as promptfoo asks it: free text in, a small reply out, in the form that the request names.

Known are rubrics (`{"pass", "score", "reason"}`), criteria of a closed question (a last line Y or N) and facts
(`{"category", "reason"}`). It errs as often as the other judge, and must read nothing but the request.
"""

import json
import re

from sandbox.model.chance import draw
from sandbox.model.ideas import sentences, speaks_of
from sandbox.model.judge import MISTAKEN
from sandbox.model.reading import Lab
from sandbox.model.wire import Call

_RUBRIC = re.compile(r"<Output>\s*(.*)\s*</Output>\s*<Rubric>\s*(.*)\s*</Rubric>", re.DOTALL)
_CLOSED = re.compile(r"\[Submission\]: (.*?)\n\*\*\*\n\[Criterion\]: (.*?)\n\*\*\*", re.DOTALL)
_FACTS = re.compile(
    r"<expert_answer>\s*(.*?)\s*</expert_answer>\s*<submitted_answer>\s*(.*?)\s*</submitted_answer>", re.DOTALL
)
_WORD = re.compile(r"\w{4,}")
_ABOUT = frozenset(
    (
        *(
            "answer",
            "answers",
            "assistant",
            "content",
            "contains",
            "customer",
            "does",
            "from",
            "gives",
            "have",
            "mentions",
        ),
        *("must", "output", "reply", "response", "says", "should", "states", "tells", "that", "this", "user", "with"),
    )
)
_DENIES = re.compile(r"\b(?:does not|doesn't|do not|must not|should not|never|without)\b", re.IGNORECASE)


def graded(lab: Lab, call: Call) -> str:
    """The reply to a request for a grade; an empty object when there is nothing to grade in it."""
    asked = call.user[-1] if call.user else ""
    whole = f"{call.system}\n{asked}"
    if found := _RUBRIC.search(asked):
        held = _holds(lab, call, output=found[1], wanted=found[2])
        return json.dumps({"reason": _reason(held), "pass": held, "score": 1.0 if held else 0.0})
    if found := _FACTS.search(whole):
        held = _holds(lab, call, output=found[2], wanted=found[1])
        return json.dumps({"category": "C" if held else "D", "reason": _reason(held)})
    if found := _CLOSED.search(whole):
        held = _holds(lab, call, output=found[1], wanted=found[2])
        return f"{_reason(held)}\n{'Y' if held else 'N'}"
    return "{}"


def _holds(lab: Lab, call: Call, *, output: str, wanted: str) -> bool:
    """Whether the output is what is wanted: by the ideas that are spoken of, else by the words."""
    said, parts = output.lower(), sentences(wanted)
    ideas = [
        idea
        for idea in lab.world.ideas
        if idea.phrase.lower() in wanted.lower() or any(speaks_of(idea, part) for part in parts)
    ]
    words = set(_WORD.findall(wanted.lower())) - _ABOUT
    if ideas:
        held = all(idea.phrase.lower() in said for idea in ideas)
    else:
        held = sum(word in said for word in words) * 2 >= len(words)
    if _DENIES.search(wanted):
        held = not held
    return held != (draw("graded", lab.seed, call.digest) < MISTAKEN)


def _reason(held: bool) -> str:
    return "The answer holds what is asked for." if held else "The answer lacks what is asked for."
