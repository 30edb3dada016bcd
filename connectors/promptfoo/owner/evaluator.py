"""The owner's own promptfoo tests over both arms, run by promptfoo as they are written.

The port `Evaluator`, for cases of one `OwnerTests` alone. Must never hand a key or our environment to what it runs.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from connectors.admission import admitted
from connectors.answers import Answer, Key, Progress, unwatched
from connectors.embeddings import Embedder
from connectors.promptfoo.evaluator import answers_of, gaps, rows_of
from connectors.promptfoo.owner.config import OwnerTests
from connectors.promptfoo.owner.gateway import OwnerGateway
from connectors.promptfoo.owner.run import written
from connectors.promptfoo.process import run
from connectors.promptfoo.results import Row
from connectors.promptfoo.runtime import Runtime
from connectors.promptfoo.settings import EvaluatorSettings
from optimizer.errors import BadInput
from optimizer.ports import LanguageModel
from optimizer.prompts import PromptVersion
from optimizer.types import Arm, Case, Evaluation, Evidence, Missing, Pair, Scored, Unscored, Usage

PASSED = 0.5
"""A test that promptfoo passes is worth at least this, one that it fails less; otherwise its own score stands."""
FAILED = 0.49


class OwnerEvaluator:
    """The `Evaluator` port over the owner's tests. One instance may compare many times.

    Args:
        settings: the assertions in it are not used: the owner's file has its own.
        embedder: for assertions that compare meanings; the tests were loaded with its model's name.
    """

    def __init__(
        self,
        runtime: Runtime,
        model: LanguageModel,
        owner: OwnerTests,
        settings: EvaluatorSettings,
        *,
        embedder: Embedder | None = None,
        progress: Progress = unwatched,
    ) -> None:
        self._runtime = runtime
        self._model = model
        self._owner = owner
        self._settings = settings
        self._embedder = embedder
        self._progress = progress

    @property
    def name(self) -> str:
        """The file, the tool and its version, for reports."""
        return f"{self._owner.name} by promptfoo {self._runtime.version}"

    async def compare(self, arms: Mapping[Arm, PromptVersion], cases: Sequence[Case], *, sample: int = 0) -> Evidence:
        """Paired evidence for every case, in case-id order; see the port."""
        cases = admitted(arms, cases)
        if any(case.id not in self._owner.tests for case in cases):
            raise BadInput(f"a case is no test of {self._owner.name}", "take the cases of the loaded tests")
        evidence = Evidence(pairs=(), model=self._settings.task_model, evaluator=self.name)
        if not cases:
            return evidence
        # what a test asks is known when promptfoo has rendered it
        answers = answers_of(arms, (), self._model, self._settings, sample=sample, progress=self._progress)
        gateway = OwnerGateway(
            arms,
            {case.id: case for case in cases},
            answers,
            model=self._model,
            embedder=self._embedder,
            sample=sample,
        )
        workdir = Path(tempfile.mkdtemp(prefix="tracegrad-"))
        try:
            async with gateway:
                rows, note = await self._run(gateway, cases, workdir, sample)
                pairs = tuple(_pair(case, gateway, rows) for case in cases)
        finally:
            await asyncio.to_thread(shutil.rmtree, workdir, ignore_errors=True)
        note = gateway.broken or note or gaps(cases, rows)
        return replace(evidence, pairs=pairs, complete=not note, note=note)

    async def _run(
        self, gateway: OwnerGateway, cases: Sequence[Case], workdir: Path, sample: int
    ) -> tuple[dict[Key, list[Row]], str]:
        config = await asyncio.to_thread(written, workdir, gateway.url, self._owner, cases, sample=sample)
        ended = await run(
            self._runtime,
            workdir,
            config,
            workdir / "results.json",
            concurrency=self._settings.concurrency,
            timeout_s=self._settings.timeout_s,
            models_url=f"{gateway.url}/v1",
        )
        return await asyncio.to_thread(rows_of, ended, workdir)


def _pair(case: Case, gateway: OwnerGateway, rows: Mapping[Key, list[Row]]) -> Pair:
    baseline, candidate = (_evaluation((arm, case.id), gateway, rows) for arm in Arm)
    return Pair(case=case, baseline=baseline, candidate=candidate)


def _evaluation(key: Key, gateway: OwnerGateway, rows: Mapping[Key, list[Row]]) -> Evaluation:
    answers = gateway.answers(key)
    waits = [answer.latency_s for answer in answers]
    measured = [wait for wait in waits if not isinstance(wait, Missing)]
    return Evaluation(
        case_id=key[1],
        arm=key[0],
        output="\n\n".join(answer.output for answer in answers),
        result=_result(answers, rows.get(key, [])),
        usage=sum((answer.usage for answer in answers), Usage()),
        latency_s=fmean(measured) if measured and len(measured) == len(waits) else Missing.NOT_RECORDED,
    )


def _result(answers: Sequence[Answer], rows: Sequence[Row]) -> Scored | Unscored:
    """What a test is worth: promptfoo's score, the mean where it made several of one test, and all have to pass."""
    if not answers:
        return Unscored(reason="promptfoo never asked for this answer")
    failures = [answer.failure for answer in answers if answer.failure is not None]
    unscored = next((failure for failure in failures if isinstance(failure, Unscored)), None)
    if unscored is not None:
        return unscored
    judged = [row for row in rows if not row.is_error]
    scores = [row.value for row in judged if row.value is not None]
    short = len(rows) < len(answers) or (len(judged) < len(rows) and not failures)
    if short or len(scores) < len(judged):
        return Unscored(reason="promptfoo could not judge this answer")
    if any(row.is_unjudged for row in judged):
        return Unscored(reason="a grader of the owner's assertions gave no judgement")
    value = sum(scores) / len(rows)
    passed = not failures and all(row.success for row in judged)
    broken = dict.fromkeys(kind for row in judged for kind in row.complaints)
    said = [*(f.reason for f in failures if isinstance(f, Scored)), *(f"fails '{kind}'" for kind in broken)]
    return Scored(
        value=max(value, PASSED) if passed else min(value, FAILED),
        reason="; ".join(said) or ("passes the owner's assertions" if passed else "below the owner's threshold"),
    )
