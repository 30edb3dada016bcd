"""The flag service as an ASGI application. Serve it on 127.0.0.1 only: its tokens are public.

It answers as LaunchDarkly does to the requests that a controller and the server SDKs make, and to no others.
"""

import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from sandbox.flags import admin
from sandbox.flags.patching import patched
from sandbox.flags.shapes import created, polled, shown
from sandbox.flags.store import PROJECT, Refusal, Store

WRITER, READER = "api-sandbox", "api-sandbox-reader"
SEMANTIC = "domain-model=launchdarkly.semanticpatch"
Work = Callable[[Request, Store], Awaitable[Response]]


class Cut(Response):
    """An answer that breaks off: the caller cannot know what became of its request."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Promise a body, and end the connection without it."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})


def endpoint(work: Work, *, writes: bool = False) -> Callable[[Request], Awaitable[Response]]:
    """Wrap a route: the token, the rate limit, and for a write what is to go wrong with it."""

    async def answer(request: Request) -> Response:
        store: Store = request.app.state.store
        try:
            _authorize(request, writes)
            if store.faults.strikes("rate_limit_next"):
                headers = {"Retry-After": str(store.faults.retry_after_s)}
                raise Refusal(429, "rate_limited", "Rate limit exceeded", headers)
            return await (_written(work, request, store) if writes else work(request, store))
        except Refusal as refusal:
            return JSONResponse(refusal.body, refusal.status, refusal.headers)

    return answer


def _authorize(request: Request, writes: bool) -> None:
    token = request.headers.get("authorization")
    if token not in (WRITER, READER):
        raise Refusal(401, "unauthorized", "Invalid access token")
    if writes and token == READER:
        raise Refusal(403, "forbidden", "Access to the requested resource was denied")


async def _written(work: Work, request: Request, store: Store) -> Response:
    faults = store.faults
    store.writes += 1
    strikes = store.writes == faults.at_write
    if strikes and faults.moment == "before":
        store.keep()
        return await _broken(request, store)
    if faults.strikes("conflict_next"):
        raise Refusal(409, "conflict", "The request conflicts with a concurrent request")
    if faults.strikes("fail_next"):
        raise Refusal(503, "unavailable", "Service unavailable")
    if faults.approval:
        raise Refusal(405, "method_not_allowed", "Approval is required to change this environment")
    answer = await work(request, store)
    store.done += 1
    store.keep()
    return await _broken(request, store) if strikes else answer


async def _broken(request: Request, store: Store) -> Response:
    while store.faults.how == "hold" and (await request.receive())["type"] != "http.disconnect":
        pass
    return Cut()


async def get(request: Request, store: Store) -> Response:
    """One flag, with the settings of one environment or of all."""
    flag = store.flag(request.path_params["project"], request.path_params["key"])
    return JSONResponse(shown(flag, request.query_params.get("env")))


async def post(request: Request, store: Store) -> Response:
    """A new flag, which shows everybody its `onVariation` where it is on."""
    if request.path_params["project"] != PROJECT:
        raise Refusal(404, "not_found", "Unknown project key")
    flag = created(store, await _json(request), now_ms=_now_ms())
    if flag["key"] in store.flags:
        raise Refusal(409, "conflict", "Flag key already exists")
    store.flags[flag["key"]] = flag
    _note(store, "createFlag", flag["key"], flag["description"], [])
    return JSONResponse(shown(flag, None), 201)


async def patch(request: Request, store: Store) -> Response:
    """A semantic patch."""
    flag = store.flag(request.path_params["project"], request.path_params["key"])
    body = await _json(request)
    if SEMANTIC not in request.headers.get("content-type", "").replace(" ", ""):
        raise Refusal(400, "invalid_request", "this service takes semantic patches only")
    if not isinstance(body, dict):
        raise Refusal(400, "invalid_request", "a semantic patch is an object")
    changed = change(store, flag["key"], body, by="token")
    return JSONResponse(shown(changed, None))


def change(store: Store, key: str, body: dict[str, Any], *, by: str) -> dict[str, Any]:
    """Apply a semantic patch and write it into the history."""
    environment, instructions = body.get("environmentKey"), body.get("instructions")
    changed = patched(store.flags[key], environment, instructions, now_ms=_now_ms())
    store.flags[key] = changed
    _note(store, "updateFlag", key, body.get("comment", ""), instructions, by=by)
    return changed


async def latest_all(request: Request) -> Response:
    """What a server SDK polls: all flags of the environment that its key stands for."""
    store: Store = request.app.state.store
    environment = request.headers.get("authorization", "").removeprefix("sdk-")
    if environment not in store.environments:
        return JSONResponse({"message": "Invalid SDK key"}, 401)
    text = json.dumps(polled(store, environment), sort_keys=True)
    headers = {"ETag": f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(text, headers=headers, media_type="application/json")


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError:
        raise Refusal(400, "invalid_request", "Invalid JSON") from None


def _note(store: Store, kind: str, key: str, comment: str, instructions: Any, *, by: str = "token") -> None:
    entry = {"kind": kind, "flag": key, "comment": comment, "instructions": instructions, "by": by, "date": _now_ms()}
    store.history.append(entry)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def create_app(folder: Path, *, seed: str = "", store: Store | None = None) -> Starlette:
    """The service over a folder, which must exist and holds everything that it knows.

    `sdk-production` is the SDK key of the environment `production`; `api-sandbox` may write, `api-sandbox-reader` not.
    """
    app = Starlette(
        routes=[
            Route("/api/v2/flags/{project}", endpoint(post, writes=True), methods=["POST"]),
            Route("/api/v2/flags/{project}/{key}", endpoint(get), methods=["GET"]),
            Route("/api/v2/flags/{project}/{key}", endpoint(patch, writes=True), methods=["PATCH"]),
            Route("/sdk/latest-all", latest_all, methods=["GET"]),
            *admin.routes(change),
        ],
    )
    app.state.store = store or Store(folder=folder, seed=seed)
    return app
