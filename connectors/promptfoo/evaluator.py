"""Evaluator on promptfoo: both arms on the same cases, in one run, judged by our grader and the owner's assertions.

Production text never becomes a promptfoo variable, template, path or setting: see `gateway` and `configuration`.
"""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from connectors.admission import admitted
from connectors.answers import Answer, Answers, Key, Progress, unwatched
from connectors.grades import REPEATS, Grades
from connectors.promptfoo.configuration import configuration
from connectors.promptfoo.gateway import Gateway
from connectors.promptfoo.process import Ended, run
from connectors.promptfoo.results import Row, parse
from connectors.promptfoo.runtime import Runtime
from connectors.promptfoo.settings import EvaluatorSettings
from optimizer.errors import BadAnswer
from optimizer.ports import Judge, LanguageModel, PairJudge
from optimizer.prompts import PromptVersion
from optimizer.types import Arm, Case, Evaluation, Evidence, Pair, Scored, Unscored

SOME_TESTS_FAILED = 100
"""promptfoo's exit code when an answer was bad: the normal case here, and no reason to doubt the run."""


class PromptfooEvaluator:
    """The `Evaluator` port. One instance may compare many times.

    Args:
        repeats: answers that are judged twice; see `Grades`.
    """

    def __init__(
        self,
        runtime: Runtime,
        model: LanguageModel,
        judge: Judge | PairJudge,
        settings: EvaluatorSettings,
        *,
        repeats: int = REPEATS,
        progress: Progress = unwatched,
    ) -> None:
        self._runtime = runtime
        self._model = model
        self._judge = judge
        self._repeats = repeats
        self._settings = settings
        self._progress = progress

    @property
    def name(self) -> str:
        """Tool and version, for reports."""
        return f"promptfoo {self._runtime.version}"

    async def compare(self, arms: Mapping[Arm, PromptVersion], cases: Sequence[Case], *, sample: int = 0) -> Evidence:
        """Paired evidence for every case, in case-id order; see the port."""
        cases = admitted(arms, cases)
        evidence = Evidence(pairs=(), model=self._settings.task_model, evaluator=self.name)
        if not cases:
            return evidence
        answers = answers_of(arms, cases, self._model, self._settings, sample=sample, progress=self._progress)
        grades = Grades(self._judge, answers, repeats=self._repeats)
        gateway = Gateway(answers, grades)
        workdir = Path(tempfile.mkdtemp(prefix="tracegrad-"))
        try:
            async with gateway:
                ended = await self._run(gateway, cases, workdir)
                rows, note = rows_of(ended, workdir)
                pairs = tuple(_pair(case, answers, grades, rows) for case in cases)
        finally:
            await asyncio.to_thread(shutil.rmtree, workdir, ignore_errors=True)
        note = answers.broken or note or gaps(cases, rows)
        return replace(evidence, pairs=pairs, complete=not note, note=note, repeats=grades.repeats, swaps=grades.swaps)

    async def _run(self, gateway: Gateway, cases: Sequence[Case], workdir: Path) -> Ended:
        config = workdir / "promptfooconfig.json"
        config.write_text(json.dumps(configuration(gateway.url, cases, self._settings)), encoding="utf-8")
        return await run(
            self._runtime,
            workdir,
            config,
            workdir / "results.json",
            concurrency=self._settings.concurrency,
            timeout_s=self._settings.timeout_s,
        )


def answers_of(
    arms: Mapping[Arm, PromptVersion],
    cases: Sequence[Case],
    model: LanguageModel,
    settings: EvaluatorSettings,
    *,
    sample: int,
    progress: Progress,
) -> Answers:
    """The answers of one run, by the owner's choices."""
    return Answers(
        arms,
        cases,
        model=model,
        task_model=settings.task_model,
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
        sample=sample,
        progress=progress,
    )


def rows_of(ended: Ended, workdir: Path) -> tuple[dict[Key, list[Row]], str]:
    """The rows, and why they are not all that was asked for; empty when nothing is known to be wrong."""
    if ended.code is None:
        return {}, "promptfoo did not finish in time and was ended"
    if ended.code not in (0, SOME_TESTS_FAILED):
        return {}, f"promptfoo failed with exit code {ended.code}"
    try:
        return parse(workdir / "results.json"), ""
    except BadAnswer as error:
        return {}, str(error)


def gaps(cases: Sequence[Case], rows: Mapping[Key, list[Row]]) -> str:
    """Answers that promptfoo never reported: then the run was cut short."""
    keys = [(arm, case.id) for case in cases for arm in Arm]
    lost = [key for key in keys if key not in rows]
    return f"promptfoo left out {len(lost)} of {len(keys)} answers" if lost else ""


def _pair(case: Case, answers: Answers, grades: Grades, rows: Mapping[Key, list[Row]]) -> Pair:
    baseline, candidate = (_evaluation((arm, case.id), answers, grades, rows) for arm in Arm)
    return Pair(case=case, baseline=baseline, candidate=candidate)


def _evaluation(key: Key, answers: Answers, grades: Grades, rows: Mapping[Key, list[Row]]) -> Evaluation:
    answer = answers.made(*key) or Answer(failure=Unscored(reason="promptfoo never asked for this answer"))
    return Evaluation(
        case_id=key[1],
        arm=key[0],
        output=answer.output,
        result=answer.failure or _judged(answer, grades.made(*key), rows.get(key, [])),
        usage=answer.usage,
        latency_s=answer.latency_s,
    )


def _judged(answer: Answer, grade: Scored | Unscored | None, rows: Sequence[Row]) -> Scored | Unscored:
    if grade is None:
        return Unscored(reason="promptfoo never asked for this judgement")
    if isinstance(grade, Unscored):
        return grade
    row = rows[0] if len(rows) == 1 else None
    if row is None or row.is_error or row.value is None:
        return Unscored(reason="promptfoo could not judge this answer")
    if row.response is None or row.response.output != answer.output:  # the assertions judged something else, then
        return Unscored(reason="promptfoo changed the answer before judging it")
    # promptfoo's weighted score of our judgement and the owner's assertions, with the reasons of both
    return Scored(value=row.value, reason="; ".join([grade.reason, *(f"fails '{kind}'" for kind in row.complaints)]))
