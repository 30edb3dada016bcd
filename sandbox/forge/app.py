"""A GitHub-compatible forge as an ASGI application: one repository, one token. Serve it on 127.0.0.1 only.

It also answers below /api/v3, where an Enterprise server has its API. State is in one file, so it survives.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.forge import git_routes, people, pull_routes
from sandbox.forge.endpoint import DOCS, Forge, Work, endpoint
from sandbox.forge.objects import Objects
from sandbox.forge.records import Records

REPOSITORY, TOKEN, ACCOUNT = "acme/shop", "ghp_sandbox", "tracegrad-bot"
_REPO = "/repos/{owner}/{repo}"

# method, path below the repository, work, and what kind of thing it writes
API: tuple[tuple[str, str, Work, str], ...] = (
    ("GET", "/git/ref/heads/{branch:path}", git_routes.get_ref, ""),
    ("POST", "/git/refs", git_routes.make_ref, "ref"),
    ("PATCH", "/git/refs/heads/{branch:path}", git_routes.move_ref, "push"),
    ("GET", "/git/commits/{sha}", git_routes.get_commit, ""),
    ("POST", "/git/commits", git_routes.make_commit, "commit"),
    ("POST", "/git/trees", git_routes.make_tree, "tree"),
    ("GET", "/git/blobs/{sha}", git_routes.get_blob, ""),
    ("GET", "/contents/{path:path}", git_routes.get_contents, ""),
    ("GET", "/pulls", pull_routes.list_pulls, ""),
    ("POST", "/pulls", pull_routes.open_pull, "pull"),
    ("GET", "/pulls/{number:int}", pull_routes.get_pull, ""),
    ("PATCH", "/pulls/{number:int}", pull_routes.edit_pull, "pull edit"),
    ("GET", "/pulls/{number:int}/commits", pull_routes.pull_commits, ""),
    ("GET", "/pulls/{number:int}/reviews", pull_routes.list_reviews, ""),
    ("GET", "/issues/{number:int}", pull_routes.get_issue, ""),
    ("GET", "/issues/{number:int}/comments", pull_routes.list_comments, ""),
    ("POST", "/issues/{number:int}/comments", pull_routes.comment, "comment"),
    ("PATCH", "/issues/comments/{id:int}", pull_routes.edit_comment, "comment edit"),
    ("POST", "/issues/{number:int}/labels", pull_routes.add_labels, "label"),
    ("GET", "/commits/{sha}/statuses", pull_routes.list_statuses, ""),
    ("POST", "/statuses/{sha}", pull_routes.set_status, "status"),
)


class KnowsItsAddress:
    """Notes under which address the forge is reached: its answers are full of it."""

    def __init__(self, app: ASGIApp, forge: Forge) -> None:
        self._app, self._forge = app, forge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http":
            self._forge.base_url = str(Request(scope).base_url).rstrip("/").removesuffix("/api/v3")
        await self._app(scope, receive, send)


async def not_found(_: Request, __: Exception) -> Response:
    """404 or 405."""
    return JSONResponse({"message": "Not Found", "documentation_url": DOCS, "status": "404"}, 404)


def create_app(
    folder: Path,
    *,
    files: Mapping[str, str] | None = None,
    repository: str = REPOSITORY,
    token: str = TOKEN,
    account: str = ACCOUNT,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Starlette:
    """The forge over `folder/forge.db`; a new one starts with these files on `main`."""
    records = Records(folder / "forge.db")
    forge = Forge(
        records=records, objects=Objects(records), repository=repository, token=token, account=account, now=now
    )
    if forge.objects.branch("main") is None:
        first = {"branch": "main", "by": "ada", "message": "First", "files": files or {"README.md": "# Shop\n"}}
        people.commit(forge, first)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        records.close()

    routes: list[BaseRoute] = [Route("/user", endpoint(pull_routes.account), methods=["GET"])]
    routes += [Route(_REPO + path, endpoint(work, writes=kind), methods=[method]) for method, path, work, kind in API]
    app = Starlette(
        routes=[*people.ROUTES, Mount("/api/v3", routes=routes), *routes],
        middleware=[Middleware(KnowsItsAddress, forge=forge)],
        exception_handlers={404: not_found, 405: not_found},
        lifespan=lifespan,
    )
    app.state.forge = forge
    return app
