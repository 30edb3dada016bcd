"""A release that a person decides about: proposed, approved, promoted; once, and never over a person's change."""

from collections.abc import Sequence

import pytest
from conftest import SetClock
from house_samples import BODY, FIXED, State, World, rows

from connectors.memory import MemoryRegistry
from deploy.collecting import collect
from deploy.gating.stage import gate
from deploy.lifecycle import ReleaseState
from deploy.optimizing import find_candidate
from deploy.overview import published
from deploy.releases.proposing import propose
from deploy.store.facade import Store
from deploy.store.fence import Run
from deploy.store.freezes import EVERY, Freeze
from deploy.store.orders import OrderKind
from optimizer.errors import RateLimited, ServerFault
from optimizer.prompts import Body, Head, Published, Superseded
from optimizer.types import Arm

OURS = "tracegrad"


@pytest.fixture
def world(owned: Store, clock: SetClock) -> World:
    found = World(owned, clock)
    found.complaint(1)
    found.complaint(2)
    return found


async def passed(world: World, slot: str = "2026-11-21T02:30Z") -> tuple[Run, State]:
    run = world.cycle(slot)
    state = await world.walk(run, collect, find_candidate, gate)
    assert "ended" not in state, state
    return run, state


async def proposed(world: World, slot: str = "2026-11-21T02:30Z") -> Run:
    """A cycle whose candidate was proposed."""
    run, state = await passed(world, slot)
    ended = await propose(world.house, run, state)
    assert ended["ended"] == "done", ended
    return run


async def labels(world: World) -> dict[int, set[str]]:
    newest = (await world.registry.head("support")).newest
    return {n: set((await world.registry.get("support", n)).labels) for n in range(1, newest + 1)}


def moves(world: World, run: Run) -> list[str]:
    return [str(event.state) for event in world.store.releases.events(run.cycle_id)]


def state(world: World, run: Run) -> tuple[str, str]:
    row = world.store.releases.get(run.cycle_id)
    return row.state.value, row.reason


async def test_a_proposal_waits_for_a_person(world: World) -> None:
    run, begun = await passed(world)
    ended = await propose(world.house, run, begun)
    assert ended == {
        "ended": "done",
        "reason": "proposed: it waits for `tracegrad approve support`, or `tracegrad reject support --why ...`",
    }
    await world.tick()
    assert moves(world, run) == ["proposed"]
    assert await labels(world) == {1: {"latest", "production"}}
    assert published(world.store, "support") is None


async def test_an_approval_reaches_production_in_one_tick(world: World) -> None:
    run = await proposed(world)
    order = world.order(OrderKind.APPROVE, why="reads well")
    told = (await world.tick())["told"]
    assert told == {order.id: "approved: reads well"}
    assert await labels(world) == {1: set(), 2: {"latest", "production"}}
    made = await world.registry.get("support", 2)
    assert made.body == f"{BODY}\n{FIXED}"
    assert made.commit_message.startswith("1 edit from v1. Passed (proven)")
    events = world.store.releases.events(run.cycle_id)
    assert [(e.state.value, e.actor) for e in events] == [
        ("proposed", OURS),
        ("approved", "ada"),
        ("published", OURS),
        ("promoted", OURS),
    ]
    row = world.store.releases.get(run.cycle_id)
    assert (row.version, row.base_version, row.approver) == (2, 1, "ada")
    assert published(world.store, "support") == 2
    assert [case.id for case in [case async for case in world.cases.cases("tracegrad-anchors-support")]] != []


async def test_another_tick_changes_nothing(world: World) -> None:
    await proposed(world)
    world.order(OrderKind.APPROVE)
    await world.tick()
    kept = rows(world.store)
    world.pass_time(days=1)
    await world.tick()
    assert rows(world.store) == kept
    assert (await world.registry.head("support")).newest == 2


async def test_a_prompt_that_is_read_by_another_label_than_production(world: World) -> None:
    world.registry.add("support", BODY, labels=["staging"])
    world.registry.label("support", "production", 1)
    world.traces.all_generations.clear()
    for number in (1, 2):
        world.answer(number, prompt_version=2)
    world.prompt = {"label": "staging"}
    await proposed(world)
    world.order(OrderKind.APPROVE)
    await world.tick()
    assert await labels(world) == {1: {"production"}, 2: set(), 3: {"latest", "staging"}}


async def test_a_policy_that_only_observes_makes_no_release(world: World) -> None:
    world.prompt = {"release": {"policy": "observe"}}
    run, begun = await passed(world)
    ended = await propose(world.house, run, begun)
    assert ended["reason"] == "passed, and only reported: the policy of support is `observe`"
    assert world.store.releases.of_prompt("support") == ()


async def test_a_rejected_proposal_is_remembered_with_the_words(world: World) -> None:
    run = await proposed(world)
    world.order(OrderKind.REJECT, why="The order number is on the page already.")
    await world.tick()
    assert state(world, run) == ("rejected", "The order number is on the page already.")
    await world.tick()
    assert (await world.registry.head("support")).newest == 1
    prompt_id = world.store.ledgers.prompt_id("support")
    (refused,) = world.store.refused_edits.of(prompt_id)
    assert (refused.actor, refused.words) == ("ada", "The order number is on the page already.")
    assert refused.because == ReleaseState.REJECTED


async def test_what_was_rejected_is_not_proposed_again_and_its_words_reach_the_critic(world: World) -> None:
    await proposed(world)
    world.order(OrderKind.REJECT, why="The order number is on the page already.")
    await world.tick()
    world.pass_time(days=1)
    for number in (3, 4, 5):
        world.complaint(number)
    run = world.cycle("later")
    ended = await world.walk(run, collect, find_candidate, gate)
    assert ended["ended"] == "skipped", ended
    asked = "\n".join(message.content for request in world.model.requests for message in request.messages)
    assert "The order number is on the page already." in asked
    reasons = [refusal.reason for refusal in world.store.refusals.of(run.cycle_id) if refusal.kind == "edit"]
    assert reasons == ["The same edit was tried and failed; make another one, or none."]


async def test_a_newer_proposal_takes_the_place_of_an_older_one(world: World) -> None:
    first = await proposed(world)
    world.pass_time(days=1)
    for number in (3, 4):
        world.complaint(number)
    second = await proposed(world, "second")
    assert state(world, first) == ("superseded", f"{second.cycle_id} takes its place")
    world.order(OrderKind.APPROVE)
    await world.tick()
    assert state(world, second)[0] == "promoted"
    assert moves(world, first) == ["proposed", "superseded"]


async def test_an_order_that_the_lifecycle_does_not_allow_says_so(world: World) -> None:
    run = await proposed(world)
    world.order(OrderKind.REJECT, why="no")
    world.pass_time(minutes=1)
    order = world.order(OrderKind.APPROVE, run_id=run.cycle_id)
    told = (await world.tick())["told"]
    assert isinstance(told, dict)
    assert told[order.id] == (
        "not done: a release that is rejected cannot be told to approve; see `tracegrad releases support`."
    )
    assert world.store.orders.pending("support") == ()


async def test_without_a_release_an_order_says_where_to_look(world: World) -> None:
    order = world.order(OrderKind.APPROVE)
    told = (await world.tick())["told"]
    assert told == {
        order.id: "not done: no release of support can be told to approve; see `tracegrad releases support`."
    }


class DyingRegistry(MemoryRegistry):
    """Does what it is asked, and then the process dies before it can write that down."""

    def __init__(self, deaths: Sequence[str], error: Exception) -> None:
        super().__init__()
        self.deaths, self.error, self.asked = list(deaths), error, list[str]()

    async def publish(self, name: str, body: Body, *, base: Head, run_id: str, note: str) -> Published | Superseded:
        done = await super().publish(name, body, base=base, run_id=run_id, note=note)
        self._die("publish")
        return done

    async def move_label(self, name: str, label: str, *, to: int, expect: int) -> bool:
        done = await super().move_label(name, label, to=to, expect=expect)
        self._die("label")
        return done

    def _die(self, at: str) -> None:
        self.asked.append(at)
        if at in self.deaths:
            self.deaths.remove(at)
            raise self.error


def dying(world: World, *deaths: str, error: Exception) -> DyingRegistry:
    world.registry = DyingRegistry(deaths, error)
    world.registry.add("support", BODY, labels=["production"])
    return world.registry


@pytest.mark.parametrize("death", ["publish", "label"])
async def test_a_crash_between_effect_and_record_publishes_once(world: World, death: str) -> None:
    registry = dying(world, death, error=KeyError("kill -9"))
    run = await proposed(world)
    world.order(OrderKind.APPROVE)
    with pytest.raises(KeyError):
        await world.tick()
    await world.tick()
    assert state(world, run)[0] == "promoted"
    assert (await registry.head("support")).newest == 2
    assert registry.asked == (["publish", "publish", "label"] if death == "publish" else ["publish", "label", "label"])
    assert moves(world, run).count("published") == 1


async def test_a_person_who_moves_the_label_after_a_crash_is_not_overruled(world: World) -> None:
    registry = dying(world, "label", error=KeyError("kill -9"))
    registry.add("support", "By hand.")
    run = await proposed(world)
    world.order(OrderKind.APPROVE)
    with pytest.raises(KeyError):
        await world.tick()
    registry.label("support", "production", 2)
    await world.tick()
    assert state(world, run) == ("superseded", "somebody moved `production` meanwhile, so version 3 was left alone")
    assert (await labels(world))[2] == {"production"}


async def test_what_passed_is_not_lost_when_the_registry_is_away_for_a_moment(world: World) -> None:
    registry = dying(world, "publish", error=ServerFault("502"))
    run = await proposed(world)
    world.order(OrderKind.APPROVE)
    await world.tick()
    assert state(world, run)[0] == "promoted"
    assert registry.asked == ["publish", "publish", "label"]


async def test_who_asks_us_to_wait_longer_than_a_tick_may_take_is_asked_by_a_later_one(world: World) -> None:
    registry = dying(world, "publish", error=RateLimited("slow down", retry_after_s=60.0))
    run = await proposed(world)
    world.order(OrderKind.APPROVE)
    await world.tick()
    assert state(world, run) == ("approved", "could not go on: slow down")
    assert registry.asked == ["publish"]
    await world.tick()
    assert state(world, run)[0] == "promoted"
    assert registry.asked == ["publish", "publish", "label"]


async def test_a_person_was_faster(world: World) -> None:
    run = await proposed(world)
    world.registry.add("support", "By hand.", labels=["production"])
    world.order(OrderKind.APPROVE)
    await world.tick()
    assert state(world, run) == ("superseded", "production reads version 2 now, and it was made from version 1")
    assert await labels(world) == {1: set(), 2: {"latest", "production"}}


class RacedRegistry(MemoryRegistry):
    """A person publishes right before us, and after we looked."""

    def __init__(self, *, after: bool) -> None:
        super().__init__()
        self._after = after

    async def publish(self, name: str, body: Body, *, base: Head, run_id: str, note: str) -> Published | Superseded:
        self._by_hand(name, now=not self._after)
        stray = self.add(name, body, commit_message=f"{note} [run {run_id}]")
        self._by_hand(name, now=self._after)
        return Superseded(head=await self.head(name, label=base.label), stray=stray.version)

    def _by_hand(self, name: str, *, now: bool) -> None:
        if now:
            self.add(name, "By hand.", labels=["production"])


@pytest.mark.parametrize("after", [True, False])
async def test_a_stray_version_gets_no_label_and_an_alarm_names_it(
    world: World, after: bool, caplog: pytest.LogCaptureFixture
) -> None:
    world.registry = RacedRegistry(after=after)
    world.registry.add("support", BODY, labels=["production"])
    run = await proposed(world)
    world.order(OrderKind.APPROVE)
    await world.tick()
    ended, reason = state(world, run)
    assert ended == "superseded"
    assert f"our version {2 if after else 3} carries no label" in reason
    assert ("ALARM: `latest` points to version 3" in reason) is not after
    assert ("ALARM: `latest` points to version 3" in caplog.text) is not after
    found = await labels(world)
    assert (
        found == {1: set(), 2: set(), 3: {"latest", "production"}}
        if after
        else {1: set(), 2: {"production"}, 3: {"latest"}}
    )
    await world.tick()
    assert (await world.registry.head("support")).newest == 3


async def test_evidence_that_is_too_old_is_not_acted_on(world: World) -> None:
    run = await proposed(world)
    world.pass_time(days=14)
    await world.tick()
    assert moves(world, run) == ["proposed", "expired"]
    assert (await world.registry.head("support")).newest == 1


async def test_what_was_published_in_time_is_finished_however_late(world: World) -> None:
    dying(world, "label", error=KeyError("kill -9"))
    run = await proposed(world)
    world.order(OrderKind.APPROVE)
    with pytest.raises(KeyError):
        await world.tick()
    world.pass_time(days=15)
    await world.tick()
    assert state(world, run)[0] == "promoted"


async def test_what_did_not_pass_is_not_proposed(world: World) -> None:
    world.judge.scores = {Arm.BASELINE: 0.9, Arm.CANDIDATE: 0.1}
    run = world.cycle()
    begun = await world.walk(run, collect, find_candidate)
    await gate(world.house, run, begun)
    ended = await propose(world.house, run, begun)
    assert ended["ended"] == "failed"
    assert world.store.releases.of_prompt("support") == ()


async def test_nothing_moves_forward_in_a_freeze_and_everything_after_it(world: World) -> None:
    run = await proposed(world)
    world.order(OrderKind.APPROVE)
    world.store.freezes.freeze(Freeze(prompt=EVERY, actor="grace", why="incident", at=world.clock.now()))
    await world.tick()
    assert state(world, run) == ("approved", "frozen: everything was frozen by grace")
    assert await labels(world) == {1: {"latest", "production"}}
    skipped = await world.walk(world.cycle("frozen"), collect)
    assert skipped == {"ended": "skipped", "reason": "everything is frozen by grace"}
    world.store.freezes.unfreeze(EVERY, actor="grace", why="over", at=world.clock.now())
    await world.tick()
    assert state(world, run)[0] == "promoted"


async def test_a_rollback_takes_production_back_in_a_freeze_too(world: World) -> None:
    run = await proposed(world)
    world.order(OrderKind.APPROVE)
    await world.tick()
    world.store.freezes.freeze(Freeze(prompt="support", actor="grace", why="incident", at=world.clock.now()))
    world.order(OrderKind.ROLLBACK, why="customers call")
    await world.tick()
    assert state(world, run) == ("rolled_back", "customers call")
    assert await labels(world) == {1: {"production"}, 2: {"latest"}}


async def test_a_rollback_to_a_version_of_the_persons_choice(world: World) -> None:
    world.registry.add("support", "The very first.")
    run = await proposed(world)
    world.order(OrderKind.APPROVE)
    await world.tick()
    order = world.order(OrderKind.ROLLBACK, argument=2, why="the first was best")
    told = (await world.tick())["told"]
    assert told == {order.id: "`production` points to version 2"}
    assert state(world, run)[0] == "rolled_back"
    assert await labels(world) == {1: set(), 2: {"production"}, 3: {"latest"}}


async def test_what_a_gate_left_undecided_is_released_in_a_persons_name(world: World) -> None:
    world.prompt = {"gate": {"datasets": ["curated"], "sealed_datasets": [], "replayed": 0, "sealed": 0}}
    run = world.cycle()
    undecided = await world.walk(run, collect, find_candidate, gate)
    assert undecided["ended"] == "done", undecided
    order = world.order(OrderKind.ACCEPT_UNPROVEN, run_id=run.cycle_id, why="the cases are few and I read them all")
    told = (await world.tick())["told"]
    assert told == {order.id: "approved: unproven, accepted by a person: the cases are few and I read them all"}
    assert state(world, run)[0] == "promoted"
    events = world.store.releases.events(run.cycle_id)
    assert [(e.state.value, e.actor) for e in events][:2] == [("proposed", "ada"), ("approved", "ada")]
    assert "unproven" in events[1].evidence


async def test_what_a_gate_refused_is_released_in_nobodys_name(world: World) -> None:
    world.judge.scores = {Arm.BASELINE: 0.9, Arm.CANDIDATE: 0.1}
    run = world.cycle()
    await world.walk(run, collect, find_candidate, gate)
    order = world.order(OrderKind.ACCEPT_UNPROVEN, run_id=run.cycle_id, why="please")
    told = (await world.tick())["told"]
    assert isinstance(told, dict)
    assert str(told[order.id]).startswith("not done: ")
    assert world.store.releases.of_prompt("support") == ()


async def test_a_newer_proposal_does_not_overtake_an_approval_of_the_same_moment(world: World) -> None:
    run = await proposed(world)
    seen = world.store.releases.get(run.cycle_id)
    world.order(OrderKind.APPROVE)
    world.pass_time(seconds=1)
    await world.tick()
    at = world.clock.now()
    left = world.store.releases.advance(run.cycle_id, ReleaseState.SUPERSEDED, at=at, reason="newer", expect=seen)
    assert left.state is ReleaseState.PROMOTED
    assert moves(world, run)[-1] == "promoted"
