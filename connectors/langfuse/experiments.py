"""A gate report as two Langfuse experiments, one for each arm, to be compared there case by case.

A copy for people to look at: our own store stays the source of truth, and nothing that happens here may change a
verdict. Ids are content addresses, so exporting twice changes nothing. Only the screen's cases are exported, never the
sealed ones behind a claim.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from types import TracebackType
from typing import Self
from urllib.parse import quote

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it publishes no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from pydantic import BaseModel, TypeAdapter

from connectors.langfuse.border import broken, read
from connectors.langfuse.client import LangfuseClient
from connectors.langfuse.limiter import Bucket, RateLimiter
from connectors.langfuse.scores import LangfuseScores, ScoreDraft
from connectors.langfuse.server import Server
from connectors.langfuse.settings import LangfuseAccess
from connectors.langfuse.spans import Attribute, SpanDraft, message
from optimizer.errors import BadAnswer
from optimizer.fence import excerpt
from optimizer.identity import Json, digest
from optimizer.proof import GateReport
from optimizer.types import Arm, Case, CaseOrigin, Evaluation, Missing, Scored, ScoreKind

ENVIRONMENT = "sdk-experiment"
"""Where Langfuse's SDK files experiments; `LangfuseAccess` refuses to read complaints from it."""

TEXT_CHARS = 20_000
"""Of each input and answer."""

COMMENT_CHARS = 500

_BATCH_CHARS = 1_000_000
"""Text per POST; a few MB are taken."""

_TRACES = "/api/public/otel/v1/traces"


class _Dataset(BaseModel):
    id: str


_DATASET = TypeAdapter(_Dataset)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One arm's experiment.

    Attributes:
        dataset_id: of the curated cases; empty when there is none.
    """

    arm: Arm
    id: str
    name: str
    description: str
    metadata: Mapping[str, Json]
    dataset_id: str
    tag: str
    at: datetime


class LangfuseExperiments:
    """Writes experiments into one project. An async context manager.

    Args:
        server: what the probe said. Below 4.59 scores are written one by one, and then only those of the whole
            experiment are: the score of an item stands in its metadata.
    """

    def __init__(self, access: LangfuseAccess, server: Server, *, limiter: RateLimiter | None = None) -> None:
        self._access = access
        self._server = server
        self._client = LangfuseClient(access, limiter)
        self._scores = LangfuseScores(access, batch=server.batch_scores, limiter=self._client.limiter)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        await self._scores.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._scores.__aexit__(kind, error, trace)
        await self._client.__aexit__(kind, error, trace)

    async def export(
        self, report: GateReport, *, prompt: str, candidate_sha: str, run_name: str, at: datetime, dataset: str = ""
    ) -> str:
        """Write both arms; the same arguments write the same again.

        Args:
            run_name: the gate's id; the experiment is called prompt@candidate/run.
            at: when the gate began. It is part of what is written, so repeat it when repeating the export.
            dataset: the Langfuse dataset that all curated cases come from; empty when there is none or several.
                Only its items are linked, everything else is an item of the experiment alone.

        Returns:
            Where Langfuse shows the candidate's experiment; empty when there was nothing to export.

        Raises:
            TracegradError: the server could not be reached, or refused some of it.
        """
        pairs = report.evidence.pairs
        if not pairs:
            return ""
        dataset_id = await self._dataset_id(dataset) if dataset else ""
        name = f"{prompt}@{candidate_sha[:12]}/{run_name}"
        runs = {arm: self._run(arm, report, name, dataset_id, at) for arm in Arm}
        answers = [
            (run, pair.case, answer)
            for pair in pairs
            for run, answer in ((runs[Arm.BASELINE], pair.baseline), (runs[Arm.CANDIDATE], pair.candidate))
        ]
        for batch in _batches(span for answer in answers for span in _spans(*answer)):
            await self._send(batch)
        items = [draft for answer in answers for draft in _item_scores(*answer)] if self._server.batch_scores else []
        await self._score([*items, *_verdict_scores(runs[Arm.CANDIDATE], report)])
        place = f"/project/{self._server.project_id}/experiments/results?baseline={runs[Arm.CANDIDATE].id}"
        return self._access.url(place)

    def _run(self, arm: Arm, report: GateReport, name: str, dataset_id: str, at: datetime) -> _Run:
        called = name if arm is Arm.CANDIDATE else f"{name} (baseline)"
        return _Run(
            arm=arm,
            id=_experiment_id(self._server.project_id, dataset_id, called),
            name=called,
            description=excerpt(report.reasons[0], COMMENT_CHARS) if report.reasons else "",
            metadata={
                "arm": arm.value,
                "verdict": report.verdict.value,
                "proof": report.proof.value,
                "model": report.evidence.model,
                "evaluator": report.evidence.evaluator,
            },
            dataset_id=dataset_id,
            tag=self._access.own_tag,
            at=at,
        )

    async def _dataset_id(self, name: str) -> str:
        found = await self._client.get(f"/api/public/v2/datasets/{quote(name, safe='')}", bucket=Bucket.DATASETS)
        return read(_DATASET, found.body, host=self._access.base_url).id

    async def _send(self, batch: list[SpanDraft]) -> None:
        answer = await self._client.post_spans(_TRACES, message(batch), bucket=Bucket.GENERAL)
        try:
            rejected = ExportTraceServiceResponse.FromString(answer.body).partial_success.rejected_spans
        except DecodeError as error:
            raise broken(answer.body, host=self._access.base_url) from error
        if rejected:
            host = self._access.base_url
            raise BadAnswer(f"Langfuse at {host} refused {rejected} spans of an experiment", "look at the server's log")

    async def _score(self, drafts: list[ScoreDraft]) -> None:
        rejected = await self._scores.write(drafts)
        if rejected:
            raise BadAnswer(
                f"Langfuse at {self._access.base_url} refused {len(rejected)} scores of an experiment",
                "look for score configs in the project whose names begin with `gate.`",
            )


def _experiment_id(project_id: str, dataset_id: str, name: str) -> str:
    """With a dataset the server derives the same one from these names; otherwise any id will do."""
    if not dataset_id:
        return digest("experiment", project_id, name)[:16]
    said = ["langfuse-experiment-v1", project_id, dataset_id, name]
    return sha256(json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()[:16]


# ---- spans ---------------------------------------------------------------------------------------------------------


def _spans(run: _Run, case: Case, answer: Evaluation) -> Iterator[SpanDraft]:
    """The two spans that the SDK makes of an item: the task in its run."""
    trace_id, root_id, task_id = _ids(run, case)
    duration = timedelta(seconds=0 if isinstance(answer.latency_s, Missing) else answer.latency_s)
    attributes = _attributes(run, case, answer)
    root = SpanDraft(
        trace_id=trace_id, id=root_id, name="experiment-item-run", at=run.at, duration=duration, attributes=attributes
    )
    yield root
    yield SpanDraft(
        trace_id=trace_id,
        id=task_id,
        parent=root_id,
        name="experiment-item-task",
        at=run.at,
        duration=duration,
        attributes=attributes,
    )


def _ids(run: _Run, case: Case) -> tuple[str, str, str]:
    """Of the trace, its root and its task."""
    return (
        digest("experiment trace", run.id, case.id)[:32],
        digest("experiment item", run.id, case.id)[:16],
        digest("experiment task", run.id, case.id)[:16],
    )


def _attributes(run: _Run, case: Case, answer: Evaluation) -> dict[str, Attribute]:
    linked = bool(run.dataset_id) and case.origin is CaseOrigin.DATASET
    scored = isinstance(answer.result, Scored)
    metadata: dict[str, Json] = {"origin": case.origin.value, "tags": list(case.tags)}
    told = metadata | {"score": answer.result.value if isinstance(answer.result, Scored) else "unscored"}
    return {
        "langfuse.environment": ENVIRONMENT,
        "langfuse.trace.name": "experiment-item-run",
        "langfuse.trace.tags": (run.tag,),
        "langfuse.experiment.id": run.id,
        "langfuse.experiment.name": run.name,
        "langfuse.experiment.description": run.description,
        "langfuse.experiment.metadata": json.dumps(run.metadata),
        "langfuse.experiment.dataset.id": run.dataset_id if linked else "",
        "langfuse.experiment.item.id": case.id if linked else digest("item", case.id)[:16],
        "langfuse.experiment.item.expected_output": _text(case.reference),
        "langfuse.experiment.item.metadata": json.dumps(metadata),
        "langfuse.experiment.item.root_observation_id": _ids(run, case)[2],
        "langfuse.observation.type": "span",
        "langfuse.observation.input": excerpt(_input(case), TEXT_CHARS),
        "langfuse.observation.output": excerpt(answer.output, TEXT_CHARS),
        "langfuse.observation.metadata": json.dumps(told | {"case": case.id}),
        "langfuse.observation.level": "" if scored else "WARNING",
        "langfuse.observation.status_message": "" if scored else excerpt(answer.result.reason, COMMENT_CHARS),
    }


def _input(case: Case) -> str:
    given = case.input
    said: dict[str, Json] = {
        "variables": dict(given.variables),
        "placeholders": {name: [_said(m.role, m.content) for m in slot] for name, slot in given.placeholders},
        "messages": [_said(m.role, m.content) for m in given.history],
    }
    return json.dumps({name: part for name, part in said.items() if part}, ensure_ascii=False)


def _said(role: str, content: str) -> Json:
    return {"role": role, "content": content}


def _text(reference: str | Missing) -> str:
    return "" if isinstance(reference, Missing) else excerpt(reference, TEXT_CHARS)


def _batches(drafts: Iterable[SpanDraft]) -> Iterator[list[SpanDraft]]:
    batch: list[SpanDraft] = []
    size = 0
    for draft in drafts:
        chars = sum(len(value) for value in draft.attributes.values())
        if batch and size + chars > _BATCH_CHARS:
            yield batch
            batch, size = [], 0
        batch.append(draft)
        size += chars
    if batch:
        yield batch


# ---- scores --------------------------------------------------------------------------------------------------------


def _item_scores(run: _Run, case: Case, answer: Evaluation) -> Iterator[ScoreDraft]:
    if isinstance(answer.result, Scored):
        trace_id, _, task_id = _ids(run, case)
        yield ScoreDraft(
            trace_id=trace_id,
            observation_id=task_id,
            name="gate.score",
            kind=ScoreKind.NUMERIC,
            value=answer.result.value,
            at=run.at,
            comment=excerpt(answer.result.reason, COMMENT_CHARS),
        )


def _verdict_scores(run: _Run, report: GateReport) -> Iterator[ScoreDraft]:
    """What the gate says of the whole."""
    values: list[tuple[str, ScoreKind, float | str, str]] = [
        ("gate.verdict", ScoreKind.CATEGORICAL, report.verdict.value, run.description),
        ("gate.proof", ScoreKind.CATEGORICAL, report.proof.value, ""),
    ]
    effect, interval, claim = report.numbers.effect, report.numbers.interval, report.claim
    if not isinstance(effect, Missing) and not isinstance(interval, Missing):
        between = f"95% interval {interval[0]:+.3f} to {interval[1]:+.3f}, on {report.numbers.scored} cases"
        values.append(("gate.effect", ScoreKind.NUMERIC, effect, between))
    if claim is not None:
        needed = f"{claim.threshold:.3g} are needed; on cases that were never scored before"
        values.append(("gate.e_value", ScoreKind.NUMERIC, claim.e_value, needed))
    for name, kind, value, comment in values:
        yield ScoreDraft(
            trace_id="", experiment_id=run.id, name=name, kind=kind, value=value, at=run.at, comment=comment
        )
