"""Deleting traces: one by its id, or a list. What is left of their reading is in the observations."""

from collections.abc import Iterable

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.langfuse.database import Database
from sandbox.langfuse.endpoint import Call, endpoint
from sandbox.langfuse.errors import invalid, wrong_type
from sandbox.langfuse.inputs import json_type


async def delete(call: Call) -> Response:
    """Remove one trace with its observations and scores; an unknown one is deleted just as well."""
    _delete(call.database, [call.named("id")])
    return JSONResponse({"message": "Trace deleted successfully"})


async def delete_several(call: Call) -> Response:
    """Remove the traces that the body names."""
    ids = call.body().fields.get("traceIds")
    if not isinstance(ids, list) or not all(isinstance(id_, str) for id_ in ids):
        raise invalid(wrong_type("array", json_type(ids), "traceIds"))
    _delete(call.database, ids)
    return JSONResponse({"message": "Traces deleted successfully"})


def _delete(database: Database, trace_ids: Iterable[str]) -> None:
    with database.transaction():
        for trace_id in trace_ids:
            database.run("DELETE FROM observations WHERE trace_id = ?", (trace_id,))
            database.run("DELETE FROM scores WHERE trace_id = ?", (trace_id,))


ROUTES = [
    Route("/api/public/traces", endpoint(delete_several), methods=["DELETE"]),
    Route("/api/public/traces/{id}", endpoint(delete), methods=["DELETE"]),
]
