"""Embeddings from any OpenAI-compatible endpoint, for the owner's assertions that compare meanings.

Must never log or raise the texts. Retries what a server is likely to do better the next time.
"""

import asyncio
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from optimizer.errors import BadAnswer, BadCredentials, BadSettings, Declined, NotFound, ServerFault, Unreachable

ATTEMPTS = 3
BACKOFF_S = 0.5


class _Vector(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    embedding: tuple[float, ...] = Field(min_length=1)


class _Vectors(BaseModel):
    model_config = ConfigDict(extra="ignore")

    data: tuple[_Vector, ...] = Field(min_length=1, max_length=1)


class Embedder:
    """One embedding model. An async context manager: leaving it closes every connection.

    Args:
        model: name of the embedding model.
        timeout_s: for one try.
    """

    def __init__(self, base_url: str, api_key: str, model: str, *, timeout_s: float = 60.0) -> None:
        if urlsplit(base_url).scheme not in ("http", "https"):
            raise BadSettings("the model's base_url is not an http address", "write it like https://host/v1")
        self.model = model
        self._server = f"the model server at {urlsplit(base_url).hostname}"
        self._client = httpx.AsyncClient(
            base_url=f"{base_url.rstrip('/')}/",
            headers={"authorization": f"Bearer {api_key}"},
            timeout=timeout_s,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def embed(self, text: str) -> tuple[float, ...]:
        """A text's vector. Raises Transient after some tries, Permanent when trying again changes nothing."""
        for attempt in range(1, ATTEMPTS):
            try:
                return await self._once(text)
            except (Unreachable, ServerFault):
                await asyncio.sleep(BACKOFF_S * 2 ** (attempt - 1))
        return await self._once(text)

    async def _once(self, text: str) -> tuple[float, ...]:
        try:
            answer = await self._client.post("embeddings", json={"model": self.model, "input": text})
        except httpx.HTTPError as error:
            raise Unreachable(f"{self._server} cannot be reached, or broke the connection") from error
        status = answer.status_code
        if status in (401, 403):
            raise BadCredentials(f"{self._server} refused the API key ({status})", "check the model's API key")
        if status == 404:
            raise NotFound(f"{self._server} knows no embedding model '{self.model}'", "check the name of the model")
        if status == 429 or status >= 500:
            raise ServerFault(f"{self._server} failed ({status})")
        if status != 200:
            raise Declined(f"{self._server} refused a text to embed ({status})", "check its length")
        try:
            return _Vectors.model_validate_json(answer.content).data[0].embedding
        except ValidationError as error:
            raise BadAnswer(f"{self._server} gave no embedding", "check the model's base_url") from error
