"""What people told releases to do. An order is written down before anything is done, and handled once, in order.

Giving an order needs the database alone: whoever gives it may go, and the tick that obeys may come later, in another
process. This file must never act on an order.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from deploy.store.database import Records, insert_new, waiting_out
from deploy.store.schema_releases import release_order
from optimizer.identity import Json

NOT_DONE = "not done: "
"""How the outcome of an order begins that could not be obeyed."""


class OrderKind(StrEnum):
    """What can be ordered. Freezes are obeyed where they are written; they stand here so that it is known who did."""

    APPROVE = "approve"
    REJECT = "reject"
    ACCEPT_UNPROVEN = "accept-unproven"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order of one person.

    Attributes:
        id: whoever gives it makes it; the same id is the same order.
        prompt: empty for all prompts.
        run_id: the release that is meant; empty when the prompt is.
        argument: what the kind needs besides, such as the version that a rollback goes to.
        why: in the person's words; hostile text as any when it comes from a forge.
        handled_at: None while nobody has obeyed.
        outcome: what came of it, in a sentence; begins with `NOT_DONE` when nothing was done.
    """

    id: str
    prompt: str
    run_id: str
    kind: OrderKind
    argument: Json
    actor: str
    why: str
    at: datetime
    handled_at: datetime | None = None
    outcome: str = ""

    @property
    def not_done(self) -> bool:
        """Whether it was looked at and could not be obeyed."""
        return self.outcome.startswith(NOT_DONE)


class Orders(Records):
    """Orders by id."""

    @waiting_out
    def give(self, order: Order) -> Order:
        """Write an order down; given twice, it stays as it was first. Returns it as it stands."""
        with self._write() as connection:
            record(connection, order)
            return _load(connection, order.id)

    @waiting_out
    def pending(self, prompt: str) -> tuple[Order, ...]:
        """The prompt's orders that nobody has handled, oldest first."""
        found = sa.select(release_order).where(release_order.c.prompt == prompt, release_order.c.handled_at.is_(None))
        with self._read() as connection:
            ordered = found.order_by(release_order.c.at, release_order.c.id)
            return tuple(_order(row) for row in connection.execute(ordered))

    @waiting_out
    def handled(self, order_id: str, outcome: str, at: datetime) -> None:
        """Somebody has looked at the order; what was written first stays."""
        unhandled = sa.update(release_order).where(release_order.c.id == order_id, release_order.c.handled_at.is_(None))
        with self._write() as connection:
            connection.execute(unhandled.values(handled_at=at, outcome=outcome))

    @waiting_out
    def get(self, order_id: str) -> Order:
        """One order that was given."""
        with self._read() as connection:
            return _load(connection, order_id)

    @waiting_out
    def of_prompt(self, prompt: str, *, limit: int = 20) -> tuple[Order, ...]:
        """The newest orders for a prompt, and those for all prompts."""
        found = sa.select(release_order).where(release_order.c.prompt.in_((prompt, "")))
        newest = found.order_by(release_order.c.at.desc(), release_order.c.id.desc()).limit(limit)
        with self._read() as connection:
            return tuple(_order(row) for row in connection.execute(newest))


def record(connection: sa.Connection, order: Order) -> None:
    """Write an order down in a transaction of the caller's."""
    row = {
        "id": order.id,
        "prompt": order.prompt,
        "run_id": order.run_id,
        "kind": order.kind.value,
        "argument": order.argument,
        "actor": order.actor,
        "why": order.why,
        "at": order.at,
        "handled_at": order.handled_at,
        "outcome": order.outcome,
    }
    insert_new(connection, release_order, [row])


def _load(connection: sa.Connection, order_id: str) -> Order:
    return _order(connection.execute(sa.select(release_order).where(release_order.c.id == order_id)).one())


def _order(row: sa.Row[Any]) -> Order:
    return Order(
        id=row.id,
        prompt=row.prompt,
        run_id=row.run_id,
        kind=OrderKind(row.kind),
        argument=row.argument,
        actor=row.actor,
        why=row.why,
        at=row.at,
        handled_at=row.handled_at,
        outcome=row.outcome,
    )
