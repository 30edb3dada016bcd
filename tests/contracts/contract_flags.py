"""The flag services under contract, each with what a person can do to it meanwhile and a count of its changes."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from connectors.flags.langfuse import FOLDER, LangfuseFlags, text_of
from connectors.flags.launchdarkly import LaunchDarkly, LaunchDarklyAccess
from connectors.langfuse.registry import LangfuseRegistry
from connectors.langfuse.settings import LangfuseAccess
from connectors.memory import MemoryRegistry
from connectors.memory_flags import MemoryFlags
from deploy.flags import StoreFlags
from deploy.store.database import open_database
from deploy.store.schema_releases import split as split_table
from deploy.store.splits import Splits
from optimizer.ports import FlagService
from optimizer.prompts import Body, PromptVersion
from optimizer.rollouts import Split
from sandbox.flags.app import create_app as create_flags
from sandbox.flags.store import Store as FlagStore
from sandbox.langfuse.app import create_app as create_langfuse
from sandbox.serving import serve

PROMPT, FLAG = "support/answer", "prompt-answer"


@dataclass(frozen=True)
class Desk:
    """A flag service.

    Attributes:
        by_hand: what a person does: serve a split, whatever is served now.
        label: the labels as the release moves them, for services that only choose a label.
        changes: how many changes stand in the service's own history.
    """

    service: FlagService
    by_hand: Callable[[Split], None]
    label: Callable[[str, int], None]
    changes: Callable[[], int]


class FixedClock:
    def now(self) -> datetime:
        return datetime(2026, 11, 1, tzinfo=UTC)


def no_label(_label: str, _version: int) -> None:
    """Services that name the version need none."""


@asynccontextmanager
async def in_memory(_folder: Path) -> AsyncIterator[Desk]:
    flags = MemoryFlags()

    yield Desk(flags, flags.by_hand, no_label, lambda: len(flags.writes))


@asynccontextmanager
async def in_the_store(folder: Path) -> AsyncIterator[Desk]:
    engine = open_database(f"sqlite:///{folder}/tracegrad.db")
    split_table.create(engine)
    splits = Splits(engine)

    def by_hand(split: Split) -> None:
        found = splits.read(PROMPT)
        assert found is not None
        assert splits.write(split, found[0], FixedClock().now())

    yield Desk(StoreFlags(splits, FixedClock()), by_hand, no_label, lambda: splits.read(PROMPT)[1])
    engine.dispose()


@asynccontextmanager
async def in_langfuse(folder: Path) -> AsyncIterator[Desk]:
    keys = ("pk-lf-sandbox", "sk-lf-sandbox")
    with serve(create_langfuse(folder / "langfuse.db")) as url, httpx.Client(base_url=url, auth=keys) as person:

        def by_hand(split: Split) -> None:
            made = {"name": FOLDER + PROMPT, "prompt": text_of(split), "labels": ["production"]}
            person.post("/api/public/v2/prompts", json=made).raise_for_status()

        def changes() -> int:
            listed = person.get("/api/public/v2/prompts", params={"name": FOLDER + PROMPT}).json()["data"]
            return len(listed[0]["versions"]) if listed else 0

        access = LangfuseAccess(base_url=url, public_key=keys[0], secret_key=keys[1], source_secret=b"s")
        async with LangfuseRegistry(access) as registry:
            yield Desk(LangfuseFlags(registry), by_hand, no_label, changes)


class Counting(MemoryRegistry):
    """Counts the versions."""

    made = 0

    def add(self, name: str, body: Body, **fields: Any) -> PromptVersion:
        self.made += 1
        return super().add(name, body, **fields)


@asynccontextmanager
async def in_a_registry(_folder: Path) -> AsyncIterator[Desk]:
    registry = Counting()

    def by_hand(split: Split) -> None:
        registry.add(FOLDER + PROMPT, text_of(split), labels=["production"])

    yield Desk(LangfuseFlags(registry), by_hand, no_label, lambda: registry.made)


@asynccontextmanager
async def in_launchdarkly(folder: Path) -> AsyncIterator[Desk]:
    store, registry = FlagStore(folder=folder), MemoryRegistry()
    for _ in range(9):
        registry.add(PROMPT, "Answer.", labels=["production"])
    with serve(create_flags(folder, store=store)) as url, httpx.Client(base_url=url) as person:

        def by_hand(split: Split) -> None:
            ids = [item["_id"] for item in store.flags[FLAG]["variations"]]
            weight = round(split.bands[0].below * 100_000)
            registry.label(PROMPT, "canary", split.bands[0].version)
            told = {"kind": "updateFallthroughVariationOrRollout"}
            told["rolloutWeights"] = {ids[0]: weight, ids[1]: 100_000 - weight}
            body = {"environmentKey": "production", "instructions": [told]}
            person.post(f"/sandbox/by-hand/{FLAG}", json=body).raise_for_status()

        def label(label: str, version: int) -> None:
            registry.label(PROMPT, label, version)

        access = LaunchDarklyAccess(base_url=url, token="api-sandbox")
        async with LaunchDarkly(access, {PROMPT: FLAG}, registry) as flags:
            yield Desk(flags, by_hand, label, lambda: store.done)


DESKS = {
    "memory": in_memory,
    "store": in_the_store,
    "registry": in_a_registry,
    "langfuse": in_langfuse,
    "launchdarkly": in_launchdarkly,
}
