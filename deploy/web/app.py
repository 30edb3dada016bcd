"""The daemon's one web application: health, metrics, and a read-only status page.

It changes nothing and sends no script to the browser. Production text is hostile: templates escape it, and characters
that hide or that turn text around are spelled out. It answers to this machine's names only.
"""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
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
from deploy.web.hooks import github_route
from deploy.web.release_pages import release_routes
from gates.rendering.page import as_fragment
from gates.rendering.style import STYLE
from gates.rendering.unseen import visible
from optimizer.errors import NotFound
from optimizer.ports import Clock

HERE = Path(__file__).parent
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}

OWN_HOSTS = ("127.0.0.1", "localhost", "[::1]")

SENTENCES = {404: "There is no such page.", 405: "This page can only be read."}

Headers = Mapping[str, str] | None

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


def environment() -> Environment:
    """The templates: everything is escaped, and what cannot be seen is spelled out."""
    return Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, finalize=spelled_out)


def spelled_out(value: object) -> object:
    """A value as it may be shown."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def cycle_of(store: Store, settings: Settings, cycle_id: str) -> dict[str, Any]:
    """What the page about a cycle is made of. Raises NotFound."""
    shown, report = overview.cycle_and_report(store, settings, cycle_id)
    # the report has escaped its words itself
    return {"c": shown, "report": Markup(as_fragment(report)) if report else ""}


def hooks(store: Store, settings: Settings, nudge: Callable[[], object] | None) -> list[Route]:
    """Where a forge tells that something happened to a pull request; nowhere without a secret."""
    secret = settings.forge.webhook_secret.get_secret_value()
    if not secret or nudge is None:
        return []

    async def prompt_of(branch: str) -> str:
        return await asyncio.to_thread(store.pull_requests.prompt_of, branch)

    async def look(_prompt: str) -> None:
        nudge()

    return [github_route(secret, prompt_of=prompt_of, nudge=look)]


def watched_routes(vitals: Vitals, metrics: CollectorRegistry) -> list[Route]:
    """What other programs watch: whether the process is well, and its metrics."""

    async def health(_request: Request) -> Response:
        alive = vitals()
        return JSONResponse(
            {"status": "ok" if all(alive.values()) else "failing", **alive}, 200 if all(alive.values()) else 503
        )

    async def prometheus(_request: Request) -> Response:
        text = await asyncio.to_thread(generate_latest, metrics)
        return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})

    return [Route("/healthz", health), Route("/metrics", prometheus)]


def create_app(
    store: Store,
    settings: Settings,
    clock: Clock,
    *,
    vitals: Vitals,
    metrics: CollectorRegistry,
    nudge: Callable[[], object] | None = None,
) -> Starlette:
    """The application over one store.

    Args:
        nudge: has the releases looked at now; None where this process does not tend them.
    """
    templates = Jinja2Templates(env=environment())

    async def status(request: Request) -> Response:
        shown = await asyncio.to_thread(overview.status, store, settings, clock.now())
        return page(request, "status.html", {"status": shown})

    async def cycle(request: Request) -> Response:
        try:
            values = await asyncio.to_thread(cycle_of, store, settings, request.path_params["cycle_id"])
        except NotFound as error:
            raise HTTPException(404, str(error)) from error
        return page(request, "cycle.html", values)

    async def look(_request: Request) -> Response:
        return Response(STYLE, media_type="text/css")

    async def trouble(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        title = HTTPStatus(error.status_code).phrase
        sentence = SENTENCES.get(error.status_code, "") if error.detail == title else error.detail
        values = {"title": title, "sentence": sentence}
        return page(request, "trouble.html", values, status=error.status_code, headers=error.headers)

    def page(
        request: Request, name: str, values: dict[str, Any], *, status: int = 200, headers: Headers = None
    ) -> HTMLResponse:
        return templates.TemplateResponse(request, name, values, status_code=status, headers=headers)

    return Starlette(
        routes=[
            Route("/", status),
            Route("/cycles/{cycle_id:path}", cycle),
            *release_routes(store, settings, page),
            *watched_routes(vitals, metrics),
            Route("/static/report.css", look),
            Mount("/static", StaticFiles(directory=HERE / "static")),
            *hooks(store, settings, nudge),
        ],
        middleware=[
            Middleware(SafeHeaders),
            # a page elsewhere must not read this one by pointing its own name at this machine
            Middleware(TrustedHostMiddleware, allowed_hosts=[*OWN_HOSTS, *settings.web.hosts], www_redirect=False),
        ],
        exception_handlers={HTTPException: trouble},
    )
