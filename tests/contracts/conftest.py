"""Every contract runs on the twin in memory, on the connector against the sandbox, and on your server if named."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from contract_cases import cases_of, items_of
from contract_seeding import Project
from contract_world import SECRET, World, new_world

from connectors.langfuse.datasets import LangfuseCaseSource
from connectors.langfuse.registry import LangfuseRegistry
from connectors.langfuse.settings import LangfuseAccess
from connectors.langfuse.traces import LangfuseTraceSource
from connectors.memory import MemoryCaseSource, MemoryRegistry, MemoryTraceSource
from optimizer.identity import canonical
from optimizer.ports import CaseSource, PromptRegistry, TraceSource
from optimizer.prompts import Body
from optimizer.types import Score
from sandbox.langfuse.app import create_app
from sandbox.serving import serve

SCORES = "/api/public/v3/scores"
NAMED = ("LANGFUSE_HOST", "LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY")
PLACES = ["memory", "sandbox", *(["server"] if all(os.environ.get(name) for name in NAMED) else [])]


@pytest.fixture(params=PLACES, scope="session")
def access(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LangfuseAccess | None]:
    """Where to connect to; None for the twins."""
    with ExitStack() as stack:
        keys = ("pk-lf-sandbox", "sk-lf-sandbox")
        if request.param == "memory":
            yield None
            return
        if request.param == "server":
            url, *keys = (os.environ[name] for name in NAMED)
        else:
            folder: Path = tmp_path_factory.mktemp("langfuse")
            url = stack.enter_context(serve(create_app(folder / "sandbox.db")))
        yield LangfuseAccess(
            base_url=url,
            public_key=keys[0],
            secret_key=keys[1],
            source_secret=SECRET,
            requests_per_minute=0,
            score_page=3,  # small pages, so that every walk has several
            observation_page=50,
            exposure_page=50,
        )


@pytest.fixture(scope="session")
def project(access: LangfuseAccess | None) -> Iterator[Project | None]:
    if access is None:
        yield None
        return
    made = Project(access.base_url, access.public_key, access.secret_key)
    with closing(made.http):
        yield made


@dataclass(frozen=True)
class Traces:
    """A seeded source, and how a score in it is edited."""

    source: TraceSource
    world: World
    edit: Callable[[Score], Awaitable[None]]


@pytest.fixture(scope="session")
def world(project: Project | None) -> World:
    made = new_world(uuid4().hex[:8])
    if project:
        project.seed(made)
    return made


@pytest.fixture
async def traces(access: LangfuseAccess | None, project: Project | None, world: World) -> AsyncIterator[Traces]:
    if access is None or project is None:
        twin = MemoryTraceSource(world.scores, world.generations, calls=world.calls, source_secret=SECRET)

        async def add(score: Score) -> None:
            twin.all_scores.append(score)

        yield Traces(twin, world, add)
        return

    async def post(score: Score) -> None:
        project.score([score])
        project.wait(lambda: score.value in [row["value"] for row in project.get(SCORES, id=score.id)["data"]])

    async with LangfuseTraceSource(access) as source:
        yield Traces(source, world, post)


@dataclass(frozen=True)
class Shelf:
    """A registry, and what a person can do to it meanwhile."""

    registry: PromptRegistry
    name: str
    add: Callable[..., int]
    label: Callable[[str, str, int], None]
    delete: Callable[[str, int], None]


@pytest.fixture
async def shelf(access: LangfuseAccess | None, project: Project | None) -> AsyncIterator[Shelf]:
    name = f"contract/folder/prompt {uuid4().hex[:8]}"
    if access is None or project is None:
        twin = MemoryRegistry()

        def add(name: str, body: Body, *, config: dict[str, object] | None = None, labels: tuple[str, ...] = ()) -> int:
            return twin.add(name, body, labels=labels, config_json=canonical(config or {})).version

        yield Shelf(twin, name, add, twin.label, twin.delete)
        return

    def post(name: str, body: Body, *, config: dict[str, object] | None = None, labels: tuple[str, ...] = ()) -> int:
        return project.prompt(name, body, config=config or {}, labels=list(labels))

    async with LangfuseRegistry(access) as registry:
        yield Shelf(registry, name, post, project.label, project.delete)


@pytest.fixture
async def curated(access: LangfuseAccess | None, project: Project | None) -> AsyncIterator[tuple[CaseSource, str]]:
    """A source of cases, and the name of a dataset in it."""
    name = f"contract/cases {uuid4().hex[:8]}"
    if access is None or project is None:
        yield MemoryCaseSource({name: reversed(cases_of(name))}), name
        return
    project.post("/api/public/v2/datasets", {"name": name})
    for item in items_of(name):
        project.post("/api/public/dataset-items", {"datasetName": name, **item})
    async with LangfuseCaseSource(access) as source:
        yield source, name
