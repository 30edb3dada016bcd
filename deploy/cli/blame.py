"""`tracegrad blame`: where every line of a prompt comes from, and who answers for it."""

import asyncio
import textwrap
from typing import Any

from connectors.langfuse.registry import LangfuseRegistry
from deploy import overview
from deploy.cli.console import Terminal
from deploy.cli.options import Options
from deploy.clock import SystemClock
from deploy.lineage.blame import Author, Blame, blame
from deploy.lineage.showing import shown
from deploy.settings import PromptSettings, load
from deploy.store.facade import Store
from deploy.wiring import langfuse_access, open_store

WIDTH = 100
"""Columns of a page, also where the terminal has more."""

WHO_CHARS = 22


def command(options: Options, prompt: str) -> None:
    """Blame a registered prompt; reads Langfuse's versions and the store, changes nothing."""
    settings, terminal = load(options.config), Terminal(as_json=options.as_json)
    registered = settings.prompt(prompt)
    store = open_store(settings, SystemClock())

    async def ask() -> Blame:
        async with LangfuseRegistry(langfuse_access(settings)) as registry:
            return await _blamed(store, registry, registered)

    found = asyncio.run(ask())
    document = shown(found, overview.trace_url(settings, store.polls.project(prompt)))
    terminal.give(document)
    for line in page(document):
        terminal.say(line, whole=True)


async def _blamed(store: Store, registry: LangfuseRegistry, prompt: PromptSettings) -> Blame:
    return await blame(store, registry, prompt.name, label=prompt.label, formerly=prompt.formerly)


def page(document: dict[str, Any]) -> list[str]:
    """A blame as a person reads it: the lines with a mark each, then what the marks stand for."""
    marks = {run_id: f"[{number}]" for number, run_id in enumerate(document["releases"], start=1)}
    said = ["", f"{document['prompt']}, version {document['version']}, which `{document['label']}` points to", ""]
    message = -1
    for place, line in enumerate(document["lines"], start=1):
        if line["message"] != message and len({each["message"] for each in document["lines"]}) > 1:
            message = line["message"]
            said.append(f"  {line['role']}:")
        said += _line(place, line, marks.get(line["release"], ""), document)
    for run_id, mark in marks.items():
        said += ["", *_release(run_id, mark, document)]
    return [*said, ""]


def _line(place: int, line: dict[str, Any], mark: str, document: dict[str, Any]) -> list[str]:
    version = f"v{line['version']}" if line["version"] else "v?"
    start = f"{place:>4} {version:>5} {mark or '-':>4} {_who(line, document):<{WHO_CHARS}} "
    text = line["text"] if line["number"] else f"(placeholder {line['text']})"
    return _hung(start, text)


def _who(line: dict[str, Any], document: dict[str, Any]) -> str:
    """Who answers for a line, cut to its column."""
    release = document["releases"].get(line["release"])
    if line["author"] == Author.RELEASE and release:
        who = f"{release['approved_at'][:10]} {release['approver'] or 'nobody yet'}"
    else:
        who = {Author.PULL_REQUEST: line["who"] or "a person", Author.PERSON: "a person"}.get(line["author"], "unknown")
    who = " ".join(who.split())
    return who if len(who) <= WHO_CHARS else who[: WHO_CHARS - 1] + "…"


def _release(run_id: str, mark: str, document: dict[str, Any]) -> list[str]:
    release = document["releases"][run_id]
    said = _hung(f"{mark} ", f"version {release['version'] or '?'}, release {run_id}, {release['state']}")
    if release["approver"]:
        said += _hung("    ", f"approved by {release['approver']} at {release['approved_at']} UTC")
    if release["headline"]:
        said += _hung("    ", f"gate: {release['headline']}")
    for place, line in enumerate(document["lines"], start=1):
        if line["release"] == run_id:
            said += _reason(place, line)
    return said


def _reason(place: int, line: dict[str, Any]) -> list[str]:
    edit = line["edit"]
    if edit is None:
        return _hung(f"    line {place}: ", line["sentence"])
    said = _hung(f"    line {place}: ", edit["reason"])
    said += _hung("      cause: ", edit["cause"])
    said.append(f"      {edit['complaints']} complaints from {edit['sources']} sources, such as:")
    for trace in edit["traces"]:
        said += _hung("        ", f'"{trace["complaint"]}"')
        said.append(f"        {trace['url'] or 'trace ' + trace['id']}")
    return said


def _hung(start: str, text: str) -> list[str]:
    """Text behind its start, further lines below where it began."""
    room = WIDTH - len(start)
    flat = text.replace("\n", " ")
    lines = textwrap.wrap(flat, room, drop_whitespace=False, replace_whitespace=False, expand_tabs=False)
    indent = " " * len(start)
    return [(start if number == 0 else indent) + line.rstrip() for number, line in enumerate(lines or [""])]
