"""`tracegrad approve`, `reject`, `accept-unproven`, `promote`, `rollback`: an order, and what came of it.

The order is written down first. When it cannot be obeyed at once, because Langfuse is away or this installation may
not publish, it is not lost: the next tick of the daemon that may obeys it.
"""

import asyncio
import getpass
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deploy.cli.console import Terminal
from deploy.cli.exits import COULD_NOT_RUN, DONE, OUTSIDE
from deploy.cli.options import Options
from deploy.clock import SystemClock
from deploy.ordering import of_release, of_unproven
from deploy.overview import moment
from deploy.releases.obeying import obey
from deploy.settings import Settings, load
from deploy.store.facade import Store
from deploy.store.orders import Order, OrderKind
from deploy.wiring import open_store
from optimizer.errors import BadSettings, TracegradError


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One order as it was typed.

    Attributes:
        kind: of `OrderKind`.
        target: a prompt, a release, or for `accept-unproven` a cycle.
        actor: who orders it; empty for the user of this machine.
        to: for a rollback: the version to go back to, 0 for the one before.
    """

    kind: str
    target: str
    actor: str = ""
    why: str = ""
    to: int = 0


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
        said, code = f"not carried out yet, and kept for the daemon: {error}", OUTSIDE
    else:
        order = store.orders.get(order.id)
        said, code = order.outcome or said, COULD_NOT_RUN if order.not_done else DONE
    terminal.say(f"  {said}")
    terminal.give({**document(order), "outcome": said})
    return code


def order_of(store: Store, settings: Settings, wanted: Wanted, at: datetime) -> Order:
    """The order that was meant. Raises BadInput when it cannot be."""
    actor, kind = user(wanted.actor), OrderKind(wanted.kind)
    if kind is OrderKind.ACCEPT_UNPROVEN:
        return of_unproven(store, settings, wanted.target, actor=actor, why=wanted.why, at=at)
    return of_release(store, settings, kind, wanted.target, actor=actor, why=wanted.why, at=at, to=wanted.to)


def user(given: str) -> str:
    """Who is recorded: the name that was given, or the user of this machine. Raises BadSettings for nobody."""
    try:
        return given or getpass.getuser()
    except (OSError, KeyError) as error:  # no such user, as in a container; which of the two depends on the version
        raise BadSettings("this machine does not say who you are", "name yourself with --as") from error


def named(order: Order) -> str:
    """The order in a line."""
    to = order.argument.get("to") if isinstance(order.argument, dict) else None
    return f"{order.kind} {order.run_id or order.prompt}" + (f" to version {to}" if to else "") + f", by {order.actor}"


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
