"""`tracegrad run`: the daemon in this process."""

import asyncio
import logging
import os
import sys

from deploy.cli.exits import DONE
from deploy.cli.options import Options
from deploy.daemon import run
from deploy.logs import JsonLines
from deploy.settings import Settings, load


def command(options: Options) -> None:
    """Run until told to stop; logs go to standard error, one JSON object a line."""
    settings = load(options.config)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.DEBUG if options.debug else logging.INFO, handlers=[handler], force=True)
    for noisy in ("httpx", "httpx2", "httpcore", "openai", "apscheduler", "alembic", "dbos", "langfuse"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    asyncio.run(until_stopped(settings))


async def until_stopped(settings: Settings) -> None:
    """Run the daemon and leave the process from here.

    A stage that outlived the grace must be cut like by a kill. A return would cancel it instead, or wait for its
    threads, and its cycle would end when it should be resumed.
    """
    await run(settings)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(DONE)
