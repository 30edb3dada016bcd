"""Production's generations and scores, as they were read last."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from deploy.store.database import Records, chunks, upsert, waiting_out
from deploy.store.forgotten import without_forgotten
from deploy.store.schema import generation, score
from deploy.store.texts import SourceText, keep_links, keep_texts, load_texts
from optimizer.types import Generation, Score, ScoreKind


class Traces(Records):
    """Generations and scores by their own ids and by trace."""

    @waiting_out
    def save(self, generations: Sequence[Generation] = (), scores: Sequence[Score] = (), *, at: datetime) -> None:
        """Keep what was read at this moment. Of one score, the row with the greatest `updated_at` stays."""
        with self._write() as connection:
            keep_traces(connection, generations, scores, at=at)

    @waiting_out
    def generations(self, ids: Iterable[str]) -> tuple[Generation, ...]:
        """Those of these ids that are known, newest first."""
        with self._read() as connection:
            return load_generations(connection, generation.c.id, ids)

    @waiting_out
    def generations_of(self, trace_ids: Iterable[str]) -> tuple[Generation, ...]:
        """Generations of these traces, newest first."""
        with self._read() as connection:
            return load_generations(connection, generation.c.trace_id, trace_ids)

    @waiting_out
    def of_version(self, prompt: str, version: int, since: datetime) -> tuple[Generation, ...]:
        """Generations of one version of a prompt that started at this moment or later, newest first."""
        mine = (generation.c.prompt_name == prompt) & (generation.c.prompt_version == version)
        found = sa.select(generation.c.id).where(mine, generation.c.at >= since)
        with self._read() as connection:
            return load_generations(connection, generation.c.id, connection.execute(found).scalars().all())

    @waiting_out
    def scores(self, ids: Iterable[str]) -> tuple[Score, ...]:
        """Those of these ids that are known, newest first."""
        with self._read() as connection:
            return load_scores(connection, score.c.id, ids)

    @waiting_out
    def scores_of(self, trace_ids: Iterable[str]) -> tuple[Score, ...]:
        """Scores of these traces, newest first."""
        with self._read() as connection:
            return load_scores(connection, score.c.trace_id, trace_ids)

    @waiting_out
    def scores_between(self, start: datetime, end: datetime) -> tuple[Score, ...]:
        """Scores given in [start, end), newest first."""
        found = sa.select(score.c.id).where(score.c.at >= start, score.c.at < end)
        with self._read() as connection:
            return load_scores(connection, score.c.id, connection.execute(found).scalars().all())

    @waiting_out
    def forget_scores(self, ids: Iterable[str]) -> None:
        """These are complaints no more: edited for the better, or deleted. What was made of them keeps their words."""
        with self._write() as connection:
            for some in chunks(ids):
                connection.execute(sa.delete(score).where(score.c.id.in_(some)))


def keep_traces(
    connection: sa.Connection, generations: Sequence[Generation], scores: Sequence[Score], *, at: datetime
) -> None:
    """`Traces.save` inside the caller's transaction."""
    generations, scores = without_forgotten(connection, generations, scores)
    said = [(g.id, (_input(g), _output(g))) for g in generations]
    judged = [(s.id, (_comment(s), _value(s))) for s in scores]
    keep_texts(connection, [text for _, texts in (*said, *judged) for text in texts], at=at)
    keep_links(connection, "generation", [(id_, [text.id for text in texts]) for id_, texts in said])
    keep_links(connection, "score", [(id_, [text.id for text in texts]) for id_, texts in judged])
    upsert(connection, generation, [_generation_row(found, at) for found in generations])
    upsert(connection, score, [_score_row(found) for found in scores], newest="updated_at")


def load_generations(connection: sa.Connection, column: sa.Column[str], ids: Iterable[str]) -> tuple[Generation, ...]:
    """Generations whose column holds one of the ids, newest first."""
    rows = _rows(connection, generation, column, ids)
    texts = load_texts(connection, [text_id for row in rows for text_id in (row.input_id, row.output_id)])
    found = [
        Generation(
            id=row.id,
            trace_id=row.trace_id,
            prompt_name=row.prompt_name,
            prompt_version=row.prompt_version,
            environment=row.environment,
            at=row.at,
            input=texts.get(row.input_id, ""),
            output=texts.get(row.output_id, ""),
            model=row.model,
            source_key=row.source_key,
            tags=tuple(row.tags),
        )
        for row in rows
    ]
    return tuple(sorted(found, key=lambda g: (g.at, g.id), reverse=True))


def load_scores(connection: sa.Connection, column: sa.Column[str], ids: Iterable[str]) -> tuple[Score, ...]:
    """Scores whose column holds one of the ids, newest first."""
    rows = _rows(connection, score, column, ids)
    texts = load_texts(connection, [text_id for row in rows for text_id in (row.comment_id, row.value_id or "")])
    found = [
        Score(
            id=row.id,
            name=row.name,
            kind=ScoreKind(row.kind),
            value=_loaded_value(row, texts),
            comment=texts.get(row.comment_id, ""),
            trace_id=row.trace_id,
            observation_id=row.observation_id,
            environment=row.environment,
            at=row.at,
            updated_at=row.updated_at,
        )
        for row in rows
    ]
    return tuple(sorted(found, key=lambda s: (s.at, s.id), reverse=True))


def _rows(connection: sa.Connection, table: sa.Table, column: sa.Column[str], ids: Iterable[str]) -> list[sa.Row[Any]]:
    return [row for some in chunks(ids) for row in connection.execute(sa.select(table).where(column.in_(some)))]


def _input(found: Generation) -> SourceText:
    return SourceText(kind="input", text=found.input, source_key=found.source_key)


def _output(found: Generation) -> SourceText:
    return SourceText(kind="output", text=found.output, source_key=found.source_key)


def _comment(judged: Score) -> SourceText:
    return SourceText(kind="comment", text=judged.comment)


def _value(judged: Score) -> SourceText:
    return SourceText(kind="value", text=judged.value if isinstance(judged.value, str) else "")


def _generation_row(found: Generation, at: datetime) -> dict[str, Any]:
    return {
        "id": found.id,
        "trace_id": found.trace_id,
        "prompt_name": found.prompt_name,
        "prompt_version": found.prompt_version,
        "environment": found.environment,
        "at": found.at,
        "input_id": _input(found).id,
        "output_id": _output(found).id,
        "model": found.model,
        "source_key": found.source_key,
        "tags": list(found.tags),
        "read_at": at,
    }


def _score_row(judged: Score) -> dict[str, Any]:
    value = judged.value
    return {
        "id": judged.id,
        "name": judged.name,
        "kind": judged.kind.value,
        "number": float(value) if not isinstance(value, bool | str) else None,
        "flag": value if isinstance(value, bool) else None,
        "value_id": _value(judged).id if isinstance(value, str) else None,
        "comment_id": _comment(judged).id,
        "trace_id": judged.trace_id,
        "observation_id": judged.observation_id,
        "environment": judged.environment,
        "at": judged.at,
        "updated_at": judged.updated_at,
    }


def _loaded_value(row: sa.Row[Any], texts: dict[str, str]) -> float | bool | str:
    if row.value_id is not None:
        return texts.get(row.value_id, "")
    if row.flag is not None:
        return bool(row.flag)
    return math.nan if row.number is None else float(row.number)  # SQLite has no NaN and stores null
