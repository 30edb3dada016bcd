"""The life of every release, keyed by its run id."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from deploy.lifecycle import RELEASE_TRANSITIONS, ReleaseState, advance
from deploy.store.database import Records, insert_new, waiting_out
from deploy.store.schema import release, release_event
from optimizer.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRow:
    """One release as it stands.

    Attributes:
        base_version: what production read when the candidate was made.
        version: the registry's number, 0 until it is published.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseEvent:
    """One move of a release."""

    state: ReleaseState
    reason: str
    at: datetime


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
        }
        event = {"run_id": run_id, "number": 0, "state": ReleaseState.PROPOSED.value, "reason": "", "at": at}
        with self._write() as connection:
            insert_new(connection, release, [row])
            insert_new(connection, release_event, [event])
            return _load(connection, run_id)

    @waiting_out
    def advance(
        self, run_id: str, to: ReleaseState, *, at: datetime, reason: str = "", version: int | None = None
    ) -> ReleaseRow:
        """Move a release. A move that it made before and cannot make now changes nothing: stages are repeated.

        Raises:
            IllegalMove: the table does not hold the move; nothing was changed.
        """
        with self._write() as connection:
            before = _load(connection, run_id, lock=True)
            moves = sa.select(release_event.c.state).where(release_event.c.run_id == run_id)
            made = connection.execute(moves).scalars().all()
            if to.value in made and to not in RELEASE_TRANSITIONS[before.state]:
                return before
            state = advance(RELEASE_TRANSITIONS, before.state, to)
            changed = {"state": state.value, "reason": reason, "updated_at": at}
            number_known = {} if version is None else {"version": version}
            connection.execute(sa.update(release).where(release.c.run_id == run_id).values({**changed, **number_known}))
            event = {"run_id": run_id, "number": len(made), "state": state.value, "reason": reason, "at": at}
            connection.execute(sa.insert(release_event).values(event))
            return _load(connection, run_id)

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
    def events(self, run_id: str) -> tuple[ReleaseEvent, ...]:
        """Every move of a release, oldest first."""
        found = sa.select(release_event).where(release_event.c.run_id == run_id).order_by(release_event.c.number)
        with self._read() as connection:
            return tuple(
                ReleaseEvent(state=ReleaseState(row.state), reason=row.reason, at=row.at)
                for row in connection.execute(found)
            )


def _load(connection: sa.Connection, run_id: str, *, lock: bool = False) -> ReleaseRow:
    found = sa.select(release).where(release.c.run_id == run_id)
    row = connection.execute(found.with_for_update() if lock else found).one_or_none()
    if row is None:
        raise NotFound(f"there is no release '{run_id}'", "list the releases with `tracegrad status`")
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
    )
