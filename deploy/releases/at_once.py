"""An order that was just written down, obeyed at once in this process, if this installation may publish."""

from functools import partial

from deploy import roles
from deploy.releases.tending import tend
from deploy.settings import Settings
from deploy.wiring import opened
from deploy.workflows import Worker
from optimizer.ports import Clock


async def obey(settings: Settings, prompt: str) -> str:
    """One tick of a prompt's releases, now; what came of the orders, in a sentence."""
    if settings.role == "proposer":
        return "It is written down; the publisher obeys at its next tick."
    await roles.check(settings)
    async with opened(settings) as house:
        worker = Worker(
            house.store,
            settings.database_url,
            stages={},
            plan=(),
            tick=partial(tend, house),
            clock=house.clock,
            poll_s=0.2,
        )
        await worker.start()
        try:
            return await ticked(worker, house.clock, prompt)
        finally:
            await worker.stop(0)


async def ticked(worker: Worker, clock: Clock, prompt: str) -> str:
    """Ask for a tick of its own, and wait for it."""
    id_ = await worker.enqueue_tick(prompt, f"order-{clock.now():%Y%m%dT%H%M%S%f}")
    state = await worker.wait(id_)
    told = state.get("told")
    said = list(told.values()) if isinstance(told, dict) else []
    return "; ".join(str(one) for one in said) or str(state.get("reason", ""))
