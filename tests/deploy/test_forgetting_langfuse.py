"""Over HTTP: a cycle against the simulated Langfuse, then `tracegrad forget` and `blame` as a person runs them."""

import asyncio
import io
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from conftest import SetClock
from forgetting_samples import MARK, SECRET, Echo, asked, echoing
from house_samples import BODY, FIXED, TwinHouse, World, rows

from connectors.langfuse.copies import LangfuseCopies
from connectors.langfuse.datasets import LangfuseCaseSource
from connectors.langfuse.experiments import LangfuseExperiments
from connectors.langfuse.queries import moment
from connectors.langfuse.registry import LangfuseRegistry
from connectors.langfuse.server import probe
from connectors.langfuse.settings import LangfuseAccess
from connectors.langfuse.traces import LangfuseTraceSource
from connectors.memory import MemoryCaseSource, ScriptedModel
from deploy.cli.blame import command as blame_command
from deploy.cli.exits import DONE
from deploy.cli.forget import command as forget_command
from deploy.cli.options import Options
from deploy.collecting import collect
from deploy.gating.stage import gate
from deploy.lifecycle import CycleState
from deploy.optimizing import find_candidate
from deploy.releases.proposing import propose
from deploy.store.facade import Store
from deploy.store.orders import OrderKind
from optimizer.errors import BadInput
from optimizer.types import Case
from sandbox.langfuse.app import create_app
from sandbox.serving import serve

KEYS = ("pk-lf-sandbox", "sk-lf-sandbox")
ANCHORS = "tracegrad-anchors-support"


class Shelves:
    """The owner's datasets in memory, ours in Langfuse."""

    def __init__(self, owners: MemoryCaseSource, ours: LangfuseCaseSource) -> None:
        self._owners, self._ours = owners, ours

    def cases(self, dataset: str) -> AsyncIterator[Case]:
        return (self._owners if dataset in self._owners.datasets else self._ours).cases(dataset)

    async def keep(self, dataset: str, cases: Sequence[Case]) -> None:
        await self._ours.keep(dataset, cases)


class Shop:
    """A shop whose customers are in the simulated Langfuse; Anna asks, is unhappy, and corrects; Bob only asks."""

    def __init__(self, store: Store, clock: SetClock, url: str, folder: Path) -> None:
        self.world = World(store, clock)
        self.world.model, self.world.judge = ScriptedModel(echoing), Echo()
        self.http = httpx.Client(base_url=url, auth=KEYS, timeout=30)
        self.url, self.folder = url, folder
        self.options = Options(config=folder / "tracegrad.yaml")
        settings = {
            "langfuse": {"host": url, "public_key": KEYS[0], "secret_key": KEYS[1], "requests_per_minute": 0},
            "prompts": [{"name": "support"}],
            "state_dir": str(folder),
        }
        self.options.config.write_text(yaml.safe_dump(settings))
        (folder / "source.key").write_bytes(SECRET)

    @property
    def access(self) -> LangfuseAccess:
        return LangfuseAccess(
            base_url=self.url,
            public_key=KEYS[0],
            secret_key=KEYS[1],
            source_secret=SECRET,
            requests_per_minute=0,
        )

    def call(self, number: int, user: str, said: str, answered: str) -> dict[str, Any]:
        at = moment(self.world.clock.now() - timedelta(hours=2))
        return {
            "id": f"{number:016x}",
            "traceId": f"{number:032x}",
            "type": "GENERATION",
            "name": "answer",
            "startTime": at,
            "endTime": at,
            "environment": "production",
            "userId": user,
            "input": asked(said, 1),
            "output": answered,
            "model": "m",
            "promptName": "support",
            "promptVersion": 1,
        }

    def score(self, id_: str, number: int, name: str, kind: str, value: Any, comment: str = "") -> dict[str, Any]:
        at = moment(self.world.clock.now() - timedelta(hours=1))
        subject = {"kind": "trace", "id": f"{number:032x}"}
        said = {
            "id": id_,
            "name": name,
            "dataType": kind,
            "value": value,
            "comment": comment or None,
            "subject": subject,
        }
        return {**said, "environment": "production", "timestamp": at, "updatedAt": at, "createdAt": at}

    def open(self) -> None:
        """What production has recorded."""
        self.http.post(
            "/api/public/v2/prompts", json={"name": "support", "type": "text", "prompt": BODY, "labels": ["production"]}
        ).raise_for_status()
        calls = [self.call(1, "anna", f"{MARK}asked", f"No idea {MARK}heard")]
        calls += [self.call(n, f"user{n}", f"Where is parcel {n}?", f"No idea {n}.") for n in (2, 3)]
        calls += [self.call(5, "bob", f"{MARK}bob asked", "Here it is.")]
        scores = [self.score("s1", 1, "helpful", "NUMERIC", 0.0, f"{MARK}complained")]
        scores += [self.score("c1", 1, "fix", "CORRECTION", f"{MARK}corrected")]
        scores += [self.score(f"s{n}", n, "helpful", "NUMERIC", 0.0, f"no help, said {n}") for n in (2, 3)]
        body = {"observations": calls, "scores": scores}
        self.http.post("/sandbox/bulk", json=body).raise_for_status()
        self.http.post("/api/public/v2/datasets", json={"name": "curated"}).raise_for_status()

    async def house(self, stack: AsyncExitStack) -> TwinHouse:
        access = self.access
        server = await probe(access)
        enter = stack.enter_async_context
        return replace(
            self.world.house,
            server=server,
            traces=await enter(LangfuseTraceSource(access)),
            cases=Shelves(self.world.cases, await enter(LangfuseCaseSource(access))),
            registry=await enter(LangfuseRegistry(access)),
            experiments=await enter(LangfuseExperiments(access, server)),
        )

    async def cycle(self) -> None:
        """One cycle whose candidate is released."""
        async with AsyncExitStack() as stack:
            house = await self.house(stack)
            run = self.world.cycle("first")
            state: dict[str, Any] = {}
            for stage in (collect, find_candidate, gate, propose):
                state = await stage(house, run, state)
            house.store.cycles.advance(run, CycleState.DONE, at=house.clock.now())
            self.world.order(OrderKind.APPROVE)
            await self.world.tick(house)
            assert (await house.registry.head("support")).production.version == 2, state

    def run(self, **given: bool) -> Any:
        """`tracegrad forget --source anna`."""
        return asyncio.to_thread(forget_command, self.options, "anna", **{"yes": False, "dry_run": False, **given})


@pytest.fixture
def recorded(owned: Store, clock: SetClock, tmp_path: Path) -> Iterator[Shop]:
    """A shop that no cycle has looked at."""
    with serve(create_app(tmp_path / "langfuse.sqlite")) as url:
        made = Shop(owned, clock, url, tmp_path)
        with closing(made.http):
            made.open()
            yield made


@pytest.fixture
def shop(recorded: Shop) -> Shop:
    """A shop in which one candidate was released."""
    asyncio.run(recorded.cycle())
    return recorded


def in_langfuse(shop: Shop) -> dict[str, list[str]]:
    """Where her words stand in the server's own tables: by table, who wrote it there or which dataset it is."""
    with closing(sqlite3.connect(shop.folder / "langfuse.sqlite")) as connection:
        connection.row_factory = sqlite3.Row
        places = {"observations": "environment", "scores": "environment", "prompts": "name"}
        found = {
            table: [
                str(row[column]) for row in connection.execute(f"select * from {table}") if MARK in repr(tuple(row))
            ]
            for table, column in places.items()
        }
    items = shop.http.get("/api/public/dataset-items", params={"datasetName": ANCHORS}).json().get("data", [])
    return found | {"items": [item["id"] for item in items if MARK in repr(item)]}


async def test_forget_over_http(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    before = in_langfuse(shop)
    assert before["items"] != []
    assert set(before["observations"]) == {"production", "sdk-experiment"}
    texts = len(rows(shop.world.store)["source_text"])
    assert await shop.run(dry_run=True) == DONE
    assert in_langfuse(shop) == before
    dry = capsys.readouterr().out
    assert await shop.run(yes=True) == DONE
    said = capsys.readouterr().out
    assert said == dry.replace("Would erase", "Erased")
    assert MARK not in said
    await asyncio.to_thread(forget_command, shop.options, "bob", yes=True, dry_run=False)
    told = capsys.readouterr().out
    after = in_langfuse(shop)
    # her own traces are the owner's to delete; nothing of ours is left
    assert after == {
        "observations": ["production", "production"],
        "scores": ["production"] * 2,
        "prompts": [],
        "items": [],
    }
    assert MARK not in json.dumps(rows(shop.world.store))
    assert 0 < len(rows(shop.world.store)["source_text"]) < texts
    assert not [
        path.name
        for path in shop.folder.iterdir()
        if "tracegrad.db" in path.name and MARK.encode() in path.read_bytes()
    ]
    for line in (
        "Erased in Langfuse: 1 items of the dataset tracegrad-anchors-support",
        f"  support v2, support@first: {FIXED}",
        "  version 2 of support in Langfuse",
        f"  earlier versions of the dataset {ANCHORS} in Langfuse: delete it there, it is made again when needed",
        f"    {shop.url}/project/lf-sandbox-project/users/anna",
        f"    {shop.url}/project/lf-sandbox-project/traces/{1:032x}",
        "  backups and copies of the state directory",
        "  notifications that were sent",
    ):
        assert line in said.splitlines()
    assert "traces of experiments" in told
    assert f"""-d '{{"traceIds": ["{1:032x}"]}}' {shop.url}/api/public/traces""" in said


async def test_the_traces_that_are_named_can_be_deleted_as_it_says(recorded: Shop) -> None:
    recorded.http.request("DELETE", "/api/public/traces", json={"traceIds": [f"{1:032x}"]}).raise_for_status()
    assert "production" not in in_langfuse(recorded)["scores"]
    recorded.http.delete(f"/api/public/traces/{5:032x}").raise_for_status()
    assert "production" not in in_langfuse(recorded)["observations"]
    assert recorded.http.request("DELETE", "/api/public/traces", json={"traceIds": "all"}).status_code == 400


async def test_json_asks_nobody_and_a_person_may_still_say_no(
    recorded: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(recorded.world.store)
    recorded.options = replace(recorded.options, as_json=True)
    with pytest.raises(BadInput, match="nobody can be asked with `--json`; add `--yes`"):
        await recorded.run()
    assert await recorded.run(dry_run=True) == DONE
    document = json.loads(capsys.readouterr().out)
    assert document["dry_run"] is True
    assert document["not_reached"]["production_traces"] == [
        f"{recorded.url}/project/lf-sandbox-project/traces/{1:032x}"
    ]
    recorded.options = replace(recorded.options, as_json=False)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert await recorded.run() == DONE
    assert "Erase it? This cannot be undone. [y/N]" in capsys.readouterr().out
    assert rows(recorded.world.store) == before


async def test_blame_over_http_before_and_after(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    await asyncio.to_thread(blame_command, shop.options, "support")
    page = capsys.readouterr().out
    assert f"   3    v2  [1] 2026-11-21 ada         {FIXED}" in page.splitlines()
    assert MARK in page
    assert f"/project/lf-sandbox-project/traces/{1:032x}" in page
    await shop.run(yes=True)
    capsys.readouterr()
    await asyncio.to_thread(blame_command, replace(shop.options, as_json=True), "support")
    document = json.loads(capsys.readouterr().out)
    assert MARK not in repr(document)
    assert document["lines"][2]["edit"]["reason"] == "(erased)"
    assert "(erased)" in [trace["complaint"] for trace in document["lines"][2]["edit"]["traces"]]


async def test_deleting_what_is_not_there_changes_nothing(recorded: Shop) -> None:
    async with LangfuseCopies(recorded.access) as copies:
        assert await copies.items_of("no such dataset") == frozenset()
        await copies.delete_items(["no such item"])
        await copies.delete_experiments(["0" * 32])
        assert await copies.experiments_of([]) == frozenset()
        assert await copies.experiments_of([f"no-such-{n}" for n in range(250)]) == frozenset()
        assert await copies.traces_of(user_id="anna") == {f"{1:032x}"}
        assert await copies.traces_of(session_id="anna") == frozenset()
