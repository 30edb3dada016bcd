"""What an exported experiment consists of: two spans for every item, and scores. Values only; nothing is sent here.

Ids are content addresses: the same case in the same run is the same span.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from connectors.langfuse.scores import ScoreDraft
from connectors.langfuse.spans import Attribute, SpanDraft
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentRun:
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


def experiment_id(project_id: str, dataset_id: str, name: str) -> str:
    """With a dataset the server derives the same one from these names; otherwise any id will do."""
    if not dataset_id:
        return digest("experiment", project_id, name)[:16]
    said = ["langfuse-experiment-v1", project_id, dataset_id, name]
    return sha256(json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()[:16]


# ---- spans ---------------------------------------------------------------------------------------------------------


def spans_of(run: ExperimentRun, case: Case, answer: Evaluation) -> Iterator[SpanDraft]:
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


def item_id(case_id: str) -> str:
    """What a case that is no dataset's item is called in an experiment."""
    return digest("item", case_id)[:16]


def _ids(run: ExperimentRun, case: Case) -> tuple[str, str, str]:
    """Of the trace, its root and its task."""
    return (
        digest("experiment trace", run.id, case.id)[:32],
        digest("experiment item", run.id, case.id)[:16],
        digest("experiment task", run.id, case.id)[:16],
    )


def _attributes(run: ExperimentRun, case: Case, answer: Evaluation) -> dict[str, Attribute]:
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
        "langfuse.experiment.item.id": case.id if linked else item_id(case.id),
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


def batches(drafts: Iterable[SpanDraft]) -> Iterator[list[SpanDraft]]:
    """The spans in order, cut into parts that fit into one POST."""
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


def item_scores(run: ExperimentRun, case: Case, answer: Evaluation) -> Iterator[ScoreDraft]:
    """What an answer is worth; nothing when nobody could say."""
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


def verdict_scores(run: ExperimentRun, report: GateReport) -> Iterator[ScoreDraft]:
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
