"""What we rely on in DBOS and it does not promise. Run this first when its pinned version is to change."""

import asyncio

import pytest
from conftest import SetClock
from dbos import DBOS
from workflow_samples import owner, status, until

from deploy.store.facade import Store
from deploy.store.fence import Run
from deploy.workflows import State, Worker, _hand_back


class Blocked:
    """A worker's stage that hands out its run and then waits for ever."""

    def __init__(self) -> None:
        self.runs: asyncio.Queue[Run] = asyncio.Queue()

    async def __call__(self, run: Run, _state: State) -> State:
        self.runs.put_nowait(run)
        await asyncio.Event().wait()
        return {}


async def test_what_we_rely_on(store: Store, url: str, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBOS__VMID", "an executor id that somebody else chose")
    blocked = Blocked()
    # a lease that is too long to beat twice: nothing here is taken over by the pulse
    worker = Worker(
        store, url, stages={"wait": blocked, "again": blocked}, plan=["wait", "again"], clock=clock, poll_s=0.1
    )
    await worker.start()
    id_ = await worker.enqueue("support", "slot")
    first = await blocked.runs.get()

    # the token in the workflow's context is the row's owner while it runs
    assert first.token
    assert first.token == owner(store, id_)
    assert first.workflow_id == id_

    # the executor is ours and fresh, whatever the environment says
    assert (await DBOS.get_workflow_status_async(id_)).executor_id == worker.executor

    # handing back what a stranger held changes nothing
    await asyncio.to_thread(_hand_back, ["a stranger"])
    assert (status(store, id_), owner(store, id_)) == ("PENDING", first.token)

    # handing back takes the token away, and the next execution gets another one
    await asyncio.to_thread(_hand_back, [worker.executor])
    assert owner(store, id_) != first.token
    second = await blocked.runs.get()
    assert second.token == owner(store, id_) != first.token

    # so does a cancel, and it frees the prompt
    await worker.cancel(id_, "enough")
    assert (status(store, id_), owner(store, id_)) == ("CANCELLED", None)
    other = await worker.enqueue("support", "next slot")
    third = await blocked.runs.get()
    assert third.cycle_id == other

    # a slot that is asked for again after its end does not run
    await worker.enqueue("support", "slot")
    assert status(store, id_) == "CANCELLED"

    # a worker that stops leaves its cycle pending
    await worker.stop(grace_s=0)
    assert status(store, other) == "PENDING"
    assert blocked.runs.empty()


async def nothing(_run: Run, state: State) -> State:
    """A stage that is in no plan; without any stage a worker leaves cycles to others."""
    return state


async def test_a_process_runs_one_worker(store: Store, url: str, clock: SetClock) -> None:
    worker, second = (Worker(store, url, stages={"none": nothing}, plan=[], clock=clock, poll_s=0.1) for _ in range(2))
    await worker.start()
    with pytest.raises(RuntimeError, match="one worker"):
        await second.start()
    await worker.stop(grace_s=0)
    await second.start()
    id_ = await second.enqueue("support", "slot")
    await until(lambda: status(store, id_) == "SUCCESS")
    assert store.cycles.get(id_).state == "failed"  # an empty plan does nothing, which is not "done"
    await second.stop(grace_s=0)
