"""The pages about releases: which are on their way, and one with everything that happened to it. They only read."""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deploy import overview_releases as overview
from deploy.settings import Settings
from deploy.store.facade import Store
from gates.words import plain, points
from optimizer.errors import NotFound

Page = Callable[[Request, str, dict[str, Any]], Response]
"""Renders a template with values, as every other page."""


def release_routes(store: Store, settings: Settings, page: Page) -> list[Route]:
    """The routes of these pages."""

    async def releases(request: Request) -> Response:
        listed = await asyncio.to_thread(overview.releases, store, settings)
        return page(request, "releases.html", listed)

    async def release(request: Request) -> Response:
        try:
            shown = await asyncio.to_thread(overview.release, store, settings, request.path_params["run_id"])
        except NotFound as error:
            raise HTTPException(404, str(error)) from error
        return page(request, "release.html", {"r": shown, "plain": plain, "points": points})

    return [Route("/releases", releases), Route("/releases/{run_id:path}", release)]
