"""One release's world: the servers of the sandbox behind turnstiles, real processes that tend it, people, and copies.

The servers keep their addresses while what stands behind them is replaced by a copy, so that a moment can be lived
through again and again: once for every point at which a process may be killed.
"""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import httpx
import sqlalchemy as sa
import yaml
from ldclient import Context, LDClient
from ldclient.config import Config
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from deploy.clock import SystemClock
from deploy.ofrep.process import answering
from deploy.settings import load
from deploy.store.database import open_database
from deploy.store.facade import Store
from deploy.store.schema import metadata
from optimizer.rollouts import Split, point
from sandbox.flags.app import create_app as flags_app
from sandbox.forge.app import create_app as forge_app
from sandbox.langfuse.app import create_app as langfuse_app
from sandbox.population.asking import PRODUCTION, JsonPrompt, Ofrep, Resolver
from sandbox.population.living import Population, Service
from sandbox.population.people import Habits
from sandbox.scenario.project import LangfuseProject, LinkedPrompt
from sandbox.serving import serve
from sandbox.turnstile import Turnstile, Write, Writes
from tests.acceptance.harness import ROOT, environment

PROMPT, PATH = "support", "prompts/support.md"
TEXT = "You answer questions of our shop's customers.\nBe brief."
KEYS = {"public_key": "pk-lf-sandbox", "secret_key": "sk-lf-sandbox"}
Moment = Literal["before", "after"]
SERVERS = ("langfuse", "forge", "flags", "bell")
NOT_COMPARED = {"heartbeat", "alembic_version"}
SETTLED = timedelta(minutes=2)
"""Whoever is first seen so soon after a change of shares does not count."""
CHANCE = {"secret"}
"""Columns that are drawn by chance."""


class Door:
    """A server whose inside can be exchanged while it serves."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        assert self.app is not None
        await self.app(scope, receive, send)


class Workers:
    """The process that forks a worker for every order."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("a")
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("release_worker.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=ROOT,
            env=environment() | {"PYTHONPATH": str(ROOT)},
        )
        self.pids: list[int] = []

    def run(self, *orders: dict[str, Any]) -> list[int]:
        """Processes beside one another, until all have ended; their wait statuses."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(orders) + "\n")
        self._process.stdin.flush()
        self.pids = json.loads(self._process.stdout.readline())
        return list(json.loads(self._process.stdout.readline()))

    def kill(self) -> None:
        """The first of those that run, as `kill -9` does."""
        with suppress(ProcessLookupError):
            os.kill(self.pids[0], signal.SIGKILL)

    def close(self) -> None:
        """No more orders."""
        self._process.communicate(timeout=60)
        self._log.close()


@dataclass(frozen=True)
class Kill:
    """Where a process ends: before its n-th transaction, or before or after its n-th writing request."""

    what: Literal["commit", "request"]
    number: int
    moment: Moment = "before"

    def __str__(self) -> str:
        return f"{self.moment} {self.what} {self.number}"


@dataclass
class World:
    """Everything that a release touches.

    Attributes:
        urls: of the servers by name.
        writes: what the servers were asked to change.
        now: the simulated time.
        release: settings of the prompt's releases, but for where pull requests go.
    """

    folder: Path
    workers: Workers
    doors: dict[str, Door]
    urls: dict[str, str]
    release: dict[str, Any]
    now: datetime
    writes: Writes = field(default_factory=Writes)
    forge: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.writes.kill = self.workers.kill
        self.http = httpx.Client(timeout=30)
        self.live = self.folder / "live"
        (self.live / "state").mkdir(parents=True)
        # what is otherwise drawn once per installation decides who is shown what
        (self.live / "state" / "source.key").write_bytes(b"acceptance".ljust(32))
        self._close: list[Any] = []
        self._open()
        self._settings()

    # ---- servers ---------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        langfuse = langfuse_app(self.live / "langfuse.db")
        forge = forge_app(self.live, files={PATH: TEXT + "\n"}, now=lambda: self.now)
        flags = flags_app(self.live, seed="acceptance")
        inside = {"langfuse": langfuse, "forge": forge, "flags": flags, "bell": bell(self.live / "bell.json")}
        self._close = [langfuse.state.server.database, forge.state.forge.records]
        for name, door in self.doors.items():
            door.app = Turnstile(inside[name], name, self.writes)

    def close(self) -> None:
        """Give the files back."""
        for one in [*self._close, self.http]:
            one.close()

    def copy(self, name: str) -> Path:
        """Keep everything as it is now."""
        to = self.folder / name
        shutil.rmtree(to, ignore_errors=True)
        copied(self.live, to)
        (to / "now").write_text(self.now.isoformat())
        return to

    def back_to(self, copy: Path) -> None:
        """Everything as it was then."""
        for one in self._close:
            one.close()
        shutil.rmtree(self.live)
        copied(copy, self.live)
        self.now = datetime.fromisoformat((self.live / "now").read_text())
        self._open()
        self._settings()

    def _settings(self) -> None:
        canary = {"metric": {"score": "user-feedback", "sampled": True}, **self.release.get("canary", {})}
        release = {"policy": "propose", "then": "canary", "ask": "pull-request", "path": PATH, "flag": PROMPT}
        content = {
            "langfuse": {"host": self.urls["langfuse"], **KEYS, "requests_per_minute": 0},
            "prompts": [{"name": PROMPT, "release": {**release, **self.release, "canary": canary}}],
            "state_dir": str(self.live / "state"),
            "role": "publisher",
            "forge": {
                "kind": "github",
                "base_url": self.urls["forge"],
                "repository": "acme/shop",
                "token": "ghp_sandbox",
                **self.forge,
            },
            "launchdarkly": {"base_url": self.urls["flags"], "token": "api-sandbox"},
            "notify": [{"url": f"{self.urls['bell']}/bell", "kind": "signed", "secret": "bell"}],
            "ofrep": {"port": 0},
        }
        self.settings.write_text(yaml.safe_dump(content))

    @property
    def database_url(self) -> str:
        """Our own database."""
        return f"sqlite:///{self.live / 'state' / 'tracegrad.db'}"

    @property
    def settings(self) -> Path:
        """The settings file."""
        return self.live / "tracegrad.yaml"

    # ---- what is done ----------------------------------------------------------------------------------------------

    def tick(self, kill: Kill | None = None, *, beside: int = 0) -> list[int]:
        """One round of ticks in a process of its own, or in several beside one another."""
        return self._run({}, kill, beside=beside)

    def cycle(self, slot: str, line: str, kill: Kill | None = None) -> list[int]:
        """One cycle that proposes a candidate with one more line."""
        return self._run({"cycle": {"slot": slot, "line": line}}, kill)

    def _run(self, what: dict[str, Any], kill: Kill | None, *, beside: int = 0) -> list[int]:
        self.commits_log.unlink(missing_ok=True)
        order = {"settings": str(self.settings), "commits": str(self.commits_log), "beside": beside, **what}
        requests = kill is not None and kill.what == "request"
        self.writes.begin(at=kill.number if kill and requests else 0, moment=kill.moment if kill else "before")
        die_at = kill.number if kill and not requests else 0
        # each of several begins a tick of its own, a second later than the one before
        moments = [(self.now + timedelta(seconds=second)).isoformat() for second in range(beside + 1)]
        return self.workers.run(*({**order, "at": at, "die_at": die_at} for at in moments))

    @property
    def commits_log(self) -> Path:
        """A line for each transaction of the last process."""
        return self.folder / "commits"

    def commits(self) -> list[str]:
        """The tables that each transaction of the last process changed."""
        return self.commits_log.read_text().splitlines() if self.commits_log.exists() else []

    def person(self, act: str, **order: Any) -> None:
        """A person does something on the forge."""
        self.http.post(f"{self.urls['forge']}/sandbox/{act}", json=order).raise_for_status()

    def delete_version(self, version: int) -> None:
        """A person deletes a version of the prompt."""
        self._by_hand("DELETE", f"/api/public/v2/prompts/{PROMPT}?version={version}")

    def move_label(self, label: str, version: int) -> None:
        """A person moves a label."""
        self._by_hand("PATCH", f"/api/public/v2/prompts/{PROMPT}/versions/{version}", {"newLabels": [label]})

    def _by_hand(self, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        auth = (KEYS["public_key"], KEYS["secret_key"])
        self.http.request(method, self.urls["langfuse"] + path, json=body, auth=auth).raise_for_status()

    def flag_by_hand(self, instruction: dict[str, Any]) -> None:
        """A person changes the flag."""
        order = {"environmentKey": "production", "instructions": [instruction]}
        self.http.post(f"{self.urls['flags']}/sandbox/by-hand/{PROMPT}", json=order).raise_for_status()

    def late_scores(self, since: datetime, after: timedelta) -> int:
        """Scores in Langfuse that came so long after their answer, which was given since then."""
        asked = (
            "select count(*) from scores join observations using (trace_id)"
            " where timestamp_ms > start_ms + ? and start_ms >= ?"
        )
        with closing(sqlite3.connect(self.live / "langfuse.db")) as database:
            values = after / timedelta(milliseconds=1), (since + SETTLED).timestamp() * 1000
            return int(database.execute(asked, values).fetchone()[0])

    def pass_time(self, **amount: float) -> None:
        """Simulated time goes by."""
        self.now += timedelta(**amount)

    # ---- what is seen ----------------------------------------------------------------------------------------------

    def at_forge(self) -> dict[str, Any]:
        """What stands at the forge."""
        found: dict[str, Any] = self.http.get(f"{self.urls['forge']}/sandbox/state").json()
        return found

    def at_langfuse(self, path: str, **params: Any) -> Any:
        """What Langfuse answers."""
        auth = (KEYS["public_key"], KEYS["secret_key"])
        answer = self.http.get(self.urls["langfuse"] + path, params=params, auth=auth)
        return None if answer.status_code == 404 else answer.raise_for_status().json()

    def versions(self, prompt: str = PROMPT) -> dict[int, dict[str, Any]]:
        """Every version of a prompt, but for what depends on the real time."""
        quoted = prompt.replace("/", "%2F")
        found = self.at_langfuse("/api/public/v2/prompts", name=prompt)["data"]
        numbers = found[0]["versions"] if found else []
        every = {n: self.at_langfuse(f"/api/public/v2/prompts/{quoted}", version=n, resolve=False) for n in numbers}
        return {
            n: {"labels": sorted(one["labels"]), "text": one["prompt"], "said": one["commitMessage"]}
            for n, one in every.items()
        }

    def labels(self, prompt: str = PROMPT) -> dict[int, list[str]]:
        """Which labels each version carries."""
        return {number: one["labels"] for number, one in self.versions(prompt).items()}

    def deliveries(self) -> list[dict[str, Any]]:
        """What the receiver of notifications was sent."""
        path = self.live / "bell.json"
        return list(json.loads(path.read_text())) if path.exists() else []

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Our own tables."""
        store = Store(open_database(self.database_url), SystemClock())
        try:
            yield store
        finally:
            store.close()

    def moves(self, slot: str = "first") -> list[str]:
        """The moves of a release, with its share."""
        with self.store() as store:
            events = store.releases.events(f"{PROMPT}@{slot}")
        return [f"{event.state} {event.evidence.get('share', '')}".strip() for event in events]

    def reason(self, slot: str = "first") -> str:
        """Why a release is where it is."""
        with self.store() as store:
            return store.releases.get(f"{PROMPT}@{slot}").reason

    def rows(self) -> dict[str, list[str]]:
        """Every row of every table of ours."""
        with self.store() as store, store.engine.execution_options(reading=True).begin() as connection:
            return {
                table.name: sorted(
                    repr({name: value for name, value in row._mapping.items() if name not in CHANCE})
                    for row in connection.execute(sa.select(table))
                )
                for table in metadata.sorted_tables
                if table.name not in NOT_COMPARED
            }

    def flags(self) -> dict[str, Any]:
        """The flag service's own memory, but for what depends on the real time."""
        path = self.live / "flags.json"
        if not path.exists():
            return {}
        kept = json.loads(path.read_text())
        history = [{k: v for k, v in one.items() if k != "date"} for one in kept["history"]]
        return {"history": history, "done": kept["done"]}

    def served(self) -> tuple[float, int]:
        """Up to which place users are shown the first version of the split, and how often the split was written."""
        resolver = self.release["resolver"]
        if resolver == "langfuse":
            versions = self.versions(f"rollouts/{PROMPT}")
            standing = next(json.loads(one["text"]) for one in versions.values() if "production" in one["labels"])
            return standing["bands"][0]["below"], len(versions)
        if resolver == "ofrep":
            with self.store() as store:
                split, serial = store.splits.read(PROMPT) or (Split(prompt=PROMPT, salt=""), 0)
            return split.bands[0].below, serial
        kept = json.loads((self.live / "flags.json").read_text())
        weights = kept["history"][-1]["instructions"][0].get("rolloutWeights")
        if weights is None:
            return 1.0, kept["done"]
        to_canary, to_production, _ = weights.values()
        return (to_canary or to_production) / 100_000, kept["done"]

    def seen(self) -> dict[str, Any]:
        """Everything that stands anywhere, in a form that can be compared with another world's."""
        forge = self.at_forge()
        kinds = {kind: [without_ids(row) for row in forge[kind]] for kind in ("pulls", "comment", "review", "status")}
        return {
            "rows": self.rows(),
            "versions": self.versions(),
            "split": self.versions(f"rollouts/{PROMPT}"),
            "flags": self.flags(),
            "forge": {**kinds, "branches": forge["branches"]},
            "told": sorted({(one["delivery"], one["state"]) for one in self.deliveries()}),
        }


def without_ids(row: dict[str, Any]) -> dict[str, Any]:
    """A record of the forge as it can be compared."""
    return {name: value for name, value in row.items() if not name.endswith("_count")}


def copied(source: Path, to: Path) -> None:
    """A copy of a folder whose databases may be open."""
    to.mkdir(parents=True)
    for path in source.iterdir():
        if path.is_dir():
            copied(path, to / path.name)
        elif path.suffix == ".db":
            with ExitStack() as stack:
                old, new = (stack.enter_context(closing(sqlite3.connect(db))) for db in (path, to / path.name))
                old.backup(new)
        elif not path.name.endswith(("-wal", "-shm")):
            shutil.copy(path, to / path.name)


def bell(path: Path) -> Starlette:
    """A receiver of notifications, which writes down what it is sent."""

    def keep(said: dict[str, Any]) -> None:
        known = json.loads(path.read_text()) if path.exists() else []
        path.write_text(json.dumps([*known, said]))

    async def rung(request: Request) -> Response:
        body = await request.json()
        keep({"delivery": request.headers["x-tracegrad-delivery"], "state": body["state"], "id": body["id"]})
        return JSONResponse({})

    return Starlette(routes=[Route("/bell", rung, methods=["POST"])])


@contextmanager
def opened_world(folder: Path, *, release: dict[str, Any], now: datetime) -> Iterator[World]:
    """A world that begins then, with version 1 of the prompt in production."""
    with ExitStack() as stack:
        workers = Workers(folder / "workers.log")
        stack.callback(workers.close)
        doors = {name: Door() for name in SERVERS}
        urls = {name: stack.enter_context(serve(door)) for name, door in doors.items()}
        world = World(folder=folder, workers=workers, doors=doors, urls=urls, release=release, now=now)
        stack.callback(world.close)
        body = {"name": PROMPT, "type": "text", "prompt": TEXT, "labels": ["production"], "commitMessage": "by hand"}
        auth = (KEYS["public_key"], KEYS["secret_key"])
        httpx.post(f"{urls['langfuse']}/api/public/v2/prompts", json=body, auth=auth).raise_for_status()
        Store.open(world.database_url, SystemClock()).close()
        yield world


class People:
    """The prompt's users, who live on while releases come and go; asking as applications ask.

    Args:
        likes: the share of them who like the answers of a version without the candidate's line, and with it.
        delay_days: how long they take to say so, on average.
    """

    def __init__(self, world: World, line: str, likes: tuple[float, float], *, delay_days: float = 0.02) -> None:
        self.world, self._line, self._likes = world, line, likes
        self._runner, self._stack = asyncio.Runner(), AsyncExitStack()
        self._project = LangfuseProject(world.urls["langfuse"], **KEYS)
        plain = {name: 0.0 for name in ("hostile", "season", "hard", "gap", "drift")}
        delays = (delay_days, delay_days)
        habits = Habits(
            origin=world.now, users=1000, weekend=1.0, most_answers=1, missing=(0.0, 0.0), delay_days=delays, **plain
        )
        resolver = self._runner.run(self._resolver(world.release["resolver"]))
        self._population = Population(self._project, resolver, self._served, prompt=PROMPT, habits=habits)

    def __enter__(self) -> "People":
        return self

    def __exit__(self, *_: object) -> None:
        with self._runner:
            self._runner.run(self._stack.aclose())

    async def _resolver(self, name: str) -> Resolver:
        await self._stack.enter_async_context(self._project)
        if name == "langfuse":
            return JsonPrompt(self._project, PROMPT)
        if name == "launchdarkly":
            labelled = Labelled(self.world, self._project)
            self._stack.callback(labelled.close)
            return labelled
        url = await self._stack.enter_async_context(answering(load(self.world.settings)))
        return await self._stack.enter_async_context(Followed(url, self.world))

    def _served(self, prompt: LinkedPrompt) -> Service:
        return Service(quality=self._likes[self._line in prompt.text])

    def live(self, days: int = 1) -> Counter[int]:
        """So many days go by; how many answers each version gave."""
        start = self.world.now
        self.world.pass_time(days=days)
        lived = self._runner.run(self._population.live(start, self.world.now))
        return Counter(lived.versions)


class Followed(Ofrep):
    """The endpoint of the daemon, in its own process; it reads a change within a second of the real time."""

    def __init__(self, url: str, world: World) -> None:
        super().__init__(url, PROMPT)
        self._world = world

    async def refresh(self) -> None:
        """Wait until the endpoint has heard of the last change."""
        with self._world.store() as store:
            kept = store.splits.read(PROMPT)
        split = kept[0] if kept else Split(prompt=PROMPT, salt="")
        keys = [f"key-{number}" for number in range(24)]
        wanted = [split.at(point(split.salt, key)) for key in keys]
        while [await self.version(key) for key in keys] != wanted:  # noqa: ASYNC110  # another process's doing
            await asyncio.sleep(0.1)


class Labelled:
    """An application with LaunchDarkly's own SDK: the flag names a label, and the label stands for a version."""

    def __init__(self, world: World, project: LangfuseProject) -> None:
        self._world, self._project = world, project
        self._labels: dict[str, int] = {}
        self._client: LDClient | None = None

    async def refresh(self) -> None:
        """A new client: an old one polls every 30 seconds of the real time."""
        self.close()
        config = Config(
            "sdk-production", base_uri=self._world.urls["flags"], stream=False, send_events=False,
            diagnostic_opt_out=True,
        )  # fmt: skip
        self._client = await asyncio.to_thread(LDClient, config, 5)
        self._labels = {"production": PRODUCTION}

    async def version(self, key: str) -> int:
        """The version of the label that the flag says."""
        assert self._client is not None
        label = self._client.variation(PROMPT, Context.create(key), "production")
        if label not in self._labels:
            found = await self._project.prompt(PROMPT, label=label)
            self._labels[label] = found.version if found else PRODUCTION
        return self._labels[label]

    def close(self) -> None:
        """The application ends."""
        if self._client is not None:
            self._client.close()


def requests_of(writes: Sequence[Write]) -> list[str]:
    """What was asked of the servers and done, one line each; with the labels that it moved."""
    return [
        " ".join(
            [one.server, one.method, one.path, *(one.json.get("newLabels", ()) if "/versions/" in one.path else ())]
        )
        for one in writes
        if one.status < 400
    ]
