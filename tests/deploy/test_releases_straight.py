"""The publish stage: once, only over what was read, and never over a person's change."""

from collections.abc import Sequence
from typing import Any

import pytest
from conftest import SetClock
from house_samples import BODY, FIXED, State, World, rows

from connectors.memory import MemoryRegistry
from deploy.collecting import collect
from deploy.gating.stage import gate
from deploy.lifecycle import ReleaseState
from deploy.optimizing import find_candidate
from deploy.overview import published
from deploy.release import publish
from deploy.store.facade import Store
from deploy.store.fence import LeaseLost, Run
from optimizer.errors import ServerFault
from optimizer.prompts import Body, Head, Published, Superseded
from optimizer.types import Arm

TO_PRODUCTION = {"publish_label": "production"}

ANCHORED = "; 2 fixed complaints are anchors now"


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


async def labels(world: World) -> dict[int, set[str]]:
    newest = (await world.registry.head("support")).newest
    return {n: set((await world.registry.get("support", n)).labels) for n in range(1, newest + 1)}


def moves(world: World, run: Run) -> list[str]:
    return [str(event.state) for event in world.store.releases.events(run.cycle_id)]


async def test_to_production(world: World) -> None:
    world.prompt = TO_PRODUCTION
    run, state = await passed(world)
    ended = await publish(world.house, run, state)
    assert ended == {"ended": "done", "reason": f"published version 2 of support, labelled `production`{ANCHORED}"}
    assert await labels(world) == {1: set(), 2: {"latest", "production"}}
    made = await world.registry.get("support", 2)
    assert made.body == f"{BODY}\n{FIXED}"
    assert made.commit_message.startswith("1 edit from v1. Passed (proven)")
    assert moves(world, run) == ["proposed", "approved", "published", "promoted"]
    row = world.store.releases.get(run.cycle_id)
    assert (row.version, row.base_version) == (2, 1)
    assert published(world.store, "support") == 2


async def test_to_a_label_that_exists_nowhere_yet(world: World) -> None:
    run, state = await passed(world)
    ended = await publish(world.house, run, state)
    assert ended["reason"] == f"published version 2 of support, labelled `candidate`{ANCHORED}"
    assert await labels(world) == {1: {"production"}, 2: {"latest", "candidate"}}
    assert moves(world, run) == ["proposed", "approved", "published"]


async def test_to_a_label_that_an_older_version_has(world: World) -> None:
    world.registry.add("support", BODY + " Please.", labels=["candidate"])
    run, state = await passed(world)
    await publish(world.house, run, state)
    assert await labels(world) == {1: {"production"}, 2: set(), 3: {"latest", "candidate"}}


async def test_a_prompt_that_is_read_by_another_label_than_production(world: World) -> None:
    world.registry.add("support", BODY, labels=["staging"])
    world.registry.label("support", "production", 1)
    world.traces.all_generations.clear()
    for number in (1, 2):
        world.answer(number, prompt_version=2)
    world.prompt = {"label": "staging", "publish_label": "staging"}
    run, state = await passed(world)
    ended = await publish(world.house, run, state)
    assert ended["reason"] == f"published version 3 of support, labelled `staging`{ANCHORED}"
    assert await labels(world) == {1: {"production"}, 2: set(), 3: {"latest", "staging"}}


async def test_a_repeated_publish_changes_nothing(world: World) -> None:
    world.prompt = TO_PRODUCTION
    run, state = await passed(world)
    first = await publish(world.house, run, state)
    kept = rows(world.store)
    world.pass_time(days=1)
    assert await publish(world.house, run, state) == first
    assert rows(world.store) == kept
    assert (await world.registry.head("support")).newest == 2


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


@pytest.mark.parametrize("prompt", [TO_PRODUCTION, {}])
@pytest.mark.parametrize("death", ["publish", "label"])
async def test_a_crash_between_effect_and_record_publishes_once(
    world: World, death: str, prompt: dict[str, Any]
) -> None:
    world.prompt = prompt
    registry = dying(world, death, error=KeyError("kill -9"))
    run, state = await passed(world)
    with pytest.raises(KeyError):
        await publish(world.house, run, state)
    ended = await publish(world.house, run, state)
    assert str(ended["reason"]).startswith("published version 2 of support")
    assert (await registry.head("support")).newest == 2
    assert registry.asked == (["publish", "publish", "label"] if death == "publish" else ["publish", "label", "label"])
    assert moves(world, run).count("published") == 1


async def test_a_person_who_moves_the_label_after_a_crash_is_not_overruled(world: World) -> None:
    registry = dying(world, "label", error=KeyError("kill -9"))
    run, state = await passed(world)
    with pytest.raises(KeyError):
        await publish(world.house, run, state)
    registry.label("support", "candidate", 1)
    ended = await publish(world.house, run, state)
    assert "somebody moved `candidate` meanwhile" in str(ended["reason"])
    assert (await labels(world))[1] == {"production", "candidate"}


async def test_what_passed_is_not_lost_when_the_registry_is_away_for_a_moment(world: World) -> None:
    registry = dying(world, "publish", error=ServerFault("502"))
    run, state = await passed(world)
    ended = await publish(world.house, run, state)
    assert ended["reason"] == f"published version 2 of support, labelled `candidate`{ANCHORED}"
    assert registry.asked == ["publish", "publish", "label"]


async def test_a_person_was_faster(world: World) -> None:
    run, state = await passed(world)
    world.registry.add("support", "By hand.", labels=["production"])
    ended = await publish(world.house, run, state)
    reason = "somebody changed the prompt between our read and our write; their change stands"
    assert ended == {"ended": "done", "reason": f"superseded: {reason}"}
    assert await labels(world) == {1: set(), 2: {"latest", "production"}}
    row = world.store.releases.get(run.cycle_id)
    assert (row.state, row.version, row.reason) == (ReleaseState.SUPERSEDED, 0, reason)
    assert await publish(world.house, run, state) == ended
    assert published(world.store, "support") is None


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
    run, state = await passed(world)
    ended = await publish(world.house, run, state)
    reason = str(ended["reason"])
    assert reason.startswith("superseded: ")
    assert f"our version {2 if after else 3} carries no label" in reason
    assert ("ALARM: `latest` points to version 3" in reason) is not after
    assert ("ALARM: `latest` points to version 3" in caplog.text) is not after
    found = await labels(world)
    assert (
        found == {1: set(), 2: set(), 3: {"latest", "production"}}
        if after
        else {1: set(), 2: {"production"}, 3: {"latest"}}
    )
    assert world.store.releases.get(run.cycle_id).state is ReleaseState.SUPERSEDED
    assert await publish(world.house, run, state) == ended
    assert (await world.registry.head("support")).newest == 3


async def test_somebody_moves_the_label_before_we_do(world: World) -> None:
    world.registry.add("support", BODY + " Please.", labels=["candidate"])
    run, state = await passed(world)
    world.registry.label("support", "candidate", 1)
    ended = await publish(world.house, run, state)
    reason = "published version 3, but somebody moved `candidate` meanwhile, so it was left alone"
    assert ended == {"ended": "done", "reason": reason}
    assert await labels(world) == {1: {"production", "candidate"}, 2: set(), 3: {"latest"}}
    row = world.store.releases.get(run.cycle_id)
    assert (row.state, row.version) == (ReleaseState.SUPERSEDED, 3)
    assert published(world.store, "support") is None, "nobody reads it"


async def test_evidence_that_is_too_old_is_not_published_on(world: World) -> None:
    run, state = await passed(world)
    world.pass_time(days=14)
    ended = await publish(world.house, run, state)
    assert ended["reason"] == "expired: the evidence is older than 14 days, too old to publish on"
    assert moves(world, run) == ["proposed", "approved", "expired"]
    assert await publish(world.house, run, state) == ended
    assert (await world.registry.head("support")).newest == 1


async def test_what_was_published_in_time_is_finished_however_late(world: World) -> None:
    dying(world, "label", error=KeyError("kill -9"))
    run, state = await passed(world)
    with pytest.raises(KeyError):
        await publish(world.house, run, state)
    world.pass_time(days=15)
    ended = await publish(world.house, run, state)
    assert ended["reason"] == f"published version 2 of support, labelled `candidate`{ANCHORED}"


async def test_what_did_not_pass_is_not_published(world: World) -> None:
    world.judge.scores = {Arm.BASELINE: 0.9, Arm.CANDIDATE: 0.1}
    run = world.cycle()
    state = await world.walk(run, collect, find_candidate)
    await gate(world.house, run, state)
    ended = await publish(world.house, run, state)
    assert ended["ended"] == "failed"
    assert (await world.registry.head("support")).newest == 1


async def test_a_run_that_lost_its_cycle_publishes_nothing(world: World) -> None:
    run, state = await passed(world)
    lost = Run(cycle_id=run.cycle_id, prompt=run.prompt, workflow_id=run.workflow_id, token="another's")
    with pytest.raises(LeaseLost):
        await publish(world.house, lost, state)
    assert (await world.registry.head("support")).newest == 1
