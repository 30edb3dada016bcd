"""A gate report as two Langfuse experiments, one for each arm, to be compared there case by case.

A copy for people to look at: our own store stays the source of truth, and nothing that happens here may change a
verdict. Ids are content addresses, so exporting twice changes nothing. Only the screen's cases are exported, never the
sealed ones behind a claim.
"""

from datetime import datetime
from types import TracebackType
from typing import Self
from urllib.parse import quote

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it publishes no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from pydantic import BaseModel, TypeAdapter

from connectors.langfuse.border import broken, read
from connectors.langfuse.client import LangfuseClient
from connectors.langfuse.experiment_rows import (
    COMMENT_CHARS,
    ExperimentRun,
    batches,
    experiment_id,
    item_scores,
    spans_of,
    verdict_scores,
)
from connectors.langfuse.limiter import Bucket, RateLimiter
from connectors.langfuse.scores import LangfuseScores, ScoreDraft
from connectors.langfuse.server import Server
from connectors.langfuse.settings import LangfuseAccess
from connectors.langfuse.spans import SpanDraft, message
from optimizer.errors import BadAnswer
from optimizer.fence import excerpt
from optimizer.proof import GateReport
from optimizer.types import Arm

_TRACES = "/api/public/otel/v1/traces"


class _Dataset(BaseModel):
    id: str


_DATASET = TypeAdapter(_Dataset)


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
        for batch in batches(span for answer in answers for span in spans_of(*answer)):
            await self._send(batch)
        items = [draft for answer in answers for draft in item_scores(*answer)] if self._server.batch_scores else []
        await self._score([*items, *verdict_scores(runs[Arm.CANDIDATE], report)])
        place = f"/project/{self._server.project_id}/experiments/results?baseline={runs[Arm.CANDIDATE].id}"
        return self._access.url(place)

    def _run(self, arm: Arm, report: GateReport, name: str, dataset_id: str, at: datetime) -> ExperimentRun:
        called = name if arm is Arm.CANDIDATE else f"{name} (baseline)"
        return ExperimentRun(
            arm=arm,
            id=experiment_id(self._server.project_id, dataset_id, called),
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
