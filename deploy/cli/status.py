"""`tracegrad status`: prompts, their last cycles, verdicts and spend."""

from typing import Any

from rich.table import Table

from deploy import overview
from deploy.cli.console import Terminal
from deploy.cli.options import Options
from deploy.cli.show import COLOUR, costs
from deploy.clock import SystemClock
from deploy.settings import load
from deploy.wiring import open_store
from gates.rendering.unseen import visible

COLUMNS = ("Prompt", "Schedule", "Last cycle", "Published", "Spent")


def command(options: Options) -> None:
    """Show the overview from the store; nothing outside is asked."""
    settings, terminal, clock = load(options.config), Terminal(as_json=options.as_json), SystemClock()
    shown = overview.status(open_store(settings, clock), settings, clock.now())
    terminal.give(shown)
    if options.as_json:
        return
    if shown["prompts"]:
        terminal.out.print(prompts(shown["prompts"]))
        terminal.say("Times are UTC; spent is what 30 days cost.", style="dim")
    else:
        terminal.say("No prompt is registered; add one under `prompts` in tracegrad.yaml.")
    terminal.say()
    if not shown["cycles"]:
        terminal.say("No cycle has run yet; start one with `tracegrad once PROMPT`.")
    for cycle in shown["cycles"]:
        render(cycle, terminal)


def prompts(lines: list[dict[str, Any]]) -> Table:
    """One row per registered prompt."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in COLUMNS:
        made.add_column(column, overflow="fold")
    for line in lines:
        last = line["last_cycle"]
        what = f"{last['state']} {last['started_at'][:16]}" if last else "none yet"
        version = f"version {line['published']}" if line["published"] else "none"
        spend = f"${line['spend_usd_30d']:.4f}"
        if unpriced := line.get("unpriced_calls_30d"):
            spend += f" and {unpriced} calls without a price"
        made.add_row(*map(visible, (line["name"], line["schedule"], what, version, spend)))
    return made


def render(cycle: dict[str, Any], terminal: Terminal) -> None:
    """One cycle: its id alone on a line, so that it can be copied whole."""
    outcome = f"{cycle['state']}, verdict {cycle['verdict']}" if cycle["verdict"] else cycle["state"]
    terminal.say(cycle["id"], style="bold")
    terminal.say(f"  {outcome}", style=COLOUR.get(cycle["verdict"] or cycle["state"], ""))
    if cycle["reason"]:
        terminal.say(f"  {cycle['reason']}")
    terminal.say(f"  {cycle['started_at']}, {costs(cycle)}", style="dim")
