"""The few Langfuse endpoints that the simulated shop needs, over HTTP.

It must know nothing of the sandbox: pointed at a real Langfuse project it does the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from sandbox.scenario.otlp import Generated, export_request

_SCORES_PER_POST = 100
_GENERATIONS_PER_POST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedPrompt:
    """A prompt as an application gets it."""

    name: str
    version: int
    text: str


class LangfuseProject:
    """One Langfuse project. An async context manager; a refused request raises httpx.HTTPStatusError."""

    def __init__(self, url: str, *, public_key: str, secret_key: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, auth=(public_key, secret_key), timeout=30)

    async def __aenter__(self) -> "LangfuseProject":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def prompt(self, name: str, *, label: str = "production", version: int = 0) -> LinkedPrompt | None:
        """A text prompt by its number, or else by its label; None when there is none."""
        which = {"version": str(version)} if version else {"label": label}
        found = await self._find(f"/api/public/v2/prompts/{quote(name, safe='')}", which)
        if found is None:
            return None
        return LinkedPrompt(name=name, version=int(found["version"]), text=str(found["prompt"]))

    async def create_prompt(self, name: str, text: str, *, labels: Sequence[str], note: str) -> None:
        """A new version of a text prompt."""
        body = {"name": name, "type": "text", "prompt": text, "labels": list(labels), "commitMessage": note}
        await self._post("/api/public/v2/prompts", body)

    async def create_dataset(self, name: str, *, description: str) -> None:
        """A dataset; the same name again changes its description only."""
        await self._post("/api/public/v2/datasets", {"name": name, "description": description})

    async def has_dataset_item(self, item_id: str) -> bool:
        """True when the project has this dataset item."""
        return await self._find(f"/api/public/dataset-items/{quote(item_id, safe='')}", {}) is not None

    async def put_dataset_item(self, item: Mapping[str, object]) -> None:
        """Create or replace a dataset item, by its id."""
        await self._post("/api/public/dataset-items", dict(item))

    async def record(self, generated: Iterable[Generated]) -> None:
        """Trace model calls."""
        every = list(generated)
        for start in range(0, len(every), _GENERATIONS_PER_POST):
            body = export_request(every[start : start + _GENERATIONS_PER_POST], service="support-application")
            headers = {"content-type": "application/x-protobuf", "x-langfuse-ingestion-version": "4"}
            answer = await self._http.post("/api/public/otel/v1/traces", content=body, headers=headers)
            answer.raise_for_status()

    async def score(self, scores: Sequence[Mapping[str, object]]) -> None:
        """Write scores, by their ids. Raises ValueError when the server rejects one of them."""
        for start in range(0, len(scores), _SCORES_PER_POST):
            answer = await self._post("/api/public/scores", [dict(s) for s in scores[start : start + _SCORES_PER_POST]])
            if answer.status_code == httpx.codes.MULTI_STATUS:
                raise ValueError(f"The server rejected scores: {answer.text[:500]}")

    async def _post(self, path: str, body: object) -> httpx.Response:
        answer = await self._http.post(path, json=body)
        answer.raise_for_status()
        return answer

    async def _find(self, path: str, params: Mapping[str, str]) -> dict[str, Any] | None:
        answer = await self._http.get(path, params=dict(params))
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found
