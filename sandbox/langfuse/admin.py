"""The sandbox's own routes under /sandbox/: fault switches and rows in bulk. They take no keys."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.langfuse import observation_rows, score_rows
from sandbox.langfuse.endpoint import Server
from sandbox.langfuse.errors import Refusal
from sandbox.langfuse.inputs import decoded


async def faults(request: Request) -> Response:
    """Show the switches, after setting those named in the body of a POST."""
    server: Server = request.app.state.server
    try:
        if request.method == "POST":
            server.faults.update(decoded(await request.body()))
    except (ValueError, TypeError) as problem:
        return JSONResponse({"message": str(problem)}, 400)
    except Refusal as refusal:
        return JSONResponse(refusal.body, refusal.status)
    return JSONResponse(server.faults.settings)


async def bulk(request: Request) -> Response:
    """Take `{"observations": [...], "scores": [...]}` in the shape that reads have, readable at once."""
    server: Server = request.app.state.server
    try:
        content: dict[str, list[Any]] = decoded(await request.body())
        observations = [observation_rows.from_wire(row) for row in content.get("observations", [])]
        scores = [score_rows.from_wire(row) for row in content.get("scores", [])]
    except Refusal as refusal:
        return JSONResponse(refusal.body, refusal.status)
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        return JSONResponse({"message": f"a row is not in the shape that reads have: {problem!r}"}, 400)
    server.accept("observation", observations)
    server.accept("score", scores)
    return JSONResponse({"observations": len(observations), "scores": len(scores)})


ROUTES = [
    Route("/sandbox/faults", faults, methods=["GET", "POST"]),
    Route("/sandbox/bulk", bulk, methods=["POST"]),
]
