"""Progressing, and promoted with a holdback: look at production when a look is due, and do what it decides.

A look is kept before anything is done about it. A tick that was killed in between finds it, and does what it says.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from deploy.lifecycle import ReleaseState
from deploy.releases import splits
from deploy.releases.canarying import end_holdback, holds, widen
from deploy.releases.errand import Errand
from deploy.releases.metrics import metric_of
from deploy.releases.promoting import give_way, promote
from deploy.releases.publishing import others
from deploy.releases.taking_back import take_back
from deploy.releases.units import Stage
from deploy.releases.watching import Watched, watch
from deploy.store.encoding import encoded
from deploy.store.releases import ReleaseEvent
from gates.canary.attribution import attribution
from gates.canary.holdbacks import holdback_look
from gates.canary.looking import look
from optimizer.errors import BadAnswer, NotFound
from optimizer.identity import Json
from optimizer.rollouts import CanaryPlan, Decision, Look

Act = Callable[[Errand, Look], Awaitable[Errand]]

FORWARD = (Decision.WIDEN, Decision.PROMOTE, Decision.FINISH)
"""Decisions that show the new version to more users."""


async def progress(errand: Errand) -> Errand:
    """The next step of a release that production is deciding about."""
    plan = errand.release.plan
    assert plan is not None
    if decided := await begun(errand, plan):
        return await DEEDS[decided.decision](errand, decided)
    if metric_of(errand.prompt) != plan.metric:
        reason = "the metric was changed while it was watched; what was seen so far does not count for another one"
        return await take_back(errand, ReleaseState.RETIRED, reason, refused=False)
    if reason := await meddled(errand, plan, base=plan.base_version):
        return await give_way(errand, reason)
    taken = await looked(errand, plan)
    return await DEEDS[taken.decision](errand, taken) if taken else errand


async def hold_back(errand: Errand) -> Errand:
    """The next step of a promoted release: nothing, unless a part of the users still keeps the old version."""
    plan = errand.release.plan
    if plan is None or not await holds(errand):
        return errand
    taken = await begun(errand, plan)
    if taken is None:
        if reason := await meddled(errand, plan, base=plan.version):
            return await give_way(errand, reason)
        taken = await looked(errand, plan)
    if taken is None or taken.decision is Decision.WAIT:
        return errand
    if taken.decision is Decision.FINISH:
        return await end_holdback(errand, taken.sentence)
    return await DEEDS[taken.decision](errand, taken)


async def meddled(errand: Errand, plan: CanaryPlan, *, base: int) -> str:
    """What a person has changed by hand, which then stands; empty when everything is as the release left it.

    Not to be asked while a decision is carried out: what we have changed ourselves by then looks like anybody's doing.
    The flag comes last, since it is what a release changes when it gives way.
    """
    name, label = errand.release.prompt, errand.prompt.label
    ours, before = await errand.body(), (await errand.candidate()).parent.body
    for version, body in ((plan.version, ours), (plan.base_version, before)):
        try:
            # a number may come back with another text when the newest version is deleted
            if (await errand.house.registry.get(name, version)).body != body:
                return f"version {version} holds another text now"
        except NotFound:
            return f"version {version} was deleted"
    standing = await errand.labelled(label)
    if standing != base:
        return f"`{label}` was moved by hand to version {standing}" if standing else f"nothing carries `{label}` now"
    wanted = [splits.expected(name, plan, await errand.events())]
    if base == plan.version and await others(errand):
        wanted.append(splits.nobody(name, plan))  # a new canary ends the holdback
    try:
        served = await errand.flags.read(name)
    except BadAnswer as error:
        return f"the flag of {name} was changed by hand: {error.what}"
    if served is None or not any(splits.alike(served, one) for one in wanted):
        return f"the flag of {name} was changed by hand"
    return ""


async def unacted(errand: Errand) -> Look | None:
    """The last look, when it decided something and the release has not moved since."""
    last = await asyncio.to_thread(errand.house.store.looks.last, errand.release.run_id, until=errand.now)
    if last is None or last.decision is Decision.WAIT or last.at <= (await errand.events())[-1].at:
        return None
    return last


async def begun(errand: Errand, plan: CanaryPlan) -> Look | None:
    """A decision that is carried out to its end now: back always, forward where a tick has died in the middle of it.

    One that nobody has begun to act on is no older than a look; what a person did meanwhile, and a newer look, win.
    """
    decided, name = await unacted(errand), errand.release.prompt
    if decided is None or decided.decision not in FORWARD:
        return decided
    if decided.decision is Decision.PROMOTE:
        return decided if await errand.labelled(errand.prompt.label) == plan.version else None
    widened = decided.decision is Decision.WIDEN
    wanted = splits.stage(name, plan, plan.rules.full_share) if widened else splits.nobody(name, plan)
    try:
        served = await errand.flags.read(name)
    except BadAnswer:
        return None
    return decided if served is not None and splits.alike(served, wanted) else None


async def looked(errand: Errand, plan: CanaryPlan) -> Look | None:
    """What calls for something now: a new look, kept before anything is done about it; or, until one is due, the last.

    A clock that was set back must not leave users unwatched until it has caught up.
    """
    store, run_id = errand.house.store, errand.release.run_id
    last = await asyncio.to_thread(store.looks.last, run_id, until=errand.now)
    events = await errand.events()
    since = max([events[-1].at, *([last.at] if last else [])])
    if timedelta() <= errand.now - since < timedelta(hours=errand.prompt.release.canary.look_hours):
        return await unacted(errand)
    taken = await new_look(errand, plan, events)
    await asyncio.to_thread(store.looks.keep, run_id, taken)
    return taken


async def new_look(errand: Errand, plan: CanaryPlan, events: Sequence[ReleaseEvent]) -> Look:
    """Read production, and see what it says by now."""
    stages = stages_of(plan, events)
    watched = await watch(errand.house, errand.release, plan, stages)
    if watched.units:
        store, prompt = errand.house.store, errand.prompt
        prompt_id = await asyncio.to_thread(store.ledgers.prompt_id, prompt.name, formerly=prompt.formerly)
        await asyncio.to_thread(store.ledgers.record_day, prompt_id, errand.now.date())
    # a second of arithmetic for twenty thousand users
    return await asyncio.to_thread(look_at, plan, watched, stages, errand.now)


def look_at(plan: CanaryPlan, watched: Watched, stages: Sequence[Stage], at: datetime) -> Look:
    """What production says of the phase that the release is in."""
    late = watched.late_scores
    if stages[-1].holdback:
        seen = holdback_look(plan, watched.units, at=at, began=stages[-1].since, late_scores=late)
        return replace(seen, sentence=f"{seen.sentence} {why(plan, watched)}")
    began, widened = stages[0].since, len(stages) > 1
    return look(plan, watched.units, at=at, began=began, widened=widened, late_scores=late)


def why(plan: CanaryPlan, watched: Watched) -> str:
    """What has moved the scores since the promotion: our release, the model, or the traffic."""
    before = watched.canary or watched.now
    return attribution(
        plan, then=before.units, now=watched.units, models_then=before.models, models_now=watched.models
    ).sentence


def stages_of(plan: CanaryPlan, events: Sequence[ReleaseEvent]) -> tuple[Stage, ...]:
    """Which share of the users was on the new version since when, the holdback's last."""
    canary = [
        Stage(share=share, since=event.at)
        for event in events
        if event.state is ReleaseState.PROGRESSING and isinstance(share := event.evidence.get("share"), float)
    ]
    held = [
        Stage(share=1 - plan.holdback_share, since=event.at, holdback=True)
        for event in events
        if event.state is ReleaseState.PROMOTED and "holdback" in event.evidence
    ]
    return (*canary, *held)


async def wait(errand: Errand, taken: Look) -> Errand:
    """Nothing yet."""
    return await errand.waits(taken.sentence)


async def let_through(errand: Errand, taken: Look) -> Errand:
    """Production has shown that it is better."""
    return await promote(errand, taken.sentence, evidence=evidence(taken))


def back_to(state: ReleaseState) -> Act:
    """Production has shown that it is worse, or not worth it."""

    async def act(errand: Errand, taken: Look) -> Errand:
        return await take_back(errand, state, taken.sentence, evidence=evidence(taken))

    return act


def evidence(taken: Look) -> dict[str, Json]:
    """The look behind a move."""
    return {"look": encoded(replace(taken, sentence=""))}


DEEDS: Mapping[Decision, Act] = {
    Decision.WAIT: wait,
    Decision.WIDEN: widen,
    Decision.PROMOTE: let_through,
    Decision.TAKE_BACK: back_to(ReleaseState.ROLLED_BACK),
    Decision.GIVE_UP: back_to(ReleaseState.RETIRED),
    Decision.HALT: back_to(ReleaseState.HALTED),
}
