"""The daemon's side of the evaluation endpoint: takes the address, starts the process, starts it again when it dies.

The socket belongs to the daemon and is inherited: a port in use is found before any cycle runs, and while the process
starts anew, questions wait in the queue instead of failing.
"""

import asyncio
import logging
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from deploy.ofrep.order import Order
from deploy.settings import Settings
from optimizer.errors import BadSettings

TRIES, PAUSE_S = 20, 0.1
"""For the address: the process of a daemon that was killed lets go of it within this time."""
LONGEST_PAUSE_S = 10.0
STEADY_S = 60.0
"""Who lived so long is started again at once."""
GRACE_S = 5.0

log = logging.getLogger("tracegrad")


@asynccontextmanager
async def answering(settings: Settings) -> AsyncIterator[str]:
    """Serve the endpoint in a process of its own until the block ends; yields its address.

    Raises:
        BadSettings: the address is taken or not ours.
    """
    listener = await _listening(settings)
    with listener:
        order = Order(
            database_url=settings.database_url,
            prompts=tuple(prompt.name for prompt in settings.prompts),
            token=settings.ofrep.token.get_secret_value(),
            listener=listener.fileno(),
        )
        keeper = asyncio.create_task(_keep(order, await _started(order)))
        try:
            host, port = listener.getsockname()[:2]
            yield f"http://{host}:{port}"
        finally:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper


async def _listening(settings: Settings) -> socket.socket:
    where = (settings.ofrep.host, settings.ofrep.port)
    for attempt in range(TRIES):
        # asyncio turns Nagle's algorithm off only where the protocol is named, and `create_server` does not name it
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
            listener.listen(2048)
        except OSError as error:
            listener.close()
            if attempt == TRIES - 1:
                raise BadSettings(
                    f"the evaluation endpoint cannot listen on {where[0]}:{where[1]} ({error.strerror})",
                    "set another `ofrep.port`, or stop whoever uses it",
                ) from error
            await asyncio.sleep(PAUSE_S)
        else:
            return listener
    raise AssertionError("unreachable")


async def _keep(order: Order, process: Process) -> None:
    """Start the process again whenever it ends, ever more slowly while it does not last; cancelled, end it."""
    loop, pause = asyncio.get_running_loop(), PAUSE_S
    while True:
        began = loop.time()
        try:
            code = await process.wait()
        finally:
            await _end(process)
        pause = PAUSE_S if loop.time() - began > STEADY_S else min(LONGEST_PAUSE_S, 2 * pause)
        log.error("the evaluation endpoint ended", extra={"action": "ofrep-ended", "code": code, "pause_s": pause})
        await asyncio.sleep(pause)
        process = await _started(order)


async def _started(order: Order) -> Process:
    # -P: a folder `deploy` where the owner happens to stand must not be run
    command = (sys.executable, "-P", "-m", "deploy.ofrep")
    # its own session: Ctrl-C is the daemon's to decide, and Linux shares processors fairly between sessions
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, pass_fds=(order.listener,), start_new_session=True
    )
    assert process.stdin is not None
    process.stdin.write(order.model_dump_json().encode() + b"\n")
    log.info("the evaluation endpoint runs", extra={"action": "ofrep-started", "pid": process.pid})
    return process


async def _end(process: Process) -> None:
    """Close its standard input, which tells it to end, and make it if it does not."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), GRACE_S)
    except TimeoutError:
        process.kill()
        await process.wait()
