"""`tracegrad releases`: what is on its way to production, and one release with everything that happened to it."""

from typing import Any

from rich.table import Table

from deploy import overview_releases as overview
from deploy.cli.console import Terminal
from deploy.cli.exits import DONE
from deploy.cli.options import Options
from deploy.cli.show import render_change
from deploy.clock import SystemClock
from deploy.ordering import known
from deploy.settings import Settings, load
from deploy.store.facade import Store
from deploy.wiring import open_store
from gates.rendering.unseen import visible
from gates.words import plain, points
from optimizer.errors import BadInput, NotFound

COLOUR = {
    "promoted": "green",
    "progressing": "cyan",
    "published": "cyan",
    "approved": "cyan",
    "proposed": "yellow",
    "halted": "red",
    "rolled_back": "red",
    "rejected": "red",
}

LOOK_COLUMNS = ("Look", "New version", "Old version", "Difference", "Better", "Worse", "Decision")


def command(options: Options, target: str) -> int:
    """Show from the store; nothing outside is asked."""
    settings, terminal = load(options.config), Terminal(as_json=options.as_json)
    store = open_store(settings, SystemClock())
    shown = one(store, settings, target) if target else None
    if shown is not None:
        terminal.give(shown)
        render_one(shown, terminal)
        return DONE
    if target and not known(store, settings, target):
        raise BadInput(f"there is no prompt and no release '{target}'", "list them with `tracegrad releases`")
    listed = overview.releases(store, settings, (target,) if target else ())
    terminal.give(listed)
    render_list(listed, terminal)
    return DONE


def one(store: Store, settings: Settings, run_id: str) -> dict[str, Any] | None:
    """A release in detail; None when there is none of that id."""
    try:
        return overview.release(store, settings, run_id)
    except NotFound:
        return None


def render_list(listed: dict[str, Any], terminal: Terminal) -> None:
    """Every release in a few lines, its id alone on one, so that it can be copied whole."""
    for freeze in listed["freezes"]:
        terminal.say(
            f"{freeze['prompt'] or 'EVERYTHING'} is frozen, by {freeze['actor']} at {freeze['at']} UTC: "
            f"{freeze['why'] or 'no reason given'}",
            style="bold red",
        )
    if not listed["releases"]:
        terminal.say("No release yet; a cycle whose candidate passes makes one, under any policy but `observe`.")
    for line in listed["releases"]:
        render_line(line, terminal)


def render_line(line: dict[str, Any], terminal: Terminal) -> None:
    """Where one release stands."""
    version = f"version {line['version']}" if line["version"] else "not published"
    shown = f", shown to {line['share']:.0%}" if line["share"] else ""
    frozen = ", FROZEN" if line["frozen"] else ""
    terminal.say(line["id"], style="bold")
    terminal.say(f"  {line['state']}, {version}{shown}{frozen}", style=COLOUR.get(line["state"], ""))
    if line["reason"]:
        terminal.say(f"  {line['reason']}")
    if line["waits_for"]:
        terminal.say(f"  waits for {line['waits_for']}")
    if line["pull_request"]:
        terminal.say(f"  {line['pull_request']}", style="dim", whole=True)
    terminal.say(f"  {line['updated_at']}, from version {line['base_version']}", style="dim")


def render_one(shown: dict[str, Any], terminal: Terminal) -> None:
    """A release in full: what changed, what happened, what production said, what people ordered."""
    terminal.say()
    render_line(shown, terminal)
    terminal.say()
    terminal.say(f"Changes to version {shown['base_version']}", style="bold")
    for change in shown["changes"]:
        render_change(change, terminal)
    terminal.say()
    terminal.say("History", style="bold")
    for event in shown["events"]:
        said = f": {event['reason']}" if event["reason"] else ""
        numbers = f" ({event['shown_by']})" if event["shown_by"] else ""
        terminal.say(f"  {event['at']}  {event['state']}, by {event['actor']}{said}{numbers}", hang=23)
    if shown["looks"] and not terminal.as_json:
        terminal.say()
        terminal.out.print(looks(shown["looks"]))
        terminal.say(f"  {shown['looks'][-1]['sentence']}")
        for what, evidence in shown["looks"][-1]["evidence"].items():
            terminal.say(f"  {what}: {evidence['said']}", style="dim")
    if shown["orders"]:
        terminal.say()
        terminal.say("Orders", style="bold")
    for order in shown["orders"]:
        why = f" ({order['why']})" if order["why"] else ""
        terminal.say(f"  {order['at']}  {order['kind']}, by {order['actor']}{why}", hang=23)
        terminal.say(f"    {order['outcome'] or 'not handled yet'}", style="dim")
    terminal.say()


def looks(lines: list[dict[str, Any]]) -> Table:
    """What production said, look by look."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in LOOK_COLUMNS:
        made.add_column(column, overflow="fold")
    for line in lines:
        evidence = line["evidence"]
        cells = (
            line["at"][:16],
            arm(line["candidate"]),
            arm(line["control"]),
            difference(line),
            of_limit(evidence["better"]),
            of_limit(evidence["worse"]),
            line["decision"],
        )
        made.add_row(*map(visible, cells))
    return made


def arm(reading: dict[str, Any]) -> str:
    """One arm: its mean in points of 100, and how many users it rests on."""
    mean = "no score" if reading["mean"] is None else f"{100 * reading['mean']:.1f}"
    return f"{mean} ({reading['matured']} of {reading['exposed']})"


def difference(line: dict[str, Any]) -> str:
    """The effect in points with its interval."""
    if line["effect"] is None:
        return "unknown"
    reach = line["interval"]
    return points(line["effect"]) + (f" ({points(reach[0])} to {points(reach[1])})" if reach else "")


def of_limit(evidence: dict[str, Any]) -> str:
    """Evidence beside the limit at which it counts."""
    limit = f" of {plain(evidence['limit'])}" if evidence["limit"] else ""
    return f"{plain(evidence['e_value'])}{limit}"
