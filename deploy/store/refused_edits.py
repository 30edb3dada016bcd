"""Edits that a person refused or that production took back, with what was said of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from deploy.store.database import Records, insert_new, waiting_out
from deploy.store.schema_releases import refused_edit


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRelease:
    """One release that was refused, by the ids of its edits.

    Attributes:
        because: the state that it ended in.
        words: a person's, hostile as any text from a forge; empty when production decided.
    """

    run_id: str
    edit_ids: tuple[str, ...]
    because: str
    words: str
    actor: str
    at: datetime


class RefusedEdits(Records):
    """Refused edits by prompt id, which outlives a rename."""

    @waiting_out
    def keep(self, prompt_id: str, refused: RefusedRelease) -> None:
        """Remember a release's edits as refused; what was said first stays."""
        shared = {"because": refused.because, "words": refused.words, "actor": refused.actor, "at": refused.at}
        rows = [
            {"prompt_id": prompt_id, "run_id": refused.run_id, "edit_id": edit_id, **shared}
            for edit_id in refused.edit_ids
        ]
        with self._write() as connection:
            insert_new(connection, refused_edit, rows)

    @waiting_out
    def of(self, prompt_id: str) -> tuple[RefusedRelease, ...]:
        """Everything that was refused of a prompt, oldest first."""
        found = sa.select(refused_edit).where(refused_edit.c.prompt_id == prompt_id)
        with self._read() as connection:
            rows = connection.execute(found.order_by(refused_edit.c.at, refused_edit.c.run_id)).all()
        return tuple(_together(rows))


def _together(rows: Iterable[sa.Row[tuple[str, ...]]]) -> Iterable[RefusedRelease]:
    by_run: dict[str, list[sa.Row[tuple[str, ...]]]] = {}
    for row in rows:
        by_run.setdefault(row.run_id, []).append(row)
    for run_id, edits in by_run.items():
        first = edits[0]
        yield RefusedRelease(
            run_id=run_id,
            edit_ids=tuple(edit.edit_id for edit in edits),
            because=first.because,
            words=first.words,
            actor=first.actor,
            at=first.at,
        )
