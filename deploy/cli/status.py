"""`tracegrad status`: prompts, their last cycles, verdicts and spend."""

from rich.table import Table

from deploy import overview
from deploy.cli.console import Terminal, visible
from deploy.cli.main import Options
from deploy.clock import SystemClock
from deploy.settings import load
from deploy.store.facade import Store

PROMPT_COLUMNS = ("Prompt", "Schedule (UTC)", "Last cycle", "Published", "Spend, 30 days")
CYCLE_COLUMNS = ("Cycle", "State", "Verdict", "What happened", "Cost")


def command(options: Options) -> None:
    """Show the overview from the store; nothing outside is asked."""
    settings, terminal = load(options.config), Terminal(as_json=options.as_json)
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    shown = overview.status(Store.open(settings.database_url, SystemClock()), settings, SystemClock().now())
    terminal.give(shown)
    if options.as_json:
        return
    prompts = table(PROMPT_COLUMNS)
    for p in shown["prompts"]:
        last = p["last_cycle"]
        what = f"{last['state']} {last['slot']}" if last else "none yet"
        version = f"version {p['published']}" if p["published"] else ""
        prompts.add_row(*map(visible, (p["name"], p["schedule"], what, version, f"${p['spend_usd_30d']:.4f}")))
    cycles = table(CYCLE_COLUMNS)
    for c in shown["cycles"]:
        cycles.add_row(*map(visible, (c["id"], c["state"], c["verdict"], c["reason"], c["cost"])))
    terminal.out.print(prompts)
    if shown["cycles"]:
        terminal.out.print(cycles)
    else:
        terminal.say("No cycle has run yet; start one with `tracegrad once PROMPT`.")


def table(columns: tuple[str, ...]) -> Table:
    """A plain table that wraps and never cuts."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made
