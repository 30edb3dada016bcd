"""The daemon's one web application: health, metrics, and a read-only status page.

It changes nothing, sends no script to the browser, and escapes every production text (templates are auto-escaped). It
listens on this machine only and answers to this machine's names only.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy import overview
from deploy.settings import Settings
from deploy.store.facade import Store
from optimizer.errors import NotFound
from optimizer.ports import Clock

HERE = Path(__file__).parent
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}

Vitals = Callable[[], Mapping[str, bool]]
"""What has to be alive, by name."""


class SafeHeaders:
    """Puts the security headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, with_headers)


def create_app(
    store: Store, settings: Settings, clock: Clock, *, vitals: Vitals, metrics: CollectorRegistry
) -> Starlette:
    """The application over one store."""
    templates = Jinja2Templates(HERE / "templates")

    async def health(_request: Request) -> Response:
        alive = vitals()
        return JSONResponse(
            {"status": "ok" if all(alive.values()) else "failing", **alive}, 200 if all(alive.values()) else 503
        )

    async def prometheus(_request: Request) -> Response:
        text = await asyncio.to_thread(generate_latest, metrics)
        return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})

    async def status(request: Request) -> Response:
        shown = await asyncio.to_thread(overview.status, store, settings, clock.now())
        return page(request, "status.html", {"status": shown})

    async def cycle(request: Request) -> Response:
        try:
            shown = await asyncio.to_thread(overview.cycle, store, settings, request.path_params["cycle_id"])
        except NotFound as error:
            raise HTTPException(404, str(error)) from error
        return page(request, "cycle.html", {"c": shown})

    def page(request: Request, name: str, values: dict[str, Any]) -> HTMLResponse:
        return templates.TemplateResponse(request, name, values)

    return Starlette(
        routes=[
            Route("/", status),
            Route("/cycles/{cycle_id:path}", cycle),
            Route("/healthz", health),
            Route("/metrics", prometheus),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[
            Middleware(SafeHeaders),
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"]),
        ],
    )
