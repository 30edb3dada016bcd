"""The publish stage: a candidate that passed becomes a version, once, and only if nobody changed the prompt meanwhile.

Publishing is compare-and-set in the registry and exactly-once in the store: the effect is fenced, keyed by the cycle,
and looked for before it is repeated. A person's edit in the meantime always wins. What a release fixed is remembered
afterwards, as anchors; whether that works never changes the release.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from deploy.collecting import ended, number_in
from deploy.gating.anchoring import keep_fixed
from deploy.gating.stage import gated_at
from deploy.lifecycle import CycleState, ReleaseState
from deploy.store.fence import Run
from deploy.store.releases import ReleaseRow
from deploy.wiring import House
from optimizer.errors import TracegradError, Transient
from optimizer.identity import Json
from optimizer.prompts import Head, Superseded
from optimizer.proof import GateReport, Proposal
from optimizer.types import Candidate, Verdict

PROPOSAL_LIFE = timedelta(days=14)
"""After this the evidence is too old to publish on."""

PAUSES_S = (0.5, 5.0, 30.0)
"""Between attempts at an effect while the registry is away; each looks first for what the one before has done."""

log = logging.getLogger("tracegrad")


async def publish(house: House, run: Run, state: dict[str, Json]) -> dict[str, Json]:
    """Publish what passed, move the owner's label, and record every step as a release event."""
    prompt, now = house.settings.prompt(run.prompt), house.clock.now()
    await asyncio.to_thread(house.store.cycles.advance, run, CycleState.PROPOSING, at=now)
    candidate = await asyncio.to_thread(house.store.lineage.load_candidate, str(state["candidate"]), run.cycle_id)
    report = await asyncio.to_thread(house.store.reports.load, run.cycle_id)
    if report is None or report.verdict is not Verdict.PASS:
        return ended("failed", "the candidate has not passed its gate, so it was not published")
    expires_at = await asyncio.to_thread(gated_at, house, run) + PROPOSAL_LIFE
    proposal = Proposal(candidate=candidate, report=report, expires_at=expires_at)
    release = await asyncio.to_thread(propose, house, run, proposal)
    if release.state is ReleaseState.EXPIRED or (release.state is ReleaseState.APPROVED and now >= expires_at):
        reason = f"the evidence is older than {PROPOSAL_LIFE.days} days, too old to publish on"
        await mark(house, run, ReleaseState.EXPIRED, reason)
        return ended("done", f"expired: {reason}")
    base = Head(production=candidate.parent, newest=number_in(state, "newest"), label=prompt.label)

    async def send(_key: str) -> Json:
        outcome = await house.registry.publish(
            prompt.name, candidate.body, base=base, run_id=run.cycle_id, note=note_of(candidate, report)
        )
        if isinstance(outcome, Superseded):
            return {"stray": outcome.stray, "newest": outcome.head.newest, "alarm": outcome.latest_is_stray}
        return {"version": outcome.version.version}

    outcome = await insist(house, run, "publish", send)
    assert isinstance(outcome, dict)
    if "version" not in outcome:
        return await superseded(house, run, outcome)
    version = number_in(outcome, "version")
    await mark(house, run, ReleaseState.PUBLISHED, f"version {version}", version=version)
    return await promote(house, run, proposal, version, expect=number_in(state, "labelled"))


async def insist(house: House, run: Run, key: str, send: Callable[[str], Awaitable[Json]]) -> Json:
    """An effect, done once, and asked for again while the registry is away.

    What passed its gate was paid for, and no later cycle would look at the same complaints again.
    """
    for pause_s in PAUSES_S:
        try:
            return await house.store.effects.once(run, key, send)
        except Transient as error:
            await asyncio.sleep(min(max(pause_s, error.retry_after_s), PAUSES_S[-1]))
    return await house.store.effects.once(run, key, send)


def propose(house: House, run: Run, proposal: Proposal) -> ReleaseRow:
    """The release row; approved at once, because the owner's policy is to publish what passes."""
    at = house.clock.now()
    row = house.store.releases.propose(
        run.cycle_id,
        cycle_id=run.cycle_id,
        prompt=run.prompt,
        candidate_id=proposal.candidate.id,
        base_version=proposal.candidate.parent.version,
        expires_at=proposal.expires_at,
        at=at,
    )
    if row.state is ReleaseState.PROPOSED:
        reason = proposal.report.reasons[0]
        return house.store.releases.advance(run.cycle_id, ReleaseState.APPROVED, at=at, reason=reason)
    return row


async def superseded(house: House, run: Run, outcome: dict[str, Json]) -> dict[str, Json]:
    """Somebody else's change stands; when `latest` points to our stray version, a person has to be told."""
    reason = "somebody changed the prompt between our read and our write; their change stands"
    if outcome["stray"]:
        reason += f", and our version {outcome['stray']} carries no label"
    if outcome["alarm"]:
        reason += (
            f". ALARM: `latest` points to version {outcome['stray']}, which nobody approved; "
            "make a new version from the one you want, or stop reading `latest`"
        )
        log.error(reason, extra={"action": "alarm", "cycle": run.cycle_id, "version": outcome["stray"]})
    await mark(house, run, ReleaseState.SUPERSEDED, reason)
    return ended("done", f"superseded: {reason}")


async def promote(house: House, run: Run, proposal: Proposal, version: int, *, expect: int) -> dict[str, Json]:
    """Move the owner's label to the new version, if it still stands where the cycle found it when it began."""
    prompt = house.settings.prompt(run.prompt)
    label = prompt.publish_label

    async def send(_key: str) -> Json:
        return await house.registry.move_label(prompt.name, label, to=version, expect=expect)

    if not await insist(house, run, f"label/{label}", send):
        reason = f"published version {version}, but somebody moved `{label}` meanwhile, so it was left alone"
        await mark(house, run, ReleaseState.SUPERSEDED, reason)
        return ended("done", reason)
    if label == prompt.label:
        await mark(house, run, ReleaseState.PROMOTED, f"`{label}` points to version {version}")
    told = f"published version {version} of {prompt.name}, labelled `{label}`"
    return ended("done", told + await anchored(house, run, proposal))


async def anchored(house: House, run: Run, proposal: Proposal) -> str:
    """Keep what the release fixed as anchors; returns what to add to the release's outcome."""
    fixed = proposal.report.fixed
    if not fixed:
        return ""

    async def send(_key: str) -> Json:
        return await keep_fixed(house, run.prompt, proposal.candidate, fixed)

    try:
        kept = await insist(house, run, "anchors", send)
    except TracegradError as error:
        said = f"the complaints that it fixed could not be kept as anchors ({type(error).__name__})"
        log.warning(said, extra={"action": "anchors", "cycle": run.cycle_id})
        return f"; {said}"
    return f"; {kept} fixed complaint{'s are anchors' if kept != 1 else ' is an anchor'} now"


async def mark(house: House, run: Run, to: ReleaseState, reason: str, *, version: int | None = None) -> None:
    """A release event."""
    at = house.clock.now()
    await asyncio.to_thread(house.store.releases.advance, run.cycle_id, to, at=at, reason=reason, version=version)


def note_of(candidate: Candidate, report: GateReport) -> str:
    """One line for the registry's history: what changed, why it was believed."""
    edits = len(candidate.edits)
    return f"{edits} edit{'s' if edits != 1 else ''} from v{candidate.parent.version}. {report.reasons[0]}"
