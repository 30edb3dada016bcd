"""Which cases the gates of a prompt have looked at, so that a claim is made on cases that nobody ever scored.

A draw is recorded before it is returned: cases that were drawn are used, also when the process dies before it scores
them. Only ids are kept.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice

import sqlalchemy as sa

from deploy.store.database import Records, chunks, insert_new, waiting_out
from deploy.store.schema import case_use


class CaseUses(Records):
    """Uses by prompt id, case and gate."""

    @waiting_out
    def use(self, prompt_id: str, gate_id: str, case_ids: Iterable[str], *, at: datetime) -> None:
        """A gate is about to score these; to say so twice counts once."""
        with self._write_serially() as connection:
            insert_new(connection, case_use, [_row(prompt_id, gate_id, case_id, at) for case_id in case_ids])

    @waiting_out
    def draw(
        self, prompt_id: str, gate_id: str, case_ids: Sequence[str], *, limit: int, at: datetime
    ) -> tuple[str, ...]:
        """The first `limit` of these cases that no gate of the prompt has ever used; they are this gate's now.

        A gate that has drawn before gets the same again, in the same order, and never more: no other gate gets them.
        """
        mine = (case_use.c.prompt_id == prompt_id) & (case_use.c.gate_id == gate_id) & case_use.c.drawn.is_not(None)
        before = sa.select(case_use.c.case_id).where(mine).order_by(case_use.c.drawn)
        with self._write_serially() as connection:
            known = tuple(connection.execute(before).scalars())
            if known:
                return known
            fresh = tuple(islice(_unused(connection, prompt_id, case_ids), limit))
            rows = [_row(prompt_id, gate_id, id_, at, drawn=place) for place, id_ in enumerate(fresh)]
            insert_new(connection, case_use, rows)
            return fresh

    @waiting_out
    def counts(self, prompt_id: str, *, but: str = "") -> Mapping[str, int]:
        """How many gates have used each case; cases that none has used are left out.

        Args:
            but: gates whose ids begin so are not counted; empty for none.
        """
        others = ~case_use.c.gate_id.startswith(but, autoescape=True) if but else sa.true()
        found = sa.select(case_use.c.case_id, sa.func.count().label("gates"))
        grouped = found.where(case_use.c.prompt_id == prompt_id, others).group_by(case_use.c.case_id)
        with self._read() as connection:
            return {row.case_id: row.gates for row in connection.execute(grouped)}


def _row(prompt_id: str, gate_id: str, case_id: str, at: datetime, drawn: int | None = None) -> dict[str, object]:
    return {"prompt_id": prompt_id, "case_id": case_id, "gate_id": gate_id, "drawn": drawn, "at": at}


def _unused(connection: sa.Connection, prompt_id: str, case_ids: Iterable[str]) -> Iterator[str]:
    """In the order given; no more is asked for than is taken."""
    for some in chunks(case_ids):
        found = sa.select(case_use.c.case_id).where(case_use.c.prompt_id == prompt_id, case_use.c.case_id.in_(some))
        used = frozenset(connection.execute(found).scalars())
        yield from (id_ for id_ in some if id_ not in used)
