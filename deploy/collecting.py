"""The collect stage: from the trace store into ours, and which complaints this cycle is about.

Reads only, pays for no model call. Later stages work from what was stored here, so a cycle that is resumed sees the
same texts and sends the same requests.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from deploy.lifecycle import CycleState
from deploy.settings import PromptSettings
from deploy.store.fence import Run
from deploy.wiring import House
from optimizer.engine import in_turns
from optimizer.identity import Json
from optimizer.losses import join, text_losses
from optimizer.prompts import Head
from optimizer.types import TextLoss, Trace, Window

OVERLAP = timedelta(minutes=30)
"""Scores become readable late; the window starts this long before the last one ended (langfuse-contract, 1.5)."""

SETTLE = timedelta(seconds=60)
"""The newest minute is left for the next cycle: its scores may still be on their way."""

SWEEP = timedelta(days=7)
"""Once a day the window reaches back this far, for scores that were backdated or edited."""

WAIT = timedelta(minutes=30)
"""How long a score may wait for its trace to become readable."""

REPLAY_MARGIN = 3
"""Recorded inputs read for every replayed case wanted: many share a source or cannot be rebuilt."""


async def collect(house: House, run: Run, state: dict[str, Json]) -> dict[str, Json]:
    """Pull what is new, then choose the complaints about the version that production reads now."""
    prompt, now = house.settings.prompt(run.prompt), house.clock.now()
    await asyncio.to_thread(house.store.cycles.advance, run, CycleState.COLLECTING, at=now)
    head = await house.registry.head(prompt.name, label=prompt.label)
    base = head.production.version
    await asyncio.to_thread(house.store.cycles.note, run.cycle_id, parent_version=base)
    house.progress("collect", 0, 0)
    await pull(house, prompt, now)
    traces = await asyncio.to_thread(complaints, house, prompt, base, now - timedelta(days=prompt.lookback_days))
    if not traces:
        return await nothing(house, prompt, head, now)
    losses = text_losses(traces, prompt.score_rules)
    used = await asyncio.to_thread(house.store.lineage.losses_used, prompt.name, base)
    fresh = [loss for loss in losses if loss.id not in used]
    if not fresh:
        return ended("skipped", f"nothing new: all {len(losses)} complaints about version {base} were looked at before")
    chosen = choose(fresh, [loss for loss in losses if loss.id in used], prompt.max_complaints)
    return {
        **state,
        "base_version": base,
        "newest": head.newest,
        "generations": list[Json](sorted({loss.trace.generation.id for loss in chosen})),
        "losses": list[Json](loss.id for loss in chosen),
        "replay": await recent_inputs(house, prompt, now),
    }


def choose(fresh: Sequence[TextLoss], known: Sequence[TextLoss], limit: int) -> tuple[TextLoss, ...]:
    """New complaints first, each source in turn; room that is left goes to those that were looked at before."""
    chosen, _ = in_turns(fresh, limit)
    return (*chosen, *in_turns(known, limit - len(chosen))[0])


def ended(how: str, reason: str) -> dict[str, Json]:
    """A stage's way to end the plan early: skipped, failed or done, and why."""
    return {"ended": how, "reason": reason}


async def pull(house: House, prompt: PromptSettings, now: datetime) -> None:
    """Complaints since the last pull, and the generations they are about, into the store."""
    project, store = house.server.project_id, house.store
    window = await asyncio.to_thread(window_of, house, prompt, now)
    scores = [score async for score in house.traces.scores(window, prompt.score_rules)]
    late = await asyncio.to_thread(lambda: store.traces.scores(store.polls.waiting(project, prompt.name, now)))
    wanted = sorted({score.trace_id for score in (*scores, *late)})
    names = [registered.name for registered in house.settings.prompts]
    since = window.start - timedelta(days=prompt.lookback_days)
    generations = [g async for g in house.traces.generations(wanted, names, since)]
    joined = join((*scores, *late), generations, prompt.score_rules)

    def keep() -> None:
        store.traces.save(generations, scores, at=now)
        store.polls.wait(project, prompt.name, joined.waiting, now + WAIT)
        store.polls.arrived(project, prompt.name, sorted({s.id for t in joined.traces for s in t.scores}))
        store.polls.expire(project, prompt.name, now)
        store.polls.advance(project, prompt.name, window.end)

    await asyncio.to_thread(keep)


def window_of(house: House, prompt: PromptSettings, now: datetime) -> Window:
    """From a little before the last pull to a little before now; further back on the first pull of a day."""
    watermark = house.store.polls.watermark(house.server.project_id, prompt.name)
    earliest = now - timedelta(days=prompt.lookback_days)
    if watermark is None:
        return Window(start=earliest, end=now - SETTLE)
    start = watermark - OVERLAP
    if watermark.date() != now.date():
        start = min(start, now - SWEEP)
    return Window(start=max(start, earliest), end=max(now - SETTLE, watermark))


def complaints(house: House, prompt: PromptSettings, version: int, since: datetime) -> tuple[Trace, ...]:
    """Stored traces of that version that somebody complained about, newest first."""
    about = house.store.traces.of_version(prompt.name, version, since)
    trace_ids = sorted({generation.trace_id for generation in about})
    # the other registered prompts of the same traces share the blame
    beside = house.store.traces.generations_of(trace_ids)
    joined = join(house.store.traces.scores_of(trace_ids), beside, prompt.score_rules)
    mine = {generation.id for generation in about}
    return tuple(trace for trace in joined.traces if trace.generation.id in mine)


def chosen_losses(house: House, prompt: PromptSettings, state: dict[str, Json]) -> tuple[TextLoss, ...]:
    """The losses that the collect stage chose, rebuilt from the store in the same order."""
    generation_ids, loss_ids = state["generations"], state["losses"]
    assert isinstance(generation_ids, list)
    assert isinstance(loss_ids, list)
    mine = {str(generation_id) for generation_id in generation_ids}
    trace_ids = sorted({g.trace_id for g in house.store.traces.generations(sorted(mine))})
    beside = house.store.traces.generations_of(trace_ids)
    joined = join(house.store.traces.scores_of(trace_ids), beside, prompt.score_rules)
    losses = text_losses([t for t in joined.traces if t.generation.id in mine], prompt.score_rules)
    by_id = {loss.id: loss for loss in losses}
    return tuple(by_id[str(loss_id)] for loss_id in loss_ids if str(loss_id) in by_id)


async def recent_inputs(house: House, prompt: PromptSettings, now: datetime) -> list[Json]:
    """Ids of recent generations of any version, stored, for replay in the gate."""
    if prompt.gate.replayed == 0:
        return []
    window = Window(start=now - timedelta(days=prompt.lookback_days), end=now - SETTLE)
    limit = prompt.gate.replayed * REPLAY_MARGIN
    recent = [g async for g in house.traces.recent(window, limit=limit, prompt=prompt.name)]
    await asyncio.to_thread(house.store.traces.save, recent, (), at=now)
    return [generation.id for generation in recent]


async def nothing(house: House, prompt: PromptSettings, head: Head, now: datetime) -> dict[str, Json]:
    """Why there is nothing to do: no complaints is good news, no linked generations is a fault in the application."""
    window = Window(start=now - timedelta(days=prompt.lookback_days), end=now)
    async for _ in house.traces.recent(window, limit=1, prompt=prompt.name):
        return ended(
            "skipped", f"nothing to do: no complaints about version {head.production.version} of {prompt.name}"
        )
    return ended(
        "failed",
        f"no generation in the last {prompt.lookback_days:.0f} days is linked to {prompt.name}; "
        "pass `prompt=` to the generation in your application, then run `tracegrad doctor`.",
    )
