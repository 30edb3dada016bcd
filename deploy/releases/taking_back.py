"""Back to the old version: users first, labels after them. A freeze never stops it.

What was taken back is remembered as refused, so that no later cycle proposes the same again.
"""

from deploy.lifecycle import ReleaseState
from deploy.releases import splits
from deploy.releases.errand import Errand
from deploy.releases.promoting import give_way
from deploy.releases.remembering import remember
from deploy.store.releases import OURS
from optimizer.identity import Json
from optimizer.rollouts import CANARY_LABEL, CanaryPlan


async def take_back(
    errand: Errand,
    to: ReleaseState,
    reason: str,
    *,
    actor: str = OURS,
    evidence: dict[str, Json] | None = None,
    refused: bool = True,
) -> Errand:
    """End a release that users are shown, in one of the states that leave the old version standing.

    Args:
        refused: its edits were shown to be no good, and are not to be proposed again.
    """
    release, prompt = errand.release, errand.prompt
    promoted = release.state is ReleaseState.PROMOTED
    if promoted and not await to_production(errand):
        return await give_way(errand, f"somebody moved `{prompt.label}` meanwhile, so it was left alone")
    if release.plan is not None and not await from_users(errand, release.plan):
        reason += "; the flag was changed by hand, and was left alone"
    if not promoted and release.version and await errand.labelled(prompt.label) == release.version:
        await to_production(errand)  # a promotion that died has moved it already
    if refused:
        await remember(errand, because=to, actor=actor)
    return await errand.move(to, reason, actor=actor, evidence=evidence)


async def to_production(errand: Errand) -> bool:
    """The owner's label back to the old version; False when it does not stand on ours any more."""
    release, label = errand.release, errand.prompt.label
    return await errand.point(f"label/{label}/back", label, to=release.base_version, expect=release.version)


async def from_users(errand: Errand, plan: CanaryPlan) -> bool:
    """Everybody on production; False when somebody changed the flag by hand.

    Where the flag service is away, the label that it shows the users moves all the same, before it is told.
    """
    try:
        served = await splits.put(errand, "back", splits.nobody(errand.release.prompt, plan))
    finally:
        await errand.point(f"label/{CANARY_LABEL}/back", CANARY_LABEL, to=plan.base_version)
    return served
