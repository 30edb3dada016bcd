"""A daemon that does nothing but keep the evaluation endpoint: prints its address, and logs to standard error."""

import asyncio
import logging
import sys
from pathlib import Path

from ofrep_samples import settings_of

from deploy.logs import JsonLines
from deploy.ofrep.process import answering


async def keep(folder: Path) -> None:
    """Until killed."""
    async with answering(settings_of(folder)) as address:
        print(address, flush=True)
        await asyncio.Event().wait()


handler = logging.StreamHandler(sys.stderr)
handler.setFormatter(JsonLines())
logging.basicConfig(level=logging.INFO, handlers=[handler])
asyncio.run(keep(Path(sys.argv[1])))
