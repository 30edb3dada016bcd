"""`tracegrad freeze` and `unfreeze`: the kill switch. It needs the database, and nobody else.

It imports no connector, and opens no connection: it has to work on the day on which nothing else does.
"""

import shlex
from pathlib import Path
from typing import Any

from deploy.cli.console import Terminal
from deploy.cli.exits import DONE
from deploy.cli.options import Options
from deploy.cli.user import user
from deploy.clock import SystemClock
from deploy.ordering import actor_of, known
from deploy.overview import moment
from deploy.settings import Settings, load
from deploy.store.facade import Store
from deploy.store.freezes import EVERY, Freeze
from optimizer.errors import BadInput, BadSettings
from optimizer.ports import Clock


def freeze(options: Options, prompt: str, *, actor: str, why: str) -> int:
    """Stop a prompt's releases, or all."""
    settings, terminal, clock = load(options.config), Terminal(as_json=options.as_json), SystemClock()
    store = opened(settings, clock)
    if prompt != EVERY and not known(store, settings, prompt):
        # a misspelt name would stop nothing, and nobody would know
        raise BadInput(f"there is no prompt '{prompt}'", "correct the name, or freeze everything without one")
    wanted = Freeze(prompt=prompt, actor=actor_of(user(actor)), why=why.strip(), at=clock.now())
    stands = store.freezes.freeze(wanted)
    terminal.say(f"{what(prompt)} frozen, by {stands.actor} at {moment(stands.at)} UTC.", style="bold")
    if stands.why:
        terminal.say(f"  {stands.why}")
    lift = f"tracegrad unfreeze {shlex.quote(prompt)}".removesuffix(" ''")
    terminal.say(f"  Nothing moves forward; rollbacks still work. Lift it with `{lift}`.")
    terminal.give(document(stands))
    return DONE


def unfreeze(options: Options, prompt: str, *, actor: str, why: str) -> int:
    """Let a prompt's releases, or all, go on."""
    settings, terminal, clock = load(options.config), Terminal(as_json=options.as_json), SystemClock()
    store = opened(settings, clock)
    lifted = store.freezes.unfreeze(prompt, actor=actor_of(user(actor)), why=why.strip(), at=clock.now())
    terminal.say(f"{what(prompt)} {'no longer' if lifted else 'not'} frozen.", style="bold")
    others = [each for each in store.freezes.all() if prompt == EVERY or each.prompt == EVERY]
    for other in others:
        terminal.say(f"  {what(other.prompt)} still frozen, by {other.actor} at {moment(other.at)} UTC.")
    terminal.give({"lifted": lifted, "standing": [document(other) for other in others]})
    return DONE


def opened(settings: Settings, clock: Clock) -> Store:
    """The store that is there already: a freeze in a new one would stop nothing, and nobody would know."""
    path = Path(settings.database_url.removeprefix("sqlite:///"))
    if not path.exists():
        raise BadSettings(f"there is no database at {path}", "correct `state_dir`, or run it from its place")
    return Store.open(settings.database_url, clock)


def what(prompt: str) -> str:
    """The beginning of a sentence about a freeze."""
    return "All prompts are" if prompt == EVERY else f"{prompt} is"


def document(stands: Freeze) -> dict[str, Any]:
    """A freeze for a script; an empty prompt is all of them."""
    return {"prompt": stands.prompt, "actor": stands.actor, "why": stands.why, "at": moment(stands.at)}
