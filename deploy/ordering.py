"""From what a person asks for to an order that can be obeyed, as far as the database knows.

What an order needs is read from the release table, so that it and the commands cannot disagree. This file must never
act on an order, and never asks anybody outside: whoever obeys looks again.
"""

import shlex
import uuid
from collections.abc import Mapping
from datetime import datetime

from deploy.lifecycle import RELEASE_TRANSITIONS, ReleaseState
from deploy.settings import Settings
from deploy.store.facade import Store
from deploy.store.orders import Order, OrderKind
from deploy.store.releases import ReleaseRow
from optimizer.errors import BadInput, NotFound
from optimizer.identity import Json
from optimizer.types import Verdict

LEADS_TO: Mapping[OrderKind, ReleaseState] = {
    OrderKind.APPROVE: ReleaseState.APPROVED,
    OrderKind.REJECT: ReleaseState.REJECTED,
    OrderKind.PROMOTE: ReleaseState.PROMOTED,
    OrderKind.ROLLBACK: ReleaseState.ROLLED_BACK,
}
"""The state that a release is ordered to."""

REMEMBERED = frozenset({OrderKind.REJECT, OrderKind.ACCEPT_UNPROVEN})
"""Orders whose reason somebody will need: the next cycles, and whoever asks how an unproven line came to production."""

ACTOR_CHARS = 120
"""Longer is no name."""

CONSIDERED = 100
"""Releases of a prompt that an order without an id may mean, the newest first."""


def actor_of(name: str) -> str:
    """A name that can be kept and shown. Raises BadInput."""
    given = " ".join(name.split())
    if not given or len(given) > ACTOR_CHARS or not given.isprintable():
        raise BadInput(
            "nobody can be named so in the record of a release", f"give up to {ACTOR_CHARS} printable letters with --as"
        )
    return given


def of_release(
    store: Store,
    settings: Settings,
    kind: OrderKind,
    target: str,
    *,
    actor: str,
    why: str,
    at: datetime,
    to: int | None = None,
) -> Order:
    """An order to a release that exists.

    Args:
        target: a release's id, or a prompt: then its newest release that can do it is meant.
        to: for a rollback: the version to go back to; None for the one that the release replaced.

    Raises:
        BadInput: there is no such release, or the table does not let it go there.
    """
    release = _named(store, target)
    prompt = release.prompt if release else target
    if release is None:
        if not known(store, settings, target):
            raise BadInput(f"there is no prompt and no release '{target}'", "list them with `tracegrad releases`")
        release = _able(store, kind, target)
    elif not may(kind, release.state):
        raise BadInput(f"release {release.run_id} is {release.state}", _instead(kind, release.state, prompt))
    if release is None and to is None:
        raise _nothing(store, kind, prompt)
    return _order(kind, prompt, release.run_id if release else "", to, actor=actor, why=why, at=at)


def of_unproven(store: Store, settings: Settings, cycle_id: str, *, actor: str, why: str, at: datetime) -> Order:
    """An order to release what a cycle could not prove.

    Raises:
        NotFound: there is no such cycle.
        BadInput: it has no candidate, its gate did not end undecided, something vetoed it, or it was released.
    """
    cycle, report = store.cycles.get(cycle_id), store.reports.load(cycle_id)
    if settings.prompt(cycle.prompt).release.policy == "observe":
        raise BadInput(f"{cycle.prompt} is only observed", "set its `release.policy` to `propose` or `canary`")
    if (release := _named(store, cycle_id)) is not None:
        raise BadInput(
            f"cycle {cycle_id} is a release already, which is {release.state}",
            _instead(OrderKind.ACCEPT_UNPROVEN, release.state, cycle.prompt),
        )
    if not cycle.candidate_id or report is None:
        raise BadInput(
            f"cycle {cycle_id} has no candidate with a verdict", f"look at `tracegrad show {shlex.quote(cycle_id)}`"
        )
    vetoes = [finding.sentence for finding in report.findings if finding.verdict is Verdict.FAIL]
    if report.verdict is not Verdict.UNDECIDED or vetoes:
        said = f"the gate speaks against it: {vetoes[0]}" if vetoes else f"its verdict is {report.verdict}"
        raise BadInput(f"cycle {cycle_id} cannot be accepted unproven, {said}", "let the next cycle find another edit")
    return _order(OrderKind.ACCEPT_UNPROVEN, cycle.prompt, cycle_id, None, actor=actor, why=why, at=at)


def known(store: Store, settings: Settings, prompt: str) -> bool:
    """Whether a prompt is registered, or was when something of it was released."""
    return any(prompt == each.name for each in settings.prompts) or bool(store.releases.of_prompt(prompt, limit=1))


def _order(kind: OrderKind, prompt: str, run_id: str, argument: Json, *, actor: str, why: str, at: datetime) -> Order:
    said = why.strip()
    if kind in REMEMBERED and not said:
        raise BadInput(f"{kind} needs a reason, which is kept", "say why with --why")
    return Order(
        id=uuid.uuid4().hex,
        prompt=prompt,
        run_id=run_id,
        kind=kind,
        argument=argument,
        actor=actor_of(actor),
        why=said,
        at=at,
    )


def _named(store: Store, run_id: str) -> ReleaseRow | None:
    try:
        return store.releases.get(run_id)
    except NotFound:
        return None


def may(kind: OrderKind, state: ReleaseState) -> bool:
    """Whether a release in this state can be ordered to another one."""
    return LEADS_TO[kind] is not state and LEADS_TO[kind] in RELEASE_TRANSITIONS[state]


def _able(store: Store, kind: OrderKind, prompt: str) -> ReleaseRow | None:
    return next((row for row in store.releases.of_prompt(prompt, limit=CONSIDERED) if may(kind, row.state)), None)


def _nothing(store: Store, kind: OrderKind, prompt: str) -> BadInput:
    """No release of the prompt can do what was ordered."""
    newest = next(iter(store.releases.of_prompt(prompt, limit=1)), None)
    if newest is None:
        return BadInput(f"there is no release of {prompt}", f"make one with `tracegrad once {shlex.quote(prompt)}`")
    what = f"there is nothing of {prompt} to {kind}; its newest release, {newest.run_id}, is {newest.state}"
    return BadInput(what, _instead(kind, newest.state, prompt))


def _instead(kind: OrderKind, state: ReleaseState, prompt: str) -> str:
    """What can be done with a release in this state, by the table."""
    ways = [f"`tracegrad {other}`" for other in LEADS_TO if may(other, state)]
    if ways:
        return f"what can be done now is {' or '.join(ways)}"
    if kind is OrderKind.ROLLBACK:
        return f"name the version to go back to: `tracegrad rollback {shlex.quote(prompt)} --to VERSION`"
    return f"it has ended, so make another with `tracegrad once {shlex.quote(prompt)}`"
