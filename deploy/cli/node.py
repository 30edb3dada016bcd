"""`tracegrad setup-node`: the pinned promptfoo, in a private prefix, compared with the committed lock."""

from pathlib import Path

from connectors.promptfoo.runtime import install
from deploy.cli.console import Terminal
from deploy.cli.options import Options
from deploy.settings import Settings, load


def command(options: Options, prefix: Path | None) -> None:
    """Install where the settings look for it, or do nothing when the prefix holds what the lock says already."""
    terminal = Terminal(as_json=options.as_json)
    if prefix is None:
        prefix = load(options.config).node_dir if options.config.exists() else Settings().node_dir
    with terminal.progress(f"Setting up promptfoo in {prefix} (about a minute, once)"):
        runtime = install(prefix)
    terminal.say(f"promptfoo {runtime.version} is ready in {prefix}.")
    terminal.give({"promptfoo": runtime.version, "prefix": str(prefix)})
