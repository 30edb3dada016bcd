"""How far each prompt's complaints have been read, and which of them still wait for their trace."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from deploy.store.database import Records, chunks, insert_new, upsert, waiting_out
from deploy.store.schema import poll, waiting_score


class Polls(Records):
    """Watermarks and waiting scores, per project and prompt."""

    @waiting_out
    def watermark(self, project: str, prompt: str, scope: str = "") -> datetime | None:
        """Everything of this scope before it was read; None before the first time."""
        here = (poll.c.project == project) & (poll.c.prompt == prompt) & (poll.c.scope == scope)
        found = sa.select(poll.c.watermark).where(here)
        with self._read() as connection:
            return connection.execute(found).scalar()

    @waiting_out
    def project(self, prompt: str) -> str:
        """The project that the prompt's complaints were read from last; empty before the first time."""
        found = sa.select(poll.c.project).where(poll.c.prompt == prompt).order_by(poll.c.watermark.desc()).limit(1)
        with self._read() as connection:
            return connection.execute(found).scalar() or ""

    @waiting_out
    def advance(self, project: str, prompt: str, watermark: datetime, scope: str = "") -> None:
        """Move the watermark forward; it never moves back."""
        row = {"project": project, "prompt": prompt, "watermark": watermark, "scope": scope}
        with self._write() as connection:
            upsert(connection, poll, [row], newest="watermark")

    @waiting_out
    def wait(self, project: str, prompt: str, score_ids: Iterable[str], deadline: datetime) -> None:
        """These complaints have no trace yet. One that waits already keeps its first deadline."""
        rows = [{"project": project, "prompt": prompt, "score_id": id_, "deadline": deadline} for id_ in score_ids]
        with self._write() as connection:
            insert_new(connection, waiting_score, rows)

    @waiting_out
    def waiting(self, project: str, prompt: str, now: datetime) -> tuple[str, ...]:
        """Ids of complaints that wait and may go on waiting, sorted."""
        with self._read() as connection:
            found = _of(project, prompt).where(waiting_score.c.deadline > now)
            return tuple(connection.execute(found).scalars())

    @waiting_out
    def arrived(self, project: str, prompt: str, score_ids: Iterable[str]) -> None:
        """These complaints have found their trace."""
        here = (waiting_score.c.project == project) & (waiting_score.c.prompt == prompt)
        with self._write() as connection:
            for some in chunks(score_ids):
                connection.execute(sa.delete(waiting_score).where(here, waiting_score.c.score_id.in_(some)))

    @waiting_out
    def expire(self, project: str, prompt: str, now: datetime) -> tuple[str, ...]:
        """Give up on complaints whose deadline has passed, and say which."""
        late = waiting_score.c.deadline <= now
        with self._write() as connection:
            ids = tuple(connection.execute(_of(project, prompt).where(late)).scalars())
            here = (waiting_score.c.project == project) & (waiting_score.c.prompt == prompt)
            connection.execute(sa.delete(waiting_score).where(here, late))
        return ids


def _of(project: str, prompt: str) -> sa.Select[str]:
    here = (waiting_score.c.project == project) & (waiting_score.c.prompt == prompt)
    return sa.select(waiting_score.c.score_id).where(here).order_by(waiting_score.c.score_id)
