"""Cursor pages to the end, smaller ones when the server cannot manage a large one.

A page may be shorter than asked for and still not be the last: only a missing cursor ends the walk.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Generic, TypeVar

from pydantic import BaseModel, TypeAdapter

from connectors.langfuse.border import TooSlow, read
from connectors.langfuse.client import LangfuseClient
from connectors.langfuse.limiter import Bucket
from optimizer.errors import BadAnswer, ServerFault

Row = TypeVar("Row")

_TRIES = 5
"""Attempts at one page, each half as large as the one before."""

_PAUSE_S = 0.5
"""Before the second attempt; doubled each time."""


_META = re.compile(rb'"meta":\s*(\{[^{}]*\})\s*\}\s*\Z')
_TAIL_BYTES = 2000


class Meta(BaseModel):
    """Where the next page begins; no cursor on the last one."""

    cursor: str | None = None


class Page(BaseModel, Generic[Row]):
    """One page of rows."""

    data: list[Row]
    meta: Meta


class _Rowless(BaseModel):
    meta: Meta


_META_SHAPE = TypeAdapter(Meta)
_ROWLESS = TypeAdapter(_Rowless)


async def pages(
    client: LangfuseClient,
    path: str,
    queries: Sequence[Mapping[str, str]],
    shape: TypeAdapter[Page[Row]],
    *,
    limit: int,
) -> AsyncGenerator[list[Row], None]:
    """The rows of every page of every query, in the server's order.

    The next page is on its way while this one is parsed and used: the two take about as long.
    """
    waiting = deque(queries)
    if not waiting:
        return
    query = waiting.popleft()
    fetch: asyncio.Task[tuple[bytes, int]] | None = asyncio.create_task(_fetch(client, path, query, limit))
    try:
        while fetch is not None:
            body, limit = await fetch
            cursor = _meta(body, client.access.base_url).cursor
            if cursor and cursor == query.get("cursor"):
                raise BadAnswer(f"{path} answers the same page for ever", "check that the server is 4.16 or newer")
            fetch = None
            if cursor or waiting:
                query = {**query, "cursor": cursor} if cursor else waiting.popleft()
                fetch = asyncio.create_task(_fetch(client, path, query, limit))
                await asyncio.sleep(0)  # lets the request leave before the work on this page begins
            page = read(shape, body, host=client.access.base_url)
            del body  # a page with its texts is megabytes; do not hold it while the caller works
            yield page.data
    finally:
        if fetch is not None:
            fetch.cancel()
            await asyncio.gather(fetch, return_exceptions=True)


def _meta(body: bytes, host: str) -> Meta:
    """The page's meta without its rows: from the end of the body, where Langfuse writes it, or by a whole parse."""
    end = _META.search(body, max(len(body) - _TAIL_BYTES, 0))
    return read(_META_SHAPE, end[1], host=host) if end else read(_ROWLESS, body, host=host).meta


async def _fetch(client: LangfuseClient, path: str, params: Mapping[str, str], limit: int) -> tuple[bytes, int]:
    """One page, and the size at which it could be had."""
    pause_s = _PAUSE_S
    for _ in range(_TRIES - 1):
        try:
            return await _page(client, path, params, limit), limit
        except (TooSlow, ServerFault):  # 413 is one of them
            limit = max(limit // 2, 1)
            await client.limiter.sleep(pause_s)
            pause_s *= 2
    return await _page(client, path, params, limit), limit


async def _page(client: LangfuseClient, path: str, params: Mapping[str, str], limit: int) -> bytes:
    answer = await client.get(path, {**params, "limit": str(limit)}, bucket=Bucket.GENERAL)
    return answer.body
