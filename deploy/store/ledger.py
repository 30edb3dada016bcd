"""The error budget of every prompt: stakes that were opened, and what is left.

Theory of operation. A stake is the chance of a false claim that one release may take. Opening one is a single
serializable transaction: look for the stake of this release, count the day, sum what was opened in the last 365 ledger
days, take a share of the rest, write it down. So a process that is killed has opened the stake or has not, spenders
that collide wait for one another, and asking twice opens once. A stake is never given back, whatever becomes of its
release. Days are counted, not measured: the ledger's day is the number of different dates that were seen, so a clock
that jumps adds at most one day. All is kept by a prompt id, which outlives a rename.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from deploy.store.database import Records, insert_new, waiting_out
from deploy.store.identities import merge
from deploy.store.schema import ledger_day, prompt_name, stake
from gates import error_budget
from optimizer.errors import BadInput, OverBudget
from optimizer.identity import digest


class Ledger(StrEnum):
    """Each has the whole budget: what may be claimed in pull requests says nothing about canaries."""

    PROPOSAL = "proposal"
    RELEASE = "release"


@dataclass(frozen=True, slots=True, kw_only=True)
class StakeRow:
    """One stake as it was opened.

    Attributes:
        candidate: hash of the text that it was opened for.
        left: what remained of the yearly `budget` after it.
        day: the ledger day.
    """

    ledger: Ledger
    release_id: str
    prompt_id: str
    candidate: str
    stake: float
    budget: float
    left: float
    day: int
    at: datetime


class Ledgers(Records):
    """Prompt ids, days and stakes."""

    @waiting_out
    def prompt_id(self, name: str, *, formerly: Sequence[str] = ()) -> str:
        """The id of a prompt, the same under all its names.

        Args:
            formerly: names that the prompt had before. One that spent a budget of its own meanwhile brings its stakes
                along, and they count as if they were opened today.
        """
        names = list(dict.fromkeys((*formerly, name)))
        found = sa.select(prompt_name.c.name, prompt_name.c.prompt_id).where(prompt_name.c.name.in_(names))
        with self._read() as connection:
            known: dict[str, str] = {row.name: row.prompt_id for row in connection.execute(found)}
        if len(known) == len(names) and len(set(known.values())) == 1:
            return known[name]
        with self._write_serially() as connection:
            known = {row.name: row.prompt_id for row in connection.execute(found)}
            first, *others = dict.fromkeys(known[n] for n in names if n in known) or (digest("prompt", name),)
            for other in others:
                merge(connection, other, into=first, day=_days(connection, first))
            insert_new(connection, prompt_name, [{"name": n, "prompt_id": first} for n in names])
            return first

    @waiting_out
    def record_day(self, prompt_id: str, day: date) -> int:
        """Something happened on this date; the ledger day that it is now, which begins at 1."""
        with self._write_serially() as connection:
            return _record(connection, prompt_id, day)

    @waiting_out
    def left(self, prompt_id: str, ledger: Ledger, budget: float) -> float:
        """What remains of a yearly budget on the present ledger day."""
        with self._read() as connection:
            return _left(connection, prompt_id, ledger, budget, day=_days(connection, prompt_id))

    @waiting_out
    def open(
        self, prompt_id: str, ledger: Ledger, *, release_id: str, candidate: str, budget: float, at: datetime
    ) -> StakeRow:
        """The stake of a release: the one that was opened before, or a share of what is left, which is gone now.

        Args:
            candidate: hash of the text to be judged; it must be known, and fixed, before any of the evidence.
            budget: for this prompt and ledger, in any 365 ledger days.

        Raises:
            BadInput: the release has a stake for another text.
            OverBudget: nothing is left; nothing was opened.
        """
        mine = (stake.c.ledger == ledger.value) & (stake.c.release_id == release_id)
        with self._write_serially() as connection:
            row = connection.execute(sa.select(stake).where(mine)).one_or_none()
            if row is None:
                day = _record(connection, prompt_id, at.astimezone(UTC).date())
                before = _left(connection, prompt_id, ledger, budget, day=day)
                taken = error_budget.next_stake(before)
                if not 0 < taken <= before:
                    raise OverBudget(f"nothing is left of the error budget of {budget:g} for 365 days with activity")
                values = {
                    "ledger": ledger.value,
                    "release_id": release_id,
                    "prompt_id": prompt_id,
                    "candidate": candidate,
                    "stake": taken,
                    "budget": budget,
                    "left_after": before - taken,
                    "day": day,
                    "at": at,
                }
                insert_new(connection, stake, [values])
                row = connection.execute(sa.select(stake).where(mine)).one()
        if (row.prompt_id, row.candidate) != (prompt_id, candidate):
            raise BadInput(
                f"release '{release_id}' has opened its stake for another text",
                "give the new text a release of its own",
            )
        return _stake(row)

    @waiting_out
    def stakes(self, prompt_id: str, ledger: Ledger) -> tuple[StakeRow, ...]:
        """Every stake that was ever opened, oldest first."""
        with self._read() as connection:
            return tuple(_stake(row) for row in _rows(connection, prompt_id, ledger))


def _days(connection: sa.Connection, prompt_id: str) -> int:
    found = sa.select(sa.func.count()).select_from(ledger_day).where(ledger_day.c.prompt_id == prompt_id)
    return int(connection.execute(found).scalar_one())


def _record(connection: sa.Connection, prompt_id: str, day: date) -> int:
    insert_new(connection, ledger_day, [{"prompt_id": prompt_id, "date": day}])
    return _days(connection, prompt_id)


def _rows(connection: sa.Connection, prompt_id: str, ledger: Ledger) -> Sequence[sa.Row[Any]]:
    mine = sa.select(stake).where(stake.c.prompt_id == prompt_id, stake.c.ledger == ledger.value)
    return connection.execute(mine.order_by(stake.c.day, stake.c.at, stake.c.release_id)).all()


def _left(connection: sa.Connection, prompt_id: str, ledger: Ledger, budget: float, *, day: int) -> float:
    opened = [
        error_budget.Stake(release=row.release_id, stake=row.stake, day=row.day)
        for row in _rows(connection, prompt_id, ledger)
    ]
    return error_budget.left(opened, day=day, budget=budget)


def _stake(row: sa.Row[Any]) -> StakeRow:
    return StakeRow(
        ledger=Ledger(row.ledger),
        release_id=row.release_id,
        prompt_id=row.prompt_id,
        candidate=row.candidate,
        stake=row.stake,
        budget=row.budget,
        left=row.left_after,
        day=row.day,
        at=row.at,
    )
