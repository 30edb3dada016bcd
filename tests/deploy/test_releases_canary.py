"""A release that production decides about, day by day in the twin house."""

import pytest
from conftest import SetClock
from house_samples import World, rows
from people_samples import People
from test_releases_straight import labels, moves, passed, state

from connectors.memory import Call
from connectors.source_keys import source_key
from deploy.collecting import collect
from deploy.gating.stage import gate
from deploy.optimizing import find_candidate
from deploy.releases.proposing import propose
from deploy.store.facade import Store
from deploy.store.fence import Run
from deploy.store.ledger import Ledger
from deploy.store.orders import OrderKind
from optimizer.rollouts import PRODUCTION, Band, Decision, Split

METRIC = {"score": "helpful", "sampled": True}
CANARY = {"policy": "canary", "canary": {"metric": METRIC, "maturity_days": 1, "least_days": 3, "holdback_weeks": 1}}
GATE = {"datasets": ["curated"], "sealed_datasets": [], "replayed": 0, "sealed": 0}


@pytest.fixture
def world(owned: Store, clock: SetClock) -> World:
    found = World(owned, clock, prompt={"release": CANARY, "gate": GATE})
    found.complaint(1)
    found.complaint(2)
    return found


async def begun(world: World, people: People) -> Run:
    """A canary in its first stage, after a past that shows how good the old version is."""
    await people.live(3)
    run, found = await passed(world)
    ended = await propose(world.house, run, found)
    assert ended["reason"] == "released to production's judgement: a canary of support begins with the next tick"
    await world.tick()
    assert moves(world, run) == ["proposed", "approved", "published", "progressing"], state(world, run)
    return run


async def decided(world: World, people: People, run: Run, *, days: int = 45) -> int:
    """Days until production has decided."""
    for day in range(1, days):
        await people.live(1)
        await world.tick()
        if state(world, run)[0] != "progressing":
            return day
    raise AssertionError(f"undecided: {state(world, run)}")


async def bands(world: World) -> list[tuple[float, int]]:
    split = await world.flags.read("support")
    assert split is not None
    return [(band.below, band.version) for band in split.bands]


async def test_a_better_candidate_walks_all_the_way(world: World) -> None:
    people = People(world, worth={1: 0.6, 2: 0.85})
    run = await begun(world, people)
    assert await bands(world) == [(0.1, 2), (1.0, PRODUCTION)]
    assert await labels(world) == {1: {"production"}, 2: {"latest", "canary"}}
    (stake,) = world.store.ledgers.stakes(world.store.ledgers.prompt_id("support"), Ledger.RELEASE)
    assert stake.stake == pytest.approx(0.02)
    plan = world.store.releases.get(run.cycle_id).plan
    assert plan is not None
    assert (plan.maturity_days, plan.version, plan.base_version) == (1, 2, 1)
    assert plan.prior == pytest.approx(0.6, abs=0.1)

    await decided(world, people, run)
    assert moves(world, run) == ["proposed", "approved", "published", "progressing", "progressing", "promoted"]
    assert await bands(world) == [(0.9, PRODUCTION), (1.0, 1)]
    assert await labels(world) == {1: {"holdback"}, 2: {"latest", "canary", "production"}}
    event = world.store.releases.events(run.cycle_id)[-1]
    assert event.evidence["holdback"] == 0.1
    looks = world.store.looks.of(run.cycle_id)
    assert [look.decision for look in looks if look.decision is not Decision.WAIT] == [Decision.WIDEN, Decision.PROMOTE]
    assert looks[-1].promote >= 1 / stake.stake
    assert looks[-1].candidate.matured >= 100

    for _ in range(8):
        await people.live(1)
        await world.tick()
    assert await bands(world) == [(1.0, PRODUCTION)]
    assert world.store.releases.events(run.cycle_id)[-1].evidence == {"finished": "finish"}
    kept = rows(world.store)
    world.pass_time(days=2)
    await world.tick()
    assert rows(world.store) == kept


async def test_a_worse_candidate_is_stopped_in_its_first_stage(world: World) -> None:
    people = People(world, worth={1: 0.85, 2: 0.35})
    run = await begun(world, people)
    await decided(world, people, run)
    assert moves(world, run)[-2:] in (["progressing", "rolled_back"], ["progressing", "retired"])
    assert moves(world, run).count("progressing") == 1
    assert await bands(world) == [(1.0, PRODUCTION)]
    assert await labels(world) == {1: {"production", "canary"}, 2: {"latest"}}
    (refused,) = world.store.refused_edits.of(world.store.ledgers.prompt_id("support"))
    assert refused.run_id == run.cycle_id


async def test_both_versions_ill_calls_a_person(world: World) -> None:
    people = People(world, worth={1: 0.9, 2: 0.3})
    run = await begun(world, people)
    people.worth = {1: 0.5, 2: 0.5}
    await people.live(2)
    people.worth = {1: 0.5, 2: 0.05}
    await decided(world, people, run)
    assert state(world, run)[0] == "halted"
    assert await bands(world) == [(1.0, PRODUCTION)]


async def test_an_equal_candidate_is_given_up(world: World) -> None:
    people = People(world, worth={1: 0.95, 2: 0.95}, a_day=240)
    run = await begun(world, people)
    await decided(world, people, run)
    assert state(world, run)[0] == "retired"


async def test_harm_after_the_promotion_is_taken_back_by_the_holdback(world: World) -> None:
    people = People(world, worth={1: 0.6, 2: 0.9}, a_day=240)
    run = await begun(world, people)
    await decided(world, people, run)
    assert state(world, run)[0] == "promoted"
    people.worth = {1: 0.9, 2: 0.3}
    for _ in range(20):
        await people.live(1)
        await world.tick()
        if state(world, run)[0] != "promoted":
            break
    assert state(world, run)[0] == "rolled_back"
    assert (await labels(world))[1] == {"production", "holdback", "canary"}
    assert await bands(world) == [(1.0, PRODUCTION)]


async def test_a_flag_that_a_person_changed_stays_as_they_left_it(world: World) -> None:
    people = People(world, worth={1: 0.8, 2: 0.8})
    run = await begun(world, people)
    split = await world.flags.read("support")
    assert split is not None
    by_hand = Split(prompt="support", salt=split.salt, bands=(Band(below=0.3, version=2), Band(below=1.0, version=0)))
    world.flags.by_hand(by_hand)
    await world.tick()
    assert state(world, run) == ("superseded", "the flag of support was changed by hand")
    assert await world.flags.read("support") == by_hand
    assert (await labels(world))[2] == {"latest", "canary"}


async def test_a_label_that_a_person_moved_ends_the_canary(world: World) -> None:
    people = People(world, worth={1: 0.8, 2: 0.8})
    run = await begun(world, people)
    world.registry.add("support", "By hand.", labels=["production"])
    await world.tick()
    assert state(world, run) == ("superseded", "`production` was moved by hand to version 3")
    assert await bands(world) == [(1.0, PRODUCTION)]
    assert await labels(world) == {1: set(), 2: set(), 3: {"latest", "production", "canary"}}


async def test_a_second_candidate_waits_for_the_first(world: World) -> None:
    people = People(world, worth={1: 0.8, 2: 0.8})
    await begun(world, people)
    for number in (3, 4, 5):
        world.complaint(number)
    run, found = await passed(world, "second")
    await propose(world.house, run, found)
    await world.tick()
    assert state(world, run) == ("approved", "waits until the canary of version 2 is decided")


async def test_a_person_promotes_or_takes_back_in_the_middle(world: World) -> None:
    people = People(world, worth={1: 0.8, 2: 0.8})
    run = await begun(world, people)
    world.order(OrderKind.PROMOTE, why="the incident needs it")
    await world.tick()
    assert state(world, run)[0] == "promoted"
    assert world.store.releases.events(run.cycle_id)[-1].actor == "ada"
    world.order(OrderKind.ROLLBACK, why="it did not help")
    await world.tick()
    assert state(world, run) == ("rolled_back", "it did not help")
    assert await bands(world) == [(1.0, PRODUCTION)]
    assert (await labels(world))[1] == {"production", "holdback", "canary"}


async def test_another_metric_is_another_release(world: World) -> None:
    people = People(world, worth={1: 0.8, 2: 0.8})
    run = await begun(world, people)
    other = {**CANARY, "canary": {**CANARY["canary"], "metric": {"score": "helpful", "sampled": False}}}  # type: ignore[dict-item]
    world.prompt = {"release": other, "gate": GATE}
    await world.tick()
    assert state(world, run)[0] == "retired"
    assert "the metric was changed" in state(world, run)[1]
    assert world.store.refused_edits.of(world.store.ledgers.prompt_id("support")) == ()


async def test_what_a_unit_is_does_not_change_in_the_middle(world: World) -> None:
    sessions = {**CANARY, "canary": {**CANARY["canary"], "unit": "session"}}  # type: ignore[dict-item]
    world.prompt = {"release": sessions, "gate": GATE}
    run = await begun(world, People(world, worth={1: 0.8, 2: 0.8}))
    assert state(world, run) == ("progressing", "10% of the sessions are shown version 2")
    world.prompt = {"release": CANARY, "gate": GATE}
    plan = world.store.releases.get(run.cycle_id).plan
    assert plan is not None
    assert plan.unit == "session"
    world.pass_time(days=1)
    world.answer(9000, prompt_version=2)
    world.traces.all_calls["g9000"] = Call(user="ada", session="s-1", latency_s=1.0, cost_usd=0.001)
    await world.tick()
    (answered,) = world.store.exposures.load(run.cycle_id)
    assert answered.exposure.unit == source_key("", "s-1", secret=b"in memory")


async def test_a_flag_that_is_in_use_already_is_waited_for(world: World) -> None:
    people = People(world, worth={1: 0.8, 2: 0.8})
    await people.live(1)
    used = Split(prompt="support", salt="theirs", bands=(Band(below=0.25, version=1), Band(below=1.0, version=0)))
    world.flags.by_hand(used)
    run, found = await passed(world)
    await propose(world.house, run, found)
    await world.tick()
    assert state(world, run) == ("published", "waits: the flag of support shows some users another version already")
    assert await world.flags.read("support") == used
    assert await labels(world) == {1: {"production"}, 2: {"latest"}}


async def test_a_version_that_was_deleted_ends_the_canary(world: World) -> None:
    people = People(world, worth={1: 0.8, 2: 0.8})
    run = await begun(world, people)
    world.registry.delete("support", 2)
    await world.tick()
    assert state(world, run) == ("superseded", "version 2 was deleted")
    assert await bands(world) == [(1.0, PRODUCTION)]


async def test_a_number_that_came_back_with_another_text_ends_the_canary(world: World) -> None:
    people = People(world, worth={1: 0.8, 2: 0.8})
    run = await begun(world, people)
    world.registry.delete("support", 2)
    assert world.registry.add("support", "By hand.").version == 2
    await world.tick()
    assert state(world, run) == ("superseded", "version 2 holds another text now")


async def test_what_a_person_accepts_unproven_is_still_judged_by_production(world: World) -> None:
    world.judge.note = "the runner failed in the middle"
    run = world.cycle()
    undecided = await world.walk(run, collect, find_candidate, gate)
    assert undecided["ended"] == "done", undecided
    order = world.order(OrderKind.ACCEPT_UNPROVEN, run_id=run.cycle_id, why="I read them all")
    told = (await world.tick())["told"]
    assert told == {order.id: "approved: unproven, accepted by a person: I read them all"}
    assert moves(world, run) == ["proposed", "approved", "published", "progressing"]
    assert await labels(world) == {1: {"production"}, 2: {"latest", "canary"}}


async def test_nothing_unproven_is_accepted_where_nothing_is_released(world: World) -> None:
    world.judge.note = "the runner failed in the middle"
    run = world.cycle()
    await world.walk(run, collect, find_candidate, gate)
    world.prompt = {"release": {"policy": "observe"}, "gate": GATE}
    order = world.order(OrderKind.ACCEPT_UNPROVEN, run_id=run.cycle_id, why="please")
    said = "not done: support is only observed; set its `release.policy` to `propose` or `canary`."
    assert (await world.tick())["told"] == {order.id: said}
    assert world.store.releases.of_prompt("support") == ()


async def test_what_was_screened_for_a_canary_is_not_released_without_one(world: World) -> None:
    watched = {"policy": "propose", "then": "canary", "canary": CANARY["canary"]}
    world.prompt = {"release": watched, "gate": GATE}
    run, found = await passed(world)
    await propose(world.house, run, found)
    world.prompt = {"release": {**watched, "then": "promote"}, "gate": GATE}
    world.order(OrderKind.APPROVE)
    await world.tick()
    said = "it was screened for a canary, and the settings release to everybody at once now"
    assert state(world, run) == ("expired", said)


async def test_what_only_the_policy_approved_ends_with_the_policy(world: World) -> None:
    run, found = await passed(world)
    await propose(world.house, run, found)
    world.prompt = {"release": {**CANARY, "policy": "observe"}, "gate": GATE}
    await world.tick()
    assert state(world, run) == ("expired", "the policy of support is `observe` now, and nobody has approved it")
