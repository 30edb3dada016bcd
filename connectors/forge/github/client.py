"""The HTTP client: one repository's API, lists to their last page, failures mapped at the border.

It must never repeat a write by itself and never follow a redirect: the token is for one server.
"""

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from connectors.forge.github.access import GitHubAccess
from connectors.forge.github.border import of_answer
from connectors.forge.github.wire import User
from optimizer.errors import BadAnswer, BadCredentials, NotFound, Unreachable

T = TypeVar("T")

PAGE = 100
PAGES = 20
"""The most pages of one list that are read."""
_JSON = {"Content-Type": "application/json"}
_HEADERS = {
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
    "User-Agent": "tracegrad",
}


class GitHubClient:
    """An async context manager around one connection pool. Paths are below the repository."""

    def __init__(self, access: GitHubAccess) -> None:
        self.where = f"{access.repository} on {access.host}"
        self._root = access.base_url.rstrip("/")
        self._repository = f"/repos/{access.repository}"
        self._http = httpx.AsyncClient(
            headers={**_HEADERS, "Authorization": f"Bearer {access.token}"},
            timeout=access.timeout_s,
            follow_redirects=False,
            # plain http has no certificates, and loading the authorities takes as long as ten requests
            verify=not access.base_url.startswith("http:"),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, path: str, shape: type[T], doing: str, **params: str) -> T:
        """One thing. Raises NotFound and whatever `border.of_answer` says."""
        return self._read(await self._sent("GET", path, doing, params=params), TypeAdapter(shape))

    async def find(self, path: str, shape: type[T], doing: str, **params: str) -> T | None:
        """One thing, or None where there is none."""
        try:
            return await self.get(path, shape, doing, **params)
        except NotFound:
            return None

    async def every(self, path: str, shape: type[T], doing: str, **params: str) -> list[T]:
        """Each thing of a list, as far as its `Link` headers lead, `PAGES` at most."""
        rows: list[T] = []
        adapter: TypeAdapter[list[T]] = TypeAdapter(list[shape])  # type: ignore[valid-type]  # a type made here
        for page in range(1, PAGES + 1):
            response = await self._sent("GET", path, doing, params={**params, "per_page": str(PAGE), "page": str(page)})
            read: list[T] = self._read(response, adapter)
            rows += read
            if "next" not in response.links:
                break
        return rows

    async def write(self, method: str, path: str, body: Mapping[str, object], shape: type[T], doing: str) -> T:
        """Send a change once, and return what it made."""
        return self._read(
            await self._sent(method, path, doing, content=json.dumps(body), headers=_JSON), TypeAdapter(shape)
        )

    async def login(self) -> str:
        """The account of the token; empty where the token may not say, such as an app's."""
        response = await self._raw("GET", f"{self._root}/user")
        if response.is_success:
            return self._read(response, TypeAdapter(User)).login
        error = of_answer(response, where=self.where, doing="read the account of the token")
        if isinstance(error, BadCredentials | NotFound):
            return ""
        raise error

    async def _sent(self, method: str, path: str, doing: str, **more: Any) -> httpx.Response:
        response = await self._raw(method, f"{self._root}{self._repository}{path}", **more)
        if not response.is_success:
            raise of_answer(response, where=self.where, doing=doing)
        return response

    async def _raw(self, method: str, url: str, **more: Any) -> httpx.Response:
        try:
            return await self._http.request(method, url, **more)
        except httpx.TimeoutException as error:
            raise Unreachable(f"{self.where} gave no answer in time") from error
        except httpx.HTTPError as error:
            raise Unreachable(f"{self.where} cannot be reached, or broke the connection") from error

    def _read(self, response: httpx.Response, shape: TypeAdapter[T]) -> T:
        try:
            return shape.validate_json(response.content)
        except ValidationError as error:
            raise BadAnswer(
                f"{self.where} answered something that is not GitHub's API",
                "check `forge.base_url`: https://api.github.com, or https://HOST/api/v3",
            ) from error


def in_path(name: str) -> str:
    """A path or a branch as a part of an address; its slashes stay."""
    return quote(name, safe="/")
