"""A process that the crash tests start and kill: one cycle of journalled calls and an effect, counted in files.

Usage: crashing_worker.py FOLDER SECONDS_PER_CALL
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from deploy.clock import SystemClock
from deploy.lifecycle import CycleState
from deploy.store.facade import Store
from deploy.store.fence import Run
from deploy.store.journalled import JournalledModel
from deploy.workflows import State, Worker
from optimizer.identity import Json
from optimizer.ports import ModelReply, ModelRequest
from optimizer.prompts import Message
from optimizer.types import Usage

CALLS, AT_ONCE, LEASE_S = 24, 4, 1.5
PROMPT, SLOT = "support", "2026-11-21T02:30Z"


class Counted:
    """A model and a registry that write down every request before they answer."""

    def __init__(self, folder: Path, pause_s: float) -> None:
        self.folder = folder
        self.pause_s = pause_s

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.note("calls", request.messages[0].content)
        await asyncio.sleep(self.pause_s)
        return ModelReply(text="ok", model="m", usage=Usage(calls=1, cost_usd=0.01))

    async def publish(self, key: str) -> Json:
        self.note("effects", key)
        return {"version": 4}

    def note(self, name: str, line: str) -> None:
        with (self.folder / name).open("a") as file:
            file.write(f"{line}\n")


async def main(folder: Path, pause_s: float) -> None:
    url, clock = f"sqlite:///{folder}/tracegrad.db", SystemClock()
    store, world = Store.open(url, clock), Counted(folder, pause_s)

    async def collect(run: Run, state: State) -> State:
        world.note("stages", "collect")
        await asyncio.to_thread(store.cycles.advance, run, CycleState.COLLECTING, at=clock.now())
        return {**state, "calls": CALLS}

    async def optimize(run: Run, state: State) -> State:
        world.note("stages", "optimize")
        await asyncio.to_thread(store.cycles.advance, run, CycleState.OPTIMIZING, at=clock.now())
        model = JournalledModel(world, store.journal, run, capacity=asyncio.Semaphore(AT_ONCE))
        asked = [
            ModelRequest(purpose="backward", model="m", messages=(Message(role="user", content=f"call {number}"),))
            for number in range(CALLS)
        ]
        await asyncio.gather(*(model.complete(request) for request in asked))
        return state

    async def publish(run: Run, _state: State) -> State:
        result = await store.effects.once(run, "publish", world.publish)
        return {"ended": "skipped", "reason": "the end", "published": result}

    stages = {"collect": collect, "optimize": optimize, "publish": publish}
    worker = Worker(store, url, stages=stages, plan=list(stages), clock=clock, lease_s=LEASE_S, poll_s=0.2)
    await worker.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    id_ = await worker.enqueue(PROMPT, SLOT)
    ending = [asyncio.create_task(worker.wait(id_)), asyncio.create_task(stopped.wait())]
    await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)
    await worker.stop(grace_s=20)
    os._exit(0)


asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2])))
