"""Who is alive is read from the table, by the database's clock, and the dead lose what they held."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from workflow_samples import until

from deploy.lease import Lease
from deploy.store.facade import Store


@pytest.fixture
def shared(store: Store) -> Store:
    """A store with DBOS's table of workflows: one runs at each of three executors, one has ended."""
    with store.engine.begin() as connection:
        connection.execute(sa.text("create table workflow_status (workflow_uuid text, executor_id text, status text)"))
        for executor, status in (("alive", "PENDING"), ("late", "PENDING"), ("unknown", "PENDING"), ("gone", "DONE")):
            row = {"id": f"at {executor}", "executor": executor, "status": status}
            connection.execute(sa.text("insert into workflow_status values (:id, :executor, :status)"), row)
    return store


def lease(
    store: Store, executor: str, handed: list[str], *, lost: list[str] | None = None, lease_s: float = 0.3
) -> Lease:
    def hand_back(executors: Sequence[str]) -> None:
        handed.extend(sorted(executors))

    return Lease(
        store.engine,
        executor,
        lease_s=lease_s,
        hand_back=hand_back,
        on_lost=lambda: (lost if lost is not None else []).append(executor),
    )


def expire(store: Store, executor: str, *, seconds_ago: float) -> None:
    with store.engine.begin() as connection:
        now = "(julianday('now') - 2440587.5) * 86400.0"
        statement = f"update heartbeat set until = {now} - :ago where executor = :executor"
        connection.execute(sa.text(statement), {"ago": seconds_ago, "executor": executor})


def living(store: Store) -> dict[str, bool]:
    with store.engine.begin() as connection:
        return {row.executor: not row.revoked for row in connection.execute(sa.text("select * from heartbeat"))}


def test_the_late_are_revoked_and_what_they_and_strangers_hold_is_handed_back(shared: Store) -> None:
    handed: list[str] = []
    alive, late, gone = (lease(shared, name, handed) for name in ("alive", "late", "gone"))
    for one in (alive, late, gone):
        one.join()
    alive.reap()
    assert handed == ["unknown"]
    expire(shared, "late", seconds_ago=1)
    expire(shared, "gone", seconds_ago=1)
    alive.reap()
    assert handed == ["unknown", "late", "unknown"]
    assert living(shared) == {"alive": True, "late": False, "gone": False}
    assert not late.beat()
    assert alive.beat()


def test_a_late_beat_that_nobody_noticed_is_legal(shared: Store) -> None:
    late = lease(shared, "late", [])
    late.join()
    expire(shared, "late", seconds_ago=100)
    assert late.beat()
    late.reap()
    assert living(shared) == {"late": True}


def test_who_leaves_is_taken_over_at_once_and_forgotten_after_a_day(shared: Store) -> None:
    handed: list[str] = []
    alive, late = lease(shared, "alive", handed), lease(shared, "late", handed)
    alive.join()
    late.join()
    late.leave()
    alive.reap()
    assert handed == ["late", "unknown"]
    expire(shared, "late", seconds_ago=90_000)
    alive.reap()
    assert living(shared) == {"alive": True}
    assert handed == ["late", "unknown"] * 2


async def test_a_pulse_beats_reaps_and_ends_when_the_lease_is_lost(shared: Store) -> None:
    handed: list[str] = []
    lost: list[str] = []
    alive = lease(shared, "alive", handed, lost=lost)
    alive.join()
    pulse = asyncio.create_task(alive.pulse())
    await until(lambda: "unknown" in handed)
    expire(shared, "alive", seconds_ago=100)
    await until(lambda: living(shared)["alive"] and not lost)
    with shared.engine.begin() as connection:
        connection.execute(sa.text("update heartbeat set revoked = true"))
    await pulse
    assert lost == ["alive"]


async def test_after_an_outage_nobody_is_called_dead_at_once(shared: Store, tmp_path: Path) -> None:
    handed: list[str] = []
    alive = lease(shared, "alive", handed, lease_s=3.0)
    alive.join()
    expire(shared, "alive", seconds_ago=100)
    shared.close()
    here, away = tmp_path / "tracegrad.db", tmp_path / "away"
    here.rename(away)
    here.mkdir()  # a folder cannot be opened as a database
    pulse = asyncio.create_task(alive.pulse())
    await asyncio.sleep(0.2)
    assert not pulse.done()
    here.rmdir()
    away.rename(here)
    await until(lambda: until_of(shared, "alive") > 0)
    pulse.cancel()
    assert handed == []  # a stranger's cycle is there to be taken, but not now
    alive.reap()
    assert handed == ["late", "unknown"]


def until_of(store: Store, executor: str) -> float:
    """Seconds that are left of a lease."""
    now = "(julianday('now') - 2440587.5) * 86400.0"
    with store.engine.begin() as connection:
        found = sa.text(f"select until - {now} from heartbeat where executor = :executor")
        return float(connection.execute(found, {"executor": executor}).scalar_one())
