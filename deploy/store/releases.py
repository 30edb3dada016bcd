"""The life of every release by its run id: where it stands, every move that it made, and the plan of its canary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from deploy.lifecycle import RELEASE_TRANSITIONS, ReleaseState, advance
from deploy.store.database import Records, insert_new, waiting_out
from deploy.store.encoding import decoded, encoded
from deploy.store.schema import release, release_event
from optimizer.errors import NotFound
from optimizer.identity import Json
from optimizer.rollouts import CanaryPlan

OURS = "tracegrad"
"""The actor of what nobody ordered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRow:
    """One release as it stands.

    Attributes:
        base_version: what production read when the candidate was made.
        version: the registry's number, 0 until it is published.
        policy: the owner's when it was proposed: `propose` or `canary`.
        approver: who let it go on; empty until somebody did.
        plan: of its canary; None until that is opened.
        watched_until: how far production was read for it.
    """

    run_id: str
    cycle_id: str
    prompt: str
    candidate_id: str
    state: ReleaseState
    reason: str
    base_version: int
    version: int
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    policy: str = "propose"
    approver: str = ""
    plan: CanaryPlan | None = None
    watched_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseEvent:
    """One move of a release: who made it, when, why, and the numbers behind it."""

    state: ReleaseState
    reason: str
    at: datetime
    actor: str = OURS
    evidence: Mapping[str, Json] = field(default_factory=dict)


class Releases(Records):
    """Releases by run id."""

    @waiting_out
    def propose(
        self,
        run_id: str,
        *,
        cycle_id: str,
        prompt: str,
        candidate_id: str,
        base_version: int,
        expires_at: datetime,
        at: datetime,
        policy: str = "propose",
        actor: str = OURS,
    ) -> ReleaseRow:
        """The release of a run, made when it is not there yet."""
        row = {
            "run_id": run_id,
            "cycle_id": cycle_id,
            "prompt": prompt,
            "candidate_id": candidate_id,
            "state": ReleaseState.PROPOSED.value,
            "reason": "",
            "base_version": base_version,
            "version": 0,
            "created_at": at,
            "updated_at": at,
            "expires_at": expires_at,
            "policy": policy,
            "approver": "",
            "plan": None,
        }
        event = _event(run_id, 0, ReleaseState.PROPOSED, at=at, reason="", actor=actor, evidence={})
        with self._write() as connection:
            insert_new(connection, release, [row])
            insert_new(connection, release_event, [event])
            return _load(connection, run_id)

    @waiting_out
    def advance(
        self,
        run_id: str,
        to: ReleaseState,
        *,
        at: datetime,
        reason: str = "",
        version: int | None = None,
        approver: str | None = None,
        actor: str = OURS,
        evidence: Mapping[str, Json] | None = None,
        expect: ReleaseRow | None = None,
    ) -> ReleaseRow:
        """Move a release.

        Its last move once more changes nothing, since steps are repeated after a crash. In a state that may follow
        itself, the same evidence tells the last move from the next one: a stage of traffic is entered once.

        Args:
            expect: how it stood when the move was decided; when it has moved since, it is left there.

        Raises:
            NotFound: there is no such release.
            IllegalMove: the table does not hold the move; nothing was changed.
        """
        with self._write() as connection:
            before = _load(connection, run_id, lock=True)
            if expect is not None and (before.state, before.updated_at) != (expect.state, expect.updated_at):
                return before
            made = _events(connection, run_id)
            shown = dict(evidence or {})
            if to is before.state and (to not in RELEASE_TRANSITIONS[to] or made[-1].evidence == shown):
                return before
            state = advance(RELEASE_TRANSITIONS, before.state, to)
            changed: dict[str, Any] = {"state": state.value, "reason": reason, "updated_at": at}
            changed |= {} if version is None else {"version": version}
            changed |= {} if approver is None else {"approver": approver}
            connection.execute(sa.update(release).where(release.c.run_id == run_id).values(changed))
            event = _event(run_id, len(made), state, at=at, reason=reason, actor=actor, evidence=shown)
            connection.execute(sa.insert(release_event).values(event))
            return _load(connection, run_id)

    @waiting_out
    def fix_plan(self, run_id: str, plan: CanaryPlan) -> CanaryPlan:
        """The plan of a release's canary: the one that was fixed before, or this one from now on."""
        with self._write() as connection:
            before = _load(connection, run_id, lock=True)
            if before.plan is not None:
                return before.plan
            connection.execute(sa.update(release).where(release.c.run_id == run_id).values(plan=encoded(plan)))
            return plan

    @waiting_out
    def note(self, run_id: str, reason: str) -> None:
        """Say what a release is waiting for; no move."""
        with self._write() as connection:
            connection.execute(sa.update(release).where(release.c.run_id == run_id).values(reason=reason))

    @waiting_out
    def get(self, run_id: str) -> ReleaseRow:
        """One release. Raises NotFound."""
        with self._read() as connection:
            return _load(connection, run_id)

    @waiting_out
    def of_prompt(self, prompt: str, *, limit: int = 20) -> tuple[ReleaseRow, ...]:
        """The newest releases of a prompt."""
        found = sa.select(release).where(release.c.prompt == prompt)
        newest = found.order_by(release.c.created_at.desc(), release.c.run_id.desc()).limit(limit)
        with self._read() as connection:
            return tuple(_release(row) for row in connection.execute(newest))

    @waiting_out
    def in_state(self, prompt: str, *states: ReleaseState) -> tuple[ReleaseRow, ...]:
        """Releases of a prompt that stand in one of these states, oldest first."""
        mine = (release.c.prompt == prompt) & release.c.state.in_([state.value for state in states])
        oldest = sa.select(release).where(mine).order_by(release.c.created_at, release.c.run_id)
        with self._read() as connection:
            return tuple(_release(row) for row in connection.execute(oldest))

    @waiting_out
    def prompts_in(self, *states: ReleaseState) -> tuple[str, ...]:
        """Prompts that have a release in one of these states, by name."""
        found = sa.select(release.c.prompt).where(release.c.state.in_([state.value for state in states]))
        with self._read() as connection:
            return tuple(connection.execute(found.distinct().order_by(release.c.prompt)).scalars())

    @waiting_out
    def events(self, run_id: str) -> tuple[ReleaseEvent, ...]:
        """Every move of a release, oldest first."""
        with self._read() as connection:
            return tuple(_events(connection, run_id))


def _events(connection: sa.Connection, run_id: str) -> Sequence[ReleaseEvent]:
    found = sa.select(release_event).where(release_event.c.run_id == run_id).order_by(release_event.c.number)
    return [
        ReleaseEvent(
            state=ReleaseState(row.state), reason=row.reason, at=row.at, actor=row.actor, evidence=row.evidence
        )
        for row in connection.execute(found)
    ]


def _event(
    run_id: str, number: int, state: ReleaseState, *, at: datetime, reason: str, actor: str, evidence: Json
) -> dict[str, Any]:
    made = {"run_id": run_id, "number": number, "state": state.value, "reason": reason}
    return {**made, "at": at, "actor": actor, "evidence": evidence}


def _load(connection: sa.Connection, run_id: str, *, lock: bool = False) -> ReleaseRow:
    found = sa.select(release).where(release.c.run_id == run_id)
    row = connection.execute(found.with_for_update() if lock else found).one_or_none()
    if row is None:
        raise NotFound(f"there is no release '{run_id}'", "list the releases with `tracegrad releases`")
    return _release(row)


def _release(row: sa.Row[Any]) -> ReleaseRow:
    return ReleaseRow(
        run_id=row.run_id,
        cycle_id=row.cycle_id,
        prompt=row.prompt,
        candidate_id=row.candidate_id,
        state=ReleaseState(row.state),
        reason=row.reason,
        base_version=row.base_version,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        expires_at=row.expires_at,
        policy=row.policy,
        approver=row.approver,
        plan=decoded(CanaryPlan, row.plan) if row.plan else None,
        watched_until=row.watched_until,
    )
