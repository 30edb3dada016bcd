"""What we wrote into Langfuse ourselves: found and deleted, for people who ask to be forgotten.

It must never delete what the application wrote: a trace is deleted only if it is an item of an experiment of ours, an
item only if its id was given. Deleting what is not there, or deleting again, changes nothing.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from pydantic import BaseModel, Field, TypeAdapter

from connectors.langfuse.client import LangfuseClient
from connectors.langfuse.dataset_items import ITEMS, ItemPage, has_dataset, items_in
from connectors.langfuse.experiment_rows import item_id
from connectors.langfuse.limiter import Bucket, RateLimiter
from connectors.langfuse.paging import Page, pages
from connectors.langfuse.queries import IDS_PER_REQUEST, moment
from connectors.langfuse.settings import LangfuseAccess
from optimizer.errors import NotFound
from optimizer.identity import Json

_TRACES, _EXPERIMENT_ITEMS = "/api/public/traces", "/api/public/experiment-items"
_OBSERVATIONS = "/api/public/v2/observations"

_PAGE = 100
"""The server's maximum."""

_ROWS = 1000
"""Of observations, which come without their texts here."""

_EARLIEST = moment(datetime(2023, 1, 1, tzinfo=UTC))
"""A bound must be named; nothing of ours is older."""


class _Traced(BaseModel):
    trace_id: str = Field(alias="traceId")


class _Item(BaseModel):
    id: str


_TRACED: TypeAdapter[Page[_Traced]] = TypeAdapter(Page[_Traced])
_ITEMS = TypeAdapter(ItemPage[_Item])


class LangfuseCopies:
    """The copies in one project. An async context manager."""

    def __init__(self, access: LangfuseAccess, *, limiter: RateLimiter | None = None) -> None:
        self._client = LangfuseClient(access, limiter)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def traces_of(self, *, user_id: str = "", session_id: str = "") -> frozenset[str]:
        """Ids of everything that the application recorded for a user, or for a session. Reads only."""
        asked = {"userId": user_id} if user_id else {"sessionId": session_id}
        return await self._traced(_OBSERVATIONS, [{**asked, "fields": "core"}], _ROWS)

    async def experiments_of(self, case_ids: Iterable[str]) -> frozenset[str]:
        """Ids of the traces in which experiments of ours show these cases."""
        items = [item_id(id_) for id_ in case_ids]
        queries = [{"experimentItemId": ",".join(some), "fromStartTime": _EARLIEST} for some in _portions(items)]
        return await self._traced(_EXPERIMENT_ITEMS, queries, _PAGE)

    async def delete_experiments(self, trace_ids: Iterable[str]) -> None:
        """Delete traces that `experiments_of` found, with their scores. The server may take its time."""
        for some in _portions(sorted(trace_ids)):
            ids: list[Json] = list(some)
            await self._client.delete(_TRACES, {"traceIds": ids}, bucket=Bucket.GENERAL)

    async def items_of(self, dataset: str) -> frozenset[str]:
        """Ids of the items of a dataset, archived ones as well; none when there is no such dataset."""
        if not await has_dataset(self._client, dataset):
            return frozenset()
        return frozenset(item.id for item in await items_in(self._client, dataset, _ITEMS))

    async def delete_items(self, ids: Iterable[str]) -> None:
        """Delete items, whatever their dataset; earlier versions of it keep them, and only Langfuse's page can help."""
        for id_ in sorted(ids):
            try:
                await self._client.delete(f"{ITEMS}/{quote(id_, safe='')}", bucket=Bucket.DATASETS)
            except NotFound:
                continue  # somebody was faster, or we were, before we were interrupted

    async def _traced(self, path: str, queries: list[dict[str, str]], limit: int) -> frozenset[str]:
        found: set[str] = set()
        async for page in pages(self._client, path, queries, _TRACED, limit=limit):
            found |= {row.trace_id for row in page}
        return frozenset(found)


def _portions(ids: list[Any]) -> Iterator[list[Any]]:
    return (ids[start : start + IDS_PER_REQUEST] for start in range(0, len(ids), IDS_PER_REQUEST))
