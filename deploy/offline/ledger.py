"""What an offline run asked and what came of it: answers and costs by purpose, judgements by answer.

Two wrappers, around the model and around the judge. They must never change a request, an answer or a judgement.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from optimizer.errors import BadInput, BadReply
from optimizer.identity import digest
from optimizer.ports import Judge, LanguageModel, ModelReply, ModelRequest
from optimizer.prompts import Message
from optimizer.search.metered import Metered
from optimizer.types import Case, Missing, Scored, Unscored, Usage

TASK = "task"
ENOUGH = 8
"""Answers without a single judgement before the run is ended: more of them would only cost money."""


class Ledger:
    """A LanguageModel that remembers what the task model answered, and what every purpose cost.

    Args:
        on_task: told the number of task calls whenever one has ended.
    """

    def __init__(self, model: LanguageModel, *, on_task: Callable[[int], None]) -> None:
        self._model = model
        self._on_task = on_task
        self._meters: dict[str, Metered] = {}
        self._answers: dict[str, str | None] = {}
        self._tasks = 0

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Answer one request; see `optimizer.ports.LanguageModel`."""
        meter = self._meters.setdefault(request.purpose, Metered(self._model))
        if request.purpose != TASK:
            return await meter.complete(request)
        try:
            reply = await meter.complete(request)
        except BadReply:
            self._answers[_key(request.messages)] = None
            raise
        else:
            self._answers[_key(request.messages)] = reply.text
            return reply
        finally:
            self._tasks += 1
            self._on_task(self._tasks)

    @property
    def spent(self) -> dict[str, Usage]:
        """Costs by purpose, the task first."""
        order = sorted(self._meters, key=lambda purpose: (purpose != TASK, purpose))
        return {purpose: self._meters[purpose].usage() for purpose in order}

    def answer(self, messages: Sequence[Message]) -> str | Missing | None:
        """What the task model answered to these messages; None for nothing usable."""
        return self._answers.get(_key(messages), Missing.NOT_RECORDED)


class Jury:
    """A Judge that remembers its judgements, and gives up when it turns out that it can make none.

    Attributes:
        refusals: reasons of judgements that could not be made, counted.
        refused_without_reference: how many of these were about rows without an expected answer.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._scored: dict[tuple[str, str], float] = {}
        self.refusals: Counter[str] = Counter()
        self.refused_without_reference = 0

    @property
    def name(self) -> str:
        """The judge's own."""
        return self._judge.name

    async def judge(self, case: Case, output: str) -> Scored | Unscored:
        """Judge one answer; see the port. Raises BadInput when none of the first answers could be judged."""
        result = await self._judge.judge(case, output)
        if isinstance(result, Scored):
            self._scored[case.id, output] = result.value
            return result
        self.refusals[result.reason] += 1
        self.refused_without_reference += isinstance(case.reference, Missing)
        if not self._scored and self.refusals.total() >= ENOUGH:
            raise self.useless()
        return result

    @property
    def commonest(self) -> tuple[str, int]:
        """The reason that was given most often, and how often; the same in whatever order they came."""
        return min(self.refusals.items(), key=lambda item: (-item[1], item[0]))

    def score(self, case: Case, output: str) -> float | None:
        """What this answer was worth; None when nobody could say."""
        return self._scored.get((case.id, output))

    def useless(self) -> BadInput:
        """Why the run cannot go on."""
        reason, _ = self.commonest
        hint = ""
        if self.refused_without_reference == self.refusals.total():
            hint = ', and give the rows an "expected" if it needs one'
        return BadInput(
            f"none of the first {self.refusals.total()} answers could be judged: {reason}",
            f"try the evaluator on one row{hint}",
        )


def _key(messages: Sequence[Message]) -> str:
    return digest(*(part for message in messages for part in (message.role, message.content)))
