"""A canary from its opening to its last stage: what is fixed before the first user, and the widening.

The stake is opened, the plan is fixed and the salt is known before anybody is shown the candidate; from then on, all
that a restart needs is in the store.
"""

import asyncio
import hmac

from deploy.gating.order import sha_of
from deploy.lifecycle import ReleaseState
from deploy.releases import splits
from deploy.releases.errand import Errand
from deploy.releases.metrics import metric_of
from deploy.releases.planning import past
from deploy.releases.promoting import give_way
from deploy.store.ledger import Ledger
from deploy.wiring import source_secret
from gates.canary.margins import TakenMargin, margin_left, margin_of
from optimizer.rollouts import CANARY_LABEL, PRODUCTION, CanaryPlan, Decision, Look

SALT_CHARS = 16
ROUNDING = 1e-9

KEPT = (ReleaseState.PROGRESSING, ReleaseState.PROMOTED, ReleaseState.SUPERSEDED, ReleaseState.HALTED)
"""Releases whose margin counts: those that are watched, and those that may have been promoted."""


async def open_canary(errand: Errand) -> Errand:
    """Stake, plan, label, flag; then the first part of the users."""
    release, prompt = errand.release, errand.prompt
    if refused := await too_many_margins(errand):
        return await errand.move(ReleaseState.RETIRED, refused)
    await end_holdbacks(errand)
    started = await splits.started(errand, await salt_of(errand))
    if any(band.version != PRODUCTION for band in started.bands):
        return await errand.waits(f"waits: the flag of {prompt.name} shows some users another version already")
    plan = release.plan or await fixed_plan(errand, started.salt)
    errand = errand.planned(plan)
    if not await errand.point(f"label/{CANARY_LABEL}", CANARY_LABEL, to=release.version, forward=True):
        return await give_way(errand, f"somebody moved `{CANARY_LABEL}` while it was being set")
    share = plan.rules.first_share
    if not await splits.put(errand, f"share/{share:g}", splits.stage(prompt.name, plan, share), forward=True):
        return await errand.move(ReleaseState.SUPERSEDED, "the flag was changed by hand before the first stage")
    return await errand.move(
        ReleaseState.PROGRESSING,
        f"{share:.0%} of the {plan.unit}s are shown version {release.version}",
        evidence={"share": share},
    )


async def widen(errand: Errand, look: Look) -> Errand:
    """The next part of the users."""
    plan, prompt = errand.release.plan, errand.prompt
    assert plan is not None
    share = plan.rules.full_share
    if not await splits.put(errand, f"share/{share:g}", splits.stage(prompt.name, plan, share), forward=True):
        return await give_way(errand, "the flag was changed by hand")
    return await errand.move(
        ReleaseState.PROGRESSING,
        f"{share:.0%} of the {plan.unit}s are shown version {plan.version}: {look.sentence}",
        evidence={"share": share},
    )


async def fixed_plan(errand: Errand, salt: str) -> CanaryPlan:
    """The stake, taken from the ledger, and everything else that may not change any more."""
    store, release, prompt = errand.house.store, errand.release, errand.prompt
    canary, metric = prompt.release.canary, metric_of(prompt)
    before = await past(errand.house, prompt, metric)
    candidate = sha_of(await errand.body())

    def fix() -> CanaryPlan:
        prompt_id = store.ledgers.prompt_id(prompt.name, formerly=prompt.formerly)
        stake = store.ledgers.open(
            prompt_id,
            Ledger.RELEASE,
            release_id=release.run_id,
            candidate=candidate,
            budget=canary.budget,
            at=errand.now,
        )
        return store.releases.fix_plan(
            release.run_id,
            CanaryPlan(
                candidate=candidate,
                version=release.version,
                base_version=release.base_version,
                salt=salt,
                metric=metric,
                maturity_days=before.maturity_days,
                settle_s=canary.settle_s,
                prior=before.prior,
                healthy=before.healthy,
                rules=canary.rules(stake.stake),
                guards=before.guards,
                holdback_share=canary.holdback_share,
                holdback_days=7 * canary.holdback_weeks,
                unit=canary.unit,
                resolver=prompt.release.resolver,
            ),
        )

    return await asyncio.to_thread(fix)


async def salt_of(errand: Errand) -> str:
    """New for every release, so that it is not always the same users who come first, and not to be guessed."""
    secret = await asyncio.to_thread(source_secret, errand.house.settings.state_dir)
    return hmac.digest(secret, f"salt:{errand.release.run_id}".encode(), "sha256").hex()[:SALT_CHARS]


async def end_holdbacks(errand: Errand) -> None:
    """A new canary ends the holdback of the release before: the old version may be three versions old otherwise."""
    store = errand.house.store
    for row in await asyncio.to_thread(store.releases.in_state, errand.release.prompt, ReleaseState.PROMOTED):
        older = Errand(house=errand.house, run=errand.run_for(row), release=row)
        if row.plan is not None and await holds(older):
            await end_holdback(older, f"ended early: the canary of version {errand.release.version} begins")


async def holds(errand: Errand) -> bool:
    """Whether a promoted release still keeps a part of the users on the old version."""
    last = (await errand.events())[-1]
    return last.state is ReleaseState.PROMOTED and "holdback" in last.evidence


async def end_holdback(errand: Errand, reason: str) -> Errand:
    """Everybody on the new version."""
    plan = errand.release.plan
    assert plan is not None
    await splits.put(errand, "finish", splits.nobody(errand.release.prompt, plan), forward=True)
    return await errand.move(ReleaseState.PROMOTED, reason, evidence={"finished": Decision.FINISH.value})


async def too_many_margins(errand: Errand) -> str:
    """Why a non-inferiority canary may not begin: the year's margins are used up. Empty when it may."""
    wanted = errand.prompt.release.canary.margin
    if not wanted or errand.release.plan is not None:
        return ""
    left = await asyncio.to_thread(margin_of_year, errand)
    if wanted <= left + ROUNDING:
        return ""
    return f"its margin is {100 * wanted:g} points, and {100 * left:g} are left of the 3 that a year allows"


def margin_of_year(errand: Errand) -> float:
    """What is left of the margins of 365 ledger days. Blocks."""
    store, prompt = errand.house.store, errand.prompt
    prompt_id = store.ledgers.prompt_id(prompt.name, formerly=prompt.formerly)
    begun = {stake.release_id: stake.day for stake in store.ledgers.stakes(prompt_id, Ledger.RELEASE)}
    names = (prompt.name, *prompt.formerly)
    taken = [
        TakenMargin(release=row.run_id, margin=margin_of(row.plan), day=begun[row.run_id])
        for name in names
        for row in store.releases.in_state(name, *KEPT)
        if row.plan is not None and row.run_id in begun
    ]
    return margin_left(taken, day=store.ledgers.record_day(prompt_id, errand.now.date()))
