"""The last stage of a cycle: a candidate that passed its gate becomes a release, which production or a person decides.

It touches nothing outside: what follows is done in ticks, by whoever may publish.
"""

import asyncio
from datetime import datetime, timedelta

from deploy.collecting import ended
from deploy.gating.stage import gated_at
from deploy.lifecycle import CycleState, ReleaseState
from deploy.settings import PromptSettings
from deploy.store.facade import Store
from deploy.store.fence import Run
from deploy.store.releases import OURS, ReleaseRow
from deploy.wiring import House
from optimizer.identity import Json
from optimizer.proof import GateReport
from optimizer.types import Missing, Verdict

LEAST_Z_FOR_MARGIN = 1.28
"""A canary that may only show "not worse" needs a candidate that looks better offline."""


async def propose(house: House, run: Run, state: dict[str, Json]) -> dict[str, Json]:
    """Make the release, or say why there is none."""
    prompt, now = house.settings.prompt(run.prompt), house.clock.now()
    await asyncio.to_thread(house.store.cycles.advance, run, CycleState.PROPOSING, at=now)
    candidate = await asyncio.to_thread(house.store.lineage.load_candidate, str(state["candidate"]), run.cycle_id)
    report = await asyncio.to_thread(house.store.reports.load, run.cycle_id)
    if report is None or report.verdict is not Verdict.PASS:
        return ended("failed", "the candidate has not passed its gate, so it was not proposed")
    if refused := not_wanted(prompt, report):
        return ended("done", refused)
    began = await asyncio.to_thread(gated_at, house, run)

    def make() -> ReleaseRow:
        releases = house.store.releases
        row = releases.propose(
            run.cycle_id,
            cycle_id=run.cycle_id,
            prompt=run.prompt,
            candidate_id=candidate.id,
            base_version=candidate.parent.version,
            expires_at=began + timedelta(days=prompt.release.expires_days),
            at=now,
            policy=prompt.release.policy,
        )
        if row.state is ReleaseState.PROPOSED:
            supersede(house.store, row, at=now)
            row = releases.get(row.run_id)
        if row.state is ReleaseState.PROPOSED and prompt.release.policy == "canary":
            reason = "the owner's policy lets production decide"
            return releases.advance(run.cycle_id, ReleaseState.APPROVED, at=now, reason=reason, approver=OURS)
        return row

    row = await asyncio.to_thread(make)
    return ended("done", next_for(prompt, row))


def not_wanted(prompt: PromptSettings, report: GateReport) -> str:
    """Why a candidate that passed makes no release; empty when it does."""
    if prompt.release.policy == "observe":
        return f"passed, and only reported: the policy of {prompt.name} is `observe`"
    z = report.numbers.z
    if prompt.release.watched and prompt.release.canary.margin and (isinstance(z, Missing) or z < LEAST_Z_FOR_MARGIN):
        shown = "unknown" if isinstance(z, Missing) else f"{z:.2f}"
        return (
            f'not proposed: a canary that may only show "not worse" needs a screen with z of {LEAST_Z_FOR_MARGIN} or '
            f"more, and it was {shown}"
        )
    return ""


def supersede(store: Store, row: ReleaseRow, *, at: datetime) -> None:
    """Only one release waits: the newest proposal; of those that production will decide about, the best. Blocks."""
    for older in store.releases.in_state(row.prompt, ReleaseState.PROPOSED, ReleaseState.APPROVED):
        nobodys = older.state is ReleaseState.PROPOSED or older.approver == OURS
        if older.run_id == row.run_id or not nobodys or older.created_at > row.created_at:
            continue
        best_waits = row.policy == older.policy == "canary" and older.base_version == row.base_version
        gone, stays = (row, older) if best_waits and strength(store, older) > strength(store, row) else (older, row)
        reason = f"{stays.run_id} takes its place"
        store.releases.advance(gone.run_id, ReleaseState.SUPERSEDED, at=at, reason=reason, expect=gone)


def strength(store: Store, row: ReleaseRow) -> float:
    """How much better the candidate looked offline, in standard errors."""
    report = store.reports.load(row.cycle_id)
    return float("-inf") if report is None or isinstance(report.numbers.z, Missing) else report.numbers.z


def next_for(prompt: PromptSettings, row: ReleaseRow) -> str:
    """What happens with a new release, and what a person can do."""
    if row.state is ReleaseState.SUPERSEDED:
        return f"not proposed: {row.reason}"
    if row.state is ReleaseState.APPROVED:
        return f"released to production's judgement: a canary of {prompt.name} begins with the next tick"
    if prompt.release.ask == "pull-request":
        return f"proposed: a pull request follows with the next tick; `tracegrad releases {prompt.name}` shows it"
    return f"proposed: it waits for `tracegrad approve {prompt.name}`, or `tracegrad reject {prompt.name} --why ...`"
