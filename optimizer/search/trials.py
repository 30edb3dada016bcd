"""Runs a prompt on the cases of one split, and pays for no finished run twice.

A run is: fill the template, ask the task model, ask the judge. An answer is kept by the prompt, the case, the model and
its parameters; its judgement also by the judge. Every split has its own `Trials`, so that nothing known of one can be
used for another. A failed call makes its trial unscored and never ends the search; only what would fail for every case
is raised.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from optimizer.errors import BadReply, Declined, Transient
from optimizer.identity import digest
from optimizer.ports import Judge, LanguageModel, ModelRequest
from optimizer.prompts import Body, body_json
from optimizer.search.budget import Purse
from optimizer.search.plan import SearchPlan
from optimizer.search.tasks import together
from optimizer.template import fill
from optimizer.types import Case, Scored, Trial, Unscored

_Key: TypeAlias = tuple[str, str]


class Trials:
    """The trials of one split.

    Args:
        cases: the split's cases; trials of others are refused.
    """

    def __init__(self, cases: Iterable[Case], model: LanguageModel, judge: Judge, plan: SearchPlan) -> None:
        self.cases = tuple(sorted(cases, key=lambda case: case.id))
        self.calls = 0
        self._ids = frozenset(case.id for case in self.cases)
        self._model = model
        self._judge = judge
        self._plan = plan
        self._about = digest(plan.task_model, repr(plan.temperature), str(plan.task_max_tokens), judge.name)
        self._prompts: dict[Body, str] = {}
        self._answers: dict[_Key, str | Scored] = {}
        self._done: dict[_Key, Trial] = {}

    def known(self, body: Body) -> dict[str, Trial]:
        """The finished trials of a prompt, by case id, in id order."""
        found = ((case.id, self._done.get(self._key(body, case))) for case in self.cases)
        return {case_id: trial for case_id, trial in found if trial is not None}

    def unpaid(self, body: Body, cases: Sequence[Case]) -> int:
        """How many task calls a run on these cases would take."""
        return sum(self._key(body, case) not in self._answers for case in cases)

    async def run(
        self,
        body: Body,
        cases: Sequence[Case],
        purse: Purse,
        then: Callable[[Case, Trial], None] | None = None,
    ) -> dict[str, Trial]:
        """Run the prompt on the cases, all at once, as far as the purse reaches in the order of the cases.

        A trial without a score is tried once more when all others are done, if the purse has something left.

        Args:
            then: told of each scored trial, at once.

        Returns:
            Trials by case id, in the order of the cases; those that could not be paid are not in it.
        """
        done: dict[str, Trial] = {}

        async def one(case: Case) -> None:
            trial = done[case.id] = await self._trial(body, case)
            if then is not None and isinstance(trial.result, Scored):
                then(case, trial)

        await together(one(case) for case in self._affordable(body, cases, purse))
        again = [case for case in cases if case.id in done and isinstance(done[case.id].result, Unscored)]
        await together(one(case) for case in self._affordable(body, again, purse))
        return {case.id: done[case.id] for case in cases if case.id in done}

    def _affordable(self, body: Body, cases: Sequence[Case], purse: Purse) -> list[Case]:
        return [case for case in cases if self._key(body, case) in self._answers or purse.take(1)]

    async def _trial(self, body: Body, case: Case) -> Trial:
        key = self._key(body, case)
        if key in self._done:
            return self._done[key]
        answer = self._answers[key] if key in self._answers else await self._answer(body, case)
        if isinstance(answer, Unscored):
            return Trial(case_id=case.id, output="", result=answer)
        self._answers[key] = answer
        if isinstance(answer, Scored):
            trial = Trial(case_id=case.id, output="", result=answer)
        else:
            trial = Trial(case_id=case.id, output=answer, result=await self._judgement(case, answer))
        if isinstance(trial.result, Scored):
            self._done[key] = trial
        return trial

    async def _answer(self, body: Body, case: Case) -> str | Scored | Unscored:
        """What the model says; a score of 0 where it says nothing usable; unscored where it could not be asked."""
        self.calls += 1
        request = ModelRequest(
            purpose="task",
            model=self._plan.task_model,
            messages=fill(body, case.input),
            temperature=self._plan.temperature,
            max_tokens=self._plan.task_max_tokens,
            tools_json=case.input.tools_json,
        )
        try:
            return (await self._model.complete(request)).text
        except BadReply as error:
            return Scored(value=0.0, reason=f"There is no usable answer: {error}.")
        except (Transient, Declined) as error:
            return Unscored(reason=f"{type(error).__name__}: {error}")

    async def _judgement(self, case: Case, output: str) -> Scored | Unscored:
        try:
            return await self._judge.judge(case, output)
        except (BadReply, Transient, Declined) as error:
            return Unscored(reason=f"{type(error).__name__}: {error}")

    def _key(self, body: Body, case: Case) -> _Key:
        """The prompt, the model with its parameters and the judge in one digest; and the case."""
        if case.id not in self._ids:
            raise ValueError("the case belongs to another split")
        if body not in self._prompts:
            self._prompts[body] = digest(body_json(body), self._about)
        return self._prompts[body], case.id
