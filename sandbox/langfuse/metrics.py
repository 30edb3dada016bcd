"""GET /api/public/v2/metrics: counts and averages over observations and scores, grouped by dimensions and time.

The trap is the real server's: a score's prompt is looked up by its observation only, so scores of whole traces vanish
from every answer that names a prompt.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.langfuse.buckets import GRANULARITIES, automatic, bucket_text, floor, following
from sandbox.langfuse.endpoint import Call, endpoint
from sandbox.langfuse.errors import Issue, invalid, refused, wrong_option, wrong_type
from sandbox.langfuse.filters import Clause, Column, clause, conditions
from sandbox.langfuse.inputs import json_type
from sandbox.langfuse.instants import parse

SCORE_JOIN = "scores JOIN observations AS o ON o.id = scores.observation_id AND o.trace_id = scores.trace_id"
DEFAULT_ROWS, MOST_ROWS = 100, 1000
OBSERVATION_DIMENSIONS = {
    **{name: Column(name, "text") for name in ("id", "name", "type", "environment", "level", "version", "release")},
    "traceId": Column("trace_id", "text"),
    "traceName": Column("trace_name", "text"),
    "userId": Column("user_id", "text"),
    "sessionId": Column("session_id", "text"),
    "providedModelName": Column("model", "text"),
    "promptName": Column("prompt_name", "text"),
    "promptVersion": Column("prompt_version", "number"),
    "tags": Column("tags", "list"),
    "metadata": Column("metadata", "object"),
    "startTime": Column("start_ms", "instant"),
}
SCORE_DIMENSIONS = {
    "id": Column("scores.id", "text"),
    "name": Column("scores.name", "text"),
    "environment": Column("scores.environment", "text"),
    "source": Column("source", "text"),
    "dataType": Column("data_type", "text"),
    "traceId": Column("scores.trace_id", "text"),
    "observationId": Column("observation_id", "text"),
    "configId": Column("config_id", "text"),
    "stringValue": Column("text", "text"),
    "value": Column("number", "number"),
    "timestamp": Column("timestamp_ms", "instant"),
    "observationName": Column("o.name", "text"),
    "observationModelName": Column("o.model", "text"),
    "observationPromptName": Column("o.prompt_name", "text"),
    "observationPromptVersion": Column("o.prompt_version", "number"),
    "traceName": Column("o.trace_name", "text"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One of the tables that can be asked: its rows, its time, its dimensions and what can be aggregated."""

    rows: str
    time: str
    dimensions: Mapping[str, Column]
    measures: Mapping[str, str]
    only: str = "1"


def _scores(only: str, measures: Mapping[str, str]) -> View:
    return View(rows="scores", time="timestamp_ms", dimensions=SCORE_DIMENSIONS, measures=measures, only=only)


COUNT = {"count": "1"}
VIEWS = {
    "observations": View(
        rows="observations",
        time="start_ms",
        dimensions=OBSERVATION_DIMENSIONS,
        measures=COUNT
        | {
            "latency": "latency_ms",
            "timeToFirstToken": "first_token_ms",
            "inputTokens": "input_tokens",
            "outputTokens": "output_tokens",
            "totalTokens": "total_tokens",
            "inputCost": "input_cost",
            "outputCost": "output_cost",
            "totalCost": "total_cost",
        },
    ),
    "scores-numeric": _scores("data_type IN ('NUMERIC', 'BOOLEAN')", COUNT | {"value": "number"}),
    "scores-categorical": _scores("data_type = 'CATEGORICAL'", COUNT),
    "scores-boolean": _scores("data_type = 'BOOLEAN'", COUNT | {"value": "number"}),
}


def _percentile(share: float) -> Callable[[Sequence[float]], float]:
    def of(values: Sequence[float]) -> float:
        ordered = sorted(values)
        place = share * (len(ordered) - 1)
        low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
        return low + (high - low) * (place - math.floor(place))

    return of


AGGREGATIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "count": len,
    "sum": sum,
    "avg": lambda values: sum(values) / len(values),
    "min": min,
    "max": max,
    **{f"p{share}": _percentile(share / 100) for share in (50, 75, 90, 95, 99)},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A checked query."""

    view: View
    dimensions: tuple[str, ...]
    metrics: tuple[tuple[str, str], ...]
    clauses: tuple[Clause, ...]
    joined: bool
    from_ms: int
    to_ms: int
    granularity: str | None
    order: tuple[tuple[str, bool], ...]
    limit: int


async def metrics(call: Call) -> Response:
    """Answer one query."""
    query = call.query()
    raw = query.text("query")
    try:
        asked = json.loads(raw or "")
    except ValueError:
        raise invalid(wrong_type("object", "undefined", "query")) from None
    question = _question(asked if isinstance(asked, dict) else {})
    return JSONResponse({"data": _answer(question, call)})


def _question(asked: Mapping[str, Any]) -> Question:
    issues = _issues(asked)
    if issues:
        raise invalid(*issues)
    view = VIEWS[asked["view"]]
    dimensions = tuple(item["field"] for item in asked.get("dimensions") or ())
    if unknown := [name for name in dimensions if name not in view.dimensions]:
        raise refused(f"Invalid dimension {unknown[0]}. Must be one of {', '.join(view.dimensions)}")
    pairs = tuple((item["measure"], item["aggregation"]) for item in asked["metrics"])
    if wrong := [measure for measure, _ in pairs if measure not in view.measures]:
        raise refused(f"Invalid measure {wrong[0]}. Must be one of {', '.join(view.measures)}")
    filters = conditions(json.dumps(asked.get("filters") or []))
    named = {*dimensions, *(item["column"] for item in filters)} & set(view.dimensions)
    granularity = (asked.get("timeDimension") or {}).get("granularity")
    since, until = parse(asked["fromTimestamp"]), parse(asked["toTimestamp"])
    return Question(
        view=view,
        dimensions=dimensions,
        metrics=pairs,
        clauses=tuple(clause(item, view.dimensions) for item in filters),
        joined=any(view.dimensions[name].sql.startswith("o.") for name in named),
        from_ms=since,
        to_ms=until,
        granularity=automatic(until - since) if granularity == "auto" else granularity,
        order=tuple((item["field"], item.get("direction") == "desc") for item in asked.get("orderBy") or ()),
        limit=min((asked.get("config") or {}).get("row_limit", DEFAULT_ROWS), MOST_ROWS),
    )


def _issues(asked: Mapping[str, Any]) -> list[Issue]:
    issues: list[Issue] = []
    if asked.get("view") not in VIEWS:
        issues.append(wrong_option(list(VIEWS), "query", "view"))
    if not isinstance(asked.get("metrics"), list):
        received = json_type(asked["metrics"]) if "metrics" in asked else "undefined"
        issues.append(wrong_type("array", received, "query", "metrics"))
    else:
        issues.extend(
            wrong_option(list(AGGREGATIONS), "query", "metrics", index, "aggregation")
            for index, item in enumerate(asked["metrics"])
            if item.get("aggregation") not in AGGREGATIONS
        )
    for name in ("fromTimestamp", "toTimestamp"):
        try:
            parse(asked[name])
        except (KeyError, TypeError, ValueError):
            issues.append(wrong_type("string", "undefined", "query", name))
    granularity = (asked.get("timeDimension") or {}).get("granularity")
    if granularity is not None and granularity not in GRANULARITIES:
        issues.append(wrong_option(GRANULARITIES, "query", "timeDimension", "granularity"))
    return issues


def _answer(question: Question, call: Call) -> list[dict[str, Any]]:
    view = question.view
    measures = list(dict.fromkeys(measure for measure, _ in question.metrics))
    selected = [view.dimensions[name].sql for name in question.dimensions] + [view.measures[name] for name in measures]
    wanted = [view.only, f"{view.time} >= ?", f"{view.time} < ?", *(sql for sql, _ in question.clauses)]
    rows = call.database.rows(
        f"SELECT {view.time}, {', '.join(selected)} FROM {SCORE_JOIN if question.joined else view.rows} "
        f"WHERE {' AND '.join(wanted)}",
        [question.from_ms, question.to_ms, *(value for _, values in question.clauses for value in values)],
    )
    groups: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    width = 1 + len(question.dimensions)
    for row in map(tuple, rows):
        bucket = None if question.granularity is None else floor(row[0], question.granularity)
        groups.setdefault((bucket, *row[1:width]), []).append(row[width:])
    found = [_line(question, key, members, measures) for key, members in groups.items()]
    if question.granularity is not None:
        found += _gaps(question, {key[0] for key in groups})
    return _ordered(question, found)[: question.limit]


def _line(
    question: Question, key: tuple[Any, ...], members: list[tuple[Any, ...]], measures: list[str]
) -> dict[str, Any]:
    line: dict[str, Any] = dict(zip(question.dimensions, key[1:], strict=True))
    if question.granularity is not None:
        line["time_dimension"] = bucket_text(key[0], question.granularity)
    for measure, aggregation in question.metrics:
        place = measures.index(measure)
        values = [member[place] for member in members if member[place] is not None]
        line[f"{aggregation}_{measure}"] = (
            AGGREGATIONS[aggregation](values) if values or aggregation == "count" else None
        )
    return line


def _gaps(question: Question, filled: Iterable[int]) -> list[dict[str, Any]]:
    """Empty buckets are answered with zeros and empty texts."""
    granularity = question.granularity or "day"
    taken, bucket = set(filled), floor(question.from_ms, granularity)
    gaps: list[dict[str, Any]] = []
    while bucket < question.to_ms and len(gaps) < MOST_ROWS:
        if bucket not in taken:
            kinds = {name: question.view.dimensions[name].kind for name in question.dimensions}
            gap: dict[str, Any] = {name: None if kind == "number" else "" for name, kind in kinds.items()}
            gap["time_dimension"] = bucket_text(bucket, granularity)
            gaps.append(gap | {f"{aggregation}_{measure}": 0 for measure, aggregation in question.metrics})
        bucket = following(bucket, granularity)
    return gaps


def _ordered(question: Question, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    default = ("time_dimension",) if question.granularity is not None else ()
    for field in reversed((*default, *question.dimensions)):
        lines.sort(key=lambda line: str(line[field]))
    for field, descending in reversed(question.order):
        if lines and field not in lines[0]:
            raise refused(f"Invalid orderBy field {field}. Must be one of {', '.join(lines[0])}")
        lines.sort(key=lambda line: (line[field] is not None, line[field]), reverse=descending)
    return lines


ROUTES = [Route("/api/public/v2/metrics", endpoint(metrics, bucket="metrics"), methods=["GET"])]
