"""`tracegrad once`: one cycle now, by the daemon's own path."""

import asyncio
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from connectors.promptfoo.runtime import locate
from deploy import overview, roles
from deploy.cli.console import Advance, Terminal
from deploy.cli.exits import COULD_NOT_RUN, DONE, REFUSED, UNDECIDED
from deploy.cli.options import Options
from deploy.cli.show import render
from deploy.clock import SystemClock
from deploy.cycle import DRY_PLAN, PLAN, stages
from deploy.lifecycle import CycleState
from deploy.settings import Settings, load
from deploy.wiring import open_store, opened
from deploy.workflows import Worker
from optimizer.errors import BadSettings
from optimizer.types import Verdict

WORKING = {
    "connect": "Connecting",
    "collect": "Reading scores and traces",
    "optimize": "Turning complaints into edits",
    "gate": "Trying both versions on the same cases",
}


def command(options: Options, prompt: str, *, dry_run: bool) -> int:
    """Run the cycle and show what came of it; the exit code says how it ended."""
    settings, terminal = load(options.config), Terminal(as_json=options.as_json)
    settings.prompt(prompt)
    if settings.role == "publisher":
        raise BadSettings("a publisher runs no cycles", "run it where `role` is `proposer` or `all`")
    if settings.uses_promptfoo:
        locate(settings.node_dir)  # before anything is paid for
    cycle_id = asyncio.run(run_once(settings, prompt, terminal, dry_run=dry_run))
    shown = overview.cycle(open_store(settings, SystemClock()), settings, cycle_id)
    terminal.give(shown)
    render(shown, terminal)
    if dry_run and shown["verdict"] == Verdict.PASS:
        terminal.say("Dry run: nothing was published.")
    terminal.say(f"Look at it again with `tracegrad show {shlex.quote(cycle_id)}`.", style="dim", whole=True)
    return exit_code(shown["state"], shown["verdict"])


def exit_code(state: str, verdict: str) -> int:
    """0 when it published or had nothing to do; otherwise why not."""
    if state == CycleState.FAILED:
        return COULD_NOT_RUN
    return {Verdict.FAIL: REFUSED, Verdict.UNDECIDED: UNDECIDED}.get(Verdict(verdict), DONE) if verdict else DONE


async def run_once(settings: Settings, prompt: str, terminal: Terminal, *, dry_run: bool = False) -> str:
    """Enqueue a slot of its own, run it to its end, and return the cycle's id."""
    with watching(terminal) as progress:
        progress("connect", 0, 0)
        await roles.check(settings)
        async with opened(settings, progress=progress) as house:
            plan = DRY_PLAN if dry_run else PLAN
            worker = Worker(
                house.store, settings.database_url, stages=stages(house), plan=plan, clock=house.clock, poll_s=0.2
            )
            await worker.start()
            try:
                cycle_id = await worker.enqueue(prompt, f"once-{house.clock.now():%Y%m%dT%H%M%S%f}")
                await worker.wait(cycle_id)
            finally:
                await worker.stop(0)
            return cycle_id


class Stages:
    """Shows one bar per stage, as the stages come."""

    def __init__(self, terminal: Terminal, bars: ExitStack) -> None:
        self._terminal, self._bars = terminal, bars
        self._stage = ""
        self._advance: Advance = lambda _done, _total: None

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Progress of a stage; the first call of a stage ends the bar of the one before."""
        if stage != self._stage:
            self._bars.close()
            self._stage = stage
            self._advance = self._bars.enter_context(self._terminal.progress(WORKING.get(stage, stage)))
        self._advance(done, total)


@contextmanager
def watching(terminal: Terminal) -> Iterator[Stages]:
    """Progress bars that are gone when the block ends."""
    with ExitStack() as bars:
        yield Stages(terminal, bars)
