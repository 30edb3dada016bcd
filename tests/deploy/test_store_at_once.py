"""The ledger under kill -9 and under three spenders at once, and gates that draw cases at once, on one database.

On SQLite, and on the PostgreSQL server that TRACEGRAD_POSTGRES names, if any (postgresql+psycopg://...): each test
makes a database there and drops it again.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from uuid import uuid4

import pytest
import sqlalchemy as sa
from conftest import SetClock
from store_samples import T0

from deploy.store.database import open_database
from deploy.store.facade import Store
from deploy.store.ledger import Ledger, StakeRow
from gates.error_budget import SHARE

WORKER = str(Path(__file__).with_name("ledger_worker.py"))
BUDGET = 0.2
POSTGRES = os.environ.get("TRACEGRAD_POSTGRES", "")


@pytest.fixture(params=["sqlite", *(["postgresql"] if POSTGRES else [])])
def shared_url(request: pytest.FixtureRequest, url: str) -> Iterator[str]:
    """A migrated database that several processes may open."""
    if request.param == "sqlite":
        Store.open(url, SetClock()).close()
        yield url
        return
    server, name = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT"), f"ledger_{uuid4().hex[:8]}"
    with server.connect() as connection:
        connection.execute(sa.text(f"create database {name}"))
    made = server.url.set(database=name).render_as_string(hide_password=False)
    Store.open(made, SetClock()).close()
    yield made
    with server.connect() as connection:
        connection.execute(sa.text(f"drop database {name} with (force)"))
    server.dispose()


def worker(url: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, WORKER, url, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def stakes(url: str) -> tuple[StakeRow, ...]:
    store = Store.open(url, SetClock())
    found = store.ledgers.stakes(store.ledgers.prompt_id("support"), Ledger.PROPOSAL)
    store.close()
    return tuple(sorted(found, key=lambda row: -row.left))


def assert_each_saw_the_one_before(rows: tuple[StakeRow, ...]) -> None:
    """Nobody took a share of what another had taken already."""
    left = BUDGET
    for row in rows:
        assert row.stake == pytest.approx(SHARE * left, rel=1e-9)
        left -= row.stake
        assert row.left == pytest.approx(left, rel=1e-9)
    assert sum(row.stake for row in rows) <= BUDGET


def test_a_process_that_is_killed_at_any_step_has_opened_a_stake_or_has_not(shared_url: str) -> None:
    said, _ = worker(shared_url, "die").communicate(timeout=120)
    steps = [json.loads(line) for line in said.splitlines()]
    assert [step["killed"] for step in steps] == [True] * (len(steps) - 1) + [False]
    assert len(steps) > 12, "the transaction has more steps than that"
    rows = stakes(shared_url)
    assert [row.release_id for row in rows] == [f"release-{step['step']}" for step in steps]
    assert_each_saw_the_one_before(rows)
    worker(shared_url, "die").communicate(timeout=120)
    assert stakes(shared_url) == rows, "killed again while it asks for a stake that it has"


def test_three_spenders_at_once_never_overspend_and_open_a_release_once(shared_url: str) -> None:
    shared = [f"shared-{n}" for n in range(8)]
    own = [[f"spender-{spender}-{n}" for n in range(8)] for spender in range(3)]
    # each goes through the shared ones from another side
    asked = [
        [r for both in zip(mine, shared[::step], strict=True) for r in both]
        for mine, step in zip(own, (1, -1, 1), strict=True)
    ]
    spenders = [worker(shared_url, "spend", *releases) for releases in asked]
    for spender in spenders:
        assert spender.stdout is not None
        assert spender.stdout.readline() == "ready\n"
    for spender in spenders:
        assert spender.stdin is not None
        spender.stdin.write("go\n")
        spender.stdin.flush()
    said = [spender.communicate(timeout=120)[0] for spender in spenders]
    rows = stakes(shared_url)
    assert sorted(row.release_id for row in rows) == sorted([*shared, *(r for mine in own for r in mine)])
    assert_each_saw_the_one_before(rows)
    opened = {row.release_id: row.stake for row in rows}
    for lines, releases in zip(said, asked, strict=True):
        told = {release: stake for line in lines.splitlines() for release, stake in json.loads(line).items()}
        assert told == {release: opened[release] for release in releases}


def test_gates_that_draw_at_once_never_share_a_case(shared_url: str) -> None:
    cases, gates, start = [f"case-{n}" for n in range(40)], ["g1", "g2", "g3"], Barrier(3)

    def draw(gate: str) -> list[tuple[str, ...]]:
        store = Store(open_database(shared_url), SetClock())
        for step in ("begin", "after_cursor_execute"):  # others come between any two steps
            sa.event.listen(store.engine, step, lambda *_: time.sleep(0.002))
        start.wait()
        looks = [f"{gate}/{look}" for look in range(4)]
        drawn = [store.case_uses.draw("p", look, cases, limit=4, at=T0) for look in looks]
        assert drawn == [store.case_uses.draw("p", look, cases, limit=40, at=T0) for look in looks]
        store.close()
        return drawn

    with ThreadPoolExecutor(len(gates)) as threads:
        drawn = [case for looks in threads.map(draw, gates) for look in looks for case in look]
    assert sorted(drawn) == sorted(cases), "12 draws of 4 from 40: all are given, and each once"
