"""`tracegrad reading-gateway`: Langfuse for a proposer, without a key that can write."""

import asyncio
import signal
import socket

from deploy.cli.console import Terminal
from deploy.cli.exits import DONE
from deploy.cli.options import Options
from deploy.settings import Settings, load
from deploy.web.reading_gateway import ReadingGateway, serving
from optimizer.errors import BadSettings


def command(options: Options) -> int:
    """Serve until told to stop."""
    settings, terminal = load(options.config), Terminal(as_json=options.as_json)
    with listening(settings) as listener:
        asyncio.run(until_stopped(settings, listener, terminal))
    return DONE


async def until_stopped(settings: Settings, listener: socket.socket, terminal: Terminal) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with ReadingGateway(settings.langfuse, settings.gateway) as gateway, serving(gateway, listener) as address:
        terminal.say(f"Langfuse can be read at {address}; set a proposer's `langfuse.host` to it.")
        terminal.give({"address": address})
        await stop.wait()


def listening(settings: Settings) -> socket.socket:
    """The settings' address."""
    host, port = settings.gateway.host, settings.gateway.port
    try:
        return socket.create_server((host, port))
    except OSError as error:
        why = str(error.strerror).partition(" (while")[0]
        raise BadSettings(
            f"the reading gateway cannot listen on {host}:{port} ({why})",
            "set another `gateway.port`, or stop whoever uses it",
        ) from error
