"""CaseSource over Langfuse datasets; archived items are left out.

An item's input is `{"variables": {...}, "placeholders": {...}, "messages": [...]}` with at least one of the three, or
anything else, which becomes one user message. Its metadata may hold `tags`, and `language`, `tenant` and `intent`,
which become tags too ("language:de"). Writes nothing but cases that it was given, and never an item's status: what a
person has archived stays archived.
"""

import re
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from connectors.langfuse.client import LangfuseClient
from connectors.langfuse.dataset_items import DATASETS, ITEMS, ItemPage, has_dataset, items_in
from connectors.langfuse.limiter import Bucket, RateLimiter
from connectors.langfuse.settings import LangfuseAccess
from optimizer.errors import BadAnswer, BadInput, NotFound
from optimizer.identity import Json, canonical, digest
from optimizer.prompts import Message
from optimizer.types import Case, CaseInput, CaseOrigin, Missing

_DIMENSIONS = ("language", "tenant", "intent")
"""Of an item's metadata, these put its case into a slice."""


class _Item(BaseModel):
    id: str
    status: str
    input: Any = None
    expected_output: Any = Field(default=None, alias="expectedOutput")
    metadata: Any = None

    def said(self, name: str) -> str:
        """A text in the metadata; empty when there is none."""
        value = self.metadata.get(name) if isinstance(self.metadata, dict) else None
        return value if isinstance(value, str) else ""


class _Said(BaseModel):
    role: str
    content: str


class _Convention(BaseModel):
    model_config = ConfigDict(extra="forbid")

    variables: dict[str, Any] = {}
    placeholders: dict[str, list[_Said]] = {}
    messages: list[_Said] = []


_ITEMS = TypeAdapter(ItemPage[_Item])


class LangfuseCaseSource:
    """Reads and fills the datasets of one project. An async context manager."""

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
        if not await has_dataset(self._client, dataset):
            raise NotFound(f"there is no dataset '{dataset}'", "create it or correct the name in the settings")
        # the whole list is read first: the order is ours, and offset pages may repeat a row that moved
        cases = {
            item.id: _case(item, dataset)
            for item in await items_in(self._client, dataset, _ITEMS)
            if item.status == "ACTIVE"
        }
        for case in sorted(cases.values(), key=lambda c: c.id):
            yield case

    async def keep(self, dataset: str, cases: Sequence[Case]) -> None:
        """Write cases one by one; to do it again changes nothing.

        Raises:
            BadInput: an item with the id of a case is in another dataset: ids are unique in a project.
        """
        if not await has_dataset(self._client, dataset):
            await self._client.post(DATASETS, {"name": dataset}, bucket=Bucket.DATASETS)
        for case in cases:
            try:
                await self._client.post(ITEMS, _item(case, dataset), bucket=Bucket.DATASETS)
            except NotFound as error:
                raise BadInput(f"case '{case.id}' is in another dataset", "delete it there or keep it there") from error


def _case(item: _Item, dataset: str) -> Case:
    case_id = safe_id(item.id)
    return Case(
        id=case_id,
        origin=CaseOrigin.ANCHOR if item.said("origin") == CaseOrigin.ANCHOR else CaseOrigin.DATASET,
        input=replace(_input(item, dataset), tools_json=item.said("tools_json")),
        reference=Missing.NO_REFERENCE if item.expected_output is None else _text(item.expected_output),
        source_key=case_id,
        recorded_output=item.said("recorded_output"),
        complaint=item.said("complaint"),
        tags=_tags(item.metadata),
    )


def _tags(metadata: Any) -> tuple[str, ...]:
    """The tags in an item's metadata, those that its dimensions make last; whatever has another shape is no tag."""
    if not isinstance(metadata, dict):
        return ()
    given = metadata.get("tags")
    tags = [tag for tag in given if isinstance(tag, str)] if isinstance(given, list) else []
    values = [(name, metadata.get(name)) for name in _DIMENSIONS]
    sliced = [f"{name}:{value}" for name, value in values if value and isinstance(value, str | int)]
    return tuple(dict.fromkeys((*tags, *sliced)))


def _item(case: Case, dataset: str) -> dict[str, Json]:
    """A case as the server takes it; every field is named, for what is not named stays as it was."""
    given = case.input
    said: dict[str, Json] = {
        "variables": dict(given.variables),
        "placeholders": {name: _said(slot) for name, slot in given.placeholders},
        "messages": _said(given.history),
    }
    metadata: dict[str, Json] = {
        "origin": case.origin.value,
        "complaint": case.complaint,
        "tags": list(case.tags),
        "recorded_output": case.recorded_output,
        "tools_json": given.tools_json,
    }
    return {
        "datasetName": dataset,
        "id": case.id,
        "input": said,
        "expectedOutput": None if isinstance(case.reference, Missing) else case.reference,
        "metadata": metadata,
    }


def _said(messages: Iterable[Message]) -> list[Json]:
    return [{"role": message.role, "content": message.content} for message in messages]


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
