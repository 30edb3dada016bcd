"""Sources whose words must not be stored any more: people who asked to be forgotten.

What is kept of them is one row among the effects, under a hash of the source key, so that nothing reads them in again
as long as Langfuse still holds their traces. Until everything of theirs is erased the row names the key itself, so that
whoever comes after a crash knows what is left to do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from deploy.store.database import Records, chunks, waiting_out
from deploy.store.schema import derivation, effect, generation, score, source_text, waiting_score
from optimizer.identity import digest
from optimizer.types import Generation, Score

FORGOTTEN = "forgotten"
"""Under which the rows stand, where effects have the id of their cycle."""

ALIAS = "erased-"
"""How every alias begins; no source key does, they are hexadecimal."""


def alias_of(source_key: str) -> str:
    """What stands for a forgotten source where something is still counted by it."""
    return f"{ALIAS}{digest('forgotten', source_key)[:32]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A source whose erasure has begun.

    Attributes:
        traces: of theirs, which only Langfuse could name.
        waiting: what had to end when the rest was erased; None while the rest is not.
    """

    source_key: str
    traces: tuple[str, ...]
    waiting: tuple[str, ...] | None
    at: datetime


class Forgotten(Records):
    """The list of forgotten sources."""

    @waiting_out
    def begin(self, source_keys: Iterable[str], traces: Iterable[str] = (), *, at: datetime) -> datetime:
        """These are to be erased. From now on nothing of them is stored.

        Returns:
            since when that is so: nothing that began later can hold their words.
        """
        known = sorted(set(traces))
        since = at
        with self._write() as connection:
            for key in source_keys:
                row = connection.execute(sa.select(effect).where(_row(key))).one_or_none()
                result = {"source": key, "traces": sorted({*known, *(row.result.get("traces", ()) if row else ())})}
                if row is None:
                    new = {"cycle_id": FORGOTTEN, "key": alias_of(key), "result": result, "at": at}
                    connection.execute(sa.insert(effect).values(new))
                else:
                    since = min(since, row.at)
                    connection.execute(sa.update(effect).where(_row(key)).values(result=result))
        return since

    @waiting_out
    def erased(self, source_keys: Iterable[str], waiting: Iterable[str] = ()) -> None:
        """Everything of these is erased but what waits for something to end; without that only their aliases stay."""
        left = sorted(waiting)
        with self._write() as connection:
            for key in source_keys:
                found = connection.execute(sa.select(effect.c.result).where(_row(key))).scalar() or {}
                result = {**found, "waiting": left} if left else {}
                connection.execute(sa.update(effect).where(_row(key)).values(result=result))

    @waiting_out
    def pending(self) -> tuple[Pending, ...]:
        """Sources whose erasure was begun and not finished, the oldest first."""
        found = sa.select(effect.c.result, effect.c.at).where(effect.c.cycle_id == FORGOTTEN).order_by(effect.c.at)
        with self._read() as connection:
            rows = connection.execute(found).all()
        return tuple(
            Pending(
                source_key=row.result["source"],
                traces=tuple(row.result["traces"]),
                waiting=tuple(row.result["waiting"]) if "waiting" in row.result else None,
                at=row.at,
            )
            for row in rows
            if row.result
        )


def _row(source_key: str) -> sa.ColumnElement[bool]:
    return (effect.c.cycle_id == FORGOTTEN) & (effect.c.key == alias_of(source_key))


def forgotten(connection: sa.Connection, source_keys: Iterable[str]) -> dict[str, str]:
    """The aliases of those of these sources that are forgotten, by source key."""
    by_alias = {alias_of(key): key for key in source_keys if key}
    found: dict[str, str] = {}
    for some in chunks(by_alias):
        rows = connection.execute(sa.select(effect.c.key).where(effect.c.cycle_id == FORGOTTEN, effect.c.key.in_(some)))
        found |= {by_alias[alias]: alias for alias in rows.scalars()}
    return found


def without_forgotten(
    connection: sa.Connection, generations: Sequence[Generation], scores: Sequence[Score]
) -> tuple[Sequence[Generation], Sequence[Score]]:
    """What may be stored of these: forgotten sources lose their words, their tags, their names and their scores.

    Scores of theirs that were stored before anybody could know whose they are go as well.
    """
    if connection.execute(sa.select(effect.c.key).where(effect.c.cycle_id == FORGOTTEN).limit(1)).first() is None:
        return generations, scores
    aliases = forgotten(connection, {found.source_key for found in generations})
    theirs = {found.trace_id for found in generations if found.source_key in aliases}
    drop_scores(connection, theirs)
    for some in chunks(found.trace_id for found in scores):
        rows = sa.select(generation.c.trace_id).where(generation.c.trace_id.in_(some))
        theirs |= set(connection.execute(rows.where(generation.c.source_key.startswith(ALIAS))).scalars())
    blank = [
        replace(found, input="", output="", tags=(), source_key=aliases[found.source_key])
        if found.source_key in aliases
        else found
        for found in generations
    ]
    return blank, [found for found in scores if found.trace_id not in theirs]


def drop_scores(connection: sa.Connection, trace_ids: Iterable[str]) -> tuple[int, int]:
    """Delete the scores of these traces, and their words where nobody else said the same.

    Returns:
        how many scores and how many texts there were.
    """
    scores = texts = 0
    for some in chunks(trace_ids):
        rows = connection.execute(sa.select(score).where(score.c.trace_id.in_(some))).all()
        scores += len(rows)
        for ids in chunks(row.id for row in rows):
            connection.execute(sa.delete(score).where(score.c.id.in_(ids)))
            connection.execute(sa.delete(waiting_score).where(waiting_score.c.score_id.in_(ids)))
            made = (derivation.c.derived_kind == "score") & derivation.c.derived_id.in_(ids)
            connection.execute(sa.delete(derivation).where(made))
        texts += drop_texts(
            connection, _unsaid(connection, [t for row in rows for t in (row.comment_id, row.value_id)])
        )
    return scores, texts


def drop_texts(connection: sa.Connection, text_ids: Iterable[str]) -> int:
    """Delete texts, and what is known of what was made from them; how many there were."""
    dropped = 0
    for some in chunks(text_ids):
        dropped += connection.execute(sa.delete(source_text).where(source_text.c.id.in_(some))).rowcount
        connection.execute(sa.delete(derivation).where(derivation.c.text_id.in_(some)))
    return dropped


def _unsaid(connection: sa.Connection, text_ids: Iterable[str | None]) -> list[str]:
    """Those of these texts that no score holds any more: the same words of two people are one row."""
    gone: list[str] = []
    for some in chunks(id_ for id_ in text_ids if id_):
        held: set[str] = set()
        for column in (score.c.comment_id, score.c.value_id):
            held |= set(connection.execute(sa.select(column).where(column.in_(some))).scalars())
        gone += [id_ for id_ in some if id_ not in held]
    return gone
