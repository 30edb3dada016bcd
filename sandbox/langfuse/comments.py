"""Comments on traces, observations, sessions and prompts. A comment's object must exist when it is written."""

import uuid
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.langfuse.database import Row
from sandbox.langfuse.endpoint import PROJECT_ID, Call, endpoint, paged
from sandbox.langfuse.errors import missing
from sandbox.langfuse.instants import now_ms, wire

OBJECTS = {
    "TRACE": "SELECT 1 FROM observations WHERE trace_id = ?",
    "OBSERVATION": "SELECT 1 FROM observations WHERE id = ?",
    "SESSION": "SELECT 1 FROM observations WHERE session_id = ?",
    "PROMPT": "SELECT 1 FROM prompts WHERE id = ?",
}
FILTERS = {"objectType": "object_type", "objectId": "object_id", "authorUserId": "author_id"}
CONTENT_MOST = 5000


async def create(call: Call) -> Response:
    """Write a comment and answer its id."""
    body = call.body()
    kind = body.option("objectType", list(OBJECTS))
    object_id, content = body.text("objectId"), body.text("content", most=CONTENT_MOST)
    project, author = body.text("projectId"), body.maybe_text("authorUserId")
    body.check()
    if project != PROJECT_ID or not call.database.row(OBJECTS[kind], (object_id,)):
        raise missing(f"Reference object, {kind}: {object_id} not found. Skipping comment creation.")
    now = now_ms()
    row = {"id": str(uuid.uuid4()), "object_type": kind, "object_id": object_id, "content": content}
    call.database.put("comments", row | {"author_id": author, "created_ms": now, "updated_ms": now})
    return JSONResponse({"id": row["id"]})


async def listing(call: Call) -> Response:
    """Comments by filters, newest first."""
    query = call.query()
    page, limit = query.whole("page", 1), query.whole("limit", 50, most=100)
    wanted = {column: value for name, column in FILTERS.items() if (value := query.text(name))}
    query.check()
    where = " AND ".join(f"{column} = ?" for column in wanted) or "1"
    total = call.database.count(f"SELECT count(*) FROM comments WHERE {where}", list(wanted.values()))
    rows = call.database.rows(
        f"SELECT * FROM comments WHERE {where} ORDER BY created_ms DESC, id DESC LIMIT ? OFFSET ?",
        [*wanted.values(), limit, (page - 1) * limit],
    )
    return JSONResponse(paged([_shown(row) for row in rows], page=page, limit=limit, total=total))


async def get(call: Call) -> Response:
    """One comment by id."""
    row = call.database.row("SELECT * FROM comments WHERE id = ?", (call.named("id"),))
    if row is None:
        raise missing("Comment not found within authorized project")
    return JSONResponse(_shown(row))


def _shown(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "projectId": PROJECT_ID,
        "createdAt": wire(row["created_ms"]),
        "updatedAt": wire(row["updated_ms"]),
        "objectType": row["object_type"],
        "objectId": row["object_id"],
        "content": row["content"],
        "authorUserId": row["author_id"],
    }


ROUTES = [
    Route("/api/public/comments", endpoint(listing), methods=["GET"]),
    Route("/api/public/comments", endpoint(create), methods=["POST"]),
    Route("/api/public/comments/{id}", endpoint(get), methods=["GET"]),
]
