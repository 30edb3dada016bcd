"""Effects on the outside world, each done once: the record of what was sent and what came back."""

import asyncio
from collections.abc import Awaitable, Callable

import sqlalchemy as sa

from deploy.store.database import Records, insert_new, waiting_out
from deploy.store.fence import Run, hold
from deploy.store.freezes import standing_in
from deploy.store.schema import effect
from optimizer.errors import Transient
from optimizer.identity import Json
from optimizer.ports import Clock


class Frozen(Transient):
    """Somebody stopped the prompt, or all prompts; nothing moves forward until the freeze is lifted."""


class Effects(Records):
    """Effects by cycle and key.

    A crash between sending and recording cannot be told from one before sending, so the other side must recognise a
    repetition: `send` is given a key that never changes, and must find what it made before.
    """

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        super().__init__(engine)
        self._clock = clock

    async def once(self, run: Run, key: str, send: Callable[[str], Awaitable[Json]], *, forward: bool = False) -> Json:
        """The result of an effect: recorded before, or sent now.

        Args:
            send: does it; is given the idempotency key `cycle_id/key`, and returns what is to be remembered.
            forward: it brings a release nearer to its users, so it is refused while a freeze stands.

        Raises:
            LeaseLost: the run may no longer act; nothing was sent.
            Frozen: nothing was sent.
        """
        known = await asyncio.to_thread(self._permit, run, key, forward)
        if known:
            return known[0]
        result = await send(f"{run.cycle_id}/{key}")
        return await asyncio.to_thread(self._record, run, key, result)

    @waiting_out
    def _permit(self, run: Run, key: str, forward: bool) -> tuple[Json, ...]:
        with self._write() as connection:
            hold(connection, run)
            known = _recorded(connection, run, key)
            if forward and not known and (frozen := standing_in(connection, run.prompt)):
                raise Frozen(f"{frozen.prompt or 'everything'} was frozen by {frozen.actor}")
            return known

    @waiting_out
    def _record(self, run: Run, key: str, result: Json) -> Json:
        row = {"cycle_id": run.cycle_id, "key": key, "result": result, "at": self._clock.now()}
        with self._write() as connection:
            insert_new(connection, effect, [row])
            return _recorded(connection, run, key)[0]


def _recorded(connection: sa.Connection, run: Run, key: str) -> tuple[Json, ...]:
    found = sa.select(effect.c.result).where(effect.c.cycle_id == run.cycle_id, effect.c.key == key)
    return tuple(connection.execute(found).scalars())
