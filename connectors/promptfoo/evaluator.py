"""Evaluator on promptfoo: both arms on the same cases, in one run, judged by our grader and the owner's assertions.

Production text never becomes a promptfoo variable, template, path or setting: see `gateway` and `configuration`.
"""

import asyncio
import json
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from connectors.promptfoo.configuration import configuration
from connectors.promptfoo.gateway import Gateway, Key, Progress
from connectors.promptfoo.grading import Grader
from connectors.promptfoo.process import Ended, run
from connectors.promptfoo.results import Row, parse
from connectors.promptfoo.runtime import Runtime
from connectors.promptfoo.settings import EvaluatorSettings
from optimizer.errors import BadAnswer, BadSettings, Unsupported
from optimizer.ports import LanguageModel
from optimizer.prompts import PromptVersion
from optimizer.template import composition_tags
from optimizer.types import Arm, Case, Evaluation, Evidence, Pair, Scored, Unscored, Usage

SAFE_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
SOME_TESTS_FAILED = 100
"""promptfoo's exit code when an answer was bad: the normal case here, and no reason to doubt the run."""


class PromptfooEvaluator:
    """The `Evaluator` port. One instance may compare many times.

    Args:
        fence_secret: the cycle's secret for fencing what the judge reads.
        progress: called with (answers made, answers to make).
    """

    def __init__(
        self,
        runtime: Runtime,
        model: LanguageModel,
        settings: EvaluatorSettings,
        *,
        fence_secret: bytes,
        progress: Progress = lambda _done, _total: None,
    ) -> None:
        self._runtime = runtime
        self._model = model
        self._settings = settings
        self._grader = Grader(model, settings, fence_secret=fence_secret)
        self._progress = progress

    @property
    def name(self) -> str:
        """Tool and version, for reports."""
        return f"promptfoo {self._runtime.version}"

    async def compare(self, arms: Mapping[Arm, PromptVersion], cases: Sequence[Case]) -> Evidence:
        """Paired evidence for every case, in case-id order; see the port."""
        _check(arms, cases)
        cases = sorted(cases, key=lambda case: case.id)
        evidence = Evidence(pairs=(), model=self._settings.task_model, evaluator=self.name)
        if not cases:
            return evidence
        gateway = Gateway(
            arms, cases, model=self._model, grader=self._grader, settings=self._settings, progress=self._progress
        )
        workdir = Path(tempfile.mkdtemp(prefix="tracegrad-"))
        try:
            async with gateway:
                ended = await self._run(gateway, cases, workdir)
                rows, note = _read(ended, workdir)
                pairs = tuple(_pair(case, gateway, rows) for case in cases)
        finally:
            await asyncio.to_thread(shutil.rmtree, workdir, ignore_errors=True)
        note = gateway.broken or note or _gaps(cases, gateway, rows)
        return replace(evidence, pairs=pairs, complete=not note, note=note)

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


def _check(arms: Mapping[Arm, PromptVersion], cases: Sequence[Case]) -> None:
    if set(arms) != set(Arm):
        raise BadSettings("a comparison needs both arms", "give a baseline and a candidate")
    composed = next((arm.name for arm in arms.values() if composition_tags(arm.body)), None)
    if composed is not None:
        raise Unsupported(f"the prompt '{composed}' pulls in other prompts", "write their texts into it to evaluate it")
    ids = [case.id for case in cases]
    strange = next((case_id for case_id in ids if not SAFE_ID.fullmatch(case_id)), None)
    if strange is not None:
        raise BadSettings("a case id has other characters than letters, digits, dash and underscore", "rename the case")
    if len(set(ids)) < len(ids):
        raise BadSettings("two cases have the same id", "give every case its own")


def _read(ended: Ended, workdir: Path) -> tuple[dict[Key, Row], str]:
    """The rows, and why they are not all that was asked for; empty when nothing is known to be wrong."""
    if ended.code is None:
        return {}, "promptfoo did not finish in time and was ended"
    if ended.code not in (0, SOME_TESTS_FAILED):
        return {}, f"promptfoo failed with exit code {ended.code}"
    try:
        return parse(workdir / "results.json"), ""
    except BadAnswer as error:
        return {}, str(error)


def _gaps(cases: Sequence[Case], gateway: Gateway, rows: Mapping[Key, Row]) -> str:
    """Answers that promptfoo never asked for or never reported: then the run was cut short."""
    keys = [(arm, case.id) for case in cases for arm in Arm]
    lost = [key for key in keys if key not in rows or gateway.answer(key) is None]
    return f"promptfoo left out {len(lost)} of {len(keys)} answers" if lost else ""


def _pair(case: Case, gateway: Gateway, rows: Mapping[Key, Row]) -> Pair:
    baseline, candidate = (_evaluation(arm, case, gateway, rows.get((arm, case.id))) for arm in Arm)
    return Pair(case=case, baseline=baseline, candidate=candidate)


def _evaluation(arm: Arm, case: Case, gateway: Gateway, row: Row | None) -> Evaluation:
    answer, grade = gateway.answer((arm, case.id)), gateway.grade((arm, case.id))
    usage = (answer.usage if answer else Usage()) + (grade.usage if grade else Usage())
    result: Scored | Unscored
    if answer is None:
        result = Unscored(reason="promptfoo never asked for this answer")
    elif answer.failure is not None:
        result = answer.failure
    elif grade is None or isinstance(grade.result, Unscored):
        result = grade.result if grade else Unscored(reason="promptfoo never asked for this judgement")
        assert isinstance(result, Unscored)
    elif row is None or row.is_error or not 0.0 <= row.score <= 1.0:
        result = Unscored(reason="promptfoo could not judge this answer")
    else:
        result = _weighed(row, grade.result)
    return Evaluation(
        case_id=case.id,
        arm=arm,
        output=answer.output if answer else "",
        result=result,
        usage=usage,
        latency_s=answer.latency_s if answer else 0.0,
    )


def _weighed(row: Row, ours: Scored) -> Scored:
    """promptfoo's weighted score of our judgement and the owner's assertions, with the reasons of both."""
    broken = [kind for kind in row.complaints if kind != "webhook"]
    return Scored(value=row.score, reason="; ".join([ours.reason, *(f"fails '{kind}'" for kind in broken)]))
