"""`tracegrad approve`, `reject`, `accept-unproven`, `promote`, `rollback`: an order, and what came of it.

The order is written down first. When it cannot be obeyed at once, because Langfuse is away or this installation may
not publish, it is not lost: the next tick of the daemon that may obeys it.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deploy.cli.console import Terminal
from deploy.cli.exits import COULD_NOT_RUN, DONE, OUTSIDE
from deploy.cli.options import Options
from deploy.cli.releases import render_line
from deploy.cli.user import user
from deploy.clock import SystemClock
from deploy.ordering import of_release, of_unproven
from deploy.overview import moment
from deploy.overview_releases import line
from deploy.releases.at_once import obey
from deploy.settings import Settings, load
from deploy.store.facade import Store
from deploy.store.orders import Order, OrderKind
from deploy.wiring import open_store
from optimizer.errors import NotFound, TracegradError


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One order as it was typed.

    Attributes:
        kind: of `OrderKind`.
        target: a prompt, a release, or for `accept-unproven` a cycle.
        actor: who orders it; empty for the user of this machine.
        to: for a rollback: the version to go back to; None for the one before.
    """

    kind: str
    target: str
    actor: str = ""
    why: str = ""
    to: int | None = None


def command(options: Options, wanted: Wanted) -> int:
    """Write the order down, have it obeyed, and say what came of it."""
    settings, terminal, clock = load(options.config), Terminal(as_json=options.as_json), SystemClock()
    store = open_store(settings, clock)
    order = store.orders.give(order_of(store, settings, wanted, clock.now()))
    terminal.say(named(order), style="bold")
    try:
        with terminal.progress("Carrying it out", announced=False):
            said = asyncio.run(obey(settings, order.prompt))
    except TracegradError as error:
        said = f"not carried out yet: {error}"
    order = store.orders.get(order.id)
    after = standing(store, order)
    terminal.say(f"  {order.outcome or said}")
    if order.handled_at is None and settings.role != "proposer":
        terminal.say("  The order is kept, and the daemon carries it out as soon as it can.")
    if after:
        terminal.say()
        render_line(after, terminal)
    terminal.give({**document(order), "said": order.outcome or said, "release_now": after})
    return exit_code(order, settings)


def exit_code(order: Order, settings: Settings) -> int:
    """0 when it was carried out, or is another installation's to carry out; otherwise why not."""
    if order.handled_at is None:
        return DONE if settings.role == "proposer" else OUTSIDE
    return COULD_NOT_RUN if order.not_done else DONE


def standing(store: Store, order: Order) -> dict[str, Any] | None:
    """Where the order's release stands now; None for an order without one."""
    try:
        return line(store, store.releases.get(order.run_id))
    except NotFound:
        return None


def order_of(store: Store, settings: Settings, wanted: Wanted, at: datetime) -> Order:
    """The order that was meant. Raises BadInput when it cannot be."""
    actor, kind = user(wanted.actor), OrderKind(wanted.kind)
    if kind is OrderKind.ACCEPT_UNPROVEN:
        return of_unproven(store, settings, wanted.target, actor=actor, why=wanted.why, at=at)
    return of_release(store, settings, kind, wanted.target, actor=actor, why=wanted.why, at=at, to=wanted.to)


def named(order: Order) -> str:
    """The order in a line."""
    to = f" to version {order.argument}" if order.argument else ""
    return f"{order.kind} {order.run_id or order.prompt}{to}, by {order.actor}"


def document(order: Order) -> dict[str, Any]:
    """An order for a script."""
    return {
        "order": order.id,
        "kind": str(order.kind),
        "prompt": order.prompt,
        "release": order.run_id,
        "argument": order.argument,
        "actor": order.actor,
        "why": order.why,
        "at": moment(order.at),
        "handled_at": moment(order.handled_at),
        "outcome": order.outcome,
    }
