"""`tracegrad show`: one cycle, with the reason for every changed line and the way back to its traces."""

from typing import Any

from deploy import overview
from deploy.cli.console import Terminal
from deploy.cli.options import Options
from deploy.clock import SystemClock
from deploy.settings import load
from deploy.wiring import open_store
from gates.rendering.text import as_text
from gates.words import points
from optimizer.proof import GateReport
from optimizer.types import Missing

COLOUR = {"pass": "green", "done": "green", "fail": "red", "failed": "red", "undecided": "yellow", "skipped": "yellow"}


def command(options: Options, cycle_id: str) -> None:
    """Show a cycle from the store; nothing outside is asked."""
    settings, terminal = load(options.config), Terminal(as_json=options.as_json)
    shown, report = overview.cycle_and_report(open_store(settings, SystemClock()), settings, cycle_id)
    terminal.give(shown)
    render(shown, terminal, report)


def render(shown: dict[str, Any], terminal: Terminal, report: GateReport | None = None) -> None:
    """A cycle as a person reads it; with its gate's report in full where that is given, in short otherwise."""
    terminal.say()
    terminal.say(f"{shown['id']}: {shown['state']}", style=f"bold {COLOUR.get(shown['state'], '')}")
    if shown["reason"]:
        terminal.say(f"  {shown['reason']}")
    terminal.say(f"  {costs(shown)}", style="dim")
    if shown["changes"]:
        terminal.say()
        terminal.say(f"Changes to version {shown['base_version']}", style="bold")
        for change in shown["changes"]:
            render_change(change, terminal)
    if shown.get("refused"):
        terminal.say()
        terminal.say("Not used", style="bold")
        for refused in shown["refused"]:
            plural = "s" if refused["count"] != 1 else ""
            terminal.say(f"  {refused['count']} {refused['kind']}{plural}: {refused['reason']}")
    if report:
        render_whole(report, terminal)
    elif shown["report"]:
        render_report(shown["report"], terminal)
    terminal.say()


def costs(shown: dict[str, Any]) -> str:
    """What the cycle's model calls cost."""
    calls = f"{shown['calls']} model calls"
    if shown["cost"] == Missing.NOT_PRICED:
        return f"{calls} that nobody has a price for; set `model.prices`"
    return f"{calls}, {shown['cost']}"


def render_change(change: dict[str, Any], terminal: Terminal) -> None:
    """One line, why it changed, and who said so."""
    if change["op"] != "add":
        terminal.say(f"  - {change['old']}", style="red")
    if change["op"] != "remove":
        terminal.say(f"  + {change['new']}", style="green")
    terminal.say(f"      why: {change['reason']}", hang=5)
    terminal.say(f"      {change['complaints']} complaints from {change['sources']} sources, such as:")
    for trace in change["traces"]:
        terminal.say(f'        "{trace["complaint"]}"', style="dim", hang=1)
        terminal.say(f"        {trace['url'] or 'trace ' + trace['id']}", style="dim", whole=True)


def render_whole(report: GateReport, terminal: Terminal, *, texts: bool = False) -> None:
    """The gate's report in full: the verdict first."""
    title, *lines = as_text(report, texts=texts).splitlines()
    terminal.say()
    terminal.say(title, style=f"bold {COLOUR[report.verdict]}")
    for line in lines:
        terminal.say(line)


def render_report(report: dict[str, Any], terminal: Terminal) -> None:
    """The gate's verdict, the score before and after, and the reasons."""
    terminal.say()
    terminal.say(f"Gate: {report['verdict']}", style=f"bold {COLOUR[report['verdict']]}")
    terminal.say(f"  {before_and_after(report)}", style="bold")
    for reason in report["reasons"]:
        terminal.say(f"  {reason}")
    usage = report["usage"]
    terminal.say(f"  {usage['calls']} calls by {report['evaluator']} on {report['model']}", style="dim")


def before_and_after(report: dict[str, Any]) -> str:
    """The gate's two numbers and their difference in one line; the word that says why where there is none."""
    before, after, interval = report["baseline_mean"], report["candidate_mean"], report["interval"]
    if isinstance(before, str) or isinstance(after, str) or isinstance(interval, str):
        return f"Score {before} before, {after} after, on {report['scored_pairs']} cases"
    low, high = interval
    return (
        f"Score {100 * before:.1f} of 100 before, {100 * after:.1f} after, on {report['scored_pairs']} cases: "
        f"{points(after - before)} points ({points(low)} to {points(high)})"
    )
