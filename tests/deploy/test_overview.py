"""What the command line and the page show, as documents."""

import json
from dataclasses import replace

import pytest
from conftest import SetClock
from house_samples import BODY, FIXED, World, critic_and_rewriter

from connectors.memory import ScriptedModel
from deploy import overview
from deploy.collecting import collect
from deploy.gating.stage import gate
from deploy.optimizing import find_candidate
from deploy.store.facade import Store
from optimizer.errors import NotFound
from optimizer.ports import ModelReply, ModelRequest


@pytest.fixture
def world(owned: Store, clock: SetClock) -> World:
    return World(owned, clock)


async def test_a_cycle_with_everything(world: World) -> None:
    for number in range(5):
        world.complaint(number, comment=f"long words {number} " + "and more " * 100)
    run = world.cycle()
    await world.release(run, await world.walk(run, collect, find_candidate, gate))
    shown = overview.cycle(world.store, world.house.settings, run.cycle_id)
    json.dumps(shown)
    assert (shown["state"], shown["verdict"], shown["base_version"], shown["published_version"]) == (
        "proposing",
        "pass",
        1,
        2,
    )
    assert (shown["calls"], shown["cost"]) == (6, "$0.0060")
    (change,) = shown["changes"]
    assert (change["op"], change["old"], change["new"]) == ("add", "", FIXED)
    assert (change["complaints"], change["sources"], len(change["traces"])) == (5, 5, 3)
    assert change["cause"]
    trace = change["traces"][0]
    assert len(trace["complaint"]) <= overview.SHOWN_CHARS
    assert trace["url"] == f"https://cloud.langfuse.com/project/p1/traces/{trace['id']}"
    assert shown["report"]["scored_pairs"] == 100
    assert shown["refused"] == []
    assert shown["meta_prompts"] == ["critic v3", "repair v1", "rewriter v3"]
    assert [event["state"] for event in shown["events"]] == ["idle", "collecting", "optimizing", "gating", "proposing"]


async def test_a_cycle_that_found_nothing(world: World) -> None:
    world.answer(1)
    run = world.cycle()
    await world.walk(run, collect)
    shown = overview.cycle(world.store, world.house.settings, run.cycle_id)
    assert (shown["changes"], shown["refused"], shown["report"], shown["published_version"]) == ([], [], None, None)
    assert (shown["calls"], shown["cost"], shown["ended_at"]) == (0, "$0.0000", "")


async def test_what_was_refused_is_listed(world: World) -> None:
    world.complaint(1)
    run = world.cycle()
    await world.walk(run, collect, find_candidate)
    shown = overview.cycle(world.store, world.house.settings, run.cycle_id)
    assert shown["refused"] == [{"kind": "criticism", "reason": "1 of 2 independent sources", "count": 1}]


def test_a_cycle_that_is_not_there(world: World) -> None:
    with pytest.raises(NotFound, match="tracegrad status"):
        overview.cycle(world.store, world.house.settings, "nothing@never")


def something_else(request: ModelRequest) -> ModelReply:
    """The rewriter finds another line."""
    found = critic_and_rewriter(request)
    return replace(found, text=found.text.replace(FIXED, "Say when the parcel comes."))


async def test_status_names_what_is_in_use(world: World) -> None:
    now = world.clock.now
    assert overview.status(world.store, world.house.settings, now())["prompts"] == [
        {
            "name": "support",
            "schedule": "0 3 * * *",
            "last_cycle": None,
            "published": None,
            "spend_usd_30d": 0.0,
            "unpriced_calls_30d": 0,
        }
    ]
    world.complaint(1)
    world.complaint(2)
    run = world.cycle()
    await world.release(run, await world.walk(run, collect, find_candidate, gate))
    (prompt,) = overview.status(world.store, world.house.settings, now())["prompts"]
    assert (prompt["published"], prompt["last_cycle"]["verdict"]) == (2, "pass")
    # a later release that a person overtook is not in use, and hides nothing
    world.pass_time(days=1)
    for number in (3, 4):
        world.answer(number, prompt_version=2)
        world.judge_it(number)
    world.model = ScriptedModel(something_else)
    run = world.cycle("next")
    state = await world.walk(run, collect, find_candidate, gate)
    world.registry.add("support", BODY + " By hand.", labels=["production"])
    await world.release(run, state)
    shown = overview.status(world.store, world.house.settings, now())
    assert shown["prompts"][0]["published"] == 2
    assert [line["id"] for line in shown["cycles"]] == [run.cycle_id, "support@2026-11-21T02:30Z"]
