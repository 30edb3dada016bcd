"""What production showed to whom under a release, and what the answers were worth: the raw material of its units.

Numbers and keyed hashes only, no word of anybody. What was read again replaces what was read before; units are made of
it anew at every look, so nothing is counted here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from deploy.store.database import Records, chunks, inserting, upsert, waiting_out
from deploy.store.forgotten import forgotten
from deploy.store.schema import release
from deploy.store.schema_releases import exposure, exposure_score
from optimizer.rollouts import Exposure
from optimizer.types import Missing, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One score of the metric: what it says the answer is worth, in [0, 1], and when it was given."""

    score_id: str
    trace_id: str
    worth: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One answer with every score that it has so far."""

    exposure: Exposure
    scores: tuple[Given, ...] = ()


class Exposures(Records):
    """Answers and their scores, by release."""

    @waiting_out
    def save(
        self, run_id: str, exposures: Sequence[Exposure], scores: Sequence[Given], *, scored: Window, until: datetime
    ) -> None:
        """Keep what one look has read, and how far it read. Saved twice is saved once.

        Of a trace the earliest answer stays. Who asked to be forgotten stays in the counts, under an alias. Scores of
        answers that were never shown under this release are not its business. A score replaces its earlier self; one
        that was given in the window and is not there any more was deleted, or says nothing about the metric any more.

        Args:
            scored: the window in which `scores` are all that there are.
        """
        with self._write() as connection:
            aliases = forgotten(connection, {one.unit for one in exposures})
            _keep_first(connection, [_row(run_id, one, aliases.get(one.unit, one.unit)) for one in exposures])
            ids = {one.score_id for one in scores}
            mine = exposure_score.c.run_id == run_id
            inside = (exposure_score.c.at >= scored.start) & (exposure_score.c.at < scored.end)
            stored = connection.execute(sa.select(exposure_score.c.score_id).where(mine, inside)).scalars().all()
            for some in chunks(id_ for id_ in stored if id_ not in ids):
                connection.execute(sa.delete(exposure_score).where(mine, exposure_score.c.score_id.in_(some)))
            shown = _known(connection, run_id, {one.trace_id for one in scores})
            values = [
                {
                    "run_id": run_id,
                    "score_id": one.score_id,
                    "trace_id": one.trace_id,
                    "worth": one.worth,
                    "at": one.at,
                }
                for one in scores
                if one.trace_id in shown
            ]
            upsert(connection, exposure_score, values)
            connection.execute(sa.update(release).where(release.c.run_id == run_id).values(watched_until=until))

    @waiting_out
    def load(self, run_id: str) -> tuple[Answered, ...]:
        """Every answer under a release with its scores, oldest first."""
        shown = sa.select(exposure).where(exposure.c.run_id == run_id).order_by(exposure.c.at, exposure.c.trace_id)
        judged = sa.select(exposure_score).where(exposure_score.c.run_id == run_id)
        scores: dict[str, list[Given]] = {}
        with self._read() as connection:
            # joined here: for the database it would be a walk through all scores for every answer
            for row in connection.execute(judged.order_by(exposure_score.c.score_id)):
                found = Given(score_id=row.score_id, trace_id=row.trace_id, worth=row.worth, at=row.at)
                scores.setdefault(row.trace_id, []).append(found)
            return tuple(
                Answered(exposure=_exposure(row), scores=tuple(scores.get(row.trace_id, ())))
                for row in connection.execute(shown)
            )


def _keep_first(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    """Of one trace the earliest answer counts; read again, it may have got its cost or its end meanwhile."""
    if not rows:
        return
    statement = inserting(connection, exposure)
    new = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=list(exposure.primary_key),
        set_={column.name: new[column.name] for column in exposure.columns if not column.primary_key},
        where=new.at <= exposure.c.at,
    )
    connection.execute(statement, rows)


def _known(connection: sa.Connection, run_id: str, trace_ids: Iterable[str]) -> frozenset[str]:
    mine = exposure.c.run_id == run_id
    return frozenset(_among(connection, sa.select(exposure.c.trace_id).where(mine), trace_ids))


def _among(connection: sa.Connection, found: sa.Select[Any], trace_ids: Iterable[str]) -> Iterator[str]:
    for some in chunks(trace_ids):
        yield from connection.execute(found.where(exposure.c.trace_id.in_(some))).scalars()


def _row(run_id: str, one: Exposure, unit: str) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "trace_id": one.trace_id,
        "unit": unit,
        "place": one.place,
        "at": one.at,
        "version": one.version,
        "model": one.model,
        "failed": one.failed,
        "latency_s": None if isinstance(one.latency_s, Missing) else one.latency_s,
        "cost_usd": None if isinstance(one.cost_usd, Missing) else one.cost_usd,
    }


def _exposure(row: sa.Row[Any]) -> Exposure:
    return Exposure(
        trace_id=row.trace_id,
        unit=row.unit,
        place=row.place,
        at=row.at,
        version=row.version,
        model=row.model,
        failed=row.failed,
        latency_s=Missing.NOT_RECORDED if row.latency_s is None else row.latency_s,
        cost_usd=Missing.NOT_RECORDED if row.cost_usd is None else row.cost_usd,
    )
