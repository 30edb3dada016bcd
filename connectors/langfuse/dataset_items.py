"""A dataset's items as Langfuse lists them, archived ones as well: read to the last page. Reads only."""

from typing import Generic, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, Field, TypeAdapter

from connectors.langfuse.border import read
from connectors.langfuse.client import LangfuseClient
from connectors.langfuse.limiter import Bucket
from optimizer.errors import NotFound

DATASETS, ITEMS = "/api/public/v2/datasets", "/api/public/dataset-items"

_PAGE = 100
"""The server's maximum."""

T = TypeVar("T")


class _Meta(BaseModel):
    total_pages: int = Field(alias="totalPages")


class ItemPage(BaseModel, Generic[T]):
    """One page of items; the reader says how much of an item it needs."""

    data: list[T]
    meta: _Meta


async def has_dataset(client: LangfuseClient, dataset: str) -> bool:
    """Whether there is a dataset of this name."""
    try:
        await client.get(f"{DATASETS}/{quote(dataset, safe='')}", bucket=Bucket.DATASETS)
    except NotFound:
        return False
    return True


async def items_in(client: LangfuseClient, dataset: str, kind: TypeAdapter[ItemPage[T]]) -> list[T]:
    """Every item of a dataset that exists. Raises BadAnswer for a page that is not what `kind` says."""
    items: list[T] = []
    page, last = 0, 1
    while page < last:
        page += 1
        params = {"datasetName": dataset, "page": str(page), "limit": str(_PAGE)}
        answer = await client.get(ITEMS, params, bucket=Bucket.DATASETS)
        found = read(kind, answer.body, host=client.access.base_url)
        items += found.data
        last = found.meta.total_pages
    return items
