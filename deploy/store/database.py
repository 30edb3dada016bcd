"""One engine for our own tables: how it is opened, migrated, and waited for while the database is away.

On SQLite every writing transaction begins IMMEDIATE: it waits for the write lock at its first statement, so what it
read cannot be out of date when it writes. WAL stays in the file, so DBOS's own connections get it as well.
"""

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InterfaceError, OperationalError

P = ParamSpec("P")
T = TypeVar("T")
Row = Mapping[str, Any]

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 7_203_914
"""Our number among PostgreSQL's advisory locks; any constant does."""

TRIES, LONGEST_PAUSE_S = 60, 2.0
"""About two minutes: longer than a restart of a database, shorter than anybody's patience."""

DOWN = (OperationalError, InterfaceError)

HOPELESS = ("SQLITE_ERROR", "SQLITE_CANTOPEN", "SQLITE_READONLY")
"""SQLite calls these operational too, but waiting mends neither a wrong statement nor a folder without access."""


def open_database(url: str) -> sa.Engine:
    """An engine for `sqlite:///file` or `postgresql+psycopg://...`. Connects when first used."""
    engine = sa.create_engine(url, pool_pre_ping=True)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver never begins by itself; `_begin_sqlite` does
    for pragma in ("busy_timeout=30000", "journal_mode=wal", "synchronous=normal"):
        connection.execute(f"pragma {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("begin" if reading else "begin immediate")


def waiting_out(fn: Callable[P, T]) -> Callable[P, T]:
    """Repeat a call while the database is away or its transaction collided; the last failure is raised.

    The call must be one transaction.
    """

    @functools.wraps(fn)
    def patient(*args: P.args, **kwargs: P.kwargs) -> T:
        for attempt in range(TRIES):
            try:
                return fn(*args, **kwargs)
            except DOWN as error:
                if attempt == TRIES - 1 or getattr(error.orig, "sqlite_errorname", "").startswith(HOPELESS):
                    raise
                time.sleep(min(LONGEST_PAUSE_S, 0.1 * 2.0**attempt))
        raise AssertionError("unreachable")

    return patient


@waiting_out
def migrate(engine: sa.Engine) -> None:
    """Bring the tables up to the newest revision. Any number of processes may call it at once: one migrates."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:  # on SQLite this transaction is the lock
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


class Records:
    """What every group of tables is made of: an engine to read and to write with."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._reader = engine.execution_options(reading=True)
        # BEGIN IMMEDIATE leaves SQLite's writers nothing to run beside; PostgreSQL's have to ask for it
        sqlite = engine.dialect.name == "sqlite"
        self._serial = engine if sqlite else engine.execution_options(isolation_level="SERIALIZABLE")

    def _read(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that sees one state of the database, and must not write."""
        return self._reader.begin()

    def _write(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that may write."""
        return self._engine.begin()

    def _write_serially(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that may write, as if it were alone: what it read is still so when it ends.

        PostgreSQL refuses all but one of those that collide, also at the very end; `waiting_out` repeats them.
        """
        return self._serial.begin()


def insert_new(connection: sa.Connection, table: sa.Table, rows: Iterable[Row]) -> None:
    """Insert rows whose primary key is not there yet; leave the others as they are."""
    if found := list(rows):
        connection.execute(inserting(connection, table).on_conflict_do_nothing(), found)


def upsert(connection: sa.Connection, table: sa.Table, rows: Iterable[Row], *, newest: str = "") -> None:
    """Insert rows, or replace those with the same primary key.

    Args:
        newest: a column; a row is replaced only by one with a greater value in it. Empty: always.
    """
    found = list(rows)
    if not found:
        return
    statement = inserting(connection, table)
    keys: Sequence[sa.Column[Any]] = list(table.primary_key)
    new = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=keys,
        set_={column.name: new[column.name] for column in table.columns if not column.primary_key},
        where=None if not newest else table.c[newest] < new[newest],
    )
    connection.execute(statement, found)


def inserting(connection: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """An insert that can say what happens to rows that are there already."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def chunks(ids: Iterable[str], size: int = 500) -> Iterator[tuple[str, ...]]:
    """Distinct ids in portions that fit into one statement."""
    distinct = tuple(dict.fromkeys(ids))
    return (distinct[start : start + size] for start in range(0, len(distinct), size))
