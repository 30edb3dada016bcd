"""Which version of a prompt is shown to whom, now: what the evaluation endpoint answers from.

A row changes only by compare and set, and every change adds one to its serial: two writers never undo each other, and
a reader sees at once that something changed. Not its history: the events of a release are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from deploy.store.database import Records, Row, upsert, waiting_out
from deploy.store.encoding import decoded, encoded
from deploy.store.schema_releases import split as table
from optimizer.rollouts import PRODUCTION, Band, Split


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSplit:
    """A split as it stands. `serial` counts its changes, from 1."""

    split: Split
    serial: int


class Splits(Records):
    """One split per prompt, at most."""

    @waiting_out
    def read(self, prompt: str) -> tuple[Split, int] | None:
        """The split of a prompt and its serial; None before the first release."""
        with self._read() as connection:
            return _standing(connection, prompt)

    @waiting_out
    def all(self) -> Mapping[str, KeptSplit]:
        """Every split by its prompt, all of one moment."""
        with self._read() as connection:
            rows = connection.execute(sa.select(table)).all()
        return {row.prompt: KeptSplit(split=_split(row), serial=row.serial) for row in rows}

    @waiting_out
    def start(self, prompt: str, salt: str, at: datetime) -> Split:
        """Everybody on production, with this salt; a split that shows anybody anything else stays. What stands then."""
        wanted = Split(prompt=prompt, salt=salt)
        with self._write_serially() as connection:
            stands, serial = _standing(connection, prompt) or (None, 0)
            if stands is not None and any(band.version != PRODUCTION for band in stands.bands):
                return stands
            if stands != wanted:
                upsert(connection, table, [_row(wanted, serial=serial + 1, at=at)])
            return wanted

    @waiting_out
    def write(self, split: Split, expect: Split, at: datetime) -> bool:
        """Put `split` in the place of `expect`. False, and nothing changed, when anything else stands there.

        Already standing counts as written, and leaves the serial as it is.
        """
        with self._write_serially() as connection:
            stands, serial = _standing(connection, split.prompt) or (None, 0)
            if stands == split:
                return True
            if stands != expect:
                return False
            upsert(connection, table, [_row(split, serial=serial + 1, at=at)])
            return True


def _standing(connection: sa.Connection, prompt: str) -> tuple[Split, int] | None:
    row = connection.execute(sa.select(table).where(table.c.prompt == prompt)).one_or_none()
    return None if row is None else (_split(row), row.serial)


def _row(split: Split, *, serial: int, at: datetime) -> Row:
    return {
        "prompt": split.prompt,
        "salt": split.salt,
        "bands": encoded(split.bands),
        "serial": serial,
        "changed_at": at,
    }


def _split(row: sa.Row[Any]) -> Split:
    return Split(prompt=row.prompt, salt=row.salt, bands=decoded(tuple[Band, ...], row.bands))
