"""Releases as plain documents, for the command line, its `--json` and the status page: where each stands, and why.

Reads the store alone. People's and strangers' words are in it: whoever renders it must escape it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from deploy.lifecycle import RELEASE_TRANSITIONS, ReleaseState, is_final
from deploy.overview import changes_of, moment, trace_url
from deploy.settings import Settings
from deploy.store.encoding import encoded
from deploy.store.facade import Store
from deploy.store.freezes import EVERY, Freeze
from deploy.store.orders import Order
from deploy.store.releases import ReleaseEvent, ReleaseRow
from gates.words import plain
from optimizer.identity import Json
from optimizer.rollouts import CanaryPlan, Look, Reading
from optimizer.types import Missing

LISTED = 20
"""Releases of one prompt in a list, the newest first."""

SHARES = ("share", "holdback")
"""Evidence that is a part of the users."""

SHOWN_LOOKS = 60
"""Looks of one release that are shown, the newest; a canary takes at most 42 by the defaults."""


def releases(store: Store, settings: Settings, prompts: Iterable[str] = ()) -> dict[str, Any]:
    """The newest releases of these prompts, or of every registered one, and the freezes that stand."""
    named = tuple(prompts) or tuple(prompt.name for prompt in settings.prompts)
    rows = [row for name in named for row in store.releases.of_prompt(name, limit=LISTED)]
    newest = sorted(rows, key=lambda row: (row.created_at, row.run_id), reverse=True)
    return {
        "releases": [line(store, row) for row in newest],
        "freezes": [freeze_line(stands) for stands in store.freezes.all() if stands.prompt in (EVERY, *named)],
    }


def line(store: Store, row: ReleaseRow) -> dict[str, Any]:
    """One release in one line."""
    events, last = store.releases.events(row.run_id), store.looks.last(row.run_id)
    final = is_final(RELEASE_TRANSITIONS, row.state)
    stands = None if final else store.freezes.standing(row.prompt)
    asked = pull_request_of(store, row.run_id)
    return {
        "id": row.run_id,
        "prompt": row.prompt,
        "state": str(row.state),
        "reason": row.reason,
        "version": row.version or None,
        "base_version": row.base_version,
        "policy": row.policy,
        "approver": row.approver,
        "share": share(row, events),
        "waits_for": "" if final else waits_for(row, events, last, asked),
        "frozen": freeze_line(stands) if stands else None,
        "pull_request": asked,
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
    }


def release(store: Store, settings: Settings, run_id: str) -> dict[str, Any]:
    """Everything about one release. Raises NotFound."""
    row = store.releases.get(run_id)
    looks = store.looks.of(run_id)
    candidate = store.lineage.load_candidate(row.candidate_id, row.cycle_id)
    link = trace_url(settings, store.polls.project(row.prompt))
    return {
        **line(store, row),
        "cycle": row.cycle_id,
        "expires_at": moment(row.expires_at),
        "watched_until": moment(row.watched_until),
        "changes": changes_of(candidate, link),
        "plan": encoded(row.plan) if row.plan else None,
        "events": [event_line(event) for event in store.releases.events(run_id)],
        "looks": [look_line(look, row.plan) for look in looks[-SHOWN_LOOKS:]],
        "orders": [
            order_line(order) for order in reversed(store.orders.of_prompt(row.prompt)) if order.run_id == run_id
        ],
    }


def share(row: ReleaseRow, events: Sequence[ReleaseEvent]) -> float:
    """The part of the users that is shown the new version now, in [0, 1]."""
    said = events[-1].evidence if events else {}
    shown, kept = said.get("share"), said.get("holdback", 0.0)
    if row.state is ReleaseState.PROGRESSING and isinstance(shown, float):
        return shown
    return 1.0 - kept if row.state is ReleaseState.PROMOTED and isinstance(kept, float) else 0.0


def waits_for(row: ReleaseRow, events: Sequence[ReleaseEvent], last: Look | None, asked: str) -> str:
    """What has to happen before the release moves on, in a sentence without a full stop; empty for nothing."""
    if row.state is ReleaseState.PROPOSED:
        where = "merge or close its pull request" if asked else "`tracegrad approve` or `tracegrad reject --why`"
        return f"a person, until {minute(row.expires_at)}: {where}"
    if row.state is ReleaseState.APPROVED:
        return "whoever may publish"
    if row.state is ReleaseState.HALTED:
        return "a person: `tracegrad rollback` or `tracegrad promote`"
    if row.plan is None:
        return "its label" if row.state is ReleaseState.PUBLISHED else ""
    if row.state is ReleaseState.PUBLISHED:
        return "its first stage"
    began = next((event.at for event in events if event.state is row.state), row.updated_at)
    if row.state is ReleaseState.PROGRESSING:
        return (
            f"production: {evidence_for(row.plan, last)}; not before {minute(began + days(row.plan.rules.least_days))}"
        )
    until = began + days(row.plan.holdback_days)
    kept = row.plan.holdback_share if share(row, events) < 1 else 0.0
    return f"the end of its holdback: {kept:.0%} keep the old version until {minute(until)}" if kept else ""


def evidence_for(plan: CanaryPlan, last: Look | None) -> str:
    """How far a canary is from its promotion."""
    rules, now = plan.rules, 1.0 if last is None else last.promote
    matured = 0 if last is None else last.candidate.matured
    return (
        f"promotes at evidence {plain(1 / rules.stake)}, now {plain(now)}; "
        f"{matured} of at least {rules.least_units} users have had their time"
    )


def minute(at: datetime) -> str:
    """A time in UTC to the minute, for a sentence."""
    return f"{moment(at)[:16]} UTC"


def days(number: float) -> timedelta:
    """So many days."""
    return timedelta(days=number)


def event_line(event: ReleaseEvent) -> dict[str, Any]:
    """One move of a release."""
    return {
        "at": moment(event.at),
        "state": str(event.state),
        "actor": event.actor,
        "reason": event.reason,
        "evidence": dict(event.evidence),
        "shown_by": shown_by(event.evidence),
    }


def shown_by(evidence: Mapping[str, Json]) -> str:
    """What is short in an event's evidence, in a line; a whole look has its place in the table of looks."""
    short = {name: value for name, value in evidence.items() if isinstance(value, str | int | float)}
    parts = {
        name: f"{value:.0%}" if name in SHARES and isinstance(value, float) else str(value)
        for name, value in short.items()
    }
    return ", ".join(f"{name.replace('_', ' ')} {said}" for name, said in parts.items())


def order_line(order: Order) -> dict[str, Any]:
    """One order to a release."""
    return {
        "at": moment(order.at),
        "kind": str(order.kind),
        "actor": order.actor,
        "why": order.why,
        "handled_at": moment(order.handled_at),
        "outcome": order.outcome,
    }


def freeze_line(stands: Freeze) -> dict[str, Any]:
    """One freeze; an empty prompt is all of them."""
    return {"prompt": stands.prompt, "actor": stands.actor, "why": stands.why, "at": moment(stands.at)}


def look_line(look: Look, plan: CanaryPlan | None) -> dict[str, Any]:
    """One look: both arms, what speaks for what, and what followed."""
    limit = 1 / plan.rules.stake if plan else None
    return {
        "at": moment(look.at),
        "candidate": arm_line(look.candidate),
        "control": arm_line(look.control),
        "effect": None if isinstance(look.effect, Missing) else look.effect,
        "interval": None if isinstance(look.interval, Missing) else list(look.interval),
        "evidence": {
            "better": against(look.promote, limit),
            "worse": against(look.harm, plan.rules.harm if plan else None),
            "no gain": against(look.futile, plan.rules.futile if plan else None),
            "shares are wrong": against(look.share, plan.rules.share_alarm if plan else None),
        },
        "alarms": [{"name": alarm.name, **against(alarm.e_value, alarm.limit)} for alarm in look.alarms],
        "late_scores": look.late_scores,
        "decision": str(look.decision),
        "sentence": look.sentence,
    }


def arm_line(reading: Reading) -> dict[str, Any]:
    """One arm in numbers; the mean is None where there is none."""
    return {
        "exposed": reading.exposed,
        "scored": reading.scored,
        "matured": reading.matured,
        "mean": None if isinstance(reading.mean, Missing) else reading.mean,
    }


def against(e_value: float, limit: float | None) -> dict[str, Any]:
    """Evidence with the limit at which it counts, and what it means: how rarely luck alone gets as far."""
    said = "none" if e_value <= 1 else f"luck alone gets there once in {plain(e_value)} times at most"
    return {"e_value": e_value, "limit": limit, "said": said}


def pull_request_of(store: Store, run_id: str) -> str:
    """Where its pull request is; empty when there is none."""
    asked = store.pull_requests.of(run_id)
    return asked.request.url if asked else ""
