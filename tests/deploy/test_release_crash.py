"""A cycle that is killed at any one of its writes ends as if nothing had happened."""

import shutil
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from conftest import SetClock
from house_samples import Stage, State, World, rows

from deploy.collecting import collect
from deploy.gating.stage import gate
from deploy.optimizing import find_candidate
from deploy.releases.proposing import propose
from deploy.store.database import open_database
from deploy.store.facade import Store
from deploy.store.orders import OrderKind

STAGES: tuple[Stage, ...] = (collect, find_candidate, gate, propose)
SMALL = {
    "datasets": ["curated"],
    "sealed_datasets": ["sealed"],
    "replayed": 2,
    "sealed": 2,
    "max_cases": 4,
    "min_cases": 2,
}


class Killed(Exception):
    """The process died right before a transaction was committed."""


class Killer:
    """Kills at one write, counted from 1; 0 for never."""

    def __init__(self, store: Store, at: int) -> None:
        self.at, self.writes = at, 0
        sa.event.listen(store.engine, "commit", self)

    def __call__(self, connection: sa.Connection) -> None:
        if not connection.get_execution_options().get("reading", False):
            self.writes += 1
            if self.writes == self.at:
                raise Killed


async def life(path: Path, migrated: Path, *, kill_at: int) -> tuple[World, State, Killer]:
    """One cycle from start to end, repeating the stage in which it was killed, as DBOS does."""
    shutil.copy(migrated, path)
    clock = SetClock()
    store = Store(open_database(f"sqlite:///{path}"), clock)
    with store.engine.begin() as connection:
        connection.execute(sa.text("create table workflow_status (workflow_uuid text primary key, owner_xid text)"))
    world = World(store, clock, prompt={"gate": SMALL}, calls_at_once=1)
    for number in range(2):
        world.complaint(number)
    world.answer(3)
    run = world.cycle()
    with store.engine.begin() as connection:
        connection.execute(sa.text("update cycle set secret = x'00'"))
    killer = Killer(store, kill_at)
    state: State = {}
    for stage in STAGES:
        try:
            state = await stage(world.house, run, state)
        except Killed:
            state = await stage(world.house, run, state)
    for _ in range(2):  # whoever gives an order and is cut off gives it again
        with suppress(Killed):
            world.order(OrderKind.APPROVE, run_id=run.cycle_id)
            await world.tick()
    return world, state, killer


async def outcome(path: Path, migrated: Path, *, kill_at: int) -> tuple[dict[str, Any], Killer]:
    """Everything that can be seen of a life afterwards, and who killed it."""
    world, state, killer = await life(path, migrated, kill_at=kill_at)
    head = await world.registry.head("support")
    seen = {
        "state": state,
        "rows": rows(world.store, but=["journal"]),  # which counts attempts
        "anchors": [case async for case in world.cases.cases("tracegrad-anchors-support")],
        "versions": [(await world.registry.get("support", n)) for n in range(1, head.newest + 1)],
    }
    world.store.close()
    seen["calls"] = len(world.model.requests)
    return seen, killer


async def test_killed_at_any_write(tmp_path: Path, migrated: Path) -> None:
    expected, _ = await outcome(tmp_path / "0.db", migrated, kill_at=0)
    assert len(expected["versions"]) == 2
    assert len(expected["anchors"]) == 2
    assert "stake" in expected["rows"]
    for kill_at in count(1):
        seen, killer = await outcome(tmp_path / f"{kill_at}.db", migrated, kill_at=kill_at)
        paid_again = seen.pop("calls") - expected["calls"]
        assert paid_again in (0, 1), "at most the call that was in flight"
        assert seen == {name: value for name, value in expected.items() if name != "calls"}, f"write {kill_at}"
        if killer.writes < kill_at:
            break
    assert kill_at > 25, "every stage writes"
