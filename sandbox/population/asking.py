"""Which version a user is shown, asked as applications ask: by OFREP, or by a JSON document in Langfuse.

When nobody answers, users are shown production. It must know nothing of how splits are made.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import quote

import httpx

from sandbox.scenario.project import LangfuseProject

PRODUCTION = 0
"""No version of its own, but whatever carries the production label."""


class Resolver(Protocol):
    """Where an application asks which version of its prompt a user gets."""

    async def refresh(self) -> None:
        """Time has passed: what was kept of earlier answers may be out of date."""
        ...

    async def version(self, key: str) -> int:
        """The version for one user or session; 0 is production's."""
        ...


class Bands:
    """A resolver without a service: bands of (below, version), as the one who makes it says."""

    def __init__(self, salt: str, bands: Sequence[tuple[float, int]]) -> None:
        self.salt = salt
        self.bands = list(bands)

    async def refresh(self) -> None:
        """Nothing is kept."""

    async def version(self, key: str) -> int:
        """By the place of the key: SHA-256 over salt, a zero byte and the key, its first 48 bits as a fraction."""
        place = int(hashlib.sha256(f"{self.salt}\0{key}".encode()).hexdigest()[:12], 16) / 2**48
        return next((version for below, version in self.bands if place < below), PRODUCTION)


class JsonPrompt(Bands):
    """The split as a Langfuse prompt of its own, whose text is JSON: the salt, and bands with `below` and `version`."""

    def __init__(self, project: LangfuseProject, prompt: str) -> None:
        super().__init__("", ())
        self._project = project
        self._name = f"rollouts/{prompt}"

    async def refresh(self) -> None:
        """Read the document again; without one everybody is on production."""
        found = await self._project.prompt(self._name)
        said: dict[str, Any] = json.loads(found.text) if found else {"salt": "", "bands": []}
        self.salt, self.bands = said["salt"], [(band["below"], band["version"]) for band in said["bands"]]


class Ofrep:
    """OpenFeature's remote evaluation protocol. An async context manager."""

    def __init__(self, url: str, prompt: str, *, token: str = "") -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=10)
        self._path = f"/ofrep/v1/evaluate/flags/{quote(prompt, safe='')}"

    async def __aenter__(self) -> "Ofrep":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def refresh(self) -> None:
        """Nothing is kept."""

    async def version(self, key: str) -> int:
        """One evaluation; production when the endpoint is away or knows no such flag."""
        try:
            answer = await self._http.post(self._path, json={"context": {"targetingKey": key}})
        except httpx.TransportError:
            return PRODUCTION
        return int(answer.json()["value"]) if answer.status_code == httpx.codes.OK else PRODUCTION
