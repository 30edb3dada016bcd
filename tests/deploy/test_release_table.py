"""The release table, move by move: through the real store, and by what the twin house really does."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from conftest import SetClock
from house_samples import World, rows
from people_samples import People
from release_samples import EVIDENCE, released
from test_releases_canary import CANARY, GATE, begun, decided
from test_releases_straight import passed, proposed, state

from deploy.lifecycle import RELEASE_TRANSITIONS, ReleaseState
from deploy.releases.proposing import propose
from deploy.store.facade import Store
from deploy.store.fence import Run
from deploy.store.freezes import Freeze
from deploy.store.orders import OrderKind
from optimizer.errors import IllegalMove
from optimizer.identity import Json
from optimizer.rollouts import Band, Split

R = ReleaseState
BEGAN = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
LATER = BEGAN + timedelta(days=1)


@pytest.mark.parametrize("state", R, ids=str)
def test_a_move_of_the_table_is_made_and_told(store: Store, state: ReleaseState) -> None:
    seen: dict[str, Json] = {"share": 0.5}
    for to in RELEASE_TRANSITIONS[state]:
        row = released(store, state, at=BEGAN, slot=f"to {to}")
        made = store.releases.events(row.run_id)
        after = store.releases.advance(row.run_id, to, at=LATER, reason="why", actor="ada", evidence=seen)
        assert (after.state, after.reason, after.updated_at) == (to, "why", LATER)
        *before, last = store.releases.events(row.run_id)
        assert tuple(before) == made
        assert (last.state, last.reason, last.at, last.actor, last.evidence) == (to, "why", LATER, "ada", seen)


@pytest.mark.parametrize("state", R, ids=str)
def test_any_other_move_is_refused_and_changes_nothing(store: Store, state: ReleaseState) -> None:
    """Even one that the release made earlier in its life."""
    row = released(store, state, at=BEGAN)
    kept = rows(store)
    for to in {*R} - {state, *RELEASE_TRANSITIONS[state]}:
        with pytest.raises(IllegalMove, match=f"from {state} to {to}$"):
            store.releases.advance(row.run_id, to, at=LATER, reason="why", version=9, approver="eve", actor="eve")
        assert rows(store) == kept, to


@pytest.mark.parametrize("state", R, ids=str)
def test_the_last_move_once_more_changes_nothing(store: Store, state: ReleaseState) -> None:
    row = released(store, state, at=BEGAN)
    kept = rows(store)
    again = store.releases.advance(row.run_id, state, at=LATER, reason="why", evidence=EVIDENCE.get(state))
    assert again == row
    assert rows(store) == kept


def test_a_move_that_was_made_before_can_be_made_again_from_another_state(store: Store) -> None:
    row = released(store, R.PROMOTED, at=BEGAN)
    store.releases.advance(row.run_id, R.HALTED, at=LATER)
    again = store.releases.advance(row.run_id, R.PROMOTED, at=LATER, evidence=EVIDENCE[R.PROMOTED])
    assert again.state is R.PROMOTED
    assert [event.state for event in store.releases.events(row.run_id)][-2:] == [R.HALTED, R.PROMOTED]


# ---- what the house really does --------------------------------------------------------------------------------------


async def ordered(world: World, kind: OrderKind) -> Run:
    """A proposal that a person has said something about."""
    run = await proposed(world)
    world.order(kind, why="so")
    await world.tick()
    return run


async def approved_in_a_freeze(world: World) -> Run:
    run = await proposed(world)
    world.store.freezes.freeze(Freeze(prompt="support", actor="grace", why="incident", at=world.clock.now()))
    world.order(OrderKind.APPROVE)
    await world.tick()
    return run


async def published_to_a_flag_in_use(world: World) -> Run:
    world.prompt = {"release": CANARY, "gate": GATE}
    await People(world, worth={1: 0.8}).live(1)
    bands = (Band(below=0.25, version=1), Band(below=1.0, version=0))
    world.flags.by_hand(Split(prompt="support", salt="theirs", bands=bands))
    run, found = await passed(world)
    await propose(world.house, run, found)
    await world.tick()
    return run


async def shown(world: World) -> Run:
    world.prompt = {"release": CANARY, "gate": GATE}
    return await begun(world, People(world, worth={1: 0.8, 2: 0.8}))


async def taken_back_by_a_person(world: World) -> Run:
    run = await ordered(world, OrderKind.APPROVE)
    world.pass_time(hours=1)
    world.order(OrderKind.ROLLBACK)
    await world.tick()
    return run


async def watched_by_another_metric(world: World) -> Run:
    run = await shown(world)
    other = {**CANARY, "canary": {"metric": {"score": "helpful", "sampled": False}}}
    world.prompt = {"release": other, "gate": GATE}
    await world.tick()
    return run


async def worse_beside_an_ill_one(world: World) -> Run:
    world.prompt = {"release": CANARY, "gate": GATE}
    people = People(world, worth={1: 0.9, 2: 0.3})
    run = await begun(world, people)
    people.worth = {1: 0.5, 2: 0.5}
    await people.live(2)
    people.worth = {1: 0.5, 2: 0.05}
    await decided(world, people, run)
    return run


async def left_lying(world: World) -> Run:
    run = await proposed(world)
    world.pass_time(days=15)
    await world.tick()
    return run


async def overtaken_by_hand(world: World) -> Run:
    run = await proposed(world)
    world.registry.add("support", "By hand.", labels=["production"])
    world.order(OrderKind.APPROVE)
    await world.tick()
    return run


WAYS: Mapping[ReleaseState, Callable[[World], Awaitable[Run]]] = {
    R.PROPOSED: proposed,
    R.APPROVED: approved_in_a_freeze,
    R.PUBLISHED: published_to_a_flag_in_use,
    R.PROGRESSING: shown,
    R.PROMOTED: lambda world: ordered(world, OrderKind.APPROVE),
    R.ROLLED_BACK: taken_back_by_a_person,
    R.RETIRED: watched_by_another_metric,
    R.HALTED: worse_beside_an_ill_one,
    R.REJECTED: lambda world: ordered(world, OrderKind.REJECT),
    R.EXPIRED: left_lying,
    R.SUPERSEDED: overtaken_by_hand,
}
"""One way to each state of the table."""


@pytest.mark.parametrize("wanted", R, ids=str)
async def test_every_state_is_reached_by_moves_of_the_table_each_told(
    owned: Store, clock: SetClock, wanted: ReleaseState
) -> None:
    world = World(owned, clock)
    world.complaint(1)
    world.complaint(2)
    run = await WAYS[wanted](world)
    assert state(world, run)[0] == wanted
    events = owned.releases.events(run.cycle_id)
    assert events[0].state is R.PROPOSED
    for before, after in pairwise(events):
        assert after.state in RELEASE_TRANSITIONS[before.state]
        assert after.reason
        assert after.actor
        assert after.at >= before.at
