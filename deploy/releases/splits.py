"""Who is shown what at each point of a release, and the one way in which a release changes it.

A release knows from its own events what must be served; anything else was done by hand.
"""

from collections.abc import Sequence

from deploy.lifecycle import ReleaseState
from deploy.releases.errand import Errand
from deploy.store.encoding import decoded, encoded
from deploy.store.releases import ReleaseEvent
from optimizer.identity import Json
from optimizer.rollouts import CanaryPlan, Split, canary, holdback

ROUNDING = 1e-5
"""The coarsest weights that a flag service has: thousandths of a percent."""


def nobody(prompt: str, plan: CanaryPlan) -> Split:
    """Everybody on production."""
    return Split(prompt=prompt, salt=plan.salt)


def stage(prompt: str, plan: CanaryPlan, share: float) -> Split:
    """A part of the users on the candidate."""
    return canary(prompt, plan.salt, version=plan.version, share=share)


def after_promotion(prompt: str, plan: CanaryPlan) -> Split:
    """All but the holdback on production, which is the new version by now."""
    if not plan.holdback_share or not plan.holdback_days:
        return nobody(prompt, plan)
    return holdback(prompt, plan.salt, version=plan.base_version, share=plan.holdback_share)


def alike(one: Split, other: Split) -> bool:
    """Whether two splits show everybody the same; a service may round shares to its own weights."""
    if (one.salt, len(one.bands)) != (other.salt, len(other.bands)):
        return False
    return all(
        a.version == b.version and abs(a.below - b.below) <= ROUNDING
        for a, b in zip(one.bands, other.bands, strict=True)
    )


def expected(prompt: str, plan: CanaryPlan, events: Sequence[ReleaseEvent]) -> Split:
    """What must be served by a release with these events."""
    for event in reversed(events):
        share = event.evidence.get("share")
        if event.state is ReleaseState.PROGRESSING and isinstance(share, float):
            return stage(prompt, plan, share)
        if event.state is ReleaseState.PROMOTED:
            return after_promotion(prompt, plan) if "holdback" in event.evidence else nobody(prompt, plan)
        if event.state is not ReleaseState.PROGRESSING:
            break
    return nobody(prompt, plan)


def possible(prompt: str, plan: CanaryPlan, events: Sequence[ReleaseEvent]) -> tuple[Split, ...]:
    """What may be served and be our own doing, the likeliest first: a step that died may have gone further than events.

    Where the label of the canary was moved back already, a service that knows labels shows the old version by ours.
    """
    known, after = expected(prompt, plan, events), after_promotion(prompt, plan)
    shown = known.bands[0].below if known.bands[0].version == plan.version else 0.0
    shares = [share for share in (shown, plan.rules.first_share, plan.rules.full_share) if 0.0 < share >= shown]
    further = [canary(prompt, plan.salt, version=v, share=s) for v in (plan.version, plan.base_version) for s in shares]
    return tuple(dict.fromkeys((known, *further, after)))


async def put(errand: Errand, key: str, wanted: Split, *, forward: bool = False) -> bool:
    """Serve `wanted` instead of what the release serves now, once; False when somebody changed it by hand."""
    plan = errand.release.plan
    assert plan is not None
    name, events = errand.release.prompt, await errand.events()
    # on the way to more users, whatever is not as the events say may be a person's doing
    ours = (expected(name, plan, events),) if forward else possible(name, plan, events)
    why = f"{errand.release.run_id}: {key}"

    async def send(_key: str) -> Json:
        for served in ours:
            if await errand.flags.write(wanted, expect=served, why=why):
                return True
        return False

    return bool(await errand.once(f"split/{key}", send, forward=forward))


async def started(errand: Errand, salt: str) -> Split:
    """Everybody on production at the flag service, with the salt that counts."""

    async def send(_key: str) -> Json:
        return encoded(await errand.flags.start(errand.release.prompt, salt))

    return decoded(Split, await errand.once("split/start", send, forward=True))
