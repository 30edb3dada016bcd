"""What was told of a release already, read from its effects: asking is cheaper than trying to do it again."""

from collections.abc import Mapping

import sqlalchemy as sa

from deploy.store.database import Records, waiting_out
from deploy.store.schema import effect
from optimizer.identity import Json

TOLD = "notify/"
"""How the keys of all notifications begin."""


class Deliveries(Records):
    """Notifications by release."""

    @waiting_out
    def of(self, run_id: str) -> Mapping[str, Json]:
        """Recorded notifications and failures of a release, by the key of their effect."""
        mine = sa.select(effect.c.key, effect.c.result).where(effect.c.cycle_id == run_id)
        with self._read() as connection:
            found = connection.execute(mine.where(effect.c.key.startswith(TOLD, autoescape=True)))
            return {row.key: row.result for row in found}
