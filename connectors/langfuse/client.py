"""One pooled HTTP client for bulk reads and small writes: spaced by the limiter, failures mapped at the border.

It must never repeat a write by itself, and never wait longer than a minute or two on the server's behalf.
"""

import gzip
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

from connectors.langfuse.border import of_status, seconds, too_slow, unreachable
from connectors.langfuse.limiter import Bucket, RateLimiter
from connectors.langfuse.settings import LangfuseAccess
from optimizer.identity import Json

PATIENCE_S = 120.0
"""The longest Retry-After we sit out. Minute windows fit; an hourly or daily one is the caller's to schedule."""

_PATIENT_TIMES = 5
"""429 answers to one request before we believe that the limit is not for us."""

_SPANS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "gzip",
    "x-langfuse-ingestion-version": "4",
}

_POOL = 8
"""Connections; requests of one source are sequential, sources share a process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A successful answer."""

    status: int
    body: bytes
    date: str


class LangfuseClient:
    """An async context manager around one connection pool."""

    def __init__(self, access: LangfuseAccess, limiter: RateLimiter | None = None) -> None:
        self.access = access
        self.limiter = limiter or RateLimiter(access.requests_per_minute)
        self._sessions = AsyncExitStack()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        await self._connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._sessions.aclose()

    async def _connect(self) -> None:
        """A pool of fresh connections; the one before it is closed at the end, for others may be reading from it."""
        self._session = await self._sessions.enter_async_context(
            aiohttp.ClientSession(
                headers={"Authorization": self.access.authorization},
                connector=aiohttp.TCPConnector(limit=_POOL),
                timeout=aiohttp.ClientTimeout(total=self.access.timeout_s),
            )
        )

    async def get(self, path: str, params: Mapping[str, str] | None = None, *, bucket: Bucket) -> Answer:
        """GET a path below the base address. Raises what `border.of_status` says."""
        return await self._patiently("GET", path, bucket, {"params": params})

    async def post(self, path: str, body: Json, *, bucket: Bucket) -> Answer:
        """POST JSON, once."""
        return await self._patiently("POST", path, bucket, {"json": body})

    async def delete(self, path: str, body: Json = None, *, bucket: Bucket) -> Answer:
        """DELETE a path below the base address, with JSON when there is any; once."""
        return await self._patiently("DELETE", path, bucket, {} if body is None else {"json": body})

    async def post_spans(self, path: str, message: bytes, *, bucket: Bucket) -> Answer:
        """POST a protobuf message of OpenTelemetry, gzipped, once."""
        return await self._patiently("POST", path, bucket, {"data": gzip.compress(message, mtime=0), "headers": _SPANS})

    async def _patiently(self, method: str, path: str, bucket: Bucket, said: Mapping[str, Any]) -> Answer:
        refusals = 0
        if (pause_s := self.limiter.held_for_s(bucket)) > PATIENCE_S:
            # a daily window: a cycle that slept through it would hold its prompt all day
            raise of_status(429, "", host=self.access.base_url, retry_after_s=pause_s)
        while True:
            await self.limiter.acquire(bucket)
            answer, retry_after_s = await self._exchange(method, path, said)
            if answer.status < 300:
                return answer
            if answer.status == 429:
                self.limiter.hold_for(bucket, retry_after_s)
                refusals += 1
                if refusals < _PATIENT_TIMES and retry_after_s <= PATIENCE_S:
                    continue  # a refused request had no effect, so even a write may be sent again
            why = answer.body.decode("utf-8", "replace")
            raise of_status(answer.status, why, host=self.access.base_url, retry_after_s=retry_after_s)

    async def _exchange(self, method: str, path: str, said: Mapping[str, Any]) -> tuple[Answer, float]:
        assert self._session is not None, "enter the client first"
        host = self.access.base_url
        try:
            async with self._session.request(method, self.access.url(path), **said) as response:
                body = await response.read()
                if response.status == 413:
                    await self._connect()  # the server leaves the old connection open, and silent
                answer = Answer(status=response.status, body=body, date=response.headers.get("Date", ""))
                return answer, seconds(response.headers.get("Retry-After", ""))
        except TimeoutError as error:
            raise too_slow(host) from error
        except aiohttp.InvalidURL as error:
            raise unreachable(host, "not an address") from error
        except aiohttp.ClientError as error:
            raise unreachable(host, error) from error
