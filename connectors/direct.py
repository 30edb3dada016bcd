"""The `Evaluator` port without promptfoo: our own model and judge, in this process.

As many calls are in flight as it may make and no more, whatever the number of cases; must leave none behind.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from connectors.admission import admitted
from connectors.answers import Answers, Key, Progress, unwatched
from connectors.grades import REPEATS, Grades
from optimizer.ports import Judge, LanguageModel, PairJudge
from optimizer.prompts import PromptVersion
from optimizer.types import Arm, Case, Evaluation, Evidence, Pair


class DirectEvaluator:
    """Runs both arms and judges every answer. One instance may compare many times.

    Args:
        concurrency: answers that are made or judged at the same time; the language model has its own bound.
        repeats: answers that are judged twice; see `Grades`.
    """

    def __init__(
        self,
        model: LanguageModel,
        judge: Judge | PairJudge,
        *,
        task_model: str,
        concurrency: int = 16,
        temperature: float = 0.0,
        max_tokens: int = 2048,
        repeats: int = REPEATS,
        progress: Progress = unwatched,
    ) -> None:
        self._model = model
        self._judge = judge
        self._task_model = task_model
        self._concurrency = concurrency
        self._temperature = temperature
        self._max_tokens = max_tokens
        self._repeats = repeats
        self._progress = progress

    @property
    def name(self) -> str:
        """The judge alone: there is no tool beside it."""
        return self._judge.name

    async def compare(self, arms: Mapping[Arm, PromptVersion], cases: Sequence[Case], *, sample: int = 0) -> Evidence:
        """Paired evidence for every case, in case-id order; see the port."""
        ordered = admitted(arms, cases)
        answers = Answers(
            arms,
            ordered,
            model=self._model,
            task_model=self._task_model,
            temperature=self._temperature,
            max_tokens=self._max_tokens,
            sample=sample,
            progress=self._progress,
        )
        grades = Grades(self._judge, answers, repeats=self._repeats)
        made: dict[Key, Evaluation] = {}
        keys = ((arm, case.id) for case in ordered for arm in Arm)
        workers = [asyncio.ensure_future(_work(keys, answers, grades, made)) for _ in range(max(1, self._concurrency))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            await grades.close()
            await answers.close()
        return Evidence(
            pairs=tuple(
                Pair(case=case, baseline=made[Arm.BASELINE, case.id], candidate=made[Arm.CANDIDATE, case.id])
                for case in ordered
            ),
            model=self._task_model,
            evaluator=self.name,
            complete=not answers.broken,
            note=answers.broken,
            repeats=grades.repeats,
            swaps=grades.swaps,
        )


async def _work(keys: Iterator[Key], answers: Answers, grades: Grades, made: dict[Key, Evaluation]) -> None:
    """Take one key after the other until none is left."""
    for arm, case_id in keys:
        result = await grades.of(arm, case_id)
        answer = await answers.of(arm, case_id)
        made[arm, case_id] = Evaluation(
            case_id=case_id,
            arm=arm,
            output=answer.output,
            result=result,
            usage=answer.usage,
            latency_s=answer.latency_s,
        )
