"""The daemon: one process with a clock, a worker and a web application, from start to an orderly stop.

The clock only enqueues; the worker runs cycles; the web application only reads. SIGTERM parks the running cycles at
their next stage boundary: they stay pending, and whoever starts next resumes them.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from functools import partial

import uvicorn
from starlette.applications import Starlette

from connectors.langfuse.copies import LangfuseCopies
from connectors.promptfoo.runtime import locate
from deploy import roles
from deploy.clock import CycleClock
from deploy.cycle import PLAN, stages
from deploy.forgetting.resuming import Resuming
from deploy.metrics import metrics_of
from deploy.ofrep.process import answering
from deploy.releases.tending import tend
from deploy.releases.ticking import Ticker
from deploy.settings import Settings
from deploy.web.app import create_app
from deploy.wiring import House, langfuse_access, opened
from deploy.workflows import Worker
from optimizer.errors import BadSettings

GRACE_S = 20.0
"""How long running stages may take to end after SIGTERM."""

log = logging.getLogger("tracegrad")


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. A stage may still be running afterwards: leave by `os._exit`, see Worker.stop."""
    if not settings.prompts:
        raise BadSettings("no prompt is registered", "add one under `prompts` in tracegrad.yaml")
    if settings.uses_promptfoo and settings.role != "publisher":
        locate(settings.node_dir)  # a daemon without its gate would pay for candidates and refuse them all
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    await roles.check(settings)
    with listening(settings) as listener:
        async with opened(settings) as house:
            await work(house, listener, stop)


async def work(house: House, listener: socket.socket, stop: asyncio.Event) -> None:
    """Clock, worker and web application, until `stop` is set."""
    settings = house.settings
    proposes, publishes = settings.role != "publisher", settings.role != "proposer"
    worker = Worker(
        house.store,
        settings.database_url,
        stages=stages(house) if proposes else {},
        plan=PLAN,
        tick=partial(tend, house) if publishes else None,
        clock=house.clock,
    )
    schedules = {prompt.name: prompt.schedule for prompt in settings.prompts} if proposes else {}
    clock = CycleClock(schedules, worker.enqueue, clock=house.clock)
    ticker = Ticker(worker, house.store, settings, house.clock)
    async with answers(settings):
        await working(house, worker, clock, ticker, listener, stop)


async def working(
    house: House, worker: Worker, clock: CycleClock, ticker: Ticker, listener: socket.socket, stop: asyncio.Event
) -> None:
    """Start them, serve the pages, and end them in reverse once `stop` is set."""
    settings = house.settings
    await worker.start()
    await clock.start(catch_up=True)
    resuming = Resuming(house.store, house.clock, lambda: LangfuseCopies(langfuse_access(settings)))
    resuming.start()
    if settings.role != "proposer":
        ticker.start()
    try:
        async with serving(web_of(house, worker, clock, ticker), listener) as address:
            log.info("ready", extra={"action": "ready", "address": address, "prompts": len(settings.prompts)})
            await stop.wait()
    finally:
        log.info("stopping", extra={"action": "stop"})
        clock.stop()
        ticker.stop()
        resuming.stop()
        await worker.stop(GRACE_S)


def answers(settings: Settings) -> AbstractAsyncContextManager[object]:
    """The evaluation endpoint, where an application asks it."""
    asked = any(p.release.watched and p.release.resolver == "ofrep" for p in settings.prompts)
    return answering(settings) if asked and settings.role != "proposer" else nullcontext()


def web_of(house: House, worker: Worker, clock: CycleClock, ticker: Ticker) -> Starlette:
    """The web application over the house's store."""
    publishes = house.settings.role != "proposer"
    return create_app(
        house.store,
        house.settings,
        house.clock,
        vitals=lambda: {
            "clock": clock.running,
            "worker": worker.running,
            **({"ticker": ticker.running} if publishes else {}),
        },
        metrics=metrics_of(house.store, house.settings, house.clock),
        nudge=ticker.nudge if publishes else None,
    )


@contextmanager
def listening(settings: Settings) -> Iterator[socket.socket]:
    """The settings' address, taken before any cycle starts."""
    try:
        listener = socket.create_server((settings.web.host, settings.web.port))
    except OSError as error:
        why = str(error.strerror).partition(" (while")[0]
        raise BadSettings(
            f"the status page cannot listen on {settings.web.host}:{settings.web.port} ({why})",
            "set another `web.port`, or stop whoever uses it",
        ) from error
    with listener:
        yield listener


@asynccontextmanager
async def serving(app: Starlette, listener: socket.socket) -> AsyncIterator[str]:
    """Serve the application in this loop; yields its address."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))
    # `_serve` is `serve` without signal handlers: this process has its own
    served = asyncio.create_task(server._serve([listener]))
    try:
        host, port = listener.getsockname()[:2]
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        await served
