"""The sandbox's own routes under /sandbox/: switches, counters, and what a person does in the user interface.

They take no token, and what is done here counts as nobody's write.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.flags.store import Refusal, Store

Change = Callable[..., dict[str, Any]]


async def faults(request: Request) -> Response:
    """Show the switches, after setting those named in the body of a POST."""
    store: Store = request.app.state.store
    try:
        if request.method == "POST":
            store.faults.update(await request.json())
    except (ValueError, AttributeError) as problem:
        return JSONResponse({"message": str(problem)}, 400)
    return JSONResponse(asdict(store.faults))


async def state(request: Request) -> Response:
    """How many writes were asked for and done, and the history of all flags, a person's changes included."""
    store: Store = request.app.state.store
    return JSONResponse({"writes": store.writes, "done": store.done, "history": store.history})


def routes(change: Change) -> list[Route]:
    """All of them; `change` applies a semantic patch."""

    async def by_hand(request: Request) -> Response:
        """A person's semantic patch of a flag."""
        store: Store = request.app.state.store
        try:
            store.flag("default", request.path_params["key"])
            changed = change(store, request.path_params["key"], await request.json(), by="person")
        except Refusal as refusal:
            return JSONResponse(refusal.body, refusal.status)
        store.keep()
        return JSONResponse(changed)

    return [
        Route("/sandbox/faults", faults, methods=["GET", "POST"]),
        Route("/sandbox/state", state, methods=["GET"]),
        Route("/sandbox/by-hand/{key}", by_hand, methods=["POST"]),
    ]
