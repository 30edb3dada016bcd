"""Back to the old version: users first, labels after them. A freeze never stops it.

What was taken back is remembered as refused, so that no later cycle proposes the same again.
"""

from deploy.lifecycle import ReleaseState
from deploy.releases import splits
from deploy.releases.errand import Errand
from deploy.releases.promoting import CANARY, give_way
from deploy.releases.remembering import remember
from deploy.store.releases import OURS
from optimizer.identity import Json


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
    plan = release.plan
    promoted = release.state is ReleaseState.PROMOTED
    if promoted and not await errand.point(
        f"label/{prompt.label}/back", prompt.label, to=release.base_version, expect=release.version
    ):
        return await give_way(errand, f"somebody moved `{prompt.label}` meanwhile, so it was left alone")
    if plan is not None:
        served = await splits.put(errand, "back", splits.nobody(release.prompt, plan))
        await errand.point(f"label/{CANARY}/back", CANARY, to=release.base_version)
        if not served:
            reason += "; the flag was changed by hand, and was left alone"
    if refused:
        await remember(errand, because=to, actor=actor)
    return await errand.move(to, reason, actor=actor, evidence=evidence)
