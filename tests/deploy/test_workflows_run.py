"""Cycles on a real DBOS in this process: stages in order, one cycle per prompt, failures as values, parking, cancel."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import sqlalchemy as sa
from conftest import SetClock
from workflow_samples import owner, status, until

from deploy.lifecycle import CycleState
from deploy.store.facade import Store
from deploy.store.fence import LeaseLost, Run, hold
from deploy.workflows import Stage, State, Worker
from optimizer.errors import Unreachable

Work = Callable[[Run], Awaitable[State]]
SLOT, NEXT = "2026-11-21T02:30Z", "2026-11-21T03:30Z"


async def fence(store: Store, run: Run) -> None:
    """Ask whether the run still owns its cycle, as whoever is about to act does."""

    def ask() -> None:
        with store.engine.begin() as connection:
            hold(connection, run)

    await asyncio.to_thread(ask)


class Stages:
    """Two stages that write down what they were asked; a test may put work of its own into the second."""

    def __init__(self, store: Store, clock: SetClock) -> None:
        self.ran: list[str] = []
        self.running = 0
        self.most_at_once = 0
        self.work: Work | None = None
        self._advance = lambda run, to: store.cycles.advance(run, to, at=clock.now())

    @property
    def table(self) -> dict[str, Stage]:
        return {"collect": self.collect, "work": self.second}

    async def collect(self, run: Run, state: State) -> State:
        assert state == {}
        self.ran.append(f"collect {run.cycle_id}")
        await asyncio.to_thread(self._advance, run, CycleState.COLLECTING)
        return {"ids": ["a", "b"]}

    async def second(self, run: Run, state: State) -> State:
        assert state == {"ids": ["a", "b"]}
        self.ran.append(f"work {run.cycle_id}")
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            if self.work is not None:
                return await self.work(run)
            await asyncio.sleep(0.05)
            return {**state, "ended": "skipped", "reason": "nothing to do"}
        finally:
            self.running -= 1


@pytest.fixture
def stages(store: Store, clock: SetClock) -> Stages:
    return Stages(store, clock)


@asynccontextmanager
async def working(
    store: Store,
    url: str,
    stages: Stages,
    clock: SetClock,
    *,
    lost: list[str] | None = None,
    plan: str = "collect work",
) -> AsyncIterator[Worker]:
    found: list[str] = [] if lost is None else lost
    worker = Worker(
        store,
        url,
        stages=stages.table,
        plan=plan.split(),
        clock=clock,
        lease_s=1.5,
        poll_s=0.1,
        on_lost=lambda: found.append(worker.executor),
    )
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop(grace_s=0)
    assert lost is not None or found == []


async def test_slots_of_a_prompt_run_once_each_and_one_after_the_other(
    store: Store, url: str, stages: Stages, clock: SetClock
) -> None:
    async with working(store, url, stages, clock) as worker:
        ids = [await worker.enqueue("support", slot) for slot in (SLOT, NEXT, SLOT)]
        ended = await asyncio.gather(*(worker.wait(id_) for id_ in ids))
        await worker.enqueue("support", SLOT)
        await worker.enqueue("support", "2026-11-21T04:30Z")
        await worker.wait("support@2026-11-21T04:30Z")
    assert ids == [f"support@{SLOT}", f"support@{NEXT}", f"support@{SLOT}"]
    assert ended == [{"ids": ["a", "b"], "ended": "skipped", "reason": "nothing to do"}] * 3
    assert stages.ran.count(f"work support@{SLOT}") == stages.ran.count(f"collect support@{SLOT}") == 1
    assert len(stages.ran) == 6
    assert stages.most_at_once == 1
    row = store.cycles.get(f"support@{SLOT}")
    assert (row.state, row.reason) == (CycleState.SKIPPED, "nothing to do")
    assert [event.state for event in store.cycles.events(row.id)] == ["idle", "collecting", "skipped"]


async def test_failures_end_a_cycle_as_values(store: Store, url: str, stages: Stages, clock: SetClock) -> None:
    async def away(_run: Run) -> State:
        raise Unreachable("no answer from the trace store")

    async def bug(_run: Run) -> State:
        raise KeyError("what a stranger wrote")

    async def too_early(_run: Run) -> State:
        return {"ended": "done"}

    reasons = {}
    async with working(store, url, stages, clock) as worker:
        for number, work in enumerate((away, bug, too_early)):
            stages.work = work
            id_ = await worker.enqueue("support", f"slot {number}")
            await worker.wait(id_)
            row = store.cycles.get(id_)
            assert row.state is CycleState.FAILED
            reasons[work.__name__] = row.reason
    assert reasons["away"] == "no answer from the trace store"
    assert reasons["bug"].startswith("KeyError in stage 'work'")
    assert reasons["too_early"] == "CycleState may not go from collecting to done"
    with store.engine.begin() as connection:
        outputs = connection.execute(sa.text("select output, error from operation_outputs")).all()
    assert not any("stranger" in str(row) for row in outputs)


async def test_a_plan_may_name_a_stage_that_is_gone(store: Store, url: str, stages: Stages, clock: SetClock) -> None:
    async with working(store, url, stages, clock, plan="collect gone") as worker:
        state = await worker.wait(await worker.enqueue("support", SLOT))
    assert state["reason"] == "this version of Tracegrad has no stage 'gone'"


async def test_a_cycle_parks_between_stages_and_another_worker_finishes_it(
    store: Store, url: str, stages: Stages, clock: SetClock
) -> None:
    begun, finish = asyncio.Event(), asyncio.Event()

    async def slow(_run: Run) -> State:
        begun.set()
        await finish.wait()
        return {"ids": ["a", "b"]}

    stages.work = slow
    worker = Worker(
        store, url, stages=stages.table, plan=["collect", "work", "work"], clock=clock, poll_s=0.1, lease_s=1.5
    )
    await worker.start()
    id_ = await worker.enqueue("support", SLOT)
    await begun.wait()
    stopping = asyncio.create_task(worker.stop(grace_s=5))
    await asyncio.sleep(0.1)
    finish.set()
    await stopping
    assert status(store, id_) == "PENDING"
    stages.work = None
    async with working(store, url, stages, clock) as successor:
        assert (await successor.wait(id_))["reason"] == "nothing to do"
    # the third stage is the second one's work again; no stage that had ended was repeated
    assert stages.ran == [f"collect {id_}", f"work {id_}", f"work {id_}"]


async def test_a_cancelled_cycle_begins_nothing_more_and_its_prompt_goes_on(
    store: Store, url: str, stages: Stages, clock: SetClock
) -> None:
    begun: asyncio.Queue[Run] = asyncio.Queue()

    async def forever(run: Run) -> State:
        begun.put_nowait(run)
        await asyncio.Event().wait()
        return {}

    stages.work = forever
    async with working(store, url, stages, clock) as worker:
        id_ = await worker.enqueue("support", SLOT)
        run = await begun.get()
        await fence(store, run)
        assert run.token == owner(store, id_)
        await worker.cancel(id_, "stopped by a person")
        with pytest.raises(LeaseLost):
            await fence(store, run)
        await until(lambda: stages.running == 0)
        stages.work = None
        await worker.wait(await worker.enqueue("support", NEXT))
    row = store.cycles.get(id_)
    assert (row.state, row.reason) == (CycleState.SKIPPED, "stopped by a person")
    assert status(store, id_) == "CANCELLED"


async def test_a_worker_whose_lease_was_revoked_leaves(store: Store, url: str, stages: Stages, clock: SetClock) -> None:
    lost: list[str] = []
    async with working(store, url, stages, clock, lost=lost) as worker:
        with store.engine.begin() as connection:
            connection.execute(sa.text("update heartbeat set revoked = true"))
        await until(lambda: bool(lost))
        assert not worker.running
    assert lost == [worker.executor]


async def test_what_the_dead_left_is_handed_to_the_living(
    store: Store, url: str, stages: Stages, clock: SetClock
) -> None:
    begun: asyncio.Queue[Run] = asyncio.Queue()

    async def forever(run: Run) -> State:
        begun.put_nowait(run)
        await asyncio.Event().wait()
        return {}

    stages.work = forever
    async with working(store, url, stages, clock) as worker:
        id_ = await worker.enqueue("support", SLOT)
        sleeper = await begun.get()
        stages.work = None
        with store.engine.begin() as connection:  # as if it had been taken by a process that died since
            connection.execute(sa.text("update workflow_status set executor_id = 'the dead one'"))
            connection.execute(sa.text("insert into heartbeat values ('the dead one', 0, false)"))
        await until(lambda: store.cycles.get(id_).state is CycleState.SKIPPED)
        with pytest.raises(LeaseLost):
            await fence(store, sleeper)
        assert worker.running
    assert stages.ran.count(f"collect {id_}") == 1
