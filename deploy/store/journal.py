"""What every model call of a cycle answered, so that a resumed cycle pays only for calls that were in flight.

Theory of operation. A call is `reserve`d in one transaction: the fence first, then the look-up (an answer that is there
is returned and nothing is sent), then the row that says "in flight", then the budget, whose refusal undoes the row.
Sums are kept beside the rows, so that the ten thousandth call asks as fast as the first. Nothing may wait between that
transaction and the sending. The answer is `settle`d without a fence, and the first writer wins: what was paid for is
kept, whoever owns the cycle by then. Answers that must not be used are kept too, so that a resumed cycle takes the same
way without paying again. A Transient failure is not kept: the call stays in flight, and may be sent again.
"""

import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa

from deploy.store.database import Records, inserting, waiting_out
from deploy.store.fence import Run, hold
from deploy.store.schema import journal, journal_total, spend
from deploy.store.texts import SourceText, keep_links, keep_texts, load_texts
from optimizer.errors import BadReply, CutOff, EmptyReply, Garbled, OverBudget, Refused
from optimizer.ports import Clock, ModelReply, ModelRequest
from optimizer.types import Missing, Usage

Answer = ModelReply | BadReply
"""What a call came to, good or bad; both were paid for."""

REPLY = "reply"
BAD_REPLIES: dict[str, type[BadReply]] = {
    kind.__name__: kind for kind in (BadReply, CutOff, Refused, EmptyReply, Garbled)
}


class CallJournal(Protocol):
    """Remembers the answers of a cycle's calls by `ModelRequest.key`."""

    def reserve(self, run: Run, request: ModelRequest, *, budget_usd: float | None) -> Answer | None:
        """The answer that is known, or None and the permission to send the request at once.

        Raises LeaseLost when the run may not act, OverBudget when the call would spend more than was allowed.
        """
        ...

    def settle(self, run: Run, request: ModelRequest, answer: Answer) -> None:
        """Remember an answer; the first one stays."""
        ...

    def spent(self, cycle_id: str) -> Usage:
        """What the calls of a cycle cost so far."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendRow:
    """What one cycle spent on one purpose with one model. `unpriced` counts calls whose price is unknown."""

    cycle_id: str
    prompt: str
    purpose: str
    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    unpriced: int
    last_at: datetime


class Journal(Records):
    """The journal in the database. Of its clock it only keeps the moment of each call."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        super().__init__(engine)
        self._clock = clock

    @waiting_out
    def reserve(self, run: Run, request: ModelRequest, *, budget_usd: float | None) -> Answer | None:
        """See CallJournal."""
        here = (journal.c.cycle_id == run.cycle_id) & (journal.c.key == request.key)
        with self._write() as connection:
            hold(connection, run)
            row = connection.execute(sa.select(journal).where(here)).one_or_none()
            if row is not None and row.outcome:
                return _answer(row, load_texts(connection, [row.reply_id]).get(row.reply_id, ""))
            asked = inserting(connection, journal).on_conflict_do_update(
                index_elements=[journal.c.cycle_id, journal.c.key], set_={"attempt": journal.c.attempt + 1}
            )
            call = _reserved(run, request, self._clock.now())
            first = connection.execute(asked.returning(journal.c.attempt), call).scalar_one() == 1
            total = _one_more(connection, run, new=first)
            _check_budget(budget_usd, total.cost_usd, total.dearest_usd, total.in_flight - 1)
            return None

    @waiting_out
    def settle(self, run: Run, request: ModelRequest, answer: Answer) -> None:
        """See CallJournal."""
        text = _text(answer)
        values = {"outcome": _outcome(answer), "reply_id": text.id, **_paid(answer)}
        here = (journal.c.cycle_id == run.cycle_id) & (journal.c.key == request.key) & (journal.c.outcome == "")
        with self._write() as connection:
            if connection.execute(sa.update(journal).where(here).values(values)).rowcount:
                connection.execute(_one_less(run, _cost(answer) or 0.0))
                keep_texts(connection, [text], at=self._clock.now())
                keep_links(connection, "journal", [(f"{run.cycle_id}/{request.key}", [text.id])])

    @waiting_out
    def spent(self, cycle_id: str, purposes: Collection[str] = ()) -> Usage:
        """See CallJournal; of the calls with these purposes only, when any are named."""
        found = sa.select(journal).where(journal.c.cycle_id == cycle_id, journal.c.outcome != "")
        if purposes:
            found = found.where(journal.c.purpose.in_(purposes))
        with self._read() as connection:
            return sum((_usage(row) for row in connection.execute(found)), Usage())

    @waiting_out
    def spend(self, since: datetime) -> tuple[SpendRow, ...]:
        """What every cycle that called a model since then has cost, newest first."""
        found = sa.select(spend).where(spend.c.last_at >= since).order_by(spend.c.last_at.desc())
        with self._read() as connection:
            return tuple(SpendRow(**row) for row in connection.execute(found).mappings())


@dataclass(slots=True)
class _Calls:
    """The calls of one cycle in memory, with their sums."""

    answers: dict[str, Answer | None] = field(default_factory=dict)
    cost_usd: float = 0.0
    dearest_usd: float = 0.0
    in_flight: int = 0


class InMemoryJournal:
    """The same promises without a database and without a fence, for the library and for tests. Safe in threads."""

    def __init__(self) -> None:
        self._cycles: dict[str, _Calls] = {}
        self._lock = threading.Lock()

    def reserve(self, run: Run, request: ModelRequest, *, budget_usd: float | None) -> Answer | None:
        """See CallJournal."""
        with self._lock:
            calls = self._cycles.setdefault(run.cycle_id, _Calls())
            known = calls.answers.get(request.key)
            if known is None:
                new = request.key not in calls.answers
                _check_budget(budget_usd, calls.cost_usd, calls.dearest_usd, calls.in_flight - (not new))
                calls.answers[request.key] = None
                calls.in_flight += new
            return known

    def settle(self, run: Run, request: ModelRequest, answer: Answer) -> None:
        """See CallJournal."""
        with self._lock:
            calls = self._cycles.setdefault(run.cycle_id, _Calls())
            if calls.answers.get(request.key) is None:
                calls.in_flight -= request.key in calls.answers
                calls.answers[request.key] = answer
                cost = _cost(answer) or 0.0
                calls.cost_usd += cost
                calls.dearest_usd = max(calls.dearest_usd, cost)

    def spent(self, cycle_id: str) -> Usage:
        """See CallJournal."""
        with self._lock:
            answers = list(self._cycles[cycle_id].answers.values()) if cycle_id in self._cycles else []
        return sum((_reported(answer) for answer in answers if answer is not None), Usage())


def _one_more(connection: sa.Connection, run: Run, *, new: bool) -> sa.Row[Any]:
    """The sums of a cycle, and one more call in flight, unless it is counted already."""
    row = {"cycle_id": run.cycle_id, "cost_usd": 0.0, "dearest_usd": 0.0, "in_flight": 1}
    counted = inserting(connection, journal_total).on_conflict_do_update(
        index_elements=[journal_total.c.cycle_id], set_={"in_flight": journal_total.c.in_flight + (1 if new else 0)}
    )
    return connection.execute(counted.returning(journal_total), row).one()


def _one_less(run: Run, cost_usd: float) -> sa.Update:
    """Count a call that was answered."""
    dearest = journal_total.c.dearest_usd
    return (
        sa.update(journal_total)
        .where(journal_total.c.cycle_id == run.cycle_id)
        .values(
            cost_usd=journal_total.c.cost_usd + cost_usd,
            dearest_usd=sa.case((dearest < cost_usd, cost_usd), else_=dearest),
            in_flight=journal_total.c.in_flight - 1,
        )
    )


def _check_budget(budget_usd: float | None, spent_usd: float, dearest_usd: float, in_flight: int) -> None:
    """Refuse one more call when it might not be covered.

    What a call in flight will cost is not known; each is taken to cost as much as the dearest so far, and so is this.
    """
    if budget_usd is not None and (budget_usd <= 0 or spent_usd + dearest_usd * (in_flight + 1) > budget_usd):
        raise OverBudget(f"the next model call may exceed the cycle's budget of {budget_usd:.2f} USD")


def _reserved(run: Run, request: ModelRequest, at: datetime) -> dict[str, Any]:
    return {
        "cycle_id": run.cycle_id,
        "key": request.key,
        "attempt": 1,
        "purpose": request.purpose,
        "model": request.model,
        "outcome": "",
        "reply_id": "",
        "calls": 0,
        "input_tokens": 0,
        "output_tokens": 0,
        "cost_usd": None,
        "unpriced": "",
        "at": at,
    }


def _outcome(answer: Answer) -> str:
    if isinstance(answer, ModelReply):
        return REPLY
    return next(kind.__name__ for kind in type(answer).__mro__ if kind.__name__ in BAD_REPLIES)


def _text(answer: Answer) -> SourceText:
    """A model may repeat what it was shown, and so may the reason why its reply cannot be used."""
    return SourceText(kind="reply", text=answer.text if isinstance(answer, ModelReply) else str(answer))


def _reported(answer: Answer) -> Usage:
    """A bad reply was paid for as well, even when nobody said how much."""
    return answer.usage if answer.usage.calls else Usage(calls=1, cost_usd=Missing.NOT_PRICED)


def _cost(answer: Answer | None) -> float | None:
    cost = None if answer is None else _reported(answer).cost_usd
    return None if isinstance(cost, Missing) else cost


def _paid(answer: Answer) -> dict[str, Any]:
    usage = _reported(answer)
    cost = usage.cost_usd
    return {
        "model": answer.model if isinstance(answer, ModelReply) else journal.c.model,
        "calls": usage.calls,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": None if isinstance(cost, Missing) else cost,
        "unpriced": cost.value if isinstance(cost, Missing) else "",
    }


def _usage(row: sa.Row[Any]) -> Usage:
    return Usage(
        calls=row.calls,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cost_usd=Missing(row.unpriced) if row.unpriced else row.cost_usd,
    )


def _answer(row: sa.Row[Any], text: str) -> Answer:
    if row.outcome == REPLY:
        return ModelReply(text=text, model=row.model, usage=_usage(row))
    return BAD_REPLIES[row.outcome](text, usage=_usage(row))
