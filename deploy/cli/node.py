"""`tracegrad setup-node`: the pinned promptfoo, in a private prefix, compared with the committed lock."""

from pathlib import Path

from connectors.promptfoo.runtime import install
from deploy.cli.console import Terminal


def command(prefix: Path) -> None:
    """Install, or do nothing when the prefix holds what the lock says already."""
    terminal = Terminal()
    with terminal.progress(f"Setting up promptfoo in {prefix} (about a minute, once)"):
        runtime = install(prefix)
    terminal.say(f"promptfoo {runtime.version} is ready in {prefix}.")
