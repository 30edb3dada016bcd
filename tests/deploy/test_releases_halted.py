"""A release that was halted: a person decides, in either direction, and what was undone is done anew."""

import pytest
from conftest import SetClock
from house_samples import World
from people_samples import People
from test_releases_canary import CANARY, GATE, bands, begun
from test_releases_straight import labels, moves, passed, state

from deploy.lifecycle import ReleaseState
from deploy.releases.errand import Errand
from deploy.releases.proposing import propose
from deploy.releases.taking_back import take_back
from deploy.store.facade import Store
from deploy.store.fence import Run
from deploy.store.freezes import EVERY, Freeze
from deploy.store.orders import OrderKind
from optimizer.rollouts import PRODUCTION


@pytest.fixture
def world(owned: Store, clock: SetClock) -> World:
    found = World(owned, clock, prompt={"release": CANARY, "gate": GATE})
    found.complaint(1)
    found.complaint(2)
    return found


async def halted(world: World) -> Run:
    """A release that was promoted by a person, and halted while a part of the users kept the old version."""
    run = await begun(world, People(world, worth={1: 0.8, 2: 0.8}))
    world.order(OrderKind.PROMOTE)
    await world.tick()
    assert await bands(world) == [(0.9, PRODUCTION), (1.0, 1)]
    row = world.store.releases.get(run.cycle_id)
    of_tick = Run(cycle_id=row.run_id, prompt="support", workflow_id="tick", token="mine")
    errand = Errand(house=world.house, run=of_tick, release=row)
    await take_back(errand, ReleaseState.HALTED, "both are ill", refused=False)
    assert await labels(world) == {1: {"production", "holdback", "canary"}, 2: {"latest"}}
    assert await bands(world) == [(1.0, PRODUCTION)]
    world.pass_time(hours=1)
    return run


async def test_it_waits_for_a_person(world: World) -> None:
    run = await halted(world)
    world.pass_time(days=3)
    await world.tick()
    assert state(world, run) == ("halted", "both are ill")


async def test_a_person_promotes_it_once_more_and_takes_it_back(world: World) -> None:
    run = await halted(world)
    world.order(OrderKind.PROMOTE, why="the old one is worse")
    await world.tick()
    assert moves(world, run)[-3:] == ["promoted", "halted", "promoted"]
    assert await labels(world) == {1: {"holdback"}, 2: {"latest", "canary", "production"}}
    assert await bands(world) == [(0.9, PRODUCTION), (1.0, 1)]
    world.pass_time(hours=1)
    world.order(OrderKind.ROLLBACK, why="it is not")
    await world.tick()
    assert state(world, run) == ("rolled_back", "it is not")
    assert (await labels(world))[1] == {"production", "holdback", "canary"}
    assert await bands(world) == [(1.0, PRODUCTION)]


async def test_a_person_gives_it_up(world: World) -> None:
    run = await halted(world)
    world.order(OrderKind.ROLLBACK, why="a new one is being written")
    await world.tick()
    assert state(world, run) == ("rolled_back", "a new one is being written")
    assert (await labels(world))[1] == {"production", "holdback", "canary"}


async def test_a_release_that_is_promoted_after_it_ends_it(world: World) -> None:
    run = await halted(world)
    for number in (3, 4, 5):
        world.complaint(number)
    other, found = await passed(world, "second")
    await propose(world.house, other, found)
    await world.tick()
    assert state(world, run)[0] == "halted"
    world.order(OrderKind.PROMOTE, run_id=other.cycle_id)
    await world.tick()
    assert state(world, other)[0] == "promoted"
    assert state(world, run) == ("superseded", "version 3 took its place")


async def test_a_promotion_that_a_freeze_forbids_keeps_no_rollback_waiting(world: World) -> None:
    run = await halted(world)
    world.store.freezes.freeze(Freeze(prompt=EVERY, actor="grace", why="incident", at=world.clock.now()))
    refused = world.order(OrderKind.PROMOTE)
    world.pass_time(minutes=1)
    back = world.order(OrderKind.ROLLBACK, why="enough")
    told = (await world.tick())["told"]
    assert told == {
        refused.id: "not done: everything was frozen by grace; lift it with `tracegrad unfreeze`, and say it again",
        back.id: "rolled_back: enough",
    }
    assert state(world, run)[0] == "rolled_back"
