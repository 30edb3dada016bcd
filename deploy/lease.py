"""Who is alive: a heartbeat per process, and the taking over of what the dead have left behind.

Theory of operation. A process that beats within its lease owns what it runs. When it does not, the survivors mark its
row revoked and hand its cycles back to the queue; a process that finds its own row revoked leaves at once. "Dead" is
derived from the tables at every pulse and never from an event, so a hand-back that was interrupted is simply done
again. Time is the database's, since machines' clocks differ. The pulse beats on the event loop that runs the cycles: a
loop that hangs loses its lease too. A beat only asks whether the row was revoked, not whether it is late: a late beat
that nobody noticed is legal.
"""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import sqlalchemy as sa

from deploy.store.database import DOWN, Records, waiting_out
from deploy.store.schema import heartbeat

LEASE_LOST_EXIT = 75
"""Exit code for "start me again": EX_TEMPFAIL."""

START_GRACE_S = 5.0
"""Added to the first lease: starting takes longer than a beat."""

FORGET_AFTER_S = 86_400.0
"""Revoked rows are kept for a day, for people; nothing reads them."""


def leave_at_once() -> NoReturn:
    """Somebody else owns our cycles: nothing of this process may run on, not even its clean-up."""
    os._exit(LEASE_LOST_EXIT)


class Lease(Records):
    """One process's claim to be alive.

    Args:
        executor: random, made anew for every start of a process.
        hand_back: gives the cycles of these executors back to the queue; must change nothing when called twice.
        on_lost: called once when the lease is lost.
    """

    def __init__(
        self,
        engine: sa.Engine,
        executor: str,
        *,
        lease_s: float,
        hand_back: Callable[[Sequence[str]], object],
        on_lost: Callable[[], object] = leave_at_once,
    ) -> None:
        super().__init__(engine)
        self._executor = executor
        self._lease_s = lease_s
        self._hand_back = hand_back
        self._on_lost = on_lost
        # a thread of its own: a beat must not queue behind a stage's work, nor end with DBOS's pool
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lease")
        postgres = engine.dialect.name == "postgresql"
        self._now = sa.literal_column(
            "extract(epoch from clock_timestamp())" if postgres else "(julianday('now') - 2440587.5) * 86400.0",
            sa.Float,
        )
        self._owned = sa.table(
            "workflow_status", sa.column("executor_id"), sa.column("status"), schema="dbos" if postgres else None
        )

    @waiting_out
    def join(self) -> None:
        """Appear among the living. Before the first cycle is taken."""
        until = self._now + (self._lease_s + START_GRACE_S)
        with self._write() as connection:
            connection.execute(sa.insert(heartbeat).values(executor=self._executor, until=until, revoked=False))

    def beat(self) -> bool:
        """Extend the lease; False when somebody has revoked it."""
        mine = (heartbeat.c.executor == self._executor) & ~heartbeat.c.revoked
        with self._write() as connection:
            changed = connection.execute(sa.update(heartbeat).where(mine).values(until=self._now + self._lease_s))
            return changed.rowcount == 1

    def reap(self) -> None:
        """Revoke the leases that ran out, and hand back what their holders, and any forgotten ones, still own."""
        late = ~heartbeat.c.revoked & (heartbeat.c.until < self._now)
        old = heartbeat.c.revoked & (heartbeat.c.until < self._now - FORGET_AFTER_S)
        alive = sa.exists().where(heartbeat.c.executor == self._owned.c.executor_id, ~heartbeat.c.revoked)
        with self._write() as connection:
            connection.execute(sa.update(heartbeat).where(late).values(revoked=True))
            connection.execute(sa.delete(heartbeat).where(old))
            orphaned = sa.select(self._owned.c.executor_id).where(self._owned.c.status == "PENDING", ~alive).distinct()
            dead = [executor for executor in connection.execute(orphaned).scalars() if executor]
        if dead:
            self._hand_back(dead)

    @waiting_out
    def leave(self) -> None:
        """Give the lease up; peers take over at their next pulse."""
        with self._write() as connection:
            connection.execute(sa.update(heartbeat).where(heartbeat.c.executor == self._executor).values(revoked=True))

    async def pulse(self, *, reaping: bool = True) -> None:
        """Beat, and reap, until cancelled or until the lease is lost."""
        loop = asyncio.get_running_loop()
        beaten, calm_until = time.monotonic(), 0.0
        while True:
            try:
                if not await loop.run_in_executor(self._thread, self.beat):
                    self._on_lost()
                    return
                if time.monotonic() - beaten > self._lease_s:
                    # we were stalled, so others may have been: let them beat before anybody is called dead
                    calm_until = time.monotonic() + 2 * self._lease_s
                beaten = time.monotonic()
                if reaping and beaten > calm_until:
                    await loop.run_in_executor(self._thread, self.reap)
            except DOWN:
                calm_until = time.monotonic() + 2 * self._lease_s  # after an outage everybody looks dead
            await asyncio.sleep(self._lease_s / 3)
