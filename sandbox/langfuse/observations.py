"""GET /api/public/v2/observations: filters, field groups and the millisecond cursor. Newest first."""

import json
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from sandbox.langfuse.database import Row
from sandbox.langfuse.endpoint import Call, endpoint, joined
from sandbox.langfuse.errors import custom, refused
from sandbox.langfuse.filters import Column, clause, conditions
from sandbox.langfuse.fragments import assembled, cursor_position, cursor_text, fragment
from sandbox.langfuse.inputs import Query
from sandbox.langfuse.instants import parse, wire
from sandbox.langfuse.observation_rows import brief, trace_hash

COLUMNS = {
    **{name: Column(name, "text") for name in ("id", "name", "type", "environment", "level", "version", "release")},
    "traceId": Column("trace_id", "text"),
    "parentObservationId": Column("parent_id", "text"),
    "statusMessage": Column("status_message", "text"),
    "userId": Column("user_id", "text"),
    "sessionId": Column("session_id", "text"),
    "traceName": Column("trace_name", "text"),
    "promptName": Column("prompt_name", "text"),
    "promptVersion": Column("prompt_version", "number"),
    "model": Column("model", "text"),
    "providedModelName": Column("model", "text"),
    "startTime": Column("start_ms", "instant"),
    "endTime": Column("end_ms", "instant"),
    "latency": Column("latency_ms / 1000.0", "number"),
    "totalCost": Column("total_cost", "number"),
    "totalTokens": Column("total_tokens", "number"),
    "input": Column("input", "text"),
    "output": Column("output", "text"),
    "tags": Column("tags", "list"),
    "traceTags": Column("tags", "list"),
    "metadata": Column("metadata", "object"),
    "isRootObservation": Column("is_root", "flag"),
    "hasInput": Column("(input IS NOT NULL)", "flag"),
    "hasOutput": Column("(output IS NOT NULL)", "flag"),
    "experimentId": Column("experiment_id", "text"),
    "experimentName": Column("experiment_name", "text"),
    "experimentDatasetId": Column("experiment_dataset_id", "text"),
}
GROUPS = {
    "core": "core",
    "basic": "basic",
    "time": "time",
    "io": "io",
    "metadata": "brief_metadata",
    "model": "model_group",
    "usage": "usage",
    "prompt": "prompt",
    "trace_context": "trace_context",
}
SIMPLE = ("name", "userId", "sessionId", "type", "traceId", "level", "parentObservationId", "version")
IO_RULE = "Input/output filters require at least one `matches` or `=` operator."
PARSE_RULE = (
    "parseIoAsJson=true is no longer supported on the v2 observations endpoint. Input/output fields are always "
    "returned as raw strings. Remove the parseIoAsJson parameter or set it to false."
)


async def listing(call: Call) -> Response:
    """A page of observations; unknown field groups are ignored, unknown filter columns are not."""
    query = call.query()
    limit = query.whole("limit", 50, most=1000)
    if query.flag("parseIoAsJson"):
        query.issues.append(custom(PARSE_RULE, "parseIoAsJson"))
    wanted = conditions(query.text("filter"))
    wanted += _simple(query, {condition["column"] for condition in wanted})
    query.check()
    _io_is_searchable(wanted)
    clauses = [clause(condition, COLUMNS) for condition in wanted]
    if cursor := query.text("cursor"):
        clauses.append(_after(cursor))
    where = " AND ".join(sql for sql, _ in clauses) or "1"
    asked = query.csv("fields") or ["core", "basic"]
    columns = [column for name, column in GROUPS.items() if name in asked or name == "core"]
    rows = call.database.rows(
        f"SELECT start_ms, trace_id, id, metadata, {', '.join(columns)}, always FROM observations WHERE {where} "
        "ORDER BY start_ms DESC, trace_hash DESC, id DESC LIMIT ?",
        [*(value for _, values in clauses for value in values), limit + 1],
    )
    meta: dict[str, Any] = {}
    if len(rows) > limit:
        last = rows[limit - 1]
        place = {"lastStartTimeTo": wire(last["start_ms"]), "lastTraceId": last["trace_id"], "lastId": last["id"]}
        meta["cursor"] = cursor_text(place, urlsafe=False)
    expanded = query.csv("expandMetadata") if "metadata" in asked else []
    return joined([_shown(row, expanded) for row in rows[:limit]], meta)


def _shown(row: Row, expanded: list[str]) -> str:
    pieces = list(tuple(row)[4:])
    if expanded:
        full = json.loads(row["metadata"])
        metadata = {key: value if key in expanded else brief(value) for key, value in full.items()}
        pieces[pieces.index(row["brief_metadata"])] = fragment({"metadata": metadata})
    return assembled(pieces)


def _simple(query: Query, taken: set[str]) -> list[dict[str, Any]]:
    """The plain parameters as conditions; a filter on the same column wins."""
    found: list[dict[str, Any]] = [
        {"type": "string", "column": name, "operator": "=", "value": value}
        for name in SIMPLE
        if (value := query.text(name))
    ]
    if environments := query.every("environment"):
        found.append({"type": "stringOptions", "column": "environment", "operator": "any of", "value": environments})
    if (root := query.flag("isRootObservation")) is not None:
        found.append({"type": "boolean", "column": "isRootObservation", "operator": "=", "value": root})
    for name, operator in (("fromStartTime", ">="), ("toStartTime", "<")):
        if query.instant(name) is not None:
            found.append({"type": "datetime", "column": "startTime", "operator": operator, "value": query.text(name)})
    return [condition for condition in found if condition["column"] not in taken]


def _io_is_searchable(wanted: list[dict[str, Any]]) -> None:
    searched = [condition for condition in wanted if condition["column"] in ("input", "output")]
    if searched and not any(condition["operator"] in ("matches", "=") for condition in searched):
        raise refused(IO_RULE)


def _after(cursor: str) -> tuple[str, list[Any]]:
    position = cursor_position(cursor) or {}
    try:
        trace_id = str(position["lastTraceId"])
        values = [parse(position["lastStartTimeTo"]), trace_hash(trace_id), str(position["lastId"])]
    except (KeyError, TypeError, ValueError):
        raise refused("Invalid cursor format") from None
    return "(start_ms, trace_hash, id) < (?, ?, ?)", values


ROUTES = [Route("/api/public/v2/observations", endpoint(listing), methods=["GET"])]
