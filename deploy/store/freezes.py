"""The kill switch: while a freeze stands, no release of the prompt moves forward.

It works with the database alone. What permits an effect asks in its own transaction, by `standing_in`, so an effect
that is permitted after a freeze was written does not exist; one that was on its way already may still arrive.
"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from deploy.store.database import Records, insert_new, waiting_out
from deploy.store.orders import Order, OrderKind, record
from deploy.store.schema_releases import freeze

EVERY = ""
"""In the place of a prompt: all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """Who stopped a prompt's releases, or all releases, and why."""

    prompt: str
    actor: str
    why: str
    at: datetime


class Freezes(Records):
    """Freezes by prompt, one at most of each, and one of all. Each of its writes is kept as an order as well."""

    @waiting_out
    def freeze(self, wanted: Freeze) -> Freeze:
        """Stop a prompt, or all; the freeze that stands is returned, which is an older one when there was one."""
        values = {"prompt": wanted.prompt, "actor": wanted.actor, "why": wanted.why, "at": wanted.at}
        with self._write() as connection:
            insert_new(connection, freeze, [values])
            stands = _own(connection, wanted.prompt) or wanted
            said = "frozen" if stands == wanted else "it was frozen already"
            record(connection, _order(wanted, OrderKind.FREEZE, said))
            return stands

    @waiting_out
    def unfreeze(self, prompt: str, *, actor: str, why: str, at: datetime) -> bool:
        """Lift the prompt's own freeze, or the one of all; False when there was none."""
        lifted = Freeze(prompt=prompt, actor=actor, why=why, at=at)
        with self._write() as connection:
            stood = connection.execute(sa.delete(freeze).where(freeze.c.prompt == prompt)).rowcount > 0
            if stood:
                record(connection, _order(lifted, OrderKind.UNFREEZE, "unfrozen"))
            return stood

    @waiting_out
    def standing(self, prompt: str) -> Freeze | None:
        """What stops the prompt now: the freeze of all, or its own."""
        with self._read() as connection:
            return standing_in(connection, prompt)

    @waiting_out
    def all(self) -> tuple[Freeze, ...]:
        """Every freeze that stands, the one of all first."""
        with self._read() as connection:
            rows = connection.execute(sa.select(freeze).order_by(freeze.c.prompt))
            return tuple(Freeze(prompt=row.prompt, actor=row.actor, why=row.why, at=row.at) for row in rows)


def standing_in(connection: sa.Connection, prompt: str) -> Freeze | None:
    """What stops the prompt, asked inside the transaction that is about to permit something."""
    return _own(connection, EVERY) or _own(connection, prompt)


def _own(connection: sa.Connection, prompt: str) -> Freeze | None:
    row = connection.execute(sa.select(freeze).where(freeze.c.prompt == prompt)).one_or_none()
    return None if row is None else Freeze(prompt=row.prompt, actor=row.actor, why=row.why, at=row.at)


def _order(said: Freeze, kind: OrderKind, outcome: str) -> Order:
    """The record of a freeze or of its end: obeyed in the transaction that writes it."""
    return Order(
        id=f"{kind}/{said.prompt}/{said.at.isoformat()}",
        prompt=said.prompt,
        run_id="",
        kind=kind,
        argument=None,
        actor=said.actor,
        why=said.why,
        at=said.at,
        handled_at=said.at,
        outcome=outcome,
    )
