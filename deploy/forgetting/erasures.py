"""The database's side of an erasure: what there is, what is erased, and the file without what was erased."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from deploy.forgetting.erasing import erase
from deploy.forgetting.person import Person, find
from deploy.forgetting.reach import Reach, reach
from deploy.store.database import Records, waiting_out


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What goes back to a person, how far it went, and how much of it is erased, by kind."""

    person: Person
    reach: Reach = field(default_factory=Reach)
    counts: Mapping[str, int] = field(default_factory=dict)


class Erasures(Records):
    """Erases people from our own tables."""

    @waiting_out
    def find(self, keys: Sequence[str], traces: Collection[str], *, began: datetime) -> Person:
        """Everything of ours that goes back to these sources and traces."""
        with self._read() as connection:
            return find(connection, keys, traces, began=began)

    @waiting_out
    def erase(self, keys: Sequence[str], traces: Collection[str], *, began: datetime, dry: bool) -> Found:
        """Erase them in one transaction, which is undone again for a dry run."""
        with self._engine.connect() as connection, connection.begin() as transaction:
            person = find(connection, keys, traces, began=began)
            far = reach(connection, person)
            counts = erase(connection, person, began=began)
            if dry:
                transaction.rollback()
            return Found(person=person, reach=far, counts={kind: n for kind, n in counts.items() if n})

    @waiting_out
    def scrub(self) -> bool:
        """Leave nothing of what was deleted in SQLite's files; False when somebody keeps the log open.

        PostgreSQL is left to its own housekeeping: old rows stay in its files until it reuses their place.
        """
        if self._engine.dialect.name != "sqlite":
            return True
        connection = self._engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute("vacuum")
            cursor.execute("pragma wal_checkpoint(truncate)")
            result = cursor.fetchone()
            return result is not None and result[0] == 0
        finally:
            connection.close()
