"""The tables: built from nothing, built twice, built by two processes at once, and equal to the schema."""

import sqlite3
import subprocess
import sys

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from deploy.store.database import TRIES, migrate, open_database, waiting_out
from deploy.store.facade import Store
from deploy.store.schema import poll
from deploy.store.schema_releases import metadata

MIGRATE = "import sys; from deploy.store.database import *; migrate(open_database(sys.argv[1])); print('migrated')"


def tables(engine: sa.Engine) -> set[str]:
    with engine.begin() as connection:
        return set(sa.inspect(connection).get_table_names())


def test_the_migrations_build_what_the_schema_says(store: Store) -> None:
    with store.engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert sa.inspect(connection).get_view_names() == ["spend"]
    assert tables(store.engine) == {*metadata.tables, "alembic_version"}


def test_migrating_again_changes_nothing(store: Store) -> None:
    with store.engine.begin() as connection:
        connection.execute(sa.text("insert into poll values ('p', 'q', '2026-01-01 00:00:00.000000', '')"))
    migrate(store.engine)
    with store.engine.begin() as connection:
        assert connection.execute(sa.text("select count(*) from poll")).scalar() == 1


def test_processes_that_start_at_once_all_find_the_tables(url: str) -> None:
    starts = [subprocess.Popen([sys.executable, "-c", MIGRATE, url], stdout=subprocess.PIPE) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in starts]
    assert said == [b"migrated\n"] * 2
    assert set(metadata.tables) < tables(open_database(url))


def test_sqlite_writes_ahead_and_takes_the_write_lock_first(store: Store, url: str) -> None:
    with store.engine.begin() as connection:
        assert connection.exec_driver_sql("pragma journal_mode").scalar() == "wal"
    other = open_database(url)
    with store.engine.begin(), other.execution_options(reading=True).begin() as reading:
        assert reading.execute(sa.select(sa.func.count()).select_from(poll)).scalar() == 0
        with other.connect().execution_options() as writing:
            busy = writing.connection.dbapi_connection
            assert busy is not None
            busy.execute("pragma busy_timeout=0")
            with pytest.raises(sa.exc.OperationalError, match="locked"):
                writing.execute(sa.select(poll))
    other.dispose()


def test_a_call_waits_while_the_database_is_away(store: Store) -> None:
    engine = open_database(str(store.engine.url))
    sa.event.listen(engine, "connect", lambda connection, _: connection.execute("pragma busy_timeout=0"))
    other = sqlite3.connect(str(store.engine.url.database), isolation_level=None)
    other.execute("begin immediate")
    tried = []

    @waiting_out
    def ask() -> int | None:
        tried.append(1)
        if len(tried) == 3:
            other.execute("rollback")
        with engine.begin() as connection:
            return connection.exec_driver_sql("select 7").scalar()

    assert ask() == 7
    assert len(tried) == 3 < TRIES
    engine.dispose()
    other.close()


@pytest.mark.parametrize("statement", ["insert into poll (project) values ('p')", "select * from no_such_table"])
def test_a_wrong_statement_is_not_repeated(store: Store, statement: str) -> None:
    tried = []

    @waiting_out
    def wrong() -> None:
        tried.append(1)
        with store.engine.begin() as connection:
            connection.exec_driver_sql(statement)

    with pytest.raises(sa.exc.DBAPIError):
        wrong()
    assert len(tried) == 1
