"""The Langfuse-compatible server as an ASGI application. Serve it on 127.0.0.1 only: its keys are public."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.faults import Faults
from sandbox.langfuse import (
    admin,
    comments,
    datasets,
    experiments,
    media,
    metrics,
    observation_rows,
    observations,
    otlp,
    prompts,
    score_configs,
    score_rows,
    scores,
    traces,
)
from sandbox.langfuse.database import Database
from sandbox.langfuse.endpoint import PROJECT_ID, Call, Server, endpoint

KINDS = {"observation": observation_rows.store, "score": score_rows.store}
NOT_FOUND = (
    '<!DOCTYPE html><html lang="en"><head><meta charSet="utf-8"/><meta name="robots" content="noindex"/>'
    "<title>404: This page could not be found</title></head><body><h1>404</h1></body></html>"
)


class RawPath:
    """Routes by the path as it was sent: a prompt folder's `%2F` is part of its name, a bare slash is not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on under its undecoded path."""
        if scope["type"] == "http" and scope.get("raw_path"):
            scope = {**scope, "path": scope["raw_path"].decode("ascii").partition("?")[0]}
        await self._app(scope, receive, send)


async def health(request: Request) -> Response:
    """The version, without keys."""
    server: Server = request.app.state.server
    return JSONResponse({"status": "OK", "version": server.claimed_version})


async def projects(_: Call) -> Response:
    """The one project these keys belong to."""
    organization = {"id": "lf-sandbox-org", "name": "Sandbox"}
    project = {"id": PROJECT_ID, "name": "sandbox", "organization": organization, "metadata": {}}
    return JSONResponse({"data": [project]})


async def not_found(_: Request, __: Exception) -> Response:
    """Unknown routes answer HTML, as the real server's web framework does."""
    return HTMLResponse(NOT_FOUND, 404)


async def wrong_method(_: Request, __: Exception) -> Response:
    """A known route with another method."""
    return JSONResponse({"message": "Method not allowed", "error": "MethodNotAllowedError"}, 405)


def create_app(
    database: Path | str,
    *,
    faults: Faults | None = None,
    public_key: str = "pk-lf-sandbox",
    secret_key: str = "sk-lf-sandbox",
    version: str = "4.59.0",
) -> Starlette:
    """The server over one SQLite file (or ":memory:"), which is created on first use and closed on shutdown."""
    server = Server(
        database=Database(database),
        faults=faults or Faults(),
        public_key=public_key,
        secret_key=secret_key,
        version=version,
        kinds=KINDS,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        server.database.close()

    app = Starlette(
        routes=[
            Route("/api/public/health", health, methods=["GET"]),
            Route("/api/public/ready", health, methods=["GET"]),
            Route("/api/public/projects", endpoint(projects), methods=["GET"]),
            *prompts.ROUTES,
            *scores.ROUTES,
            *observations.ROUTES,
            *traces.ROUTES,
            *otlp.ROUTES,
            *metrics.ROUTES,
            *datasets.ROUTES,
            *experiments.ROUTES,
            *score_configs.ROUTES,
            *comments.ROUTES,
            *media.ROUTES,
            *admin.ROUTES,
        ],
        middleware=[Middleware(RawPath)],
        exception_handlers={404: not_found, 405: wrong_method},
        lifespan=lifespan,
    )
    app.state.server = server
    return app
