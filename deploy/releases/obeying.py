"""What a person's order does to a release: a table from kinds of orders to deeds.

An order that the lifecycle does not allow changes nothing and says so. Orders are handled once, in the order in which
they were given.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial

from deploy.lifecycle import RELEASE_TRANSITIONS, ReleaseState
from deploy.releases import labels
from deploy.releases.errand import Errand, number, whole
from deploy.releases.promoting import promote
from deploy.releases.remembering import remember
from deploy.releases.taking_back import take_back
from deploy.store.effects import Frozen
from deploy.store.fence import Run
from deploy.store.orders import NOT_DONE, Order, OrderKind
from deploy.store.releases import ReleaseRow
from deploy.wiring import House
from optimizer.errors import BadInput, IllegalMove, Permanent, Transient
from optimizer.identity import Json
from optimizer.types import Verdict

Deed = Callable[[Errand, Order], Awaitable[Errand]]

WAITING = (ReleaseState.PROPOSED, ReleaseState.APPROVED)
SHOWN = (ReleaseState.PUBLISHED, ReleaseState.PROGRESSING, ReleaseState.HALTED, ReleaseState.PROMOTED)


async def obey(house: House, run: Run, order: Order) -> str:
    """Do what was ordered; returns what came of it, in a sentence. Transient errors leave the order pending.

    One that a freeze forbids does not wait: it would keep a rollback waiting behind it.
    """
    try:
        if order.kind is OrderKind.ROLLBACK and isinstance(order.argument, int):
            outcome = await roll_back_to(house, run, order, order.argument)
        elif order.kind is OrderKind.ACCEPT_UNPROVEN:
            outcome = await accept_unproven(house, run, order)
        else:
            outcome = await asyncio.to_thread(obeyed, house, order) or await done(house, run, order)
    except IllegalMove:
        outcome = f"{NOT_DONE}the release has gone on; see `tracegrad releases {order.prompt}`"
    except Frozen as error:
        outcome = f"{NOT_DONE}{error}; lift it with `tracegrad unfreeze`, and say it again"
    except Permanent as error:
        outcome = f"{NOT_DONE}{error}"
    await asyncio.to_thread(house.store.orders.handled, order.id, outcome, house.clock.now())
    return outcome


def obeyed(house: House, order: Order) -> str:
    """What came of an order that was obeyed by a process that died before it could say so. Blocks."""
    for row in house.store.releases.of_prompt(order.prompt):
        for event in house.store.releases.events(row.run_id):
            if event.evidence.get("order") == order.id:
                return f"{event.state}: {event.reason}"
    return ""


async def done(house: House, run: Run, order: Order) -> str:
    """Do it now."""
    row = await asyncio.to_thread(meant, house, order)
    errand = Errand(house=house, run=replace(run, cycle_id=row.run_id), release=row)
    after = await DEEDS[order.kind](errand, order)
    return f"{after.release.state}: {after.release.reason}"


def meant(house: House, order: Order) -> ReleaseRow:
    """The release that an order is about. Blocks. Raises Permanent when there is none."""
    if order.run_id:
        return house.store.releases.get(order.run_id)
    states = WAITING if order.kind in (OrderKind.APPROVE, OrderKind.REJECT) else SHOWN
    rows = house.store.releases.in_state(order.prompt, *states)
    if not rows:
        raise Permanent(
            f"no release of {order.prompt} can be told to {order.kind}", f"see `tracegrad releases {order.prompt}`"
        )
    return rows[-1]


def by(order: Order) -> dict[str, Json]:
    """The evidence of a move that a person ordered."""
    return {"order": order.id}


async def approve(errand: Errand, order: Order) -> Errand:
    """A person lets a proposal go on."""
    possible(errand, order, ReleaseState.APPROVED)
    if await asyncio.to_thread(errand.house.store.release_texts.of, errand.release.run_id):
        raise BadInput(
            "its text was changed in the pull request, and goes through the gate first",
            "wait for its verdict, which approves it if it passes",
        )
    reason = order.why or "approved"
    actor, evidence = order.actor, by(order)
    return await errand.move(ReleaseState.APPROVED, reason, actor=actor, approver=actor, evidence=evidence)


async def reject(errand: Errand, order: Order) -> Errand:
    """A person refuses a proposal; what they say is remembered."""
    possible(errand, order, ReleaseState.REJECTED)
    await remember(errand, because=ReleaseState.REJECTED, words=order.why, actor=order.actor)
    return await errand.move(ReleaseState.REJECTED, order.why or "rejected", actor=order.actor, evidence=by(order))


async def promote_now(errand: Errand, order: Order) -> Errand:
    """A person promotes without waiting for production's proof, which claims nothing."""
    possible(errand, order, ReleaseState.PROMOTED)
    return await promote(errand, order.why or "a person promoted it", actor=order.actor, evidence=by(order))


async def roll_back(errand: Errand, order: Order) -> Errand:
    """A person takes a release back."""
    possible(errand, order, ReleaseState.ROLLED_BACK)
    reason = order.why or "a person took it back"
    return await take_back(errand, ReleaseState.ROLLED_BACK, reason, actor=order.actor, evidence=by(order))


def possible(errand: Errand, order: Order, to: ReleaseState) -> None:
    """Make sure of the move before anything is done outside. Raises BadInput."""
    state = errand.release.state
    if to not in RELEASE_TRANSITIONS[state] or to is state:
        raise BadInput(
            f"a release that is {state} cannot be told to {order.kind}", f"see `tracegrad releases {order.prompt}`"
        )


async def roll_back_to(house: House, run: Run, order: Order, version: int) -> str:
    """A person names the version that production shall read; releases that users are shown end."""
    prompt, failures = house.settings.prompt(order.prompt), list[Transient | Permanent]()
    for row in await asyncio.to_thread(house.store.releases.in_state, order.prompt, *SHOWN):
        if row.version != version:
            errand = Errand(house=house, run=replace(run, cycle_id=row.run_id), release=row)
            try:
                await roll_back(errand, order)
            except (Transient, Permanent) as error:  # the label is moved all the same
                failures.append(error)
    effects, orders_run = house.store.effects, replace(run, cycle_id=order.id)
    was = await effects.once(orders_run, "was", partial(labels.found, house.registry, prompt.name, prompt.label))
    move = partial(labels.moved, house.registry, prompt.name, prompt.label, version, number(was))
    moved = await effects.once(orders_run, "label", move)
    if failures:
        raise failures[0]
    if moved:
        return f"`{prompt.label}` points to version {version}"
    return f"{NOT_DONE}somebody moved `{prompt.label}` at the same moment; look, and say it again"


async def accept_unproven(house: House, run: Run, order: Order) -> str:
    """A person releases a candidate that was not proven, in their own name; never one that a gate has vetoed.

    Where production decides before everybody is shown a new version, it decides about this one as well.
    """
    store, prompt = house.store, house.settings.prompt(order.prompt)
    if prompt.release.policy == "observe":
        raise Permanent(f"{order.prompt} is only observed", "set its `release.policy` to `propose` or `canary`")
    report = await asyncio.to_thread(store.reports.load, order.run_id)
    if report is None or report.verdict is Verdict.FAIL or report.verdict is Verdict.PASS:
        said = "has no gate report" if report is None else f"has the verdict {report.verdict}"
        raise Permanent(f"cycle {order.run_id} {said}", "name a cycle whose gate was undecided")
    if any(finding.verdict is Verdict.FAIL for finding in report.findings):
        raise Permanent(f"a gate has vetoed the candidate of {order.run_id}", "write a prompt that keeps what it broke")
    cycle = await asyncio.to_thread(store.cycles.get, order.run_id)
    found = await asyncio.to_thread(store.lineage.load_candidate, cycle.candidate_id, cycle.id)
    candidate = whole(found, cycle.candidate_id)
    row = await asyncio.to_thread(
        lambda: store.releases.propose(
            cycle.id,
            cycle_id=cycle.id,
            prompt=order.prompt,
            candidate_id=candidate.id,
            base_version=candidate.parent.version,
            expires_at=order.at + timedelta(days=prompt.release.expires_days),
            at=order.at,
            policy=prompt.release.policy,
            actor=order.actor,
        )
    )
    errand = Errand(house=house, run=replace(run, cycle_id=row.run_id), release=row)
    after = await errand.move(
        ReleaseState.APPROVED,
        f"unproven, accepted by a person: {order.why}",
        actor=order.actor,
        approver=order.actor,
        evidence={**by(order), "unproven": report.reasons[0]},
    )
    return f"{after.release.state}: {after.release.reason}"


DEEDS: Mapping[OrderKind, Deed] = {
    OrderKind.APPROVE: approve,
    OrderKind.REJECT: reject,
    OrderKind.PROMOTE: promote_now,
    OrderKind.ROLLBACK: roll_back,
}
