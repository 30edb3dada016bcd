"""A release under attack: neighbours that break, services that are away, orders between a deed and its record."""

from dataclasses import replace

import pytest
from conftest import SetClock
from house_samples import BODY, World
from people_samples import People
from test_releases_asked import PATH, asked
from test_releases_canary import CANARY, GATE, bands, begun
from test_releases_interrupted import DyingFlags, dead_promotion, until_death
from test_releases_straight import DyingRegistry, labels, moves, passed, state

from connectors.memory_flags import MemoryFlags
from connectors.memory_forge import MemoryForge
from deploy.releases.proposing import propose
from deploy.releases.ticking import untended
from deploy.store.facade import Store
from deploy.store.fence import Run
from deploy.store.freezes import Freeze
from deploy.store.orders import OrderKind
from deploy.store.release_texts import ReleaseText
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
    run = await dead_promotion(world, where)
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


async def to_a_promotion_that_is_frozen(world: World, people: People) -> Run:
    """A canary that production has decided for, while a freeze stands; nothing was done about it."""
    run = await begun(world, people)
    while moves(world, run).count("progressing") < 2:
        await people.live(1)
        await world.tick()
    world.store.freezes.freeze(Freeze(prompt="support", actor="grace", why="incident", at=world.clock.now()))
    while "frozen" not in state(world, run)[1]:
        await people.live(1)
        await world.tick()
    assert "production" in (await labels(world))[1]
    return run


async def test_an_old_promotion_waits_for_a_newer_look(world: World) -> None:
    people = People(world, worth={1: 0.6, 2: 0.9}, a_day=240)
    run = await to_a_promotion_that_is_frozen(world, people)
    people.worth = {1: 0.95, 2: 0.02}
    await people.live(9)  # nobody ticked: the daemon was away
    world.store.freezes.unfreeze("support", actor="grace", why="over", at=world.clock.now())
    await world.tick()
    assert "promoted" not in moves(world, run)
    assert "production" in (await labels(world))[1]


async def test_a_decision_that_nobody_has_begun_gives_way_to_a_person(world: World) -> None:
    run = await to_a_promotion_that_is_frozen(world, People(world, worth={1: 0.6, 2: 0.9}, a_day=240))
    split = await world.flags.read("support")
    assert split is not None
    world.flags.by_hand(Split(prompt="support", salt=split.salt))
    world.store.freezes.unfreeze("support", actor="grace", why="over", at=world.clock.now())
    await world.tick()
    assert state(world, run) == ("superseded", "the flag of support was changed by hand")
    assert "production" in (await labels(world))[1]


async def test_a_clock_that_was_ahead_for_an_hour_leaves_nobody_unwatched(world: World) -> None:
    people = People(world, worth={1: 0.85, 2: 0.2})
    run = await begun(world, people)
    now = world.clock.now()
    world.pass_time(days=20)
    await world.tick()
    world.clock.time = now
    for _ in range(12):
        await people.live(1)
        await world.tick()
        if state(world, run)[0] != "progressing":
            break
    assert state(world, run)[0] in ("rolled_back", "retired")


async def test_a_text_that_is_in_the_gate_is_not_approved_past_it(world: World) -> None:
    world.prompt = {"release": {"ask": "pull-request", "path": PATH}}
    world.forge = MemoryForge({PATH: f"{BODY}\n"})
    run, request = await asked(world)
    world.forge.edit(request, PATH, f"{BODY}\nAnswer with one word.\n")
    world.forge.merge(request, "grace")
    await world.tick()
    world.order(OrderKind.APPROVE, why="go")
    (told,) = (await world.tick())["told"].values()  # type: ignore[union-attr]
    assert str(told).startswith("not done: its text was changed in the pull request")
    assert state(world, run)[0] == "proposed"
    assert await labels(world) == {1: {"latest", "production"}}


def test_texts_of_two_prompts_in_one_commit_are_told_apart(world: World) -> None:
    """Plain git tells where the base branch stands, with everything that was merged by then."""
    texts, at = world.store.release_texts, world.clock.now()
    for prompt in ("support", "sales"):
        world.store.releases.propose(
            f"{prompt}@1",
            cycle_id=f"{prompt}@1",
            prompt=prompt,
            candidate_id="c",
            base_version=1,
            expires_at=at,
            at=at,
        )
        texts.keep(ReleaseText(run_id=f"{prompt}@1", revision="abc", body=f"For {prompt}.", author="grace", at=at))
    found = [texts.at_revision(prompt, "abc") for prompt in ("support", "sales", "other")]
    assert [text and text.body for text in found] == ["For support.", "For sales.", None]


async def test_another_resolver_in_the_settings_leaves_nobody_with_the_candidate(world: World) -> None:
    run = await begun(world, People(world, worth={1: 0.8, 2: 0.8}))
    world.prompt = {"release": {**CANARY, "resolver": "langfuse"}, "gate": GATE}
    house = replace(world.house, flag_services={"ofrep": world.flags, "langfuse": MemoryFlags()})
    await world.tick(house)
    assert state(world, run)[0] == "progressing"
    world.order(OrderKind.ROLLBACK, why="enough")
    await world.tick(house)
    assert state(world, run) == ("rolled_back", "enough")
    assert await bands(world) == [(1.0, PRODUCTION)]


async def test_a_resolver_that_is_gone_is_asked_for(world: World) -> None:
    run = await begun(world, People(world, worth={1: 0.8, 2: 0.8}))
    house = replace(world.house, flag_services={})
    await world.tick(house)
    assert state(world, run) == (
        "progressing",
        "could not go on: a release of support is shown by ofrep, which is not set up any more; "
        "set `ofrep` up again until the release has ended.",
    )


async def test_a_holdback_does_not_end_while_a_freeze_stands(world: World) -> None:
    run = await begun(world, People(world, worth={1: 0.8, 2: 0.8}))
    world.order(OrderKind.PROMOTE)
    await world.tick()
    world.store.freezes.freeze(Freeze(prompt="support", actor="grace", why="incident", at=world.clock.now()))
    world.pass_time(days=8)
    await world.tick()
    assert await bands(world) == [(0.9, PRODUCTION), (1.0, 1)]
    assert state(world, run)[1] == "frozen: support was frozen by grace"
    world.store.freezes.unfreeze("support", actor="grace", why="over", at=world.clock.now())
    await world.tick()
    assert await bands(world) == [(1.0, PRODUCTION)]


async def test_a_prompt_that_left_the_settings_in_the_middle_of_a_release_is_told(world: World) -> None:
    await begun(world, People(world, worth={1: 0.8, 2: 0.8}))
    settings = world.house.settings
    assert untended(world.store, settings) == []
    assert untended(world.store, settings.model_copy(update={"prompts": ()})) == ["support"]


async def test_a_named_version_is_reached_where_the_flag_service_is_away(world: World) -> None:
    world.flags = flags = LockedFlags()
    await begun(world, People(world, worth={1: 0.8, 2: 0.8}))
    world.registry.add("support", "The one that works.")
    flags.locked = True
    world.order(OrderKind.ROLLBACK, argument=3, why="incident")
    (told,) = (await world.tick())["told"].values()  # type: ignore[union-attr]
    assert told == "not done: the flag service refused the token; set another one."
    assert "production" in (await labels(world))[3]
