"""What every route of the API does before its own work: token, faults, counting, and refusals in GitHub's words."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from sandbox.forge.faults import Faults, Writes
from sandbox.forge.objects import Objects
from sandbox.forge.records import Record, Records

DOCS = "https://docs.github.com/rest"
UNICORN = "<!DOCTYPE html><html><head><title>Unicorn! · GitHub</title></head><body>We had issues</body></html>"


class Refusal(Exception):
    """An answer other than success."""

    def __init__(self, status: int, message: str, *errors: Record, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        more = {"errors": list(errors)} if errors else {}
        self.response = JSONResponse(
            {"message": message, **more, "documentation_url": DOCS, "status": str(status)}, status, dict(headers or {})
        )


def invalid(resource: str, message: str) -> Refusal:
    """422, as most refusals of a write are worded."""
    return Refusal(422, "Validation Failed", {"resource": resource, "code": "custom", "message": message})


def missing() -> Refusal:
    """404, also for what the token may not see."""
    return Refusal(404, "Not Found")


@dataclass(kw_only=True)
class Forge:
    """What all routes share.

    Attributes:
        account: the login of the token.
        now: where the time comes from.
    """

    records: Records
    objects: Objects
    repository: str
    token: str
    account: str
    now: Callable[[], datetime]
    faults: Faults = field(default_factory=Faults)
    writes: Writes = field(default_factory=Writes)
    base_url: str = ""

    @property
    def owner(self) -> str:
        """Whom the repository belongs to."""
        return self.repository.partition("/")[0]

    def instant(self) -> str:
        """Now, as GitHub writes it."""
        return self.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def protected(self, branch: str) -> bool:
        """Whether a rule keeps the token's account from making or moving a branch."""
        return any(fnmatchcase(branch, pattern) for pattern in self.records.every("protected"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to one route."""

    forge: Forge
    request: Request
    body: Record

    def part(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    def asked(self, name: str, default: str = "") -> str:
        """A query parameter."""
        return self.request.query_params.get(name, default)

    def text(self, name: str, resource: str) -> str:
        """A text that the body must hold."""
        value = self.body.get(name)
        if not isinstance(value, str) or not value:
            raise Refusal(422, "Validation Failed", {"resource": resource, "code": "missing_field", "field": name})
        return value

    def page(self, rows: list[Any]) -> Response:
        """One page of a list, with links to the others."""
        per = min(100, max(1, int(self.asked("per_page", "30"))))
        page, last = max(1, int(self.asked("page", "1"))), max(1, -(-len(rows) // per))
        url = self.request.url
        links = [
            f'<{url.include_query_params(page=to)}>; rel="{rel}"'
            for rel, to in (("prev", page - 1), ("next", page + 1), ("last", last), ("first", 1))
            if (rel in ("next", "last") and page < last) or (rel in ("prev", "first") and page > 1)
        ]
        return JSONResponse(rows[(page - 1) * per : page * per], headers={"Link": ", ".join(links)} if links else {})


Work = Callable[[Call], Awaitable[Response]]


def endpoint(work: Work, *, writes: str = "") -> Callable[[Request], Awaitable[Response]]:
    """Wrap the work of a route of the API; `writes` is the kind of thing that it changes."""

    async def answer(request: Request) -> Response:
        forge: Forge = request.app.state.forge
        try:
            raw = await request.body()
            _admit(forge, request)
            if forge.faults.slow_s:
                await asyncio.sleep(forge.faults.slow_s)
            if writes and forge.faults.strikes("die_before_write"):
                return HTMLResponse(UNICORN, 502)
            call = Call(forge=forge, request=request, body=_decoded(raw))
            with forge.records.transaction():
                response = await work(call)
            if writes:
                forge.writes[writes] += 1
                if forge.faults.strikes("die_after_write"):
                    return HTMLResponse(UNICORN, 502)
            return response
        except Refusal as refusal:
            return refusal.response

    return answer


def _admit(forge: Forge, request: Request) -> None:
    if forge.faults.strikes("secondary_limit_next"):
        after = {"Retry-After": str(forge.faults.retry_after_s)} if forge.faults.retry_after_s else {}
        raise Refusal(403, "You have exceeded a secondary rate limit. Please wait a few minutes.", headers=after)
    if forge.faults.strikes("primary_limit_next"):
        reset = int(datetime.now(UTC).timestamp()) + forge.faults.retry_after_s
        spent = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
        raise Refusal(403, "API rate limit exceeded for user ID 1.", headers=spent)
    if request.headers.get("authorization") != f"Bearer {forge.token}":
        raise Refusal(401, "Bad credentials")
    if not request.headers.get("user-agent"):
        raise Refusal(403, "Request forbidden by administrative rules.")
    if f"{request.path_params.get('owner')}/{request.path_params.get('repo')}" not in (forge.repository, "None/None"):
        raise missing()


def _decoded(raw: bytes) -> Record:
    try:
        value = json.loads(raw) if raw else {}
    except ValueError:
        raise Refusal(400, "Problems parsing JSON") from None
    if not isinstance(value, dict):
        raise Refusal(400, "Body should be a JSON object")
    return value
