"""Experiments, read back from the spans that carry experiment attributes; there is no table of their own."""

import json
from collections.abc import Iterable
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.langfuse.database import Database, Row, marks
from sandbox.langfuse.endpoint import Call, endpoint
from sandbox.langfuse.errors import refused
from sandbox.langfuse.fragments import assembled, cursor_position, cursor_text
from sandbox.langfuse.inputs import Query
from sandbox.langfuse.instants import parse, wire
from sandbox.langfuse.otlp import table

EXPERIMENTS = """
SELECT experiment_id AS id, max(experiment_name) AS name, max(experiment_dataset_id) AS dataset_id,
    min(start_ms) AS start_ms, max(end_ms) AS end_ms, count(DISTINCT experiment_item_id) AS items, experiment
FROM observations WHERE experiment_id != '' AND {where} GROUP BY experiment_id
HAVING {having} ORDER BY start_ms DESC, id DESC LIMIT ?
"""
# an item is the span that did the task, not the one around it
ITEMS = """
SELECT * FROM observations WHERE experiment_id != '' AND id = experiment_root_id AND {where} AND {having}
ORDER BY start_ms DESC, id DESC LIMIT ?
"""
EXPERIMENT_FILTERS = {"id": "experiment_id", "name": "experiment_name", "datasetId": "experiment_dataset_id"}
ITEM_FILTERS = {
    "experimentId": "experiment_id",
    "experimentName": "experiment_name",
    "experimentItemId": "experiment_item_id",
    "datasetId": "experiment_dataset_id",
}


async def experiments(call: Call) -> Response:
    """A page of experiments, newest first."""
    query = call.query()
    rows, meta = _page(call, query, EXPERIMENTS, EXPERIMENT_FILTERS)
    groups, most = query.csv("fields"), query.whole("scoreLimit", 100)
    return _answer([_experiment(call.database, row, groups, most) for row in rows], meta)


async def items(call: Call) -> Response:
    """A page of what experiments did with single dataset items, newest first."""
    query = call.query()
    rows, meta = _page(call, query, ITEMS, ITEM_FILTERS)
    groups, most = query.csv("fields"), query.whole("scoreLimit", 100)
    return _answer([_item(call.database, row, groups, most) for row in rows], meta)


def _page(call: Call, query: Query, statement: str, filters: dict[str, str]) -> tuple[list[Row], dict[str, Any]]:
    limit = query.whole("limit", 50, most=100)
    since, until = query.instant("fromStartTime", required=True), query.instant("toStartTime")
    query.check()
    conditions: list[str] = ["start_ms >= ?"]
    values: list[Any] = [since]
    if until is not None:
        conditions.append("start_ms < ?")
        values.append(until)
    for name, column in filters.items():
        if wanted := query.csv(name):
            conditions.append(f"{column} IN ({marks(wanted)})")
            values += wanted
    having, place = "1", []
    if cursor := query.text("cursor"):
        having, place = "(start_ms, id) < (?, ?)", _place(cursor)
        if statement is EXPERIMENTS:
            having = "(min(start_ms), experiment_id) < (?, ?)"
    rows = call.database.rows(
        statement.format(where=" AND ".join(conditions), having=having), [*values, *place, limit + 1]
    )
    if len(rows) <= limit:
        return rows, {}
    last = rows[limit - 1]
    position = {"v": 1, "lastStartTime": wire(last["start_ms"]), "lastId": last["id"]}
    return rows[:limit], {"cursor": cursor_text(position, urlsafe=True)}


def _place(cursor: str) -> list[Any]:
    position = cursor_position(cursor) or {}
    try:
        return [parse(position["lastStartTime"]), str(position["lastId"])]
    except (KeyError, TypeError, ValueError):
        raise refused("Invalid cursor format") from None


def _answer(data: list[dict[str, Any]], meta: dict[str, Any]) -> Response:
    return JSONResponse({"data": data, "meta": meta})


def _experiment(database: Database, row: Row, groups: list[str], most: int) -> dict[str, Any]:
    about = json.loads(row["experiment"])
    shown = {
        "id": row["id"],
        "name": row["name"],
        "description": about.get("description", ""),
        "startTime": wire(row["start_ms"]),
        "endTime": wire(row["end_ms"] or row["start_ms"]),
        "itemCount": row["items"],
        "datasetId": row["dataset_id"] or None,
    }
    if "metadata" in groups:
        shown["metadata"] = table(about.get("metadata"))
    if "scores" in groups:
        shown["scores"] = _scores(database, "experiment_id = ?", [row["id"]], most)
    return shown


def _item(database: Database, row: Row, groups: list[str], most: int) -> dict[str, Any]:
    about = json.loads(row["experiment"])
    shown = {
        "id": row["id"],
        "traceId": row["trace_id"],
        "startTime": wire(row["start_ms"]),
        "endTime": None if row["end_ms"] is None else wire(row["end_ms"]),
        "level": row["level"],
        "environment": row["environment"],
        "experimentId": row["experiment_id"],
        "experimentName": row["experiment_name"],
        "experimentItemId": row["experiment_item_id"],
    }
    parts = {
        "dataset": {
            "experimentDatasetId": row["experiment_dataset_id"] or None,
            "experimentItemVersion": about.get("item_version"),
        },
        "io": {
            "input": row["input"],
            "output": row["output"],
            "expectedOutput": about.get("item_expected_output"),
        },
        "metadata": {"metadata": json.loads(row["metadata"])},
        "itemMetadata": {"experimentItemMetadata": table(about.get("item_metadata"))},
        "experimentMetadata": {
            "experimentMetadata": table(about.get("metadata")),
            "experimentDescription": about.get("description", ""),
        },
    }
    for group in groups:
        shown |= parts.get(group, {})
    if "scores" in groups:
        values = [row["trace_id"], row["id"]]
        shown["scores"] = _scores(database, "trace_id = ? AND observation_id = ?", values, most)
    return shown


def _scores(database: Database, where: str, values: Iterable[Any], most: int) -> list[dict[str, Any]]:
    rows = database.rows(
        f"SELECT core, subject FROM scores WHERE {where} ORDER BY timestamp_ms DESC, id DESC LIMIT ?", [*values, most]
    )
    return [json.loads(assembled(list(row))) for row in rows]


ROUTES = [
    Route("/api/public/experiments", endpoint(experiments), methods=["GET"]),
    Route("/api/public/experiment-items", endpoint(items), methods=["GET"]),
]
