"""Processes that tend releases, each for one round of the daemon's ticks or one cycle; to be killed at any point.

Reads orders as JSON lines from standard input and forks a process for each: importing everything takes longer than
the work does. A fork is a process like any other: it opens the house itself, and SIGKILL ends it in the middle.
Standard output has two lines for each order: the process's id when it begins, and how it ended.

An order holds `settings`, the path; `at`, the simulated moment; `commits`, a file that gets a line for every committed
transaction that changed something; `die_at`, the transaction before which the process kills itself, 0 for none;
`beside`, whether other processes are alive; and `cycle`, if a cycle is to be run: `slot`, and the `line` that its
candidate adds to the prompt.
"""

import asyncio
import itertools
import json
import os
import re
import signal
import sys
import traceback
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from deploy.lifecycle import CycleState
from deploy.releases.proposing import propose
from deploy.releases.tending import tend
from deploy.releases.ticking import Ticker
from deploy.settings import load
from deploy.store.fence import Run
from deploy.wiring import House, opened
from deploy.workflows import State, Worker
from optimizer.identity import digest
from optimizer.proof import Comparison, Finding, Gate, GateReport, Proof
from optimizer.types import (
    Candidate,
    Edit,
    EditOp,
    Evidence,
    Generation,
    Gradient,
    LossKind,
    RootCause,
    Score,
    ScoreKind,
    TextLoss,
    Trace,
    Verdict,
)

POLL_S = 0.05
PATIENCE_S = 240
"""Of a process that hangs, so that a test fails in the end."""
CHANGES = re.compile(r"\s*(?:insert\s(?:or\s\w+\s)?into|update|delete\sfrom)\s+(?:\"?main\"?\.)?\"?(\w+)", re.I)
"""A statement that changes rows, and of which table."""


@dataclass(frozen=True)
class Stopped:
    """A clock that stands still."""

    at: datetime

    def now(self) -> datetime:
        """The moment of the order."""
        return self.at


class Commits:
    """Writes down every transaction that changed a row, of ours and of DBOS; dies right before one of them.

    Heartbeats do not count: they come by the real clock.
    """

    def __init__(self, log: Path, die_at: int) -> None:
        self._log, self._die_at, self._numbers = log, die_at, itertools.count(1)
        sa.event.listen(sa.Engine, "after_cursor_execute", self._executed)
        sa.event.listen(sa.Engine, "commit", self._committing)
        sa.event.listen(sa.Engine, "rollback", self._rolled_back)

    def _executed(self, connection: sa.Connection, cursor: Any, statement: str, *_: object) -> None:
        changes = CHANGES.match(statement)
        # the fence takes SQLite's lock by a change that changes nothing
        changed = cursor.rowcount > 0 or "returning" in statement.lower()
        if changes and changed and changes[1] != "heartbeat" and "owner_xid = owner_xid" not in statement:
            connection.info.setdefault("changed", []).append(changes[1])

    def _committing(self, connection: sa.Connection) -> None:
        changed = connection.info.pop("changed", None)
        if not changed:
            return
        if next(self._numbers) == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        with self._log.open("a") as log:
            log.write(" ".join(changed) + "\n")

    def _rolled_back(self, connection: sa.Connection) -> None:
        connection.info.pop("changed", None)


async def obey(order: dict[str, Any]) -> None:
    """One round of ticks, or one cycle; then everything that an earlier process left unfinished."""
    settings, clock = load(Path(order["settings"])), Stopped(datetime.fromisoformat(order["at"]))
    async with opened(settings, clock=clock) as house:
        if not order["beside"]:
            let_leases_run_out(house)
        cycle = order.get("cycle") or {}
        worker = Worker(
            house.store,
            settings.database_url,
            stages={"make": partial(make, house, cycle.get("line", "")), "propose": partial(propose, house)},
            plan=("make", "propose"),
            tick=partial(tend, house),
            clock=clock,
            poll_s=POLL_S,
        )
        await worker.start()
        if cycle:
            await worker.wait(await worker.enqueue(settings.prompts[0].name, cycle["slot"]))
        else:
            await Ticker(worker, house.store, settings, clock).round()
        while unfinished(house):  # noqa: ASYNC110  # DBOS tells nobody
            await asyncio.sleep(POLL_S)
        house.store.close()


def let_leases_run_out(house: House) -> None:
    """Whoever was killed is dead now, not in fifteen seconds."""
    with house.store.engine.begin() as connection:
        connection.execute(sa.text("update heartbeat set until = 0"))


def unfinished(house: House) -> int:
    """Workflows that somebody still has to end."""
    asked = sa.text("select count(*) from workflow_status where status in ('PENDING', 'ENQUEUED')")
    with house.store.engine.execution_options(reading=True).begin() as connection:
        return int(connection.execute(asked).scalar_one())


async def make(house: House, line: str, run: Run, state: State) -> State:
    """In the place of collecting, finding and judging: one candidate that adds a line, and a report in which it passed.

    How those come about has tests of its own, and takes a model; what follows from them is what is tested here.
    """
    now = house.clock.now()
    for to in (CycleState.COLLECTING, CycleState.OPTIMIZING, CycleState.GATING):
        await asyncio.to_thread(house.store.cycles.advance, run, to, at=now)
    prompt = house.settings.prompt(run.prompt)
    parent = (await house.registry.head(prompt.name, label=prompt.label)).production
    gradients = tuple(complaint(prompt.name, number, now) for number in (1, 2))
    cause = RootCause(label="c1", summary="answers lack a next step", gradients=gradients)
    last = len(str(parent.body).splitlines())
    edit = Edit(op=EditOp.ADD, line=str(last), text=line, reason="it helps", cause=cause)
    # without the labels: they move, and the candidate stays the same
    made = Candidate(parent=replace(parent, labels=()), edits=(edit,), body=f"{parent.body}\n{line}")

    def keep() -> None:
        house.store.lineage.save(run.cycle_id, gradients=gradients, causes=(cause,), candidate=made, at=now)
        house.store.cycles.note(run.cycle_id, parent_version=parent.version, candidate_id=made.id, verdict=Verdict.PASS)
        house.store.reports.save(run.cycle_id, made.id, passed(), at=now)

    await asyncio.to_thread(keep)
    return {**state, "candidate": made.id}


def complaint(prompt: str, number: int, at: datetime) -> Gradient:
    """What a critic made of a complaint."""
    trace_id = digest("complaint", str(number))[:32]
    about = Generation(
        id=trace_id[:16],
        trace_id=trace_id,
        prompt_name=prompt,
        prompt_version=1,
        environment="production",
        at=at,
        input=f"Where is order {number}?",
        output="On its way.",
        model="sim-task",
        source_key=f"user-{number}",
    )
    score = Score(
        id=f"score-{number}",
        name="user-feedback",
        kind=ScoreKind.NUMERIC,
        value=0.0,
        comment="And what do I do now?",
        trace_id=trace_id,
        observation_id="",
        environment="production",
        at=at,
        updated_at=at,
    )
    trace = Trace(generation=about, scores=(score,), n_prompts=1)
    loss = TextLoss(trace=trace, kind=LossKind.COMMENT, text=score.comment, weight=1.0)
    return Gradient(loss=loss, warrants_change=True, text="Say what follows.")


def passed() -> GateReport:
    """A report of a gate that found nothing against the candidate."""
    return GateReport(
        verdict=Verdict.PASS,
        proof=Proof.SCREENED,
        reasons=("Passed (screened): better by 12 points.",),
        findings=(Finding(gate=Gate.EVIDENCE, verdict=Verdict.PASS, sentence="60 of 60 pairs were scored"),),
        evidence=Evidence(pairs=(), model="sim-task", evaluator="rubric"),
        numbers=Comparison(
            scored=60,
            unscored=0,
            baseline_mean=0.6,
            candidate_mean=0.72,
            effect=0.12,
            interval=(0.05, 0.19),
            z=3.3,
            better=12,
            worse=3,
        ),
        claim=None,
        judge=None,
    )


def child(order: dict[str, Any]) -> None:
    """The forked process; it never returns."""
    signal.alarm(PATIENCE_S)
    code = 1
    try:
        Commits(Path(order["commits"]), order.get("die_at", 0))
        asyncio.run(obey(order))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Fork for every order, until there are no more."""
    for line in sys.stdin:
        orders: list[dict[str, Any]] = json.loads(line)
        children = []
        for order in orders:
            pid = os.fork()
            if pid == 0:
                child(order)
            children.append(pid)
        print(json.dumps(children), flush=True)
        print(json.dumps([os.waitpid(pid, 0)[1] for pid in children]), flush=True)


if __name__ == "__main__":
    main()
