"""What there is to see, as plain documents: the command line, its `--json`, and the status page render the same ones.

Reads the store alone; it works while Langfuse and the model are away. All production text in it is hostile and short:
whoever renders it must escape it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from deploy.lifecycle import ReleaseState
from deploy.settings import Settings
from deploy.store.cycles import CycleRow
from deploy.store.facade import Store
from deploy.store.refusals import META_PROMPT
from gates.rendering.document import as_document
from optimizer.documents.document import ChangeOp, Document
from optimizer.errors import NotFound
from optimizer.fence import excerpt
from optimizer.proof import GateReport
from optimizer.types import Candidate, Edit, Missing, Usage

SHOWN_TRACES = 3
"""Complaints shown per change; the others are counted."""

SHOWN_CHARS = 240
"""Length at which a complaint is cut for showing."""

SPEND_WINDOW = timedelta(days=30)


def trace_url(settings: Settings, project_id: str) -> str:
    """Where Langfuse shows a trace, with `{trace_id}` still in it; empty while the project is not known."""
    return f"{settings.langfuse.host.rstrip('/')}/project/{project_id}/traces/{{trace_id}}" if project_id else ""


def status(store: Store, settings: Settings, now: datetime) -> dict[str, Any]:
    """Every registered prompt with its last cycle and spend, and the latest cycles of all."""
    spend = spend_of(store, now)
    return {
        "prompts": [
            {
                "name": prompt.name,
                "schedule": prompt.schedule,
                "last_cycle": next((cycle_line(store, row) for row in store.cycles.latest(prompt.name, limit=1)), None),
                "published": published(store, prompt.name),
                "spend_usd_30d": spend.get(prompt.name, (0.0, 0))[0],
                "unpriced_calls_30d": spend.get(prompt.name, (0.0, 0))[1],
            }
            for prompt in settings.prompts
        ],
        "cycles": [cycle_line(store, row) for row in store.cycles.latest(limit=30)],
    }


def cycle_line(store: Store, row: CycleRow) -> dict[str, Any]:
    """One cycle in one line."""
    usage = store.journal.spent(row.id)
    return {
        "id": row.id,
        "prompt": row.prompt,
        "slot": row.slot,
        "state": str(row.state),
        "verdict": str(row.verdict or ""),
        "reason": row.reason,
        "started_at": moment(row.started_at),
        "ended_at": moment(row.ended_at),
        "calls": usage.calls,
        "cost": money(usage),
    }


def cycle(store: Store, settings: Settings, cycle_id: str) -> dict[str, Any]:
    """Everything about one cycle. Raises NotFound."""
    return cycle_and_report(store, settings, cycle_id)[0]


def cycle_and_report(store: Store, settings: Settings, cycle_id: str) -> tuple[dict[str, Any], GateReport | None]:
    """The same, and the gate's report as a value for whoever writes it out. Raises NotFound."""
    row = store.cycles.get(cycle_id)
    report = store.reports.load(cycle_id)
    refusals = store.refusals.of(cycle_id)
    shown = {
        **cycle_line(store, row),
        "base_version": row.parent_version,
        "published_version": release_version(store, cycle_id),
        "changes": changes(store, row, trace_url(settings, store.polls.project(row.prompt))),
        "refused": [
            {"kind": refused.kind, "reason": refused.reason, "count": refused.count}
            for refused in refusals
            if refused.kind != META_PROMPT
        ],
        "meta_prompts": [refused.reason for refused in refusals if refused.kind == META_PROMPT],
        "report": as_document(report) if report else None,
        "events": [
            {"at": moment(e.at), "state": str(e.state), "note": e.reason} for e in store.cycles.events(cycle_id)
        ],
    }
    return shown, report


def changes(store: Store, row: CycleRow, link: str) -> list[dict[str, Any]]:
    """Every changed line with its reason and the complaints behind it."""
    if not row.candidate_id:
        return []
    candidate = store.lineage.load_candidate(row.candidate_id, row.id)
    return changes_of(candidate, link)


def changes_of(candidate: Candidate, link: str) -> list[dict[str, Any]]:
    """The lineage of a candidate's lines. `link` is a trace's address with `{trace_id}` in it, or empty."""
    document = Document.of(candidate.parent.body).apply(candidate.edits)
    return [
        {"old": change.old, "new": change.new, "op": str(change.op), **behind(change.edit, link)}
        for change in document.changes
        if change.op is not ChangeOp.KEEP and change.edit is not None
    ]


def behind(edit: Edit, link: str) -> Mapping[str, Any]:
    """Why an edit was made: its reason, its root cause, and who complained."""
    gradients = edit.cause.gradients
    return {
        "reason": edit.reason,
        "cause": edit.cause.summary,
        "complaints": len(gradients),
        "sources": len(edit.cause.sources),
        "traces": [
            {
                "id": gradient.loss.trace.generation.trace_id,
                "url": link.format(trace_id=quote(gradient.loss.trace.generation.trace_id, safe="")) if link else "",
                "kind": str(gradient.loss.kind),
                "complaint": excerpt(" ".join(gradient.loss.text.split()), SHOWN_CHARS),
            }
            for gradient in gradients[:SHOWN_TRACES]
        ],
    }


def release_version(store: Store, run_id: str) -> int | None:
    """The version that the cycle published, if it did."""
    try:
        return store.releases.get(run_id).version
    except NotFound:
        return None


def published(store: Store, prompt: str) -> int | None:
    """The version of ours that everybody is shown, not what a canary shows to a few; None when there is none."""
    rows = store.releases.in_state(prompt, ReleaseState.PROMOTED)
    return max((row.version for row in rows), default=None)


def spend_of(store: Store, now: datetime) -> dict[str, tuple[float, int]]:
    """Model spend per prompt over the last 30 days: USD, and the calls whose price nobody knows."""
    totals: dict[str, tuple[float, int]] = {}
    for row in store.journal.spend(now - SPEND_WINDOW):
        usd, unpriced = totals.get(row.prompt, (0.0, 0))
        totals[row.prompt] = usd + row.cost_usd, unpriced + row.unpriced
    return totals


def money(usage: Usage) -> str:
    """A cost as people read it."""
    return usage.cost_usd.value if isinstance(usage.cost_usd, Missing) else f"${usage.cost_usd:.4f}"


def moment(at: datetime | None) -> str:
    """A time in UTC to the second; empty for none."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if at else ""
