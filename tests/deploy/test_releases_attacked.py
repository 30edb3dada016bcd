"""A release under attack: neighbours that break, services that are away, orders between a deed and its record."""

import pytest
from conftest import SetClock
from house_samples import BODY, World
from people_samples import People
from test_releases_canary import CANARY, GATE, bands, begun
from test_releases_interrupted import DyingFlags, until_death
from test_releases_straight import DyingRegistry, labels, moves, passed, state

from connectors.memory_flags import MemoryFlags
from deploy.releases.proposing import propose
from deploy.store.facade import Store
from deploy.store.orders import OrderKind
from optimizer.errors import BadCredentials
from optimizer.rollouts import PRODUCTION, Split


@pytest.fixture
def world(owned: Store, clock: SetClock) -> World:
    found = World(owned, clock, prompt={"release": CANARY, "gate": GATE})
    found.flags = DyingFlags()
    found.registry = DyingRegistry([], KeyError("kill -9"))
    found.registry.add("support", BODY, labels=["production"])
    found.complaint(1)
    found.complaint(2)
    return found


async def test_a_rollback_after_a_widening_that_died_reaches_the_users(world: World) -> None:
    people = People(world, worth={1: 0.6, 2: 0.8})
    run = await begun(world, people)
    world.flags.deaths = [KeyError("kill -9")]
    await until_death(world, people)
    assert (await bands(world))[0] == (0.5, 2)
    world.order(OrderKind.ROLLBACK, why="enough")
    await world.tick()
    assert state(world, run) == ("rolled_back", "enough")
    assert await bands(world) == [(1.0, PRODUCTION)]


async def test_a_rollback_after_a_first_stage_that_died_reaches_the_users(world: World) -> None:
    people = People(world, worth={1: 0.6, 2: 0.8})
    await people.live(3)
    run, found = await passed(world)
    await propose(world.house, run, found)
    world.flags.deaths = [KeyError("kill -9")]
    with pytest.raises(KeyError):
        await world.tick()
    assert (await bands(world))[0] == (0.1, 2)
    world.order(OrderKind.ROLLBACK, why="enough")
    await world.tick()
    assert state(world, run) == ("rolled_back", "enough")
    assert await bands(world) == [(1.0, PRODUCTION)]


@pytest.mark.parametrize("where", ["label", "flag"])
async def test_a_rollback_after_a_promotion_that_died_reaches_production(world: World, where: str) -> None:
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
    world.order(OrderKind.ROLLBACK, why="enough")
    await world.tick()
    assert state(world, run)[0] == "rolled_back"
    assert "production" in (await labels(world))[1]
    assert await bands(world) == [(1.0, PRODUCTION)]


class LockedFlags(MemoryFlags):
    """Takes no change while it is locked, as a service whose token was withdrawn."""

    locked = False

    async def write(self, split: Split, *, expect: Split, why: str) -> bool:
        if self.locked:
            raise BadCredentials("the flag service refused the token", "set another one")
        return await super().write(split, expect=expect, why=why)


async def test_a_label_is_taken_from_the_users_where_the_flag_service_is_away(world: World) -> None:
    world.flags = flags = LockedFlags()
    run = await begun(world, People(world, worth={1: 0.8, 2: 0.8}))
    flags.locked = True
    order = world.order(OrderKind.ROLLBACK, why="enough")
    told = (await world.tick())["told"]
    assert told == {order.id: "not done: the flag service refused the token; set another one."}
    assert await labels(world) == {1: {"production", "canary"}, 2: {"latest"}}
    assert state(world, run)[0] == "progressing"
    flags.locked = False
    world.pass_time(minutes=1)
    world.order(OrderKind.ROLLBACK, why="once more")
    await world.tick()
    assert state(world, run) == ("rolled_back", "once more")
    assert await bands(world) == [(1.0, PRODUCTION)]


class BrokenFlags(MemoryFlags):
    """Breaks in a way that nobody thought of."""

    async def read(self, prompt: str) -> Split | None:
        raise ZeroDivisionError(prompt)


async def test_a_bug_in_one_release_ends_neither_the_others_nor_the_orders(world: World) -> None:
    people = People(world, worth={1: 0.8, 2: 0.8})
    run = await begun(world, people)
    for number in (3, 4, 5):
        world.complaint(number)
    second, found = await passed(world, "second")
    await propose(world.house, second, found)
    world.flags = BrokenFlags()
    with pytest.raises(ZeroDivisionError):
        await world.tick()
    assert state(world, second) == ("approved", "waits until the canary of version 2 is decided")
    assert state(world, run)[0] == "progressing"


async def test_a_rollback_does_not_wait_behind_an_order_that_breaks(world: World) -> None:
    run = await begun(world, People(world, worth={1: 0.8, 2: 0.8}))
    world.registry.deaths = ["label"]
    promote = world.order(OrderKind.PROMOTE)
    world.pass_time(minutes=1)
    world.order(OrderKind.ROLLBACK, why="enough")
    with pytest.raises(KeyError):
        await world.tick()
    assert state(world, run) == ("rolled_back", "enough")
    assert "production" in (await labels(world))[1]
    assert await bands(world) == [(1.0, PRODUCTION)]
    told = (await world.tick())["told"]
    assert told == {
        promote.id: "not done: no release of support can be told to promote; see `tracegrad releases support`."
    }
