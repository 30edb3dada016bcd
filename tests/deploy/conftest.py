"""A database of our own for each test, and a clock that tests set."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from deploy.store.database import open_database
from deploy.store.facade import Store


class SetClock:
    """Shows what a test set."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without rows, to be copied: migrating anew for every test would take most of their time."""
    path = tmp_path_factory.mktemp("store") / "empty.db"
    Store.open(f"sqlite:///{path}", SetClock()).close()
    return path


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/tracegrad.db"


@pytest.fixture
def store(url: str, tmp_path: Path, migrated: Path, clock: SetClock) -> Iterator[Store]:
    shutil.copy(migrated, tmp_path / "tracegrad.db")
    opened = Store(open_database(url), clock)
    yield opened
    opened.close()


@pytest.fixture
def owned(store: Store) -> Store:
    """A store in which `store_samples.run()` owns its cycle, as if DBOS had said so."""
    with store.engine.begin() as connection:
        connection.execute(sa.text("create table workflow_status (workflow_uuid text primary key, owner_xid text)"))
        connection.execute(sa.text("insert into workflow_status values ('support@2026-11-21T02:30Z', 'mine')"))
    return store
