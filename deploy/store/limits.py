"""Until when the other side asked for silence, per rate-limit bucket: a daily window outlives the process."""

from datetime import datetime

import sqlalchemy as sa

from deploy.store.database import Records, upsert, waiting_out
from deploy.store.schema import limiter


class Limits(Records):
    """One moment per bucket; it only moves forward."""

    @waiting_out
    def held(self, bucket: str) -> datetime | None:
        """Nothing goes out before this moment; None when nobody ever asked for silence."""
        with self._read() as connection:
            return connection.execute(sa.select(limiter.c.next_allowed_at).where(limiter.c.bucket == bucket)).scalar()

    @waiting_out
    def hold(self, bucket: str, until: datetime) -> None:
        """The other side asked for silence (`Retry-After`) until this moment."""
        with self._write() as connection:
            upsert(connection, limiter, [{"bucket": bucket, "next_allowed_at": until}], newest="next_allowed_at")
