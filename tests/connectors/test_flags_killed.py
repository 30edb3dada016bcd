"""A rollout whose every write may be the last request: before it counts, or after. No change stands twice or is lost.

The services keep nothing between two calls, so that whoever repeats a call may as well be a new process.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from langfuse_scripted import access_to
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connectors.flags.langfuse import FOLDER, LangfuseFlags
from connectors.flags.launchdarkly import LaunchDarkly, LaunchDarklyAccess
from connectors.langfuse.registry import LangfuseRegistry
from connectors.memory import MemoryRegistry
from optimizer.errors import Transient
from optimizer.ports import FlagService
from optimizer.rollouts import canary
from sandbox.flags.app import create_app as create_flags
from sandbox.flags.store import Store
from sandbox.langfuse.app import create_app as create_langfuse
from sandbox.serving import serve

PROMPTS = [f"prompt-{number}" for number in range(20)]
CHANGES = 2
"""The beginning, and 10%."""


class Breaking:
    """An ASGI layer that breaks one request, counted from 0: the service does not see it, or its answer is lost."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.moment, self.at = app, "before", -1
        self.methods: list[str] = []

    def arm(self, at: int, moment: str) -> None:
        self.at, self.moment, self.methods = at, moment, []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def lost(_message: Message) -> None:
            """Nobody hears it."""

        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self.methods.append(scope["method"])
        if len(self.methods) - 1 != self.at:
            await self.app(scope, receive, send)
            return
        if self.moment == "after":
            await self.app(scope, receive, lost)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})


@dataclass(frozen=True)
class World:
    """A service behind requests that break, and how many changes of a prompt's shares stand in it."""

    flags: FlagService
    breaking: Breaking
    changes: Callable[[str], int]


async def launchdarkly(folder: Path) -> AsyncIterator[World]:
    store, registry = Store(folder=folder), MemoryRegistry()
    for prompt in PROMPTS:
        registry.add(prompt, "Answer.", labels=["canary"])
    breaking = Breaking(create_flags(folder, store=store))
    with serve(breaking) as url:
        access = LaunchDarklyAccess(base_url=url, token="api-sandbox")
        async with LaunchDarkly(access, {prompt: prompt for prompt in PROMPTS}, registry) as flags:
            yield World(flags, breaking, lambda prompt: sum(done["flag"] == prompt for done in store.history))


async def langfuse(folder: Path) -> AsyncIterator[World]:
    app = create_langfuse(folder / "langfuse.db")

    def changes(prompt: str) -> int:
        database = app.state.server.database
        return database.count("SELECT count(*) FROM prompts WHERE name = ?", (FOLDER + prompt,))

    breaking = Breaking(app)
    with serve(breaking) as url:
        async with LangfuseRegistry(access_to(url)) as registry:
            yield World(LangfuseFlags(registry), breaking, changes)


@pytest.fixture(params=[launchdarkly, langfuse], ids=lambda service: service.__name__)
async def world(request, tmp_path):
    async for made in request.param(tmp_path):
        yield made


async def rolled_out(world: World, prompt: str) -> int:
    """Start and 10%, each repeated when it was interrupted. How often that was."""
    interruptions, begin = 0, None
    while True:
        try:
            begin = begin or await world.flags.start(prompt, "s1")
            first = canary(prompt, begin.salt, version=1, share=0.1)
            assert await world.flags.write(first, expect=begin, why="10%")
        except Transient:
            interruptions += 1
            continue
        return interruptions


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_rollout_broken_around_any_write_ends_as_one_that_was_not(world: World, moment: str):
    whole, *broken = PROMPTS
    world.breaking.arm(-1, moment)
    assert await rolled_out(world, whole) == 0
    methods = world.breaking.methods
    writes = [at for at, method in enumerate(methods) if method != "GET"]
    assert len(writes) >= CHANGES
    # between two reads the world is what it was
    breaks = sorted({*writes, *(at + 1 for at in writes if moment == "before" and at + 1 < len(methods))})
    interruptions = 0
    for at, prompt in zip(breaks, broken, strict=False):
        world.breaking.arm(at, moment)
        interruptions += await rolled_out(world, prompt)
    assert interruptions > 0 or moment == "after", "a lost answer to a write may be looked up at once"
    for prompt in [whole, *broken[: len(breaks)]]:
        assert world.changes(prompt) == CHANGES, prompt
        served = await world.flags.read(prompt)
        assert served is not None
        assert served == canary(prompt, served.salt, version=1, share=0.1)
