"""`tracegrad forget`: erase what a person said from everything that is ours, and say what that cannot reach."""

import asyncio
import shlex
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import typer

from connectors.langfuse.copies import LangfuseCopies
from connectors.langfuse.server import probe
from deploy import overview
from deploy.cli.console import Terminal
from deploy.cli.exits import COULD_NOT_RUN, DONE
from deploy.cli.options import Options
from deploy.clock import SystemClock
from deploy.forgetting.forgetting import Erased, Source, forget
from deploy.settings import Settings, load
from deploy.store.facade import Store
from deploy.wiring import langfuse_access, open_store, source_secret
from optimizer.errors import BadInput

SHOWN = 20
"""Traces, lines and the like that are listed for a person; `--json` lists them all."""

OTHERS = (
    "backups and copies of the state directory",
    "notifications that were sent",
    "reports that `tracegrad gate --report` wrote, and logs of the model's provider",
)
"""What nobody here knows the places of."""


def command(options: Options, source: str, *, yes: bool, dry_run: bool) -> int:
    """Show what would be erased, ask, and erase it. Exit code 12 when something has to end first."""
    settings, terminal = load(options.config), Terminal(as_json=options.as_json)
    if options.as_json and not (yes or dry_run):
        raise BadInput("nobody can be asked with `--json`", "add `--yes`, or `--dry-run` to see what would be erased")
    store = open_store(settings, SystemClock())
    whom = Source.of(source, secret=source_secret(settings.state_dir))
    if dry_run or not yes:
        erased, project = asyncio.run(run(settings, store, whom, dry=True))
        document = shown(erased, settings, project, whom)
        if dry_run:
            terminal.give(document)
        _say(terminal, document)
        if dry_run or not typer.confirm("Erase it? This cannot be undone."):
            return DONE
    erased, project = asyncio.run(run(settings, store, whom, dry=False))
    document = shown(erased, settings, project, whom)
    terminal.give(document)
    _say(terminal, document)
    return DONE if erased.whole and not erased.waiting else COULD_NOT_RUN


async def run(settings: Settings, store: Store, whom: Source, *, dry: bool) -> tuple[Erased, str]:
    """Forget; returns what came of it, and the Langfuse project's id."""
    access = langfuse_access(settings)
    server = await probe(access)
    async with LangfuseCopies(access) as copies:
        return await forget(store, copies, whom, at=SystemClock().now(), dry=dry), server.project_id


def shown(erased: Erased, settings: Settings, project: str, whom: Source) -> dict[str, Any]:
    """What came of it as a document, without a word of the person."""
    host = settings.langfuse.host.rstrip("/")
    link = overview.trace_url(settings, project)
    return {
        "dry_run": erased.dry,
        "erased": dict(erased.counts),
        "erased_in_langfuse": {"dataset_items": dict(erased.anchors), "experiment_traces": erased.experiments},
        "influenced": [
            {"prompt": line.prompt, "version": line.version, "release": line.run_id, "op": line.op, "line": line.line}
            for line in erased.reach.influenced
        ],
        "waiting": list(erased.waiting),
        "database_file_clean": erased.whole,
        "not_reached": {
            "pull_requests": list(erased.reach.pull_requests),
            "versions": [{"prompt": prompt, "version": number} for prompt, number in erased.reach.versions],
            "production_traces": [link.format(trace_id=quote(id_, safe="")) for id_ in erased.traces],
            "production_user": f"{host}/project/{project}/users/{quote(whom.raw, safe='')}" if whom.raw else "",
            "delete_production_traces": f"DELETE {host}/api/public/traces",
            "dataset_history": sorted(erased.anchors),
            "other": list(OTHERS),
        },
    }


# ---- for a person ----------------------------------------------------------------------------------------------------


def _say(terminal: Terminal, document: dict[str, Any]) -> None:
    for line in page(document):
        terminal.say(line, whole=True)


def page(document: dict[str, Any]) -> Iterator[str]:
    """What came of it, as a person reads it."""
    would = "Would erase" if document["dry_run"] else "Erased"
    langfuse = document["erased_in_langfuse"]
    ours = [f"{count} {kind}" for kind, count in document["erased"].items()]
    copies = [f"{count} items of the dataset {name}" for name, count in langfuse["dataset_items"].items()]
    copies += [f"{langfuse['experiment_traces']} traces of experiments"] if langfuse["experiment_traces"] else []
    yield f"{would} here: {', '.join(ours) or 'nothing'}"
    yield f"{would} in Langfuse: {', '.join(copies) or 'nothing'}"
    if document["influenced"]:
        yield ""
        yield "Published lines that the words had a part in:"
        for line in document["influenced"][:SHOWN]:
            said = line["line"] or "(a line was removed)"
            yield f"  {line['prompt']} v{line['version']}, {line['release']}: {said}"
        yield from _more(document["influenced"])
    if document["waiting"]:
        yield ""
        yield "Not finished: these have to end first. The daemon goes on then; or forget once more:"
        yield from (f"  {one}" for one in document["waiting"])
    if not document["database_file_clean"]:
        yield ""
        yield "The database's log is in use and may still hold old pages: forget once more, or stop the daemon first."
    yield from _not_reached(document["not_reached"])


def _not_reached(there: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield "Cannot be reached from here:"
    for version in there["versions"]:
        yield f"  version {version['version']} of {version['prompt']} in Langfuse"
    yield from (f"  {url}" for url in there["pull_requests"])
    for name in there["dataset_history"]:
        yield f"  earlier versions of the dataset {name} in Langfuse: delete it there, it is made again when needed"
    if there["production_traces"] or there["production_user"]:
        yield "  your application's own traces in Langfuse, which are yours to delete:"
        if there["production_user"]:
            yield f"    {there['production_user']}"
        yield from (f"    {url}" for url in there["production_traces"][:SHOWN])
        yield from _more(there["production_traces"])
        ids = [url.rpartition("/")[2] for url in there["production_traces"]]
        if 0 < len(ids) <= SHOWN:
            body = '{"traceIds": [' + ", ".join(f'"{id_}"' for id_ in ids) + "]}"
            url = there["delete_production_traces"].removeprefix("DELETE ")
            keys = '-u "$LANGFUSE_PUBLIC_KEY:$LANGFUSE_SECRET_KEY" -H "Content-Type: application/json"'
            yield f"    curl -X DELETE {keys} -d {shlex.quote(body)} {shlex.quote(url)}"
    yield from (f"  {one}" for one in there["other"])


def _more(items: list[Any]) -> Iterator[str]:
    if len(items) > SHOWN:
        yield f"    and {len(items) - SHOWN} more, which `--json` lists"
