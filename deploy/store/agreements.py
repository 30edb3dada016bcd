"""What a judge said about answers that a person had scored, so that its agreement with people is known."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from deploy.store.database import Records, upsert, waiting_out
from deploy.store.schema import agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementRow:
    """One answer, scored by a person and by a judge, both in [0, 1].

    Attributes:
        score_id: the person's score in the trace store.
        at: when the person gave it.
    """

    score_id: str
    human: float
    judged: float
    at: datetime


class Agreements(Records):
    """Judgements beside people's scores, by prompt id and judge."""

    @waiting_out
    def save(self, prompt_id: str, judge: str, rows: Iterable[AgreementRow]) -> None:
        """Keep these; one about a score that is known replaces it, for people edit their scores."""
        values = [
            {
                "prompt_id": prompt_id,
                "judge": judge,
                "score_id": row.score_id,
                "human": row.human,
                "judged": row.judged,
                "at": row.at,
            }
            for row in rows
        ]
        with self._write() as connection:
            upsert(connection, agreement, values)

    @waiting_out
    def pairs(self, prompt_id: str, judge: str, *, limit: int) -> tuple[tuple[float, float], ...]:
        """(human, judged) of up to `limit` answers, the newest first."""
        found = sa.select(agreement).where(agreement.c.prompt_id == prompt_id, agreement.c.judge == judge)
        newest = found.order_by(agreement.c.at.desc(), agreement.c.score_id).limit(limit)
        with self._read() as connection:
            return tuple((row.human, row.judged) for row in connection.execute(newest))

    @waiting_out
    def known(self, prompt_id: str, judge: str) -> frozenset[str]:
        """Ids of the scores that were compared already."""
        found = sa.select(agreement.c.score_id).where(agreement.c.prompt_id == prompt_id, agreement.c.judge == judge)
        with self._read() as connection:
            return frozenset(connection.execute(found).scalars())
