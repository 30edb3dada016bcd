"""Cycles as durable workflows: the only file that knows DBOS.

DBOS finds a workflow by the name of a function that was decorated when its module was imported, and one process holds
one DBOS. So there is one module-level workflow here, `_cycle`, which hands over to the one Worker that was started;
everything else is an ordinary object. What DBOS may see is ids and small values: payloads are in our own tables.

Three names that DBOS does not promise are used, each in a function of its own: `_token`, `_hand_back`, and the columns
of `workflow_status` in `deploy.store.fence` and `deploy.lease`. `tests/deploy/test_workflows_contract.py` watches them.
"""

import asyncio
import functools
import logging
import math
import os
import traceback
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetEnqueueOptions, SetWorkflowID, WorkflowHandleAsync
from dbos._context import get_local_dbos_context

from deploy.lease import Lease, leave_at_once
from deploy.lifecycle import CYCLE_TRANSITIONS, CycleState, is_final
from deploy.store.cycles import cycle_id
from deploy.store.facade import Store
from deploy.store.fence import LeaseLost, Run
from optimizer.errors import IllegalMove, TracegradError
from optimizer.identity import Json
from optimizer.ports import Clock

State: TypeAlias = dict[str, Json]
Stage: TypeAlias = Callable[[Run, State], Awaitable[State]]
"""One step of a cycle: from what the stages before it left to what it leaves. May be repeated after a crash."""

APPLICATION_VERSION = "cycle-2"
"""Changes only when a stage's meaning does: DBOS never resumes cycles of another version."""

QUEUE = "cycles"
TICKS = "ticks"
"""Beside the cycles: taking a release back must not wait for a cycle that runs for an hour."""

MAX_TAKEOVERS = 50
"""Takeovers and deploys count as well as crashes, so a handful would dead-letter healthy cycles."""

log = logging.getLogger(__name__)
actions = logging.getLogger("tracegrad")
"""Where the daemon says what it did: ids and numbers only."""


@DBOS.workflow(name="cycle", max_recovery_attempts=MAX_TAKEOVERS)
async def _cycle(id_: str, prompt: str, plan: list[str]) -> State:
    if _started is None:
        raise asyncio.CancelledError("no worker runs in this process")
    return await _started.walk(id_, prompt, plan)


@DBOS.workflow(name="tick", max_recovery_attempts=MAX_TAKEOVERS)
async def _tick(prompt: str) -> State:
    if _started is None:
        raise asyncio.CancelledError("no worker runs in this process")
    return await _started.tend(prompt)


_started: "Worker | None" = None


def _token() -> str:
    """Proof of ownership, from the context: the row may already hold the successor's. Not promised by DBOS."""
    context = get_local_dbos_context()
    return (context.owner_xid if context else None) or ""


def _hand_back(executors: Sequence[str]) -> None:
    """Put the cycles of dead executors back into the queue, if those still own them. Not promised by DBOS."""
    DBOS._recover_pending_workflows(list(executors))


class Worker:
    """Takes cycles from the queue and walks them through their stages. One per process.

    Args:
        url: of the store's database; DBOS keeps its tables in it too.
        stages: every stage that a plan may name.
        plan: the stages of cycles that are enqueued from now on; older ones keep the plan they were enqueued with.
        tick: what is done about the releases of a prompt; None for a worker that only proposes.
        concurrency: cycles at once in this process; of one prompt there is never more than one anywhere.
        on_lost: what to do when the lease is lost.
    """

    def __init__(
        self,
        store: Store,
        url: str,
        *,
        stages: Mapping[str, Stage],
        plan: Sequence[str],
        clock: Clock,
        tick: Stage | None = None,
        lease_s: float = 15.0,
        poll_s: float = 2.0,
        concurrency: int = 10,
        on_lost: Callable[[], object] = leave_at_once,
    ) -> None:
        self._store = store
        self._url = url
        self._stages = stages
        self._plan = tuple(plan)
        self._tick = tick
        self._clock = clock
        self._poll_s = poll_s
        self._concurrency = concurrency
        self._on_lost = on_lost
        self._parking = False
        self._pulse: asyncio.Task[None] | None = None
        # fresh for every start: recovery of a namesake would race with one that is draining
        self.executor = uuid.uuid4().hex
        self._lease = Lease(store.engine, self.executor, lease_s=lease_s, hand_back=_hand_back, on_lost=on_lost)

    @property
    def running(self) -> bool:
        """True while cycles are taken and the lease is kept alive."""
        return self._pulse is not None and not self._pulse.done() and not self._parking

    async def start(self) -> None:
        """Take cycles, on the event loop that is running now."""
        global _started
        if _started is not None:
            raise RuntimeError("one process runs one worker")
        for name in [name for name in os.environ if name.startswith("DBOS__")]:
            del os.environ[name]
        await asyncio.to_thread(self._lease.join)
        DBOS(config=self._config())
        _quiet_logging()
        _started = self
        # queues live in the database: what this process has no stages for is left to others
        DBOS.listen_queues([*([QUEUE] if self._stages else []), *([TICKS] if self._tick else [])])
        DBOS.launch()
        for queue in (QUEUE, TICKS):
            await DBOS.register_queue_async(
                queue,
                partition_concurrency=1,
                worker_concurrency=self._concurrency,
                polling_interval_sec=self._poll_s,
                on_conflict="always_update",
            )
        self._beat(reaping=True)

    async def stop(self, grace_s: float = 20.0) -> None:
        """Park: take no more, let running stages end within the grace, and leave the rest to whoever comes next.

        A stage that still runs after the grace goes on until the process exits, so exit with `os._exit`; its calls in
        flight are cut like by a kill, and nothing else is lost.
        """
        global _started
        alive, self._parking = self.running, True
        if alive:
            self._beat(reaping=False)  # what drains is still ours, but DBOS can hand nothing over any more
        # DBOS made its own threads the loop's default ones, and ends them
        loop, threads = asyncio.get_running_loop(), ThreadPoolExecutor()
        drain = functools.partial(DBOS.destroy, workflow_completion_timeout_sec=math.ceil(grace_s))
        await loop.run_in_executor(threads, drain)
        loop.set_default_executor(threads)
        if self._pulse is not None:
            self._pulse.cancel()
        await asyncio.to_thread(self._lease.leave)
        _started = None

    async def enqueue(self, prompt: str, slot: str, plan: Sequence[str] = ()) -> str:
        """Ask for the cycle of a slot, from any process and any number of times; it runs once.

        Args:
            plan: other stages than the worker's own.

        Returns:
            the cycle's id.
        """
        id_ = cycle_id(prompt, slot)
        with SetWorkflowID(id_), SetEnqueueOptions(queue_partition_key=prompt):
            await DBOS.enqueue_workflow_async(QUEUE, _cycle, id_, prompt, list(plan or self._plan))
        await asyncio.to_thread(self._store.cycles.open, prompt, slot, at=self._clock.now())
        return id_

    async def enqueue_tick(self, prompt: str, slot: str) -> str:
        """Ask for a tick of a prompt's releases, from any process; the same slot is the same tick. Returns its id."""
        id_ = f"tick:{cycle_id(prompt, slot)}"
        with SetWorkflowID(id_), SetEnqueueOptions(queue_partition_key=prompt):
            await DBOS.enqueue_workflow_async(TICKS, _tick, prompt)
        return id_

    async def wait(self, id_: str) -> State:
        """What a cycle came to, once it has ended: the state that its last stage left.

        Raises whatever DBOS says of a cycle that was cancelled or died too often.
        """
        handle: WorkflowHandleAsync[State] = await DBOS.retrieve_workflow_async(id_)
        return await handle.get_result(polling_interval_sec=min(0.5, self._poll_s))

    async def forget(self, id_: str) -> None:
        """Drop the record of a tick that has ended; there are hundreds a day, and nobody asks for one again."""
        await DBOS.delete_workflow_async(id_)

    async def cancel(self, id_: str, reason: str) -> None:
        """Stop a cycle: no call and no effect of it begins from now on, and its prompt's next slot may start."""
        await DBOS.cancel_workflow_async(id_)
        row = await asyncio.to_thread(self._store.cycles.get, id_)
        if not is_final(CYCLE_TRANSITIONS, row.state):
            await asyncio.to_thread(
                self._store.cycles.advance, id_, CycleState.SKIPPED, at=self._clock.now(), reason=reason
            )

    async def walk(self, id_: str, prompt: str, plan: Sequence[str]) -> State:
        """Every stage of one cycle, one after the other. Called by DBOS, again from the start after every takeover."""
        run = Run(cycle_id=id_, prompt=prompt, workflow_id=str(DBOS.workflow_id), token=_token())
        state: State = await DBOS.run_step_async({"name": "open"}, self._open, run)
        for name in plan:
            if self._parking:
                raise asyncio.CancelledError("parked")  # stays PENDING; an ordinary exception would end it
            state = await DBOS.run_step_async({"name": name, "preemptible": True}, self._stage, name, run, state)
            if "ended" in state:
                break
        return await DBOS.run_step_async({"name": "close"}, self._close, run, state)

    async def tend(self, prompt: str) -> State:
        """One tick of one prompt's releases. Called by DBOS, again from the start after every takeover."""
        run = Run(cycle_id="", prompt=prompt, workflow_id=str(DBOS.workflow_id), token=_token())
        return await DBOS.run_step_async({"name": "tick", "preemptible": True}, self._tend, run)

    async def _tend(self, run: Run) -> State:
        if self._tick is None:
            return _failed({}, "this process does not tend releases")
        return await self._guarded("tick", self._tick, run, {})

    async def _open(self, run: Run) -> State:
        slot = run.cycle_id.removeprefix(f"{run.prompt}@")
        await asyncio.to_thread(self._store.cycles.open, run.prompt, slot, at=self._clock.now())
        return {}

    async def _stage(self, name: str, run: Run, state: State) -> State:
        """One stage; a failure comes back as a value, since DBOS does not bring back exceptions of our classes."""
        stage = self._stages.get(name)
        if stage is None:
            return _failed(state, f"this version of Tracegrad has no stage '{name}'")
        return await self._guarded(name, stage, run, state)

    async def _guarded(self, name: str, stage: Stage, run: Run, state: State) -> State:
        try:
            return await stage(run, state)
        except LeaseLost:
            raise
        except TracegradError as error:
            return _failed(state, str(error))
        except Exception as bug:  # the outermost loop of a cycle: the daemon must outlive it
            # without the exception's text, which may quote a trace
            where = "".join(traceback.format_tb(bug.__traceback__))
            log.error("%s: %s in stage %s\n%s", run.workflow_id, type(bug).__name__, name, where)
            return _failed(state, f"{type(bug).__name__} in stage '{name}': a bug of Tracegrad; please report the log")

    async def _close(self, run: Run, state: State) -> State:
        ended, reason = CycleState(str(state.get("ended", CycleState.DONE))), str(state.get("reason", ""))
        cycles, now = self._store.cycles, self._clock.now()
        try:
            await asyncio.to_thread(cycles.advance, run, ended, at=now, reason=reason)
        except IllegalMove as bug:
            row = await asyncio.to_thread(cycles.get, run.cycle_id)
            if not is_final(CYCLE_TRANSITIONS, row.state):
                await asyncio.to_thread(cycles.advance, run, CycleState.FAILED, at=now, reason=str(bug))
        row = await asyncio.to_thread(cycles.get, run.cycle_id)
        said = {"action": "cycle", "cycle": row.id, "state": str(row.state), "verdict": str(row.verdict or "")}
        actions.info("cycle ended", extra={**said, "calls": self._store.journal.spent(row.id).calls})
        return state

    def _beat(self, *, reaping: bool) -> None:
        if self._pulse is not None:
            self._pulse.cancel()
        self._pulse = asyncio.create_task(self._lease.pulse(reaping=reaping), name="pulse")
        self._pulse.add_done_callback(self._pulse_ended)

    def _pulse_ended(self, pulse: asyncio.Task[None]) -> None:
        if not pulse.cancelled() and (error := pulse.exception()):
            log.error("the heartbeat died: %s", type(error).__name__)
            self._on_lost()  # without a pulse the lease is as good as lost

    def _config(self) -> DBOSConfig:
        return {
            "name": "tracegrad",
            "system_database_url": self._url,
            "executor_id": self.executor,
            "application_version": APPLICATION_VERSION,
            "serializer": DBOSPortableJSONSerializer(),
            "console_log_level": "WARNING",
            "enable_otlp": False,
            "use_listen_notify": False,
            "sys_db_pool_size": 5,
            "max_executor_threads": 32,  # every `asyncio.to_thread` of the process runs in them
            "notification_listener_polling_interval_sec": self._poll_s,  # a stop waits for one round of it
            "scheduler_polling_interval_sec": 3600.0,
        }


def _failed(state: State, reason: str) -> State:
    return {**state, "ended": CycleState.FAILED.value, "reason": reason}


def _quiet_logging() -> None:
    """DBOS writes to its own handler, advertises at INFO and logs tracebacks for what is normal at a stop."""
    theirs = logging.getLogger("dbos")
    theirs.handlers.clear()
    theirs.propagate = True
    theirs.setLevel(logging.WARNING)
