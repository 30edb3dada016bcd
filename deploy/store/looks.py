"""Every look at production that a release took, with its numbers."""

from datetime import datetime

import sqlalchemy as sa

from deploy.store.database import Records, insert_new, waiting_out
from deploy.store.encoding import decoded, encoded
from deploy.store.schema_releases import look
from optimizer.rollouts import Look


class Looks(Records):
    """Looks by release and moment."""

    @waiting_out
    def keep(self, run_id: str, taken: Look) -> None:
        """Keep a look; one that was taken at the same moment stays."""
        with self._write() as connection:
            insert_new(connection, look, [{"run_id": run_id, "at": taken.at, "numbers": encoded(taken)}])

    @waiting_out
    def of(self, run_id: str) -> tuple[Look, ...]:
        """Every look of a release, oldest first."""
        found = sa.select(look.c.numbers).where(look.c.run_id == run_id).order_by(look.c.at)
        with self._read() as connection:
            return tuple(decoded(Look, numbers) for numbers in connection.execute(found).scalars())

    @waiting_out
    def last(self, run_id: str, *, until: datetime | None = None) -> Look | None:
        """The newest look of a release, of those until a moment; None before the first."""
        mine = (look.c.run_id == run_id) & (sa.true() if until is None else look.c.at <= until)
        found = sa.select(look.c.numbers).where(mine).order_by(look.c.at.desc()).limit(1)
        with self._read() as connection:
            numbers = connection.execute(found).scalar()
        return None if numbers is None else decoded(Look, numbers)
