"""What the engine did not use in a cycle, and why: counts by reason, in our own words, never a stranger's."""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from deploy.store.database import Records, waiting_out
from deploy.store.schema import refusal

META_PROMPT = "meta-prompt"
"""The kind of rows that name a meta-prompt the engine used, so that a refusal can be traced to its wording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """So many things of one kind that were refused for one reason."""

    kind: str
    reason: str
    count: int


class Refusals(Records):
    """Refusals per cycle."""

    @waiting_out
    def save(self, cycle_id: str, refusals: Iterable[Refusal]) -> None:
        """Keep a cycle's refusals instead of those that an interrupted run of the same stage left."""
        rows = [{"cycle_id": cycle_id, "kind": r.kind, "reason": r.reason, "count": r.count} for r in refusals]
        with self._write() as connection:
            connection.execute(sa.delete(refusal).where(refusal.c.cycle_id == cycle_id))
            if rows:
                connection.execute(sa.insert(refusal), rows)

    @waiting_out
    def of(self, cycle_id: str) -> tuple[Refusal, ...]:
        """A cycle's refusals, by kind, the commonest first."""
        found = sa.select(refusal).where(refusal.c.cycle_id == cycle_id)
        ordered = found.order_by(refusal.c.kind, refusal.c["count"].desc(), refusal.c.reason)
        with self._read() as connection:
            rows = connection.execute(ordered).mappings()
            return tuple(Refusal(kind=row["kind"], reason=row["reason"], count=row["count"]) for row in rows)
