"""`tracegrad run`: the daemon in this process."""

import asyncio
import logging
import sys

from deploy.cli.main import DONE, Options
from deploy.daemon import run
from deploy.logs import JsonLines
from deploy.settings import load


def command(options: Options) -> int:
    """Run until told to stop; logs go to standard error, one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.DEBUG if options.debug else logging.INFO, handlers=[handler], force=True)
    for noisy in ("httpx", "httpcore", "openai", "apscheduler", "alembic", "dbos", "langfuse"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    asyncio.run(run(load(options.config)))
    return DONE
