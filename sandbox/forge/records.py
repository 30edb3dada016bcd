"""The forge's memory: one SQLite file of JSON records by kind and key, in the order in which they were made."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Record = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    place INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, key TEXT NOT NULL, record TEXT NOT NULL,
    UNIQUE (kind, key));
"""


class Records:
    """Everything that the forge knows. One event loop uses it."""

    def __init__(self, path: Path | str) -> None:
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.executescript(SCHEMA)

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def get(self, kind: str, key: object) -> Record | None:
        """One record."""
        found = self._connection.execute(
            "SELECT record FROM records WHERE kind = ? AND key = ?", (kind, str(key))
        ).fetchone()
        return json.loads(found[0]) if found else None

    def put(self, kind: str, key: object, record: Record) -> None:
        """Make a record or replace it; a replaced one keeps its place."""
        self._connection.execute(
            "INSERT INTO records (kind, key, record) VALUES (?, ?, ?)"
            " ON CONFLICT (kind, key) DO UPDATE SET record = excluded.record",
            (kind, str(key), json.dumps(record)),
        )

    def drop(self, kind: str, key: object) -> None:
        """Forget a record."""
        self._connection.execute("DELETE FROM records WHERE kind = ? AND key = ?", (kind, str(key)))

    def every(self, kind: str) -> dict[str, Record]:
        """All records of a kind by key, oldest first."""
        rows = self._connection.execute("SELECT key, record FROM records WHERE kind = ? ORDER BY place", (kind,))
        return {key: json.loads(record) for key, record in rows}

    def next(self, sequence: str, start: int = 1) -> int:
        """The next number of a sequence."""
        number = int((self.get("sequence", sequence) or {"next": start})["next"])
        self.put("sequence", sequence, {"next": number + 1})
        return number
