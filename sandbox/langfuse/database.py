"""The sandbox's one SQLite file (WAL): schema, statements, and the queue of rows that are not readable yet.

Rows that reads return by the thousand keep their JSON ready made, one column per field group, so that a page is
string joining. One event loop uses one connection; nothing here may block on anything but the disk.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS prompts (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, version INTEGER NOT NULL, type TEXT NOT NULL, prompt TEXT NOT NULL,
    config TEXT NOT NULL, labels TEXT NOT NULL, tags TEXT NOT NULL, commit_message TEXT,
    created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, UNIQUE (name, version));
CREATE TABLE IF NOT EXISTS scores (
    id TEXT PRIMARY KEY, timestamp_ms INTEGER NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,
    name TEXT NOT NULL, data_type TEXT NOT NULL, number REAL, text TEXT, source TEXT NOT NULL,
    environment TEXT NOT NULL,
    trace_id TEXT, session_id TEXT, observation_id TEXT, experiment_id TEXT, config_id TEXT,
    queue_id TEXT, author_id TEXT,
    core TEXT NOT NULL, details TEXT NOT NULL, subject TEXT NOT NULL, annotation TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS scores_by_time ON scores (timestamp_ms DESC, id DESC);
CREATE INDEX IF NOT EXISTS scores_by_name ON scores (name, timestamp_ms DESC, id DESC);
CREATE INDEX IF NOT EXISTS scores_by_trace ON scores (trace_id, observation_id);
CREATE INDEX IF NOT EXISTS scores_by_experiment ON scores (experiment_id) WHERE experiment_id IS NOT NULL;
CREATE TABLE IF NOT EXISTS observations (
    id TEXT NOT NULL, trace_id TEXT NOT NULL, trace_hash INTEGER NOT NULL, start_ms INTEGER NOT NULL, end_ms INTEGER,
    parent_id TEXT, type TEXT NOT NULL, is_root INTEGER NOT NULL, name TEXT NOT NULL, level TEXT NOT NULL,
    status_message TEXT NOT NULL, version TEXT NOT NULL, environment TEXT NOT NULL, release TEXT NOT NULL,
    user_id TEXT NOT NULL, session_id TEXT NOT NULL, trace_name TEXT NOT NULL, tags TEXT NOT NULL, model TEXT NOT NULL,
    prompt_id TEXT NOT NULL, prompt_name TEXT NOT NULL, prompt_version INTEGER, input TEXT, output TEXT,
    latency_ms INTEGER, first_token_ms INTEGER, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
    total_tokens INTEGER NOT NULL, input_cost REAL, output_cost REAL, total_cost REAL,
    experiment_id TEXT NOT NULL, experiment_name TEXT NOT NULL, experiment_dataset_id TEXT NOT NULL,
    experiment_item_id TEXT NOT NULL, experiment_root_id TEXT NOT NULL, experiment TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,
    core TEXT NOT NULL, basic TEXT NOT NULL, time TEXT NOT NULL, io TEXT NOT NULL, brief_metadata TEXT NOT NULL,
    model_group TEXT NOT NULL, usage TEXT NOT NULL, prompt TEXT NOT NULL, trace_context TEXT NOT NULL,
    always TEXT NOT NULL,
    PRIMARY KEY (trace_id, id));
CREATE INDEX IF NOT EXISTS observations_by_time ON observations (start_ms DESC, trace_hash DESC, id DESC);
CREATE INDEX IF NOT EXISTS observations_by_id ON observations (id);
CREATE INDEX IF NOT EXISTS observations_by_prompt ON observations (prompt_name, start_ms) WHERE prompt_name != '';
CREATE INDEX IF NOT EXISTS observations_by_experiment ON observations (experiment_id) WHERE experiment_id != '';
CREATE TABLE IF NOT EXISTS arrivals (
    arrival INTEGER PRIMARY KEY AUTOINCREMENT, due_ms INTEGER NOT NULL, kind TEXT NOT NULL, fields TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS datasets (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT, metadata TEXT, input_schema TEXT,
    output_schema TEXT, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS dataset_items (
    revision INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, dataset_id TEXT NOT NULL, from_ms INTEGER NOT NULL,
    deleted INTEGER NOT NULL, status TEXT NOT NULL, input TEXT, expected_output TEXT, metadata TEXT,
    source_trace_id TEXT, source_observation_id TEXT);
CREATE INDEX IF NOT EXISTS dataset_items_by_id ON dataset_items (id, revision);
CREATE INDEX IF NOT EXISTS dataset_items_by_dataset ON dataset_items (dataset_id, id, revision);
CREATE TABLE IF NOT EXISTS score_configs (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, data_type TEXT NOT NULL, is_archived INTEGER NOT NULL, description TEXT,
    min_value REAL, max_value REAL, categories TEXT, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS comments (
    id TEXT PRIMARY KEY, object_type TEXT NOT NULL, object_id TEXT NOT NULL, content TEXT NOT NULL, author_id TEXT,
    created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS comments_by_object ON comments (object_type, object_id);
"""

Row = sqlite3.Row
Values = Sequence[Any] | Mapping[str, Any]
Settle = Callable[["Database", Mapping[str, Any], int], None]


class Database:
    """Statements against the file, and transactions around them."""

    def __init__(self, path: Path | str) -> None:
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        # a sandbox may lose its last writes in a power cut, never in a crash of the process
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.executescript(SCHEMA)

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    def rows(self, statement: str, values: Values = ()) -> list[Row]:
        """All rows of a query."""
        return self._connection.execute(statement, values).fetchall()

    def row(self, statement: str, values: Values = ()) -> Row | None:
        """The first row of a query."""
        found: Row | None = self._connection.execute(statement, values).fetchone()
        return found

    def count(self, statement: str, values: Values = ()) -> int:
        """The one number a query answers."""
        return int(self._connection.execute(statement, values).fetchone()[0])

    def run(self, statement: str, values: Values = ()) -> int:
        """Execute a change and say how many rows it touched."""
        return self._connection.execute(statement, values).rowcount

    def put(self, table: str, fields: Mapping[str, Any], *, replace: bool = False) -> None:
        """Insert one row; its keys are our own column names, never text of a request."""
        verb = "INSERT OR REPLACE" if replace else "INSERT"
        marks = ", ".join("?" * len(fields))
        self._connection.execute(f"{verb} INTO {table} ({', '.join(fields)}) VALUES ({marks})", tuple(fields.values()))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; the inner one of two nested ones is part of the outer."""
        if self._connection.in_transaction:
            yield
            return
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def arrive(self, kind: str, batch: Iterable[Mapping[str, Any]], due_ms: int) -> None:
        """Queue accepted rows; `settle` makes them readable when they are due."""
        self._connection.executemany(
            "INSERT INTO arrivals (due_ms, kind, fields) VALUES (?, ?, ?)",
            [(due_ms, kind, json.dumps(fields)) for fields in batch],
        )

    def settle(self, now_ms: int, kinds: Mapping[str, Settle]) -> None:
        """Store every queued row that is due, in the order of arrival."""
        if not self.row("SELECT 1 FROM arrivals WHERE due_ms <= ? LIMIT 1", (now_ms,)):
            return
        with self.transaction():
            due = self.rows("SELECT * FROM arrivals WHERE due_ms <= ? ORDER BY arrival", (now_ms,))
            for row in due:
                kinds[row["kind"]](self, json.loads(row["fields"]), row["due_ms"])
            self._connection.executemany("DELETE FROM arrivals WHERE arrival = ?", [(row["arrival"],) for row in due])


def marks(values: Sequence[Any]) -> str:
    """`?, ?, ?` for an `IN (...)`."""
    return ", ".join("?" * len(values))
