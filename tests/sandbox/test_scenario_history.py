"""Seeding and serving the simulated shop over real HTTP: the sandbox's Langfuse, and the simulated model."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.langfuse.app import create_app as create_langfuse
from sandbox.model.app import create_app as create_model
from sandbox.model.world import World
from sandbox.scenario.customers import FEEDBACK, HOSTILE_LINE, SHOPS
from sandbox.scenario.history import DATASET, DISLIKED, ITEMS, QUESTIONS, History, seed_history, serve_customers
from sandbox.scenario.support import PROMPT_NAME, NoPrompt, SupportApplication
from sandbox.serving import serve

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
WORLD = World.support()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """The running sandbox, seen by its application and by a bare HTTP client."""

    application: SupportApplication
    http: httpx.AsyncClient

    async def rows(self, path: str, **params: str | int) -> list[dict[str, Any]]:
        """Every row of a list endpoint, by cursor."""
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await self.http.get(path, params={**params, **cursor})).raise_for_status().json()
            found += page["data"]
            if not (following := page["meta"].get("cursor")):
                return found
            cursor = {"cursor": following}

    async def scores(self) -> list[dict[str, Any]]:
        return await self.rows("/api/public/v3/scores", limit=100, fields="details,subject")

    async def generations(self) -> list[dict[str, Any]]:
        return await self.rows(
            "/api/public/v2/observations",
            limit=500,
            type="GENERATION",
            fields="core,basic,io,usage,model,prompt,trace_context",
        )


@contextmanager
def sandbox(database: Path) -> Iterator[tuple[str, str]]:
    """The URLs of a running Langfuse and a running model."""
    with serve(create_langfuse(database)) as langfuse, serve(create_model()) as model:
        yield langfuse, f"{model}/v1"


@asynccontextmanager
async def opened(urls: tuple[str, str]) -> AsyncIterator[Shop]:
    auth = ("pk-lf-sandbox", "sk-lf-sandbox")
    async with (
        SupportApplication(*urls) as application,
        httpx.AsyncClient(base_url=urls[0], auth=auth, timeout=30) as http,
    ):
        yield Shop(application=application, http=http)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """An empty project."""
    with sandbox(tmp_path / "langfuse.sqlite") as urls:
        async with opened(urls) as shop:
            yield shop


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[tuple[str, str], History]]:
    """A project with the history in it, for tests that only read."""
    with sandbox(tmp_path_factory.mktemp("past") / "langfuse.sqlite") as urls:
        yield urls, asyncio.run(_seeded(urls))


@pytest.fixture
async def seeded(past: tuple[tuple[str, str], History]) -> AsyncIterator[tuple[Shop, History]]:
    async with opened(past[0]) as shop:
        yield shop, past[1]


async def _seeded(urls: tuple[str, str]) -> History:
    async with opened(urls) as shop:
        return await seed_history(shop.application, now=NOW)


async def test_the_history_is_written_and_linked(seeded: tuple[Shop, History]) -> None:
    shop, history = seeded
    scores, generations = await shop.scores(), await shop.generations()

    assert (history.generations, history.items, history.hostile_comments) == (QUESTIONS + 5, ITEMS, 5)
    assert len(generations) == history.generations
    assert len(scores) == history.scores
    by_trace = {row["traceId"]: row for row in generations}
    for row in generations:
        assert (row["promptName"], row["promptVersion"], row["environment"]) == (PROMPT_NAME, 1, "production")
        assert row["userId"].startswith("user-")
        assert row["sessionId"].startswith(row["userId"])
        assert row["model"] == "sim-task"
        assert row["usageDetails"]["input"] > 0
        system, question = json.loads(row["input"])
        assert system["role"] == "system"
        assert any(system["content"] == WORLD.base_prompt.replace("{{shop_name}}", shop_name) for shop_name in SHOPS)
        assert question["role"] == "user"
        assert row["output"]
        at = datetime.fromisoformat(row["startTime"])
        assert NOW - timedelta(days=6) <= at < NOW
    for score in scores:
        assert score["environment"] == "production"
        subject = score["subject"]
        linked = by_trace[subject["traceId"] if subject["kind"] == "observation" else subject["id"]]
        assert subject["kind"] == "trace" or subject["id"] == linked["id"]
        assert datetime.fromisoformat(linked["startTime"]) < datetime.fromisoformat(score["timestamp"]) < NOW


async def test_there_is_enough_to_complain_about(seeded: tuple[Shop, History]) -> None:
    shop, history = seeded
    scores = await shop.scores()
    kinds = Counter((score["name"], score["dataType"]) for score in scores)
    low = [score for score in scores if score["name"] == FEEDBACK and score["value"] < DISLIKED]
    assert set(kinds) == {(FEEDBACK, "NUMERIC"), ("resolved", "BOOLEAN"), ("output", "CORRECTION")}
    assert kinds[("output", "CORRECTION")] >= 3
    assert len(low) == history.complaints >= 90
    assert sum(bool(score.get("comment")) for score in low) >= 70


async def test_hostile_comments_come_from_two_accounts(seeded: tuple[Shop, History]) -> None:
    shop, _ = seeded
    users = {row["traceId"]: row["userId"] for row in await shop.generations()}
    ids = {row["id"]: row["traceId"] for row in await shop.generations()}
    hostile = [score for score in await shop.scores() if HOSTILE_LINE in (score.get("comment") or "")]
    assert len(hostile) == 5
    assert len({users[ids.get(score["subject"]["id"], score["subject"]["id"])] for score in hostile}) == 2


async def test_the_dataset_is_apart_from_the_history_and_scores_as_designed(seeded: tuple[Shop, History]) -> None:
    shop, _ = seeded
    asked = {json.loads(row["input"])[1]["content"] for row in await shop.generations()}
    path = "/api/public/dataset-items"
    items = []
    for page in (1, 2):
        answer = await shop.http.get(path, params={"datasetName": DATASET, "limit": 100, "page": page})
        items += answer.json()["data"]
    assert len(items) == ITEMS
    for item in items:
        assert set(item["input"]) == {"variables", "messages"}
        assert set(item["input"]["variables"]) == {"shop_name"}
        assert item["input"]["messages"][0]["content"] not in asked
        assert item["expectedOutput"] in {idea.phrase for idea in WORLD.ideas}


async def test_seeding_again_does_nothing(shop: Shop) -> None:
    await seed_history(shop.application, now=NOW)
    before = (await shop.scores(), await shop.generations())
    assert await seed_history(shop.application, now=NOW + timedelta(days=1)) == History(already_there=True)
    assert (await shop.scores(), await shop.generations()) == before


async def test_an_interrupted_seeding_is_completed_without_doubles(shop: Shop) -> None:
    first = await seed_history(shop.application, now=NOW)
    (await shop.http.delete(f"/api/public/dataset-items/support-regression-{ITEMS:03d}")).raise_for_status()
    assert await seed_history(shop.application, now=NOW) == first
    assert len(await shop.scores()) == first.scores
    assert len(await shop.generations()) == first.generations
    prompt = await shop.application.project.prompt(PROMPT_NAME)
    assert prompt is not None
    assert prompt.version == 1


async def test_without_a_prompt_nobody_is_served(shop: Shop) -> None:
    with pytest.raises(NoPrompt, match="seed the sandbox"):
        await serve_customers(shop.application, 3, now=NOW)


async def test_customers_like_a_better_version_better(shop: Shop) -> None:
    await seed_history(shop.application, now=NOW)
    before = await serve_customers(shop.application, 60, now=NOW, turn=1)
    better = "\n".join(
        [WORLD.base_prompt, *(WORLD.idea(k).lines[1] for k in ("refund_window", "order_number", "steps"))]
    )
    await shop.application.project.create_prompt(PROMPT_NAME, better, labels=["production"], note="Better")
    after = await serve_customers(shop.application, 60, now=NOW, turn=2)
    assert (before.prompt_version, after.prompt_version) == (1, 2)
    assert before.mean_feedback is not None
    assert after.mean_feedback is not None
    assert after.mean_feedback > before.mean_feedback + 0.2
    assert after.complaints < before.complaints
    versions = Counter(row["promptVersion"] for row in await shop.generations())
    assert versions == {1: QUESTIONS + 5 + 60, 2: 60}
