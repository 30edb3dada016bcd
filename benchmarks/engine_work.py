"""The work that `benchmarks/engine.py` measures, its dependency levels, and the same calls with a bare client.

One step: `samples` questions go through `stages` prompts, a judge looks at every last answer, the judgements flow back,
and every prompt is rewritten. The prompts, questions and rubric here are what the runners for other optimizers get too.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine_server import words
from openai import AsyncOpenAI

from connectors.openai_wire import Dialect, body
from optimizer import TGD, JudgedLoss, ModelCall, Variable, total, use
from optimizer.ports import LanguageModel, ModelReply, ModelRequest

MODEL = "bench"
RUBRIC = "Does the answer say when the parcel arrives and where it waits until then?"
RULES = (
    "You answer customers of a parcel service.",
    "Be kind and patient, also with people who are angry.",
    "Use the language of the question.",
    "Never promise a refund; say that colleagues look at the case.",
    "Ask for the number of the parcel when it is missing.",
    "Do not guess where a parcel is.",
    "Explain a delay in one sentence.",
    "Name the opening hours of a shop only when you know them.",
    "Close with an offer to help further.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One step's size."""

    samples: int
    stages: int

    @property
    def chain(self) -> int:
        """Calls in a row that no engine can avoid: stages, judge, stages again on the way back, rewrite."""
        return self.stages + 1 + self.stages + 1

    @property
    def calls(self) -> int:
        """Forward and judge; an edge to each prompt and to each answer in between; a rewrite of each prompt."""
        return self.samples * (self.stages + 1 + 2 * self.stages - 1) + self.stages

    @property
    def prompts(self) -> list[str]:
        """One for every stage."""
        return ["\n".join((f"This is step {number} of {self.stages}.", *RULES)) for number in range(1, self.stages + 1)]

    @property
    def questions(self) -> list[str]:
        """One for every sample."""
        return [
            f"Where is my parcel {number}? I was told that it comes on day {number % 7} of the week, and nobody came."
            for number in range(self.samples)
        ]


async def step(model: LanguageModel, work: Work) -> None:
    """One step of ours. Raises RuntimeError when it left a prompt as it was: then it was not the work it should be."""
    with use(model, task_model=MODEL, secret=b"benchmark"):
        systems = [
            Variable(text, role="system prompt of a support assistant", requires_grad=True) for text in work.prompts
        ]
        answers, judged, optimizer = [ModelCall(system) for system in systems], JudgedLoss(RUBRIC), TGD(systems)
        losses = []
        for number, question in enumerate(work.questions):
            said = Variable(question, role="question of a customer", source=f"customer {number}")
            for answer in answers:
                said = answer(said)
            losses.append(judged(said))
        optimizer.zero_grad()
        await total(losses).backward()
        await optimizer.step()
        if any(system.value == text for system, text in zip(systems, work.prompts, strict=True)):
            raise RuntimeError("a prompt was left as it was")


@dataclass(slots=True)
class Levels:
    """A model that answers all waiting requests at once, when nothing else is left to do: a round is a level.

    No clock is involved: what is in one level could not be asked earlier and depends on nothing in the same level.
    """

    requests: list[list[ModelRequest]] = field(default_factory=list)
    _waiting: list[tuple[ModelRequest, asyncio.Future[str]]] = field(default_factory=list)

    @classmethod
    async def of(cls, work: Callable[[LanguageModel], Coroutine[Any, Any, None]]) -> list[list[ModelRequest]]:
        """The requests of some work, level by level."""
        levels = cls()
        task = asyncio.create_task(work(levels))
        while not task.done():
            await levels._round()
        await task
        return levels.requests

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The reply that the loopback server would give."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        return ModelReply(text=await future, model=request.model)

    async def _round(self) -> None:
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        level, self._waiting = self._waiting, []
        if level:
            self.requests.append([request for request, _ in level])
        for request, future in level:
            future.set_result(words(body(request, Dialect())))


_TURNS = 200
"""Turns of the event loop between a reply and everything that follows from it; far more than any step needs."""


class Journalled:
    """A model that remembers its replies in a dictionary."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._replies: dict[str, ModelReply] = {}

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The known reply, or a new one."""
        key = request.key
        if key not in self._replies:
            self._replies[key] = await self._model.complete(request)
        return self._replies[key]


def bodies(levels: Sequence[Sequence[ModelRequest]]) -> list[list[dict[str, Any]]]:
    """The same requests as the client sends them."""
    return [[body(request, Dialect()) for request in level] for level in levels]


async def replay(client: AsyncOpenAI, levels: Sequence[Sequence[dict[str, Any]]]) -> None:
    """What anybody would write: each level at once, replies kept in a dictionary by the hash of the request."""
    journal: dict[str, str] = {}

    async def call(said: dict[str, Any]) -> None:
        key = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
        if key not in journal:
            answer = await client.chat.completions.create(**said)
            journal[key] = answer.choices[0].message.content or ""

    for level in levels:
        calls: list[Awaitable[None]] = [call(said) for said in level]
        await asyncio.gather(*calls)
