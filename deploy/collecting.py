"""The collect stage: from the trace store into ours, and which complaints this cycle is about.

Reads only, pays for no model call. Later stages work from what was stored here, so a cycle that is resumed sees the
same texts and sends the same requests. A complaint that its author took back in the meantime drops out, alone.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from deploy.lifecycle import CycleState
from deploy.settings import PromptSettings
from deploy.store.facade import Store
from deploy.store.fence import Run
from deploy.wiring import House
from optimizer.engine import in_turns
from optimizer.identity import Json, digest
from optimizer.traces.losses import is_complaint, join, text_losses
from optimizer.types import Generation, TextLoss, Window

OVERLAP = timedelta(minutes=30)
"""Scores become readable late; the window starts this long before the last one ended (langfuse-contract, 1.5)."""

SETTLE = timedelta(seconds=60)
"""The newest minute is left for the next cycle: its scores may still be on their way."""

YOUNG = "(scores of the last minute are left for the next cycle)"

SWEEP = timedelta(days=7)
"""Once a day the window reaches back this far, for scores that were backdated or edited."""

WAIT = timedelta(minutes=30)
"""How long a score may wait for its trace to become readable; after that, only the sweep asks for it again."""

REPLAY_MARGIN = 3
"""Recorded inputs read for every replayed case wanted: many share a source or cannot be rebuilt."""


async def collect(house: House, run: Run, state: dict[str, Json]) -> dict[str, Json]:
    """Pull what is new, then choose the complaints about the version that production reads now."""
    prompt, now = house.settings.prompt(run.prompt), house.clock.now()
    await asyncio.to_thread(house.store.cycles.advance, run, CycleState.COLLECTING, at=now)
    if frozen := await asyncio.to_thread(house.store.freezes.standing, prompt.name):
        return ended("skipped", f"{frozen.prompt or 'everything'} is frozen by {frozen.actor}")
    head = await house.registry.head(prompt.name, label=prompt.label)
    base = head.production.version
    await asyncio.to_thread(house.store.cycles.note, run.cycle_id, parent_version=base)
    house.progress("collect", 0, 0)
    await pull(house, prompt, now)
    losses = await asyncio.to_thread(complaints, house.store, prompt, base, now)
    if not losses:
        return await nothing(house, prompt, base, now)
    used = await asyncio.to_thread(house.store.lineage.losses_used, prompt.name, base)
    fresh = [loss for loss in losses if loss.id not in used]
    if not fresh:
        return ended("skipped", f"nothing new: all {len(losses)} complaints about version {base} were looked at before")
    chosen = choose(fresh, [loss for loss in losses if loss.id in used], prompt.max_complaints)
    return {
        **state,
        "base_version": base,
        "traces": list[Json](sorted({loss.trace.generation.trace_id for loss in chosen})),
        "losses": list[Json](loss.id for loss in chosen),
        "replay": await recent_inputs(house, prompt, now),
    }


def ended(how: str, reason: str) -> dict[str, Json]:
    """A stage's way to end the plan early: skipped, failed or done, and why."""
    return {"ended": how, "reason": reason}


def number_in(state: dict[str, Json], name: str) -> int:
    """A number that an earlier stage left."""
    value = state[name]
    assert isinstance(value, int)
    return value


def ids_in(state: dict[str, Json], name: str) -> list[str]:
    """Ids that an earlier stage left, in its order."""
    value = state[name]
    assert isinstance(value, list)
    return [str(id_) for id_ in value]


# ---- from the trace store into ours --------------------------------------------------------------------------------


async def pull(house: House, prompt: PromptSettings, now: datetime) -> None:
    """Complaints since the last pull, and the generations they are about, into the store."""
    project, store, rules = house.server.project_id, house.store, prompt.score_rules
    window = await asyncio.to_thread(window_of, house, prompt, now)
    # asked before the walk, so that what another cycle stores meanwhile is not taken for withdrawn
    known = await asyncio.to_thread(store.traces.scores_between, window.start, window.end)
    scores = [score async for score in house.traces.scores(window, rules)]
    withdrawn = {score.id for score in known if is_complaint(score, rules)} - {score.id for score in scores}
    late = await asyncio.to_thread(lambda: store.traces.scores(store.polls.waiting(project, prompt.name, now)))
    wanted = sorted({score.trace_id for score in (*scores, *late)})
    names = [registered.name for registered in house.settings.prompts]
    since = window.start - timedelta(days=prompt.lookback_days)
    generations = [g async for g in house.traces.generations(wanted, names, since)]
    joined = join((*scores, *late), generations, rules)

    def keep() -> None:
        store.traces.save(generations, scores, at=now)
        store.traces.forget_scores(withdrawn)
        store.polls.wait(project, prompt.name, joined.waiting, now + WAIT)
        store.polls.arrived(project, prompt.name, sorted({s.id for t in joined.traces for s in t.scores}))
        store.polls.expire(project, prompt.name, now)
        # last: until then, the next pull reads it all again
        store.polls.advance(project, prompt.name, window.end, scope_of(house, prompt))

    await asyncio.to_thread(keep)


def window_of(house: House, prompt: PromptSettings, now: datetime) -> Window:
    """From a little before the last pull to a little before now; further back on the first pull of a day."""
    watermark = house.store.polls.watermark(house.server.project_id, prompt.name, scope_of(house, prompt))
    earliest = now - timedelta(days=prompt.lookback_days)
    if watermark is None:
        return Window(start=earliest, end=now - SETTLE)
    start = watermark - OVERLAP
    if watermark.date() != now.date():
        start = min(start, now - SWEEP)
    return Window(start=max(start, earliest), end=max(now - SETTLE, watermark))


def scope_of(house: House, prompt: PromptSettings) -> str:
    """What is asked for. An owner who changes it wants the past read again by the new rules."""
    return digest(repr(prompt.score_rules), repr(house.settings.langfuse.environments), repr(prompt.lookback_days))


async def recent_inputs(house: House, prompt: PromptSettings, now: datetime) -> list[Json]:
    """Ids of recent generations of any version, stored, for replay in the gate: for its screen and for claims."""
    wanted = prompt.gate.replayed + (prompt.gate.sealed if prompt.claims else 0)
    if wanted == 0:
        return []
    window = Window(start=now - timedelta(days=prompt.lookback_days), end=now - SETTLE)
    limit = wanted * REPLAY_MARGIN
    recent = [g async for g in house.traces.recent(window, limit=limit, prompt=prompt.name)]
    await asyncio.to_thread(house.store.traces.save, recent, (), at=now)
    return [generation.id for generation in recent]


async def nothing(house: House, prompt: PromptSettings, version: int, now: datetime) -> dict[str, Json]:
    """Why there is nothing to do: no complaints is good news, no rules or no linked generations is a fault."""
    if not prompt.rules:
        return ended("failed", f"no score of {prompt.name} is called a complaint; add `rules` to it in tracegrad.yaml.")
    window = Window(start=now - timedelta(days=prompt.lookback_days), end=now)
    async for _ in house.traces.recent(window, limit=1, prompt=prompt.name):
        return ended("skipped", f"nothing to do: no complaints about version {version} of {prompt.name} {YOUNG}")
    return ended(
        "failed",
        f"no generation in the last {prompt.lookback_days:g} days is linked to {prompt.name}; "
        "pass `prompt=` to the generation in your application, then run `tracegrad doctor`.",
    )


# ---- what the complaints say ---------------------------------------------------------------------------------------


def complaints(store: Store, prompt: PromptSettings, version: int, now: datetime) -> tuple[TextLoss, ...]:
    """Stored complaints about that version, best first; what it said to older versions is not its fault."""
    since = now - timedelta(days=prompt.lookback_days)
    return losses_about(store, prompt, store.traces.of_version(prompt.name, version, since))


def losses_about(store: Store, prompt: PromptSettings, about: Sequence[Generation]) -> tuple[TextLoss, ...]:
    """Stored complaints about these generations, best first."""
    trace_ids = sorted({generation.trace_id for generation in about})
    # the other registered prompts of the same traces share the blame
    beside = store.traces.generations_of(trace_ids)
    joined = join(store.traces.scores_of(trace_ids), beside, prompt.score_rules)
    mine = {generation.id for generation in about}
    return text_losses([trace for trace in joined.traces if trace.generation.id in mine], prompt.score_rules)


def choose(fresh: Sequence[TextLoss], known: Sequence[TextLoss], limit: int) -> tuple[TextLoss, ...]:
    """New complaints first, each source in turn; room that is left goes to those that were looked at before."""
    chosen, _ = in_turns(fresh, limit)
    return (*chosen, *in_turns(known, limit - len(chosen))[0])


def chosen_losses(store: Store, prompt: PromptSettings, state: dict[str, Json]) -> tuple[TextLoss, ...]:
    """The losses that the collect stage chose, in its order, without those that were withdrawn since."""
    version = number_in(state, "base_version")
    beside = store.traces.generations_of(ids_in(state, "traces"))
    about = [g for g in beside if (g.prompt_name, g.prompt_version) == (prompt.name, version)]
    by_id = {loss.id: loss for loss in losses_about(store, prompt, about)}
    return tuple(by_id[id_] for id_ in ids_in(state, "losses") if id_ in by_id)
