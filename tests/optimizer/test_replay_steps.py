"""A journal replayed under shuffled latencies makes the same candidate from the same requests, byte for byte.

A run is recorded once, request by request, its faults and unusable replies among them. Then it is run again from that
record alone, several times, while the replies arrive in other orders: a request that the record does not know fails.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from scripted import PROMPT, loss

from connectors.memory import ScriptedModel
from optimizer import TGD, JudgedLoss, ModelCall, Variable, total, use
from optimizer.engine import Plan, optimize
from optimizer.errors import CutOff, EmptyReply, RateLimited, TracegradError, Unreachable
from optimizer.fence import Fence
from optimizer.identity import canonical, digest
from optimizer.ports import LanguageModel, ModelReply, ModelRequest
from optimizer.prompts import Message, body_json
from optimizer.search.plan import SearchPlan
from optimizer.search.search import search
from optimizer.steps.tgd import NoCandidate
from optimizer.types import Candidate, Case, CaseInput, CaseOrigin, Edit, Missing, Scored

FENCE = Fence.of(b"secret", "texts")
RULES = {
    "date": ("Answers do not name the day of delivery.", "Name the day of delivery."),
    "depot": ("The depot where a parcel waits is missing.", "Say at which depot it waits."),
    "short": ("It allows answers far longer than anybody reads.", "Write three sentences at most."),
}
"""What may be wrong with an answer, what the critic says then, and the line that cures it."""

Run = Callable[[LanguageModel], Awaitable[str]]
"""One run of the engine; returns all that came out of it, as one text."""


# ---- a model whose replies depend on the request alone, and its record ----------------------------------------------


def scripted(request: ModelRequest) -> str | TracegradError:
    """A world in which each question needs some of the rules; every eleventh reply is a fault of some kind.

    Only the rewriter can always be reached: without it there is no step to compare.
    """
    draw = int(request.key[:6], 16)
    if draw % 11 == 0:
        faults = (EmptyReply("nothing"), CutOff("half"), Unreachable("no answer"), RateLimited("too fast"))
        return faults[draw % (2 if request.reply_name == "edits" else 4)]
    if draw % 11 == 1 and request.reply_name:
        return "Here you are: {"
    roles = {"gradient": criticised, "edits": rewritten, "judgement": judged, "answers": verified}
    return roles.get(request.reply_name, answered)(request)


def answered(request: ModelRequest) -> str:
    """An answer that heeds the rules of its prompt, and carries the question on."""
    question = re.findall(r"question \d+", request.messages[-1].content)[-1]
    heeded = [name for name, (_, cure) in RULES.items() if cure in request.messages[0].content]
    return f"{question}: {' '.join(heeded)}"


def judged(request: ModelRequest) -> str:
    """By what the last answer leaves out."""
    lacking = lacks(block(request)["output"])
    return json.dumps({"score": 1 - len(lacking) / 3, "reason": " ".join(lacking) or "fine"})


def criticised(request: ModelRequest) -> str:
    """One of the things that the complaint names."""
    complaint = block(request)["complaint"]
    named = sorted(name for name in RULES if name in complaint)
    draw = int(request.key[6:12], 16)
    return json.dumps({"change": bool(named), "gradient": RULES[named[draw % len(named)]][0] if named else "fine"})


def rewritten(request: ModelRequest) -> str:
    """A line for every cause but at times the last one, at the top of the prompt or at its end."""
    draw, causes = int(request.key[6:12], 16), block(request)["causes"]
    shown = json.loads(request.messages[1].content.splitlines()[1])
    line = "0" if draw % 2 else shown["lines"][-1]["id"]
    cures = {said: cure for said, cure in RULES.values()}
    return json.dumps(
        {
            "edits": [
                {"op": "add", "line": line, "text": cures[cause["summary"]]}
                | {"cause": cause["label"], "reason": "asks for what is missing"}
                for cause in causes[: max(1, len(causes) - draw // 2 % 2)]
            ]
        }
    )


def verified(request: ModelRequest) -> str:
    """A cause is answered when its cure is in the prompt."""
    shown = request.messages[1].content
    cures = {said: cure for said, cure in RULES.values()}
    return json.dumps(
        {
            "answers": [
                {
                    "cause": cause["label"],
                    "answered": cures[cause["summary"]] in shown,
                    "why": "a line says it, or none",
                }
                for cause in block(request)["causes"]
            ]
        }
    )


def block(request: ModelRequest) -> dict[str, Any]:
    """The data block of a request; what follows its second message is a repair of the reply."""
    found: dict[str, Any] = json.loads(
        re.findall(r"<data-(\w+)>\n(.*)\n</data-\1>", request.messages[1].content)[-1][1]
    )
    return found


def lacks(answer: str) -> list[str]:
    """The rules that an answer does not heed, of those that its question needs."""
    number = int(re.findall(r"question (\d+)", answer)[0])
    return [name for position, name in enumerate(RULES) if number % 3 != position and name not in answer.split()]


@dataclass
class Recording:
    """Passes requests on and writes down what came back."""

    model: LanguageModel
    journal: dict[str, ModelReply | TracegradError] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.requests.append(request.key)
        try:
            self.journal[request.key] = reply = await self.model.complete(request)
        except TracegradError as error:
            self.journal[request.key] = error
            raise
        return reply


@dataclass
class Replayed:
    """Answers from a journal alone, after as many turns of the loop as a shuffle says."""

    journal: dict[str, ModelReply | TracegradError]
    shuffle: int
    requests: list[str] = field(default_factory=list)
    arrived: list[str] = field(default_factory=list)

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.requests.append(request.key)
        for _ in range(int(digest(str(self.shuffle), request.key)[:4], 16) % 17):
            await asyncio.sleep(0)
        self.arrived.append(request.key)
        known = self.journal[request.key]
        if isinstance(known, TracegradError):
            raise known
        return known


# ---- the runs -------------------------------------------------------------------------------------------------------


async def graph(model: LanguageModel) -> str:
    """Two steps on a chain of two prompts, with two criticisms per edge: values, and all gradients with their paths."""
    said: list[str] = []
    with use(model, task_model="task", critic_model="critic", secret=b"secret", samples=2):
        first = Variable("Be kind.\nSort the question.", role="prompt that sorts questions", requires_grad=True)
        second = Variable("Be kind.\nAnswer it.", role="prompt that answers", requires_grad=True)
        sort, answer, judge = ModelCall(first), ModelCall(second), JudgedLoss("Is anything missing?")
        optimizer = TGD([first, second])
        for _ in range(2):
            optimizer.zero_grad()
            questions = [Variable(f"question {n}", role="question", source=f"customer {n}") for n in range(12)]
            done = await total([judge(answer(sort(question))) for question in questions]).backward()
            said += [*done.dropped, *done.failed]
            said += [g.id for prompt in (first, second) for g in prompt.gradients]
            await optimizer.step()
            said += [str(first.value), str(second.value)]
    return "\n".join(said)


async def traces(model: LanguageModel) -> str:
    """The trace-first step: the candidate with its lineage, and everything that was dropped or refused."""
    names = list(RULES)
    losses = [loss(f"question {n}", f"{names[n % 3]} please", source=f"customer {n}") for n in range(30)]
    plan = Plan(critic_model="critic", rewriter_model="rewriter", min_share=0.3)
    outcome = await optimize(PROMPT, losses, model, plan=plan, fence=FENCE, source_texts=[item.text for item in losses])
    return "\n".join(
        (
            made(outcome.candidate),
            *(gradient.id for gradient in outcome.gradients),
            *(f"{item.loss.id} {item.reason}" for item in outcome.dropped),
            *(cause.id for cause in outcome.causes),
            *(cause.reason for cause in outcome.refused_causes),
            *(edit.reason for edit in outcome.refused_edits),
        )
    )


async def searched(model: LanguageModel) -> str:
    """A search over several rounds: the prompt, its lineage, the scores, and what was rejected."""

    class Judge:
        name = "what is missing"

        async def judge(self, case: Case, output: str) -> Scored:
            for _ in range(int(digest(str(model), case.id, output)[:2], 16) % 5):
                await asyncio.sleep(0)
            lacking = lacks(output)
            return Scored(value=1 - len(lacking) / 3, reason=" ".join(lacking) or "fine")

    def cases(start: int, count: int) -> list[Case]:
        return [
            Case(
                id=f"row-{n:02}",
                origin=CaseOrigin.DATASET,
                input=CaseInput(history=(Message(role="user", content=f"question {n}"),)),
                reference=Missing.NOT_RECORDED,
                source_key=f"row-{n:02}",
            )
            for n in range(start, start + count)
        ]

    plan = SearchPlan(
        task_model="task", critic_model="critic", rewriter_model="rewriter", max_task_calls=600, seed=7, max_causes=1
    )
    found = await search(
        PROMPT, train=cases(0, 20), validation=cases(20, 12), model=model, judge=Judge(), plan=plan, fence=FENCE
    )
    return "\n".join(
        (
            made(found.best),
            body_json(found.document.body),
            f"{found.seed_score!r} {found.best_score!r} {found.task_calls} {found.rounds} {found.stopped_because}",
            *(f"{refused.edit.id} {refused.reason}" for refused in found.rejected),
            repr(found.usage),
        )
    )


def made(candidate: Candidate | NoCandidate) -> str:
    """A candidate as text, byte by byte, with the edits that it was made by."""
    if isinstance(candidate, NoCandidate):
        return f"no candidate: {candidate.reason}"
    return "\n".join((candidate.id, body_json(candidate.body), *lines(candidate.edits)))


def lines(edits: Sequence[Edit]) -> list[str]:
    return [canonical([edit.op, edit.line, edit.text, edit.reason, edit.cause.id]) for edit in edits]


RUNS = {"traces": traces, "graph": graph, "search": searched}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
async def test_a_journal_replays_to_the_same_bytes_in_any_order_of_arrival(run: Run) -> None:
    recording = Recording(ScriptedModel(scripted))
    result = await run(recording)
    assert any(cure in result for _, cure in RULES.values())
    assert any(isinstance(reply, TracegradError) for reply in recording.journal.values())
    arrivals = set()
    for shuffle in range(6):
        model = Replayed(recording.journal, shuffle)
        assert (await run(model)).encode() == result.encode()
        assert sorted(model.requests) == sorted(recording.requests)
        arrivals.add(tuple(model.arrived))
    assert len(arrivals) == 6


async def test_a_step_that_depends_on_the_order_of_arrival_would_be_found_out() -> None:
    async def hasty(model: LanguageModel) -> str:
        """Takes the criticism that is there first."""
        asked = [
            ModelRequest(purpose="task", model="task", messages=(Message(role="user", content=f"question {n}"),))
            for n in (1, 2, 3, 5)
        ]
        for first in asyncio.as_completed([model.complete(request) for request in asked]):
            return (await first).text
        return ""

    recording = Recording(ScriptedModel(scripted))
    results = {await hasty(recording)}
    for shuffle in range(6):
        results.add(await hasty(Replayed(recording.journal, shuffle)))
    assert len(results) > 1
