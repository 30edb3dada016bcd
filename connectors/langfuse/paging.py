"""Cursor pages to the end, smaller ones when the server cannot manage a large one.

A page may be shorter than asked for and still not be the last: only a missing cursor ends the walk.
"""

from collections.abc import AsyncGenerator, Mapping
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


class Meta(BaseModel):
    """Where the next page begins; no cursor on the last one."""

    cursor: str | None = None


class Page(BaseModel, Generic[Row]):
    """One page of rows."""

    data: list[Row]
    meta: Meta


async def pages(
    client: LangfuseClient, path: str, params: Mapping[str, str], shape: TypeAdapter[Page[Row]], *, limit: int
) -> AsyncGenerator[list[Row], None]:
    """The rows of every page, in the server's order."""
    cursor: str | None = None
    while True:
        position = {} if cursor is None else {"cursor": cursor}
        body, limit = await _fetch(client, path, {**params, **position}, limit)
        page = read(shape, body, host=client.access.base_url)
        del body  # a page with its texts is megabytes; do not hold it while the caller works
        yield page.data
        if not page.meta.cursor:
            return
        if page.meta.cursor == cursor:
            raise BadAnswer(f"{path} answers the same page for ever", "check that the server is 4.16 or newer")
        cursor = page.meta.cursor


async def _fetch(client: LangfuseClient, path: str, params: dict[str, str], limit: int) -> tuple[bytes, int]:
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


async def _page(client: LangfuseClient, path: str, params: dict[str, str], limit: int) -> bytes:
    answer = await client.get(path, {**params, "limit": str(limit)}, bucket=Bucket.GENERAL)
    return answer.body
