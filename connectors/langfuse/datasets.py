"""CaseSource over Langfuse datasets. Reads only; archived items are left out.

An item's input is `{"variables": {...}, "placeholders": {...}, "messages": [...]}` with at least one of the three, or
anything else, which becomes one user message.
"""

import re
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from connectors.langfuse.border import read
from connectors.langfuse.client import LangfuseClient
from connectors.langfuse.limiter import Bucket, RateLimiter
from connectors.langfuse.settings import LangfuseAccess
from optimizer.errors import BadAnswer, NotFound
from optimizer.identity import canonical, digest
from optimizer.prompts import Message
from optimizer.types import Case, CaseInput, CaseOrigin, Missing

_PAGE = 100
"""The server's maximum."""


class _Item(BaseModel):
    id: str
    status: str
    input: Any = None
    expected_output: Any = Field(default=None, alias="expectedOutput")


class _Meta(BaseModel):
    total_pages: int = Field(alias="totalPages")


class _Items(BaseModel):
    data: list[_Item]
    meta: _Meta


class _Said(BaseModel):
    role: str
    content: str


class _Convention(BaseModel):
    model_config = ConfigDict(extra="forbid")

    variables: dict[str, Any] = {}
    placeholders: dict[str, list[_Said]] = {}
    messages: list[_Said] = []


_ITEMS = TypeAdapter(_Items)


class LangfuseCaseSource:
    """Reads the datasets of one project. An async context manager."""

    def __init__(self, access: LangfuseAccess, *, limiter: RateLimiter | None = None) -> None:
        self._client = LangfuseClient(access, limiter)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def cases(self, dataset: str) -> AsyncGenerator[Case, None]:
        """Active items in id order.

        Raises:
            NotFound: there is no such dataset.
            BadAnswer: an item's input has the three keys but not their shapes; its author must mend it.
        """
        try:
            await self._client.get(f"/api/public/v2/datasets/{quote(dataset, safe='')}", bucket=Bucket.DATASETS)
        except NotFound as error:
            raise NotFound(
                f"there is no dataset '{dataset}'", "create it or correct the name in the settings"
            ) from error
        # the whole list is read first: the order is ours, and offset pages may repeat a row that moved
        cases = {item.id: _case(item, dataset) for item in await self._items(dataset) if item.status == "ACTIVE"}
        for case in sorted(cases.values(), key=lambda c: c.id):
            yield case

    async def _items(self, dataset: str) -> list[_Item]:
        items: list[_Item] = []
        page, last = 0, 1
        while page < last:
            page += 1
            params = {"datasetName": dataset, "page": str(page), "limit": str(_PAGE)}
            answer = await self._client.get("/api/public/dataset-items", params, bucket=Bucket.DATASETS)
            found = read(_ITEMS, answer.body, host=self._client.access.base_url)
            items += found.data
            last = found.meta.total_pages
        return items


def _case(item: _Item, dataset: str) -> Case:
    case_id = safe_id(item.id)
    return Case(
        id=case_id,
        origin=CaseOrigin.DATASET,
        input=_input(item, dataset),
        reference=Missing.NO_REFERENCE if item.expected_output is None else _text(item.expected_output),
        source_key=case_id,
    )


def _input(item: _Item, dataset: str) -> CaseInput:
    given = item.input
    if not (isinstance(given, dict) and given and given.keys() <= _Convention.model_fields.keys()):
        return CaseInput(history=(Message(role="user", content=_text(given)),))
    try:
        said = _Convention.model_validate(given)
    except ValidationError as error:
        raise BadAnswer(
            f"item '{item.id}' of dataset '{dataset}' has an input whose parts have the wrong shape",
            "make `variables` a mapping, `placeholders` a mapping to lists of messages and `messages` a list of them",
        ) from error
    return CaseInput(
        variables=tuple(sorted((name, _text(value)) for name, value in said.variables.items())),
        placeholders=tuple(sorted((name, _messages(slot)) for name, slot in said.placeholders.items())),
        history=_messages(said.messages),
    )


def _messages(said: list[_Said]) -> tuple[Message, ...]:
    return tuple(Message(role=one.role, content=one.content) for one in said)


def _text(value: Any) -> str:
    """Text as it is, nothing as nothing, other JSON as JSON text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else canonical(value)


def safe_id(item_id: str) -> str:
    """An id of letters, digits, dash and underscore; a changed one carries a hash, so that two never meet."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "-", item_id)
    return safe if safe == item_id else f"{safe}-{digest(item_id)[:12]}"
