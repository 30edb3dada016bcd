"""The simulated population: how many, how alike, when and how late they speak; and the same bytes for the same seed."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.ofrep.app import Endpoint
from deploy.ofrep.flags import Flags
from deploy.store.splits import KeptSplit
from optimizer.rollouts import canary, point
from sandbox.langfuse.app import create_app
from sandbox.population.asking import Bands, JsonPrompt, Ofrep
from sandbox.population.living import Population, Service
from sandbox.population.people import Habits, Luck, Visit, likes, visits
from sandbox.scenario.customers import HOSTILE_LINE
from sandbox.scenario.project import LangfuseProject, LinkedPrompt
from sandbox.serving import serve

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
KEYS = {"public_key": "pk-lf-sandbox", "secret_key": "sk-lf-sandbox"}
PLAIN = Habits(hostile=0.0, season=0.0, hard=0.0, gap=0.0, drift=0.0, origin=MONDAY)


def days(count: float) -> datetime:
    return MONDAY + timedelta(days=count)


def came(habits: Habits, until: float, *, seed: int = 7, since: float = 0.0) -> list[Visit]:
    return visits(habits, seed=seed, start=days(since), end=days(until))


def visit(**given: Any) -> Visit:
    luck = Luck(**{name: given.pop(name, 0.5) for name in Luck.__dataclass_fields__})
    fields = {"user": "u", "number": 0, "at": MONDAY, "hard": False, "hostile": False, "usual": 0.5, "luck": luck}
    return Visit(**(fields | given))


def serves(prompt: LinkedPrompt) -> Service:
    return Service(quality={1: 0.8, 2: 0.6}[prompt.version])


# ---- people --------------------------------------------------------------------------------------------------------


def test_as_many_come_as_their_habits_say_and_fewer_at_weekends() -> None:
    first = [one for one in came(PLAIN, 28, since=-20) if one.number == 0 and one.at >= MONDAY]
    by_day = Counter(one.at.weekday() for one in first)
    week = PLAIN.users / 7 * 4
    for weekday in range(7):
        expected = week * (PLAIN.weekend if weekday >= 5 else 1)
        assert abs(by_day[weekday] - expected) < 5 * math.sqrt(expected)


def test_everybody_asks_one_to_five_times_in_one_session() -> None:
    asked = Counter(one.user for one in came(PLAIN, 30) if one.user < f"user-{days(20):%y%m%d%H}")
    spread = Counter(asked.values())
    assert set(spread) <= {1, 2, 3, 4, 5}
    assert min(spread.values()) > 0.15 * len(asked)
    assert len({one.session for one in came(PLAIN, 3)}) == len({one.user for one in came(PLAIN, 3)})


def test_two_scores_of_one_user_correlate_as_configured_and_the_mean_stays() -> None:
    by_user: dict[str, list[float]] = {}
    for one in came(PLAIN, 28):
        by_user.setdefault(one.user, []).append(float(likes(PLAIN, one, 0.8)))
    several = [told for told in by_user.values() if len(told) > 1]
    every = [value for told in by_user.values() for value in told]
    mean = sum(every) / len(every)
    assert abs(mean - 0.8) < 5 * math.sqrt(0.16 * 2 / len(every))
    together = [(told[0] - mean) * (told[1] - mean) for told in several]
    # what the square of such a product is expected to be, for two scores that correlate by .3
    square = 0.088 * 0.64**2 + 0.224 * 0.16**2 + 0.688 * 0.04**2
    assert abs(sum(together) / len(together) - PLAIN.icc * 0.16) < 5 * math.sqrt(square / len(together)) < 0.03


def test_whoever_likes_a_worse_version_likes_a_better_one() -> None:
    for one in came(PLAIN, 5):
        assert likes(PLAIN, one, 0.8) or not likes(PLAIN, one, 0.6)


def test_the_week_has_a_season_and_the_mix_drifts() -> None:
    seasonal = Habits(season=0.1, hard=0.0, gap=0.0, hostile=0.0, origin=MONDAY)
    assert likes(seasonal, visit(at=days(2.5), usual=0.85, same=0.0), 0.8)
    assert not likes(seasonal, visit(at=days(6.5), usual=0.75, same=0.0), 0.8)
    drifting = Habits(hard=0.2, drift=0.01, origin=MONDAY)
    early, late = came(drifting, 7), came(drifting, 47, since=40)
    for found, expected in ((early, 0.2), (late, 0.6)):
        share = sum(one.hard for one in found) / len(found)
        assert abs(share - expected) < 0.1
    hard, easy = visit(hard=True, usual=0.7, same=0.0), visit(usual=0.7, same=0.0)
    assert likes(drifting, easy, 0.8)
    assert not likes(drifting, hard, 0.8)


def test_the_same_seed_brings_the_same_people_however_time_is_cut() -> None:
    whole = came(Habits(origin=MONDAY), 4)
    assert whole == came(Habits(origin=MONDAY), 1.3) + came(Habits(origin=MONDAY), 4, since=1.3)
    assert whole != came(Habits(origin=MONDAY), 4, seed=8)


# ---- what they post ------------------------------------------------------------------------------------------------


class Recorder:
    """Takes everything that an application posts, and keeps the bytes."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, bytes]] = []
        self.app = Starlette(
            routes=[
                Route("/api/public/v2/prompts/{name}", self.prompt),
                Route("/{path:path}", self.post, methods=["POST"]),
            ]
        )

    async def prompt(self, request: Request) -> Response:
        version = int(request.query_params.get("version", 1))
        return JSONResponse({"version": version, "prompt": f"Version {version}."})

    async def post(self, request: Request) -> Response:
        self.posted.append((request.url.path, await request.body()))
        return JSONResponse({})

    @property
    def spans(self) -> list[Span]:
        batches = [ExportTraceServiceRequest.FromString(body) for path, body in self.posted if path.endswith("/traces")]
        return [span for batch in batches for span in batch.resource_spans[0].scope_spans[0].spans]

    @property
    def scores(self) -> list[dict[str, Any]]:
        return [score for path, body in self.posted if path.endswith("/scores") for score in json.loads(body)]


async def recorded(habits: Habits, *ends: float, seed: int = 7) -> Recorder:
    recorder, start = Recorder(), MONDAY
    with serve(recorder.app) as url:
        async with LangfuseProject(url, **KEYS) as project:
            population = Population(
                project, Bands("salt", [(0.5, 2), (1.0, 0)]), serves, prompt="p", habits=habits, seed=seed
            )
            for end in ends:
                await population.live(start, days(end))
                start = days(end)
    return recorder


async def test_the_same_seed_posts_the_same_bytes() -> None:
    small = Habits(origin=MONDAY, users=200)
    first, second, other = await recorded(small, 2), await recorded(small, 2), await recorded(small, 2, seed=8)
    assert first.posted == second.posted
    assert first.posted != other.posted
    cut = await recorded(small, 0.7, 2)
    assert sorted(score["id"] for score in cut.scores) == sorted(score["id"] for score in first.scores)


async def test_scores_come_late_or_never_as_configured() -> None:
    habits = Habits(
        origin=MONDAY, users=700, missing=(0.5, 0.1), delay_days=(2.0, 0.5), hostile=0.0, season=0.0, gap=0.0
    )
    recorder = await recorded(habits, 4, 20)
    asked = {span.trace_id.hex(): span.start_time_unix_nano / 1e9 for span in recorder.spans if span.name == "chat"}
    before = {trace: at for trace, at in asked.items() if at < days(8).timestamp()}
    waits: dict[float, list[float]] = {1.0: [], 0.0: []}
    for score in recorder.scores:
        if (at := before.get(score["traceId"])) is not None:
            waits[score["value"]].append((datetime.fromisoformat(score["timestamp"]).timestamp() - at) / 86400)
    liked = 0.99 * (0.8 + 0.6) / 2  # half are shown one version, half the other; one answer in a hundred fails
    for worth, share, delay in ((1.0, liked * 0.5, 2.0), (0.0, (1 - liked) * 0.9, 0.5)):
        found = waits[worth]
        # answers of one user are alike, so that they count for less than their number
        assert abs(len(found) / len(before) - share) < 5 * math.sqrt(2.5 * share * (1 - share) / len(before))
        assert abs(sum(found) / len(found) - delay) < 5 * delay / math.sqrt(len(found))


@contextmanager
def sandbox(tmp_path: Path) -> Iterator[tuple[str, httpx.Client]]:
    keys = (KEYS["public_key"], KEYS["secret_key"])
    with serve(create_app(tmp_path / "langfuse.db")) as url, httpx.Client(base_url=url, auth=keys) as http:
        yield url, http


async def test_langfuse_shows_what_they_did_at_the_simulated_time(tmp_path: Path) -> None:
    habits = Habits(users=300, hostile=0.2, origin=MONDAY)
    with sandbox(tmp_path) as (url, http):
        async with LangfuseProject(url, **KEYS) as project:
            await project.create_prompt("p", "One.", labels=["production"], note="Simulated")
            await project.create_prompt("p", "Two.", labels=[], note="Simulated")
            population = Population(project, Bands("salt", [(0.5, 2), (1.0, 0)]), serves, prompt="p", habits=habits)
            lived = await population.live(MONDAY, days(2))
        asked = {"limit": 1000, "fields": "core,basic,usage,prompt,metrics"}
        rows = http.get("/api/public/v2/observations", params=asked).json()["data"]
        window = {"fromTimestamp": MONDAY.isoformat(), "toTimestamp": days(2).isoformat(), "limit": "100"}
        scores = http.get("/api/public/v3/scores", params={**window, "fields": "details,subject"}).json()["data"]
    assert len(rows) == lived.answers == sum(lived.versions.values())
    expected = came(habits, 2)
    assert [datetime.fromisoformat(row["startTime"]) for row in rows[::-1]] == [one.at for one in expected]
    for row in rows:
        assert row["promptVersion"] == (2 if point("salt", row["userId"]) < 0.5 else 1)
        assert row["latency"] > 0
        assert row["totalCost"] > 0
        assert row["level"] in ("DEFAULT", "ERROR")
    assert len(scores) == min(100, lived.scores)
    hostile = {one.user for one in expected if one.hostile}
    assert 0.1 < len(hostile) / lived.users < 0.3
    injected = [score for score in scores if HOSTILE_LINE in (score["comment"] or "")]
    users = {row["traceId"]: row["userId"] for row in rows}
    assert injected
    assert {users[score["subject"]["id"]] for score in injected} <= hostile
    assert {score["value"] for score in injected} == {0.0}


# ---- whom they ask -------------------------------------------------------------------------------------------------

SPLIT = canary("folder/p", "salt", version=2, share=0.5)
USERS = [f"user-{number}" for number in range(20)]
EXPECTED = [SPLIT.at(point("salt", user)) for user in USERS]


async def test_the_endpoint_tells_every_user_a_version() -> None:
    flags = Flags(prompts=frozenset(["folder/p"]), splits={"folder/p": KeptSplit(split=SPLIT, serial=1)})
    with serve(Endpoint(flags, "token")) as url:
        async with Ofrep(url, "folder/p", token="token") as asked, Ofrep(url, "unknown", token="token") as unknown:
            assert [await asked.version(user) for user in USERS] == EXPECTED
            assert await unknown.version("user-1") == 0
    async with Ofrep("http://127.0.0.1:9", "folder/p") as away:
        assert await away.version("user-1") == 0


async def test_the_document_in_langfuse_tells_every_user_a_version(tmp_path: Path) -> None:
    document = {
        "format": 1,
        "salt": SPLIT.salt,
        "bands": [{"below": band.below, "version": band.version} for band in SPLIT.bands],
    }
    with sandbox(tmp_path) as (url, _):
        async with LangfuseProject(url, **KEYS) as project:
            asked = JsonPrompt(project, "folder/p")
            await asked.refresh()
            assert {await asked.version(user) for user in USERS} == {0}
            await project.create_prompt(
                "rollouts/folder/p", json.dumps(document), labels=["production"], note="Simulated"
            )
            await asked.refresh()
            assert [await asked.version(user) for user in USERS] == EXPECTED


@pytest.mark.parametrize("key", ["user", "ä", ""])
async def test_bands_are_the_places_of_the_contract(key: str) -> None:
    place = point("salt", key)
    assert await Bands("salt", [(math.nextafter(place, 1), 7), (1.0, 0)]).version(key) == 7
    assert await Bands("salt", [(place, 7), (1.0, 0)]).version(key) == 0
