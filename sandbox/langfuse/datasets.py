"""Datasets and their items. An item is never overwritten: each write is a revision, so any past moment can be read."""

import json
import uuid
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.langfuse.database import Database, Row
from sandbox.langfuse.endpoint import PROJECT_ID, Call, endpoint, paged
from sandbox.langfuse.errors import missing
from sandbox.langfuse.instants import now_ms, wire

CURRENT = """
SELECT item.*, datasets.name AS dataset_name FROM dataset_items AS item JOIN datasets ON datasets.id = item.dataset_id
WHERE item.revision = (SELECT max(revision) FROM dataset_items WHERE id = item.id AND from_ms <= :version)
AND NOT item.deleted
"""
END_OF_TIME = 1 << 60


async def list_datasets(call: Call) -> Response:
    """The datasets, newest first."""
    query = call.query()
    page, limit = query.whole("page", 1), query.whole("limit", 50, most=100)
    query.check()
    rows = call.database.rows(
        "SELECT * FROM datasets ORDER BY created_ms DESC, id DESC LIMIT ? OFFSET ?", (limit, (page - 1) * limit)
    )
    total = call.database.count("SELECT count(*) FROM datasets")
    return JSONResponse(paged([_dataset(row) for row in rows], page=page, limit=limit, total=total))


async def create_dataset(call: Call) -> Response:
    """Make a dataset, or change the one that has this name."""
    body = call.body()
    name = body.text("name")
    description = body.maybe_text("description")
    body.check()
    old, now = _named(call.database, name), now_ms()
    row = {
        "id": old["id"] if old else f"cm{uuid.uuid4().hex[:23]}",
        "name": name,
        "description": description,
        "metadata": json.dumps(body.fields.get("metadata")),
        "input_schema": json.dumps(body.fields.get("inputSchema")),
        "output_schema": json.dumps(body.fields.get("expectedOutputSchema")),
        "created_ms": old["created_ms"] if old else now,
        "updated_ms": now,
    }
    call.database.put("datasets", row, replace=True)
    return JSONResponse(_dataset(_must(call.database, name)))


async def get_dataset(call: Call) -> Response:
    """One dataset by name."""
    return JSONResponse(_dataset(_must(call.database, call.named("name"))))


async def list_items(call: Call) -> Response:
    """Items, newest first, as they are or as they were at `version`; archived ones are among them."""
    query = call.query()
    page, limit = query.whole("page", 1), query.whole("limit", 50, most=100)
    version = query.instant("version")
    values: dict[str, Any] = {"version": END_OF_TIME if version is None else version}
    conditions = ""
    for name, column in (("sourceTraceId", "source_trace_id"), ("sourceObservationId", "source_observation_id")):
        if (wanted := query.text(name)) is not None:
            conditions += f" AND item.{column} = :{column}"
            values[column] = wanted
    dataset = query.text("datasetName")
    query.check()
    if dataset is not None:
        values["dataset"] = _must(call.database, dataset)["id"]
        conditions += " AND item.dataset_id = :dataset"
    total = call.database.count(f"SELECT count(*) FROM ({CURRENT}{conditions})", values)
    order = " ORDER BY item.from_ms DESC, item.id DESC LIMIT :limit OFFSET :offset"
    rows = call.database.rows(CURRENT + conditions + order, values | {"limit": limit, "offset": (page - 1) * limit})
    return JSONResponse(paged([_item(row) for row in rows], page=page, limit=limit, total=total))


async def create_item(call: Call) -> Response:
    """Make an item, or a new revision of the one with this id; what a revision does not name stays as it was."""
    body = call.body()
    dataset, item_id = body.text("datasetName"), body.maybe_text("id")
    status = body.option("status", ["ACTIVE", "ARCHIVED"]) if body.fields.get("status") else None
    trace_id, observation_id = body.maybe_text("sourceTraceId"), body.maybe_text("sourceObservationId")
    body.check()
    owner = _must(call.database, dataset)
    old = _current(call.database, item_id) if item_id else None
    if old and old["dataset_id"] != owner["id"]:
        raise missing("Dataset item not found")

    def kept(column: str, given: Any) -> Any:
        return old[column] if old and given is None else given

    def content(column: str, name: str) -> str:
        return str(old[column]) if old and name not in body.fields else json.dumps(body.fields.get(name))

    row = {
        "id": item_id or str(uuid.uuid4()),
        "dataset_id": owner["id"],
        "from_ms": now_ms(),
        "deleted": 0,
        "status": kept("status", status) or "ACTIVE",
        "input": content("input", "input"),
        "expected_output": content("expected_output", "expectedOutput"),
        "metadata": content("metadata", "metadata"),
        "source_trace_id": kept("source_trace_id", trace_id),
        "source_observation_id": kept("source_observation_id", observation_id),
    }
    call.database.put("dataset_items", row)
    return JSONResponse(_item(_must_item(call.database, row["id"])))


async def get_item(call: Call) -> Response:
    """One item as it is now."""
    return JSONResponse(_item(_must_item(call.database, call.named("id"))))


async def delete_item(call: Call) -> Response:
    """Remove an item from now on; earlier versions keep it."""
    row = dict(_must_item(call.database, call.named("id")))
    del row["revision"], row["dataset_name"]
    call.database.put("dataset_items", row | {"from_ms": now_ms(), "deleted": 1})
    return JSONResponse({"message": "Dataset item successfully deleted"})


def _named(database: Database, name: str) -> Row | None:
    return database.row("SELECT * FROM datasets WHERE name = ?", (name,))


def _must(database: Database, name: str) -> Row:
    row = _named(database, name)
    if row is None:
        raise missing("Dataset not found")
    return row


def _current(database: Database, item_id: str) -> Row | None:
    return database.row(f"{CURRENT} AND item.id = :id", {"version": END_OF_TIME, "id": item_id})


def _must_item(database: Database, item_id: str) -> Row:
    row = _current(database, item_id)
    if row is None:
        raise missing("Dataset item not found")
    return row


def _dataset(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "projectId": PROJECT_ID,
        "name": row["name"],
        "description": row["description"],
        "metadata": json.loads(row["metadata"]),
        "inputSchema": json.loads(row["input_schema"]),
        "expectedOutputSchema": json.loads(row["output_schema"]),
        "createdAt": wire(row["created_ms"]),
        "updatedAt": wire(row["updated_ms"]),
    }


def _item(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "datasetId": row["dataset_id"],
        "status": row["status"],
        "sourceTraceId": row["source_trace_id"],
        "sourceObservationId": row["source_observation_id"],
        # a revision is a row of its own on the real server too: both times are its time
        "createdAt": wire(row["from_ms"]),
        "updatedAt": wire(row["from_ms"]),
        "input": json.loads(row["input"]),
        "expectedOutput": json.loads(row["expected_output"]),
        "metadata": json.loads(row["metadata"]),
        "datasetName": row["dataset_name"],
        "mediaReferences": [],
    }


ROUTES = [
    Route("/api/public/v2/datasets", endpoint(list_datasets, bucket="datasets"), methods=["GET"]),
    Route("/api/public/v2/datasets", endpoint(create_dataset, bucket="datasets"), methods=["POST"]),
    Route("/api/public/v2/datasets/{name}", endpoint(get_dataset, bucket="datasets"), methods=["GET"]),
    Route("/api/public/dataset-items", endpoint(list_items, bucket="datasets"), methods=["GET"]),
    Route("/api/public/dataset-items", endpoint(create_item, bucket="datasets"), methods=["POST"]),
    Route("/api/public/dataset-items/{id}", endpoint(get_item, bucket="datasets"), methods=["GET"]),
    Route("/api/public/dataset-items/{id}", endpoint(delete_item, bucket="datasets"), methods=["DELETE"]),
]
