"""To production: the owner's label moves to the new version, a part of the users may keep the old one for a while.

What the release fixed is remembered as anchors; whether that works never changes the release.
"""

import asyncio
import logging

from deploy.gating.anchoring import keep_fixed
from deploy.lifecycle import ReleaseState
from deploy.releases import splits
from deploy.releases.errand import Errand
from deploy.store.releases import OURS
from optimizer.errors import TracegradError
from optimizer.identity import Json
from optimizer.rollouts import CANARY_LABEL, HOLDBACK_LABEL, CanaryPlan

log = logging.getLogger("tracegrad")


async def promote(errand: Errand, reason: str, *, actor: str = OURS, evidence: dict[str, Json] | None = None) -> Errand:
    """Move the owner's label, if it stands where the release began; then keep a part on the old version."""
    release, prompt = errand.release, errand.prompt
    old, new = release.base_version, release.version
    if not await errand.point(f"label/{prompt.label}", prompt.label, to=new, expect=old, forward=True):
        reason = f"somebody moved `{prompt.label}` meanwhile, so version {new} was left alone"
        return await give_way(errand, reason)
    shown = dict(evidence or {})
    if release.plan is not None and await held_back(errand, release.plan):
        shown["holdback"] = release.plan.holdback_share
    await older_promotions(errand)
    await keep_anchors(errand)
    return await errand.move(
        ReleaseState.PROMOTED, f"`{prompt.label}` points to version {new}: {reason}", actor=actor, evidence=shown
    )


async def held_back(errand: Errand, plan: CanaryPlan) -> bool:
    """Close the canary, and keep a part of the users on the old version; whether any are kept."""
    holds = bool(plan.holdback_share and plan.holdback_days)
    if holds:
        await errand.point(f"label/{HOLDBACK_LABEL}", HOLDBACK_LABEL, to=plan.base_version)
    served = await splits.put(errand, "holdback", splits.after_promotion(errand.release.prompt, plan))
    await errand.point(f"label/{CANARY_LABEL}/retired", CANARY_LABEL, to=plan.version)
    return holds and served


async def older_promotions(errand: Errand) -> None:
    """What was promoted before is no longer what production reads, and nobody has to decide about a halt any more."""
    store, release = errand.house.store, errand.release
    older = (ReleaseState.PROMOTED, ReleaseState.HALTED)
    for row in await asyncio.to_thread(store.releases.in_state, release.prompt, *older):
        if row.run_id != release.run_id:
            reason = f"version {release.version} took its place"
            await asyncio.to_thread(
                store.releases.advance, row.run_id, ReleaseState.SUPERSEDED, at=errand.now, reason=reason
            )


async def give_way(errand: Errand, reason: str) -> Errand:
    """A person has moved something by hand: their doing stands, and nobody is shown our candidate any more.

    Our own label is retired as well, unless they have changed the flag, which may show users what it stands on.
    """
    plan, prompt = errand.release.plan, errand.prompt
    if plan is not None and await splits.put(errand, "give-way", splits.nobody(prompt.name, plan)):
        standing = await errand.labelled(prompt.label)
        if standing:
            await errand.point(f"label/{CANARY_LABEL}/give-way", CANARY_LABEL, to=standing, expect=plan.version)
    return await errand.move(ReleaseState.SUPERSEDED, reason)


async def keep_anchors(errand: Errand) -> None:
    """Keep what the release fixed as cases that no later version may fail."""
    release = errand.release
    report = await asyncio.to_thread(errand.house.store.reports.load, release.cycle_id)
    if report is None or not report.fixed:
        return
    candidate = await errand.candidate()

    async def send(_key: str) -> Json:
        return await keep_fixed(errand.house, release.prompt, candidate, report.fixed)

    try:
        await errand.once("anchors", send)
    except TracegradError as error:
        said = f"the complaints that it fixed could not be kept as anchors ({type(error).__name__})"
        log.warning(said, extra={"action": "anchors", "cycle": release.cycle_id})
