"""When the next request of each rate-limit bucket may go out, shared by every process on this database."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from deploy.store.database import Records, upsert, waiting_out
from deploy.store.schema import limiter


class Limits(Records):
    """One moment per bucket; it only moves forward."""

    @waiting_out
    def claim(self, bucket: str, *, every: timedelta, now: datetime) -> datetime:
        """Take the next place in the bucket's queue: the moment, now or later, at which the request may be sent."""
        with self._write() as connection:
            found = sa.select(limiter.c.next_allowed_at).where(limiter.c.bucket == bucket).with_for_update()
            allowed = max(now, connection.execute(found).scalar() or now)
            upsert(connection, limiter, [{"bucket": bucket, "next_allowed_at": allowed + every}])
        return allowed

    @waiting_out
    def hold_off(self, bucket: str, *, until: datetime) -> None:
        """The other side asked for silence (`Retry-After`): nothing goes out before this moment."""
        with self._write() as connection:
            row = {"bucket": bucket, "next_allowed_at": until}
            upsert(connection, limiter, [row], newest="next_allowed_at")
