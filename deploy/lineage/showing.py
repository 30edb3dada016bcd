"""A blame as a plain document: for `--json`, and what the terminal's page is made from.

All production text in it is hostile and short: whoever renders it must escape it.
"""

from typing import Any

from deploy import overview
from deploy.lineage.attributing import Line
from deploy.lineage.blame import Author, Blame, Origin, Released
from gates.rendering.document import as_document

GATE = ("verdict", "proof", "scored_pairs", "baseline_mean", "candidate_mean", "effect", "interval")
"""Of a gate report, what a line's origin tells; `show` tells the rest."""


def shown(blame: Blame, link: str) -> dict[str, Any]:
    """Every line with its origin, and the releases behind them.

    Args:
        link: a trace's address with `{trace_id}` in it, or empty.
    """
    return {
        "prompt": blame.prompt,
        "label": blame.label,
        "version": blame.version,
        "lines": [
            {**_line(line), **_origin(origin, link)} for line, origin in zip(blame.lines, blame.origins, strict=True)
        ],
        "releases": {run_id: _release(release) for run_id, release in blame.releases.items()},
    }


def _line(line: Line) -> dict[str, Any]:
    return {"message": line.message, "role": line.role, "number": line.number, "text": line.text}


def _origin(origin: Origin, link: str) -> dict[str, Any]:
    edit = origin.edit
    return {
        "name": origin.name,
        "version": origin.version,
        "since": origin.since,
        "author": str(origin.author),
        "who": origin.who,
        "release": origin.run_id,
        "sentence": sentence(origin),
        "edit": {"id": edit.id, "op": str(edit.op), **overview.behind(edit, link)} if edit else None,
    }


def sentence(origin: Origin) -> str:
    """Who wrote a line, in words."""
    where = f"version {origin.version}" if origin.version else "a version that nobody knows"
    between = f", or in one of the deleted versions from {origin.since} on" if origin.since else ""
    match origin.author:
        case Author.RELEASE:
            return f"added or changed by a release in {where}"
        case Author.PULL_REQUEST:
            return f"written by {origin.who or 'a person'} in the pull request of {where}"
        case Author.PERSON:
            return f"written by a person in {where}{between}"
        case Author.UNKNOWN if origin.run_id:
            return f"in {where}, by a release that this installation knows nothing of"
        case _:
            return f"in {where}, which was deleted{between}"


def _release(release: Released) -> dict[str, Any]:
    report = release.report
    return {
        "cycle": release.cycle_id,
        "state": str(release.state),
        "version": release.version,
        "approver": release.approver,
        "approved_at": overview.moment(release.approved_at),
        "headline": report.reasons[0] if report and report.reasons else "",
        "gate": {key: said for key, said in as_document(report).items() if key in GATE} if report else None,
    }
