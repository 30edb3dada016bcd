"""The one table of what strangers wrote, and the index of what was made from it.

An id is the hash of kind, source and text: the same words of two people are two rows, so that erasing one person leaves
the other's. The empty text has the empty id and no row.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from deploy.store.database import Records, chunks, insert_new, waiting_out
from deploy.store.forgotten import forgotten
from deploy.store.schema import derivation, source_text
from optimizer.identity import digest


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceText:
    """Words that came from outside, and whose they are (empty when nobody knows)."""

    kind: str
    text: str
    source_key: str = ""

    @property
    def id(self) -> str:
        return digest("text", self.kind, self.source_key, self.text) if self.text else ""


class Texts(Records):
    """Reading the table; the other modules write it inside their own transactions."""

    @waiting_out
    def load(self, ids: Iterable[str]) -> dict[str, str]:
        """Texts by id; those that were erased are left out."""
        with self._read() as connection:
            return load_texts(connection, ids)

    @waiting_out
    def derived_from(self, text_id: str) -> tuple[tuple[str, str], ...]:
        """What was made from a text: (kind, id) pairs, sorted."""
        found = sa.select(derivation.c.derived_kind, derivation.c.derived_id).where(derivation.c.text_id == text_id)
        with self._read() as connection:
            return tuple(sorted((row.derived_kind, row.derived_id) for row in connection.execute(found)))


def keep_texts(connection: sa.Connection, texts: Iterable[SourceText], *, at: datetime) -> None:
    """Store texts that are not there yet, but none of people who are to be forgotten."""
    said = [text for text in texts if text.text]
    gone = forgotten(connection, {text.source_key for text in said})
    rows = [
        {"id": text.id, "kind": text.kind, "text": text.text, "source_key": text.source_key, "created_at": at}
        for text in said
        if text.source_key not in gone
    ]
    insert_new(connection, source_text, rows)


def keep_links(connection: sa.Connection, kind: str, links: Iterable[tuple[str, Iterable[str]]]) -> None:
    """Say from which texts things of one kind were made: (id of the thing, ids of texts) pairs."""
    rows = [
        {"derived_kind": kind, "derived_id": derived_id, "text_id": text_id}
        for derived_id, text_ids in links
        for text_id in dict.fromkeys(text_ids)
        if text_id
    ]
    insert_new(connection, derivation, rows)


def load_texts(connection: sa.Connection, ids: Iterable[str]) -> dict[str, str]:
    """Texts by id; the empty id is the empty text; those that were erased are left out."""
    found = {"": ""}
    for some in chunks(ids):
        rows = connection.execute(sa.select(source_text.c.id, source_text.c.text).where(source_text.c.id.in_(some)))
        found.update((row.id, row.text) for row in rows)
    return found
