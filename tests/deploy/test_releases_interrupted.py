"""A tick that dies in the middle of what a look decided: the next one carries it on, and takes it for nobody else's."""

from datetime import timedelta

import pytest
from conftest import SetClock
from house_samples import BODY, World
from people_samples import People
from test_releases_canary import CANARY, GATE, bands, begun
from test_releases_straight import DyingRegistry, labels, moves, state

from connectors.memory_flags import MemoryFlags
from deploy.store.facade import Store
from deploy.store.fence import Run
from deploy.store.freezes import Freeze
from optimizer.rollouts import PRODUCTION, Split


class DyingFlags(MemoryFlags):
    """Does what it is asked, and then the process dies before it can write that down."""

    def __init__(self) -> None:
        super().__init__()
        self.deaths: list[Exception] = []

    async def write(self, split: Split, *, expect: Split, why: str) -> bool:
        done = await super().write(split, expect=expect, why=why)
        if self.deaths:
            raise self.deaths.pop()
        return done


@pytest.fixture
def world(owned: Store, clock: SetClock) -> World:
    found = World(owned, clock, prompt={"release": CANARY, "gate": GATE})
    found.flags = DyingFlags()
    found.registry = DyingRegistry([], KeyError("kill -9"))
    found.registry.add("support", BODY, labels=["production"])
    found.complaint(1)
    found.complaint(2)
    return found


async def until_death(world: World, people: People) -> None:
    """Days go by until a tick dies."""
    for _ in range(20):
        await people.live(1)
        try:
            await world.tick()
        except KeyError:
            return
    raise AssertionError("nothing was done that could be interrupted")


async def dead_promotion(world: World, where: str) -> Run:
    """A canary whose promotion died right behind the production label, or behind the flag."""
    people = People(world, worth={1: 0.6, 2: 0.9}, a_day=240)
    run = await begun(world, people)
    while moves(world, run).count("progressing") < 2:
        await people.live(1)
        await world.tick()
    if where == "label":
        world.registry.deaths = ["label"]
    else:
        world.flags.deaths = [KeyError("kill -9")]
    await until_death(world, people)
    assert "production" in (await labels(world))[2]
    return run


@pytest.mark.parametrize("later", [timedelta(), timedelta(days=2)])
async def test_a_widening_that_dies_behind_the_flag_is_carried_on(world: World, later: timedelta) -> None:
    people = People(world, worth={1: 0.6, 2: 0.8})
    run = await begun(world, people)
    world.flags.deaths = [KeyError("kill -9")]
    await until_death(world, people)
    assert (await bands(world))[0] == (0.5, 2)
    world.clock.time += later
    await world.tick()
    assert moves(world, run)[-2:] == ["progressing", "progressing"]
    assert world.store.releases.events(run.cycle_id)[-1].evidence == {"share": 0.5}


@pytest.mark.parametrize("where", ["label", "flag"])
async def test_a_promotion_that_dies_is_carried_on(world: World, where: str) -> None:
    run = await dead_promotion(world, where)
    await world.tick()
    assert state(world, run)[0] == "promoted"
    assert await bands(world) == [(0.9, PRODUCTION), (1.0, 1)]
    assert await labels(world) == {1: {"holdback"}, 2: {"latest", "canary", "production"}}


async def test_a_taking_back_that_dies_behind_the_flag_is_carried_on(world: World) -> None:
    people = People(world, worth={1: 0.85, 2: 0.3})
    run = await begun(world, people)
    world.flags.deaths = [KeyError("kill -9")]
    await until_death(world, people)
    assert await bands(world) == [(1.0, PRODUCTION)]
    await world.tick()
    assert state(world, run)[0] == "rolled_back"
    assert await labels(world) == {1: {"production", "canary"}, 2: {"latest"}}


async def test_a_decision_that_a_freeze_stops_makes_room_for_newer_ones(world: World) -> None:
    people = People(world, worth={1: 0.6, 2: 0.8})
    run = await begun(world, people)
    world.store.freezes.freeze(Freeze(prompt="support", actor="grace", why="incident", at=world.clock.now()))
    for _ in range(6):
        await people.live(1)
        await world.tick()
    looks = world.store.looks.of(run.cycle_id)
    assert len(looks) >= 5
    assert (state(world, run)[0], await bands(world)) == ("progressing", [(0.1, 2), (1.0, PRODUCTION)])
    people.worth = {1: 0.9, 2: 0.05}
    for _ in range(6):
        await people.live(1)
        await world.tick()
    assert state(world, run)[0] in ("rolled_back", "retired")
