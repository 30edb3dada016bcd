"""What the workflow tests look at: DBOS's own row of a cycle, and conditions that become true."""

import asyncio
from collections.abc import Callable

import sqlalchemy as sa

from deploy.store.facade import Store

PATIENCE_S = 30.0


def status(store: Store, id_: str) -> str:
    """What DBOS says of a cycle."""
    return str(_column(store, "status", id_))


def owner(store: Store, id_: str) -> object:
    """The ownership token in DBOS's row."""
    return _column(store, "owner_xid", id_)


def _column(store: Store, name: str, id_: str) -> object:
    with store.engine.begin() as connection:
        found = sa.text(f"select {name} from workflow_status where workflow_uuid = :id")
        return connection.execute(found, {"id": id_}).scalar_one()


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition; a test that waits in vain fails."""
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 -- the condition is another process's row
            await asyncio.sleep(0.05)
