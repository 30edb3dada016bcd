"""A task whose truth is plain: a row asks for a word, and is answered with it when a line of the prompt says so.

The model plays every part: task, critic, rewriter and verifier. Faults are handed in as functions of the request.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from optimizer.documents.document import Document
from optimizer.errors import TracegradError
from optimizer.fence import Fence
from optimizer.ports import ModelReply, ModelRequest
from optimizer.prompts import Message, PromptVersion
from optimizer.search.entrant import Entrant
from optimizer.search.plan import SearchPlan
from optimizer.types import (
    UNDATED,
    Case,
    CaseInput,
    CaseOrigin,
    Edit,
    EditOp,
    Generation,
    Gradient,
    LossKind,
    RootCause,
    Scored,
    TextLoss,
    Trace,
    Trial,
    Unscored,
    Usage,
)

WORDS = ("apples", "bridges", "candles", "dolphins")
SEED = PromptVersion(name="toy", version=1, body="You help.\nBe kind.")
FENCE = Fence.of(b"secret", "toy")
PLAN = SearchPlan(task_model="task", critic_model="critic", rewriter_model="rewriter", max_task_calls=200)

Reply = str | TracegradError


def case(key: str, word: str, *, source: str = "") -> Case:
    """A row that asks for a word."""
    return Case(
        id=key,
        origin=CaseOrigin.DATASET,
        input=CaseInput(history=(Message(role="user", content=f"{key}: please {word}"),)),
        reference=word,
        source_key=source or key,
    )


def rows(name: str, count: int, words: Sequence[str] = WORDS) -> list[Case]:
    """Rows that ask for the words in turns."""
    return [case(f"{name}-{number:02}", words[number % len(words)]) for number in range(count)]


@dataclass
class ToyJudge:
    """1 for the wanted word, otherwise 0 with words; `faults` may say something else first."""

    faults: Callable[[Case, str], Scored | Unscored | TracegradError | None] = lambda _case, _output: None
    name: str = "toy"
    judged: list[str] = field(default_factory=list)

    async def judge(self, case: Case, output: str) -> Scored | Unscored:
        self.judged.append(case.id)
        fault = self.faults(case, output)
        if isinstance(fault, TracegradError):
            raise fault
        if fault is not None:
            return fault
        if str(case.reference) in output:
            return Scored(value=1.0, reason="As expected.")
        return Scored(value=0.0, reason=f"It does not speak of {case.reference}.")


@dataclass
class ToyModel:
    """Plays every part.

    Attributes:
        line: what the rewriter writes for a word. The task model knows `Speak of <word>.` alone.
        faults: what is said or raised instead, by request; None for the usual.
        pace: turns of the event loop before an answer.
    """

    line: Callable[[str], str] = "Speak of {}.".format
    faults: Callable[[ModelRequest], Reply | None] = lambda _: None
    pace: Callable[[ModelRequest], int] = lambda _: 0
    requests: list[ModelRequest] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.requests.append(request)
        for _ in range(self.pace(request)):
            await asyncio.sleep(0)
        self.answered.append(request.key)
        fault = self.faults(request)
        if isinstance(fault, TracegradError):
            raise fault
        text = getattr(self, f"_{request.purpose}")(request) if fault is None else fault
        return ModelReply(text=text, model=request.model, usage=Usage(calls=1, input_tokens=10, cost_usd=0.1))

    @property
    def calls(self) -> Counter[str]:
        return Counter(request.purpose for request in self.requests)

    def _task(self, request: ModelRequest) -> str:
        word = request.messages[-1].content.split()[-1]
        return f"Here are {word}." if f"Speak of {word}." in request.messages[0].content else "Well."

    def _backward(self, request: ModelRequest) -> str:
        word = data(request)["complaint"].split()[-1].rstrip(".")
        if f"Speak of {word}." in request.messages[-1].content:
            return json.dumps({"change": False, "gradient": "The prompt asks for it."})
        return json.dumps({"change": True, "gradient": f"The prompt is silent on {word}."})

    def _rewrite(self, request: ModelRequest) -> str:
        lines = shown(request)
        last = lines[-1]["id"]
        edits = [
            {
                "op": "add",
                "line": last,
                "text": self.line(word(cause)),
                "cause": cause["label"],
                "reason": "It lacks it.",
            }
            for cause in data(request)["causes"]
        ]
        return json.dumps({"edits": edits})

    def _verify(self, request: ModelRequest) -> str:
        said = {line["text"] for line in shown(request)}
        return json.dumps(
            {
                "answers": [
                    {"cause": cause["label"], "answered": self.line(word(cause)) in said, "why": "By its lines."}
                    for cause in data(request)["causes"]
                ]
            }
        )


def word(cause: dict[str, str]) -> str:
    """The word that a cause is about."""
    return cause["summary"].split()[-1].rstrip(".")


def data(request: ModelRequest) -> dict[str, Any]:
    """The content of a request's data block, whatever was added to the request later."""
    content = request.messages[1].content
    found: dict[str, Any] = json.loads(content.splitlines()[3])
    return found


def shown(request: ModelRequest) -> list[dict[str, str]]:
    """The prompt's lines in a request."""
    lines: list[dict[str, str]] = json.loads(request.messages[1].content.splitlines()[1])["lines"]
    return lines


# ---- values ----------------------------------------------------------------------------------------------------------


def cause(label: str, *case_ids: str) -> RootCause:
    """A root cause that was found in these cases."""
    return RootCause(label=label, summary=f"about {label}", gradients=tuple(_gradient(label, key) for key in case_ids))


def _gradient(text: str, case_id: str) -> Gradient:
    run = Generation(
        id=case_id,
        trace_id=case_id,
        prompt_name="toy",
        prompt_version=1,
        environment="",
        at=UNDATED,
        input="",
        output="",
        model="task",
        source_key=case_id,
    )
    loss = TextLoss(trace=Trace(generation=run, scores=()), kind=LossKind.FEEDBACK, text="bad", weight=1.0)
    return Gradient(loss=loss, warrants_change=True, text=text)


def added(text: str, why: RootCause, line: str = "2") -> Edit:
    """An edit that adds a line."""
    return Edit(op=EditOp.ADD, line=line, text=text, reason="because", cause=why)


def entrant(*edits: Edit, parent: Entrant | None = None) -> Entrant:
    """The toy's seed with these edits."""
    return Entrant.of(Document.of(SEED.body).apply(edits), parent=parent)


def trials(**scores: float) -> dict[str, Trial]:
    """Trials with these scores."""
    return {key: Trial(case_id=key, output="", result=Scored(value=value, reason="")) for key, value in scores.items()}
