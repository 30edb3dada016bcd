"""Score configs: the ranges and categories that scores made under them must keep."""

import json
import uuid
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.langfuse.database import Row
from sandbox.langfuse.endpoint import PROJECT_ID, Call, endpoint, paged
from sandbox.langfuse.errors import custom, missing, wrong_type
from sandbox.langfuse.inputs import Body
from sandbox.langfuse.instants import now_ms, wire

DATA_TYPES = ["NUMERIC", "CATEGORICAL", "BOOLEAN", "TEXT"]
BOOLEAN_CATEGORIES = [{"label": "True", "value": 1}, {"label": "False", "value": 0}]


async def listing(call: Call) -> Response:
    """The configs, newest first."""
    query = call.query()
    page, limit = query.whole("page", 1), query.whole("limit", 50, most=100)
    query.check()
    rows = call.database.rows(
        "SELECT * FROM score_configs ORDER BY created_ms DESC, id DESC LIMIT ? OFFSET ?", (limit, (page - 1) * limit)
    )
    total = call.database.count("SELECT count(*) FROM score_configs")
    return JSONResponse(paged([_shown(row) for row in rows], page=page, limit=limit, total=total))


async def create(call: Call) -> Response:
    """Make a config; names need not be unique."""
    body, now = call.body(), now_ms()
    kind = body.option("dataType", DATA_TYPES)
    row: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "name": body.text("name"),
        "data_type": kind,
        "is_archived": 0,
        "created_ms": now,
    }
    row |= {"description": None, "min_value": None, "max_value": None, "categories": json.dumps(_defaults(kind))}
    row |= _changes(body) | {"updated_ms": now}
    if kind == "CATEGORICAL" and not json.loads(row["categories"] or "null"):
        body.issues.append(custom("Category must be an array of objects with label value pairs", "categories"))
    body.check()
    call.database.put("score_configs", row)
    return JSONResponse(_shown(_must(call, row["id"])))


async def get(call: Call) -> Response:
    """One config by id."""
    return JSONResponse(_shown(_must(call, call.named("id"))))


async def update(call: Call) -> Response:
    """Change what the body names; archiving hides a config from people, not from reads."""
    row, body = dict(_must(call, call.named("id"))), call.body()
    changes = _changes(body)
    if (name := body.maybe_text("name")) is not None:
        changes["name"] = name
    if (archived := body.maybe_flag("isArchived")) is not None:
        changes["is_archived"] = int(archived)
    body.check()
    call.database.put("score_configs", row | changes | {"updated_ms": now_ms()}, replace=True)
    return JSONResponse(_shown(_must(call, row["id"])))


def _defaults(kind: str) -> list[dict[str, Any]] | None:
    return BOOLEAN_CATEGORIES if kind == "BOOLEAN" else None


def _changes(body: Body) -> dict[str, Any]:
    given: dict[str, Any] = {
        "description": body.maybe_text("description"),
        "min_value": body.maybe_number("minValue"),
        "max_value": body.maybe_number("maxValue"),
    }
    categories = body.fields.get("categories")
    if categories is not None and not isinstance(categories, list):
        body.issues.append(wrong_type("array", "object", "categories"))
    elif categories is not None:
        given["categories"] = json.dumps(categories)
    return {column: value for column, value in given.items() if value is not None}


def _must(call: Call, config_id: str) -> Row:
    row = call.database.row("SELECT * FROM score_configs WHERE id = ?", (config_id,))
    if row is None:
        raise missing("Score config not found within authorized project")
    return row


def _shown(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "isArchived": bool(row["is_archived"]),
        "description": row["description"],
        "createdAt": wire(row["created_ms"]),
        "updatedAt": wire(row["updated_ms"]),
        "projectId": PROJECT_ID,
        "maxValue": row["max_value"],
        "minValue": row["min_value"],
        "dataType": row["data_type"],
        "categories": json.loads(row["categories"]),
    }


ROUTES = [
    Route("/api/public/score-configs", endpoint(listing), methods=["GET"]),
    Route("/api/public/score-configs", endpoint(create), methods=["POST"]),
    Route("/api/public/score-configs/{id}", endpoint(get), methods=["GET"]),
    Route("/api/public/score-configs/{id}", endpoint(update), methods=["PATCH"]),
]
