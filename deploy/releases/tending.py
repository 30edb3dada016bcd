"""A tick: people's orders first, then every open release of one prompt takes the steps that are due.

    proposed -> approved -> published -> progressing -> promoted

One table says which step belongs to which state. A step that finds nothing to do leaves the release where it stands;
one that cannot reach the other side ends the release's turn, and the next tick tries again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from deploy.lifecycle import ReleaseState
from deploy.releases.canarying import open_canary
from deploy.releases.errand import Errand
from deploy.releases.obeying import obey
from deploy.releases.progressing import hold_back, progress
from deploy.releases.promoting import promote
from deploy.releases.publishing import publish
from deploy.releases.reviewing import asked, close_stale, waiting_gates
from deploy.releases.telling import RECENT, tell
from deploy.store.effects import Frozen
from deploy.store.fence import LeaseLost, Run
from deploy.store.orders import OrderKind
from deploy.wiring import House
from optimizer.errors import OverBudget, Permanent, Transient
from optimizer.identity import Json

log = logging.getLogger("tracegrad")

Step = Callable[[Errand], Awaitable[Errand]]


async def release_published(errand: Errand) -> Errand:
    """A version without a label: to everybody at once, or to production's judgement."""
    if errand.watched:
        return await open_canary(errand)
    return await promote(errand, f"approved by {errand.release.approver}")


STEPS: Mapping[ReleaseState, Step] = {
    ReleaseState.PROPOSED: asked,
    ReleaseState.APPROVED: publish,
    ReleaseState.PUBLISHED: release_published,
    ReleaseState.PROGRESSING: progress,
    ReleaseState.PROMOTED: hold_back,
}


async def tend(house: House, run: Run, state: dict[str, Json]) -> dict[str, Json]:
    """One tick of one prompt.

    Returns:
        `told`: what came of each order, by its id. `gates`: slots of cycles that must judge what a person changed.
    """
    told, bugs, half_done = dict[str, Json](), list[Exception](), False
    for order in await asyncio.to_thread(house.store.orders.pending, run.prompt):
        if half_done and order.kind is not OrderKind.ROLLBACK:  # which waits behind nothing
            continue
        try:
            told[order.id] = await obey(house, run, order)
        except Transient as error:
            log.warning(
                "an order waits", extra={"action": "order", "prompt": run.prompt, "error": type(error).__name__}
            )
            told[order.id] = f"it waits: {error}"
            half_done = True
        except LeaseLost:
            raise
        except Exception as bug:
            bugs.append(bug)
            half_done = True
    # what an order has changed by now would look like a person's doing; the next tick carries it on
    for row in () if half_done else await asyncio.to_thread(house.store.releases.in_state, run.prompt, *STEPS):
        await apart(walk(Errand(house=house, run=replace(run, cycle_id=row.run_id), release=row)), run, bugs)
    await apart(close_stale(house, run), run, bugs)
    for row in await asyncio.to_thread(house.store.releases.of_prompt, run.prompt, limit=RECENT):
        await apart(tell(house, replace(run, cycle_id=row.run_id), row), run, bugs)
    gates = await waiting_gates(house, run)
    if bugs:
        raise bugs[0]
    return {**state, "told": told, "gates": gates}


async def apart(part: Awaitable[object], run: Run, bugs: list[Exception]) -> None:
    """One part of a tick; what it cannot do keeps no other part from being done. A bug is kept for the tick's end."""
    try:
        await part
    except LeaseLost:
        raise
    except (Transient, Permanent, OverBudget) as error:
        said = {"action": "tick", "prompt": run.prompt, "error": type(error).__name__}
        log.warning("a part of a tick could not be done", extra=said)
    except Exception as bug:
        bugs.append(bug)


async def walk(errand: Errand) -> Errand:
    """Every step that is due, one after the other; ends where a step leaves the release as it was."""
    for _ in STEPS:
        before = errand.release
        if before.state not in STEPS:
            break
        try:
            errand = await STEPS[before.state](errand)
        except Frozen as error:
            return await errand.waits(f"frozen: {error}")
        except (Transient, Permanent, OverBudget) as error:
            said = {"action": "release", "release": before.run_id, "error": type(error).__name__}
            log.warning("a release could not go on", extra=said)
            return await errand.waits(f"could not go on: {error}")
        if (errand.release.state, errand.release.updated_at) == (before.state, before.updated_at):
            break
        log.info("release", extra={"action": "release", "release": before.run_id, "state": str(errand.release.state)})
    return errand
