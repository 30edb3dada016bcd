"""The life of every cycle: its state, why it is in it, and what it came to."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from deploy.lifecycle import CYCLE_TRANSITIONS, CycleState, advance, is_final
from deploy.store.database import Records, insert_new, waiting_out
from deploy.store.fence import Run, hold
from deploy.store.schema import cycle, cycle_event
from optimizer.errors import NotFound
from optimizer.types import Verdict

SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleRow:
    """One cycle as it stands.

    Attributes:
        reason: why it was skipped or failed; empty otherwise.
        parent_version: the version that it started from, 0 until that is known.
        candidate_id: empty until there is one. `verdict`: None until the gate has spoken.
        secret: what the nonces of its fences are made from, so that a resumed cycle sends the same bytes.
    """

    id: str
    prompt: str
    slot: str
    state: CycleState
    reason: str
    parent_version: int
    candidate_id: str
    verdict: Verdict | None
    started_at: datetime
    ended_at: datetime | None
    secret: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleEvent:
    """One move of a cycle."""

    state: CycleState
    reason: str
    at: datetime


def cycle_id(prompt: str, slot: str) -> str:
    """The id of a cycle, and of its workflow: the same slot can never run twice."""
    return f"{prompt}@{slot}"


class Cycles(Records):
    """Cycles by id (`prompt@slot`)."""

    @waiting_out
    def open(self, prompt: str, slot: str, *, at: datetime) -> CycleRow:
        """The cycle of a slot, made when it is not there yet."""
        id_ = cycle_id(prompt, slot)
        row = {
            "id": id_,
            "prompt": prompt,
            "slot": slot,
            "state": CycleState.IDLE.value,
            "reason": "",
            "parent_version": 0,
            "candidate_id": "",
            "verdict": "",
            "started_at": at,
            "ended_at": None,
            "secret": secrets.token_bytes(SECRET_BYTES),
        }
        event = {"cycle_id": id_, "number": 0, "state": CycleState.IDLE.value, "reason": "", "at": at}
        with self._write() as connection:
            insert_new(connection, cycle, [row])
            insert_new(connection, cycle_event, [event])
            return _load(connection, id_)

    @waiting_out
    def get(self, id_: str) -> CycleRow:
        """One cycle. Raises NotFound."""
        with self._read() as connection:
            return _load(connection, id_)

    @waiting_out
    def latest(self, prompt: str = "", *, limit: int = 20) -> tuple[CycleRow, ...]:
        """The newest cycles, of one prompt or of all."""
        found = sa.select(cycle).order_by(cycle.c.started_at.desc(), cycle.c.id.desc()).limit(limit)
        with self._read() as connection:
            rows = connection.execute(found.where(cycle.c.prompt == prompt) if prompt else found)
            return tuple(_cycle(row) for row in rows)

    @waiting_out
    def counts(self) -> dict[tuple[str, CycleState, str], int]:
        """How many cycles there are by prompt, state and verdict (empty while there is none)."""
        kinds = cycle.c.prompt, cycle.c.state, cycle.c.verdict
        found = sa.select(*kinds, sa.func.count().label("cycles")).group_by(*kinds)
        with self._read() as connection:
            rows = connection.execute(found)
            return {(row.prompt, CycleState(row.state), row.verdict): row.cycles for row in rows}

    @waiting_out
    def advance(self, run: Run | str, to: CycleState, *, at: datetime, reason: str = "") -> CycleRow:
        """Move a cycle. A move that it made before changes nothing: stages are repeated after a crash.

        Args:
            run: the execution that asks, which must own the cycle; or an id, for those who need not own it.

        Raises:
            IllegalMove: the table does not hold the move; nothing was changed.
            LeaseLost: the execution no longer owns the cycle; nothing was changed.
        """
        id_ = run if isinstance(run, str) else run.cycle_id
        with self._write() as connection:
            if isinstance(run, Run):
                hold(connection, run)
            before = _load(connection, id_, lock=True)
            moves = sa.select(cycle_event.c.state).where(cycle_event.c.cycle_id == id_)
            made = connection.execute(moves).scalars().all()
            if to.value in made:
                return before
            state = advance(CYCLE_TRANSITIONS, before.state, to)
            ended_at = at if is_final(CYCLE_TRANSITIONS, state) else None
            changed = {"state": state.value, "reason": reason, "ended_at": ended_at}
            connection.execute(sa.update(cycle).where(cycle.c.id == id_).values(changed))
            event = {"cycle_id": id_, "number": len(made), "state": state.value, "reason": reason, "at": at}
            connection.execute(sa.insert(cycle_event).values(event))
            return _load(connection, id_)

    @waiting_out
    def note(
        self,
        id_: str,
        *,
        parent_version: int | None = None,
        candidate_id: str | None = None,
        verdict: Verdict | None = None,
    ) -> None:
        """Write down what became known; what is not given stays as it is."""
        known = {"parent_version": parent_version, "candidate_id": candidate_id, "verdict": verdict and verdict.value}
        changed = {name: value for name, value in known.items() if value is not None}
        with self._write() as connection:
            connection.execute(sa.update(cycle).where(cycle.c.id == id_).values(changed))

    @waiting_out
    def events(self, id_: str) -> tuple[CycleEvent, ...]:
        """Every move of a cycle, oldest first."""
        found = sa.select(cycle_event).where(cycle_event.c.cycle_id == id_).order_by(cycle_event.c.number)
        with self._read() as connection:
            return tuple(
                CycleEvent(state=CycleState(row.state), reason=row.reason, at=row.at)
                for row in connection.execute(found)
            )


def _load(connection: sa.Connection, id_: str, *, lock: bool = False) -> CycleRow:
    found = sa.select(cycle).where(cycle.c.id == id_)
    row = connection.execute(found.with_for_update() if lock else found).one_or_none()
    if row is None:
        raise NotFound(f"there is no cycle '{id_}'", "list the cycles with `tracegrad status`")
    return _cycle(row)


def _cycle(row: sa.Row[Any]) -> CycleRow:
    return CycleRow(
        id=row.id,
        prompt=row.prompt,
        slot=row.slot,
        state=CycleState(row.state),
        reason=row.reason,
        parent_version=row.parent_version,
        candidate_id=row.candidate_id,
        verdict=Verdict(row.verdict) if row.verdict else None,
        started_at=row.started_at,
        ended_at=row.ended_at,
        secret=bytes(row.secret),
    )
