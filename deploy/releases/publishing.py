"""Approved: into the registry as a version without any label, if production still reads what the candidate came from.

Publishing is compare-and-set in the registry and exactly-once in the store. A person's edit in the meantime wins.
"""

import asyncio
import logging

from deploy.lifecycle import ReleaseState
from deploy.releases.errand import Errand, number
from deploy.releases.regating import trial_of
from deploy.store.facade import Store
from deploy.store.releases import OURS, ReleaseRow
from gates.words import counted
from optimizer.identity import Json
from optimizer.prompts import Head, Superseded
from optimizer.proof import GateReport, Proof
from optimizer.types import Candidate

log = logging.getLogger("tracegrad")


async def publish(errand: Errand) -> Errand:
    """The next step of an approved release: it waits for a canary that runs, or becomes a version."""
    release = errand.release
    # what production will judge may wait for a canary of weeks: its evidence only chose it
    if not errand.watched and errand.now >= release.expires_at:
        days = errand.prompt.release.expires_days
        return await errand.move(ReleaseState.EXPIRED, f"its evidence is older than {days:g} days: too old to act on")
    if outdated := await not_asked_any_more(errand):
        return await errand.move(ReleaseState.EXPIRED, outdated)
    if running := await others(errand):
        return await errand.waits(f"waits until the canary of version {running} is decided")
    candidate, body = await errand.candidate(), await errand.body()
    # fixed before the first attempt: a later one must look for our version above the same number
    found = await errand.once("head", lambda _: _head(errand), forward=True)
    assert isinstance(found, dict)
    parent = candidate.parent
    if (found["version"], found["sha256"]) != (parent.version, parent.sha256):
        reason = f"production reads version {found['version']} now, and it was made from version {parent.version}"
        return await errand.move(ReleaseState.SUPERSEDED, reason)
    base = Head(production=parent, newest=number(found["newest"]), label=errand.prompt.label)
    note = note_of(candidate, await asyncio.to_thread(errand.house.store.reports.load, release.cycle_id))

    async def send(_key: str) -> Json:
        outcome = await errand.house.registry.publish(release.prompt, body, base=base, run_id=release.run_id, note=note)
        if isinstance(outcome, Superseded):
            return {"stray": outcome.stray, "newest": outcome.head.newest, "alarm": outcome.latest_is_stray}
        return {"version": outcome.version.version}

    outcome = await errand.once("publish", send, forward=True)
    assert isinstance(outcome, dict)
    if "version" not in outcome:
        return await overtaken(errand, outcome)
    version = number(outcome["version"])
    return await errand.move(ReleaseState.PUBLISHED, f"version {version}, without a label", version=version)


async def not_asked_any_more(errand: Errand) -> str:
    """Why the owner's settings would not let it go on by now; empty when they would."""
    release, settings = errand.release, errand.prompt.release
    if release.approver == OURS and settings.policy != "canary":
        return f"the policy of {release.prompt} is `{settings.policy}` now, and nobody has approved it"
    if errand.watched or any("unproven" in event.evidence for event in await errand.events()):
        return ""
    report = await asyncio.to_thread(judgement_of, errand.house.store, release)
    if report is None or report.proof is not Proof.PROVEN:
        return "it was screened for a canary, and the settings release to everybody at once now"
    return ""


def judgement_of(store: Store, release: ReleaseRow) -> GateReport | None:
    """The gate's report on the text that is released: a person's, when one changed the candidate. Blocks."""
    changed = store.release_texts.of(release.run_id)
    if changed is None:
        return store.reports.load(release.cycle_id)
    judged = trial_of(store, release.prompt, changed).row
    return store.reports.load(judged.id) if judged else None


async def others(errand: Errand) -> int:
    """The version of another release of this prompt that production is deciding about; 0 when there is none."""
    busy = (ReleaseState.PUBLISHED, ReleaseState.PROGRESSING)
    rows = await asyncio.to_thread(errand.house.store.releases.in_state, errand.release.prompt, *busy)
    return next((row.version for row in rows if row.run_id != errand.release.run_id), 0)


async def _head(errand: Errand) -> Json:
    head = await errand.house.registry.head(errand.release.prompt, label=errand.prompt.label)
    return {"version": head.production.version, "sha256": head.production.sha256, "newest": head.newest}


async def overtaken(errand: Errand, outcome: dict[str, Json]) -> Errand:
    """Somebody else's change stands; when `latest` points to our stray version, a person has to be told."""
    reason = "somebody changed the prompt between our read and our write; their change stands"
    if outcome["stray"]:
        reason += f", and our version {outcome['stray']} carries no label"
    if outcome["alarm"]:
        reason += (
            f". ALARM: `latest` points to version {outcome['stray']}, which nobody approved; "
            "make a new version from the one you want, or stop reading `latest`"
        )
        log.error(reason, extra={"action": "alarm", "cycle": errand.release.cycle_id, "version": outcome["stray"]})
    return await errand.move(ReleaseState.SUPERSEDED, reason)


def note_of(candidate: Candidate, report: GateReport | None) -> str:
    """One line for the registry's history: what changed, why it was believed."""
    said = report.reasons[0] if report else "Nothing was measured."
    return f"{counted(len(candidate.edits), 'edit')} from v{candidate.parent.version}. {said}"
