"""The process that answers: reads its order, serves, and ends when standard input does.

Started by `deploy.ofrep.process`. It must never write to the database, nor outlive whoever started it.
"""

import asyncio
import logging
import os
import signal
import socket
import sys

import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from deploy.logs import JsonLines
from deploy.ofrep.app import Endpoint
from deploy.ofrep.flags import Flags
from deploy.ofrep.order import Order
from deploy.store.database import open_database
from deploy.store.splits import Splits

RENEW_S = 1.0
FIRST_READ_S = 2.0
"""So long questions wait for the first copy: after a restart nobody should be shown another version in between."""
IDLE_S = 75
"""How long an idle connection is kept: longer than clients keep theirs, so that none is closed under a question."""
GRACE_S = 2

log = logging.getLogger("tracegrad")


async def serve(order: Order) -> None:
    """Answer until standard input ends or SIGTERM comes."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), stop.set)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    flags, splits = Flags.of(order.prompts), Splits(open_database(order.database_url))
    following = asyncio.create_task(follow(flags, splits))
    first = asyncio.create_task(renew(flags, splits))
    await asyncio.wait({first}, timeout=FIRST_READ_S)
    server = uvicorn.Server(
        uvicorn.Config(
            Endpoint(flags, order.token),
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_keep_alive=IDLE_S,
            timeout_graceful_shutdown=GRACE_S,
        )
    )
    # `_serve` is `serve` without signal handlers: this process has its own
    serving = asyncio.create_task(server._serve([socket.socket(fileno=order.listener)]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({following, serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await serving
    if following.done():
        following.result()


async def follow(flags: Flags, splits: Splits) -> None:
    """Keep the copy fresh, for ever."""
    while True:
        await asyncio.sleep(RENEW_S)
        await renew(flags, splits)


async def renew(flags: Flags, splits: Splits) -> None:
    """Read the splits; while the database is away the last copy stays."""
    try:
        flags.splits = await asyncio.to_thread(splits.all)
    except SQLAlchemyError:
        log.warning("the splits cannot be read; answering from the last copy", extra={"action": "ofrep-stale"})


def main() -> None:
    """Serve, then leave at once: a thread may still wait for the database."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    code = 1
    try:
        asyncio.run(serve(Order.model_validate_json(sys.stdin.buffer.readline())))
        code = 0
    except Exception:
        log.exception("the evaluation endpoint failed", extra={"action": "ofrep-failed"})
    finally:
        logging.shutdown()
        os._exit(code)


if __name__ == "__main__":
    main()
