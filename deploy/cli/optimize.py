"""`tracegrad optimize`: a better prompt from files of rows and an evaluator, without Langfuse."""

import asyncio
import json
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from deploy.cli.console import Terminal
from deploy.cli.exits import DONE, INTERRUPTED, SPENT
from deploy.cli.options import Options
from deploy.endpoint import language_model
from deploy.offline import promptfile, report
from deploy.offline.ledger import Jury, Ledger
from deploy.offline.outputs import Outputs
from deploy.offline.report import Result
from deploy.offline.run import Files, Order, files, found_by
from deploy.settings import ModelSettings, Settings, load
from optimizer.errors import BadSettings
from optimizer.search.found import Found
from optimizer.types import Missing, Usage

SHOWN_ROWS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The command's own options."""

    prompt: Path
    train: Path
    validation: Path
    evaluator: str
    model: str
    critic_model: str
    base_url: str
    max_task_calls: int
    quorum: int
    seed: int
    out: Path
    force: bool


def command(options: Options, wanted: Wanted) -> int:
    """Search, write what was found, and show it; the exit code says whether there is a result."""
    terminal = Terminal(as_json=options.as_json)
    order = Order(
        prompt=wanted.prompt,
        train=wanted.train,
        validation=wanted.validation,
        evaluator=wanted.evaluator,
        settings=settings_of(options, wanted),
        max_task_calls=wanted.max_task_calls,
        quorum=wanted.quorum,
        seed=wanted.seed,
        folder=Path.cwd(),
    )
    given, outputs = files(order), Outputs(prompt=wanted.out)
    promptfile.check_kind(given.prompt.body, wanted.out)
    outputs.check((wanted.prompt, wanted.train, wanted.validation), force=wanted.force)
    found, ledger, jury = watched(order, given, terminal)
    shown = report.document(order, given, found, ledger, jury)
    prompt = None if shown["result"] == Result.SPENT else promptfile.written(found.document.body, wanted.out)
    paths = outputs.write(prompt, json.dumps(shown, indent=2) + "\n")
    terminal.give(shown)
    render(shown, terminal)
    for path in paths:
        terminal.say(f"Written: {path}", style="dim", whole=True)
    return SPENT if shown["result"] == Result.SPENT else DONE


def settings_of(options: Options, wanted: Wanted) -> Settings:
    """The settings file where there is one, else the environment; the command's own options come first."""
    named = options.config.exists() or options.config != Options().config
    settings = load(options.config) if named else Settings()
    said = {"task": wanted.model, "critic": wanted.critic_model, "base_url": wanted.base_url}
    model = settings.model.model_copy(update={key: value for key, value in said.items() if value})
    for option, name in (("--model", model.task), ("--critic-model", model.critic)):
        if not name:
            raise BadSettings(f"{option} is missing", "name a model that the server has")
    if model.base_url == ModelSettings().base_url and not model.api_key.get_secret_value():
        raise BadSettings("there is no key for OpenAI's models", "set OPENAI_API_KEY, or --base-url of another server")
    return settings.model_copy(update={"model": model})


def watched(order: Order, given: Files, terminal: Terminal) -> tuple[Found, Ledger, Jury]:
    """The search under a progress bar; when it is cut short, what was paid until then is told."""
    ledger: Ledger | None = None

    async def searched() -> tuple[Found, Ledger, Jury]:
        nonlocal ledger
        async with language_model(order.settings) as model:
            ledger = Ledger(model, on_task=lambda done: advance(done, order.max_task_calls))
            found, jury = await found_by(order, given, ledger)
            return found, ledger, jury

    what = f"Trying prompts on {len(given.train.cases)} and {len(given.validation.cases)} rows"
    try:
        # an evaluator of the owner's may print, and standard output belongs to the result
        with redirect_stdout(sys.stderr), terminal.progress(what) as advance:
            return asyncio.run(searched())
    except BaseException as error:
        paid = sum(ledger.spent.values(), Usage()) if ledger else Usage()
        told = f"Nothing was written. Paid until then: {costs(paid)}."
        if isinstance(error, KeyboardInterrupt):
            print(f"tracegrad: interrupted. {told}", file=sys.stderr)
            raise SystemExit(INTERRUPTED) from None
        if paid.calls:
            print(told, file=sys.stderr)
        raise


def costs(usage: Usage) -> str:
    """Calls, tokens and dollars in words."""
    priced = "no price known" if isinstance(usage.cost_usd, Missing) else f"${usage.cost_usd:.4f}"
    return f"{usage.calls} calls, {usage.input_tokens + usage.output_tokens} tokens, {priced}"


HEADLINES = {
    Result.IMPROVED: ("A better prompt was found", "bold green"),
    Result.UNPROVEN: ("A prompt that scored better was found, and the gain may be chance", "bold yellow"),
    Result.NO_CHANGE: ("No change: nothing better was found", "bold yellow"),
    Result.SPENT: ("No result: the budget ended before there was one; give a larger --max-task-calls", "bold red"),
}


def render(shown: dict[str, Any], terminal: Terminal) -> None:
    """The run as a person reads it."""
    headline, style = HEADLINES[shown["result"]]
    terminal.say()
    terminal.say(headline, style=style)
    if shown["why"]:
        terminal.say(f"  {one_line(shown['why'])}")
    terminal.say(f"  Stopped because {one_line(shown['stopped_because'])}.")
    for line in scores(shown["score"]):
        terminal.say(f"  {line}", style="bold")
    edits = {edit["id"]: edit for edit in shown["edits"]}
    if shown["changes"]:
        terminal.say()
        terminal.say("Changes", style="bold")
    for change in shown["changes"]:
        render_change(change, edits[change["edit"]], terminal)
    if shown["rejected"]:
        terminal.say()
        terminal.say(f"Edits tried and dropped: {len(shown['rejected'])}; the lineage file says why", style="bold")
    terminal.say()
    if not terminal.as_json:
        terminal.out.print(bill(shown))
        if shown["total"]["cost_usd"] == Missing.NOT_PRICED:
            terminal.say("Where there is no price, set `model.prices` in tracegrad.yaml.", style="dim")
    terminal.say()
    terminal.say("What this does not show", style="bold")
    for sentence in shown["does_not_show"]:
        terminal.say(f"  {sentence}")
    terminal.say()


def scores(score: dict[str, Any]) -> list[str]:
    """Before and after, on how many rows, and how sure."""
    if not score["rows"]:
        return ["No validation row was scored"]
    before, after = score["before"], score["after"]
    if before == after:
        return [f"Score {before:.3f} on {score['rows']} validation rows"]
    low, high = score["interval_95"]
    return [
        f"Score {before:.3f} before, {after:.3f} after, on {score['rows']} validation rows",
        f"Gain {score['difference']:+.3f}, 95% interval {low:+.3f} to {high:+.3f}; "
        f"{score['better']} rows better, {score['worse']} worse",
    ]


def render_change(change: dict[str, Any], edit: dict[str, Any], terminal: Terminal) -> None:
    """One line, why it changed, and the rows that said so."""
    if change["op"] != "add":
        terminal.say(f"  - {change['old']}", style="red")
    if change["op"] != "remove":
        terminal.say(f"  + {change['new']}", style="green")
    terminal.say(f"      why: {one_line(edit['why'])}", hang=5)
    feedback = {gradient["row"]: gradient["feedback"] for gradient in edit["gradients"]}
    terminal.say(f"      {len(feedback)} rows, such as:")
    for row in list(feedback)[:SHOWN_ROWS]:
        terminal.say(f"        {row}: {one_line(feedback[row])}", style="dim", hang=2)


def one_line(text: str) -> str:
    """The words of a model or an evaluator in one line, so that none of them passes for a line of ours."""
    return " ".join(text.split())


def bill(shown: dict[str, Any]) -> Table:
    """What the run cost, by purpose."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    made.add_column("Spent on")
    for column in ("calls", "tokens", "USD"):
        made.add_column(column, justify="right")
    for purpose, usage in [*shown["spent"].items(), ("total", shown["total"])]:
        cost = usage["cost_usd"]
        tokens = usage["input_tokens"] + usage["output_tokens"]
        made.add_row(purpose, str(usage["calls"]), str(tokens), cost if isinstance(cost, str) else f"{cost:.4f}")
    return made
