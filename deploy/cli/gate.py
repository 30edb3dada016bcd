"""`tracegrad gate`: a prompt that a person wrote, through the same gates as a cycle's candidate. Publishes nothing."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.cli.console import Terminal
from deploy.cli.exits import DONE, INTERRUPTED, REFUSED, UNDECIDED
from deploy.cli.once import watching
from deploy.cli.optimize import costs
from deploy.cli.options import Options
from deploy.cli.show import render_whole
from deploy.gating.handwritten import Change, Outcome, Till, judged
from deploy.offline import promptfile
from deploy.release_settings import ReleaseSettings
from deploy.settings import Settings, load
from deploy.wiring import opened
from gates.rendering.document import as_document
from gates.rendering.markdown import as_markdown
from gates.rendering.page import as_page
from gates.rendering.text import as_text
from optimizer.errors import BadInput
from optimizer.proof import GateReport
from optimizer.types import Verdict

EXIT = {Verdict.PASS: DONE, Verdict.FAIL: REFUSED, Verdict.UNDECIDED: UNDECIDED}

KINDS = (".md", ".html", ".json", ".txt")
"""Endings of the files that a report can be written to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The command's own options. `attacks` is None for what the settings say."""

    prompt: str
    candidate: Path
    baseline: Path | None = None
    claim: bool = False
    attacks: bool | None = None
    reports: tuple[Path, ...] = ()
    texts: bool = False


def command(options: Options, wanted: Wanted) -> int:
    """Judge the candidate, show the report and write it where it is wanted; the exit code is the verdict."""
    settings, terminal = load(options.config), Terminal(as_json=options.as_json)
    change = change_of(settings, wanted)
    for path in wanted.reports:
        check(path, (wanted.candidate, wanted.baseline, options.config))
    outcome = watched(settings, change, terminal)
    report, shown = outcome.report, document(wanted, outcome)
    for path in wanted.reports:
        written(path, report, shown, texts=wanted.texts)
    terminal.give(shown)
    render_whole(report, terminal, texts=wanted.texts)
    terminal.say()
    if outcome.address:
        terminal.say(f"In Langfuse: {outcome.address}", style="dim", whole=True)
    for path in wanted.reports:
        terminal.say(f"Written: {path}", style="dim", whole=True)
    return EXIT[report.verdict]


def change_of(settings: Settings, wanted: Wanted) -> Change:
    """What is to be judged, from the files and the settings. Raises BadSettings, BadInput."""
    prompt = settings.prompt(wanted.prompt)
    changed: dict[str, Any] = {"claim": True} if wanted.claim else {}
    if wanted.attacks is not None:
        changed["attacks"] = wanted.attacks
    given: dict[str, Any] = {"gate": prompt.gate.model_copy(update=changed)}
    if wanted.claim:
        given["release"] = ReleaseSettings(policy="observe")  # whatever proves releases, this is proven here
    return Change(
        prompt=prompt.model_copy(update=given),
        candidate=promptfile.load(wanted.candidate),
        baseline=promptfile.load(wanted.baseline) if wanted.baseline else None,
        claim=wanted.claim,
    )


def check(path: Path, inputs: tuple[Path | None, ...]) -> None:
    """Find out whether a report can be written there, before anything is paid. Raises BadInput."""
    if path.suffix.lower() not in KINDS:
        raise BadInput(f"nobody knows what kind of report {path} is", f"end its name in {', '.join(KINDS)}")
    if path.resolve() in {given.resolve() for given in inputs if given}:
        raise BadInput(f"{path} is one of the files that are read", "give --report a name of its own")
    folder = path.resolve().parent
    if path.is_dir() or not folder.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise BadInput(f"{path} cannot be written", "give --report a place that you may write to")


def watched(settings: Settings, change: Change, terminal: Terminal) -> Outcome:
    """The gate under its progress bars; when it is cut short, what was paid until then is told."""
    till = Till()
    try:
        # an evaluator of the owner's may print, and standard output belongs to the report
        with redirect_stdout(sys.stderr), watching(terminal) as progress:
            return asyncio.run(gated(settings, change, till, progress))
    except BaseException as error:
        told = f"There is no verdict. Paid until then: {costs(till.paid)}."
        if change.claim:
            told += " The stake of a claim that had begun is spent."
        if isinstance(error, KeyboardInterrupt):
            print(f"tracegrad: interrupted. {told}", file=sys.stderr)
            raise SystemExit(INTERRUPTED) from None
        if till.paid.calls:
            print(told, file=sys.stderr)
        raise


async def gated(settings: Settings, change: Change, till: Till, progress: Callable[[str, int, int], None]) -> Outcome:
    """Open the house, judge, close it."""
    progress("connect", 0, 0)
    async with opened(settings, progress=progress) as house:
        progress("gate", 0, 0)
        return await judged(house, change, till)


def document(wanted: Wanted, outcome: Outcome) -> dict[str, Any]:
    """The report for a script, with what was compared."""
    baseline = str(wanted.baseline) if wanted.baseline else None
    return {
        "prompt": wanted.prompt,
        "candidate": str(wanted.candidate),
        "baseline": baseline,
        "langfuse": outcome.address,
        **as_document(outcome.report),
    }


def written(path: Path, report: GateReport, shown: dict[str, Any], *, texts: bool) -> None:
    """The report in the form that the name asks for. Raises BadInput."""
    match path.suffix.lower():
        case ".md":
            text = as_markdown(report, prompt=shown["prompt"])
        case ".html":
            text = as_page(report, prompt=shown["prompt"], texts=texts)
        case ".json":
            text = json.dumps(shown, indent=2) + "\n"
        case _:
            text = as_text(report, texts=texts) + "\n"
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written ({error.strerror})", "give --report a place that you may write to"
        ) from error
