"""Anchors: what a release fixed is kept once, in a dataset that people can read, and never changes the release."""

from collections.abc import Sequence

import pytest
from conftest import SetClock
from house_samples import State, World, rows

from connectors.memory import MemoryCaseSource
from deploy.collecting import collect
from deploy.gating.stage import gate
from deploy.lifecycle import ReleaseState
from deploy.optimizing import find_candidate
from deploy.store.facade import Store
from deploy.store.fence import Run
from optimizer.errors import BadCredentials, ServerFault
from optimizer.types import Arm, Case, CaseOrigin, Missing, ScoreKind

DATASET = "tracegrad-anchors-support"
PROMOTED = "promoted: `production` points to version 2: approved by ada"


@pytest.fixture
def world(owned: Store, clock: SetClock) -> World:
    found = World(owned, clock)
    found.complaint(1)
    found.complaint(2)
    found.judge_it(
        12, trace_id="t2", name="output", kind=ScoreKind.CORRECTION, value="What is your number?", comment=""
    )
    return found


async def passed(world: World) -> tuple[Run, State]:
    run = world.cycle()
    state = await world.walk(run, collect, find_candidate, gate)
    assert "ended" not in state, state
    return run, state


class DyingCases(MemoryCaseSource):
    """Writes what it is asked to, and then fails, so many times."""

    def __init__(self, inner: MemoryCaseSource, error: Exception, times: int) -> None:
        super().__init__(inner.datasets)
        self.error, self.times, self.asked = error, times, 0

    async def keep(self, dataset: str, cases: Sequence[Case]) -> None:
        self.asked += 1
        await super().keep(dataset, cases)
        if self.asked <= self.times:
            raise self.error


async def anchors(world: World) -> list[Case]:
    return [case async for case in world.cases.cases(DATASET)]


async def test_every_complaint_that_was_fixed_becomes_an_anchor(world: World) -> None:
    run, state = await passed(world)
    assert DATASET not in world.cases.datasets, "a gate alone keeps nothing"
    assert await world.release(run, state) == PROMOTED
    kept = await anchors(world)
    assert [case.origin for case in kept] == [CaseOrigin.ANCHOR] * 2
    assert all(case.id.startswith("anchor-") for case in kept)
    assert {case.input.history[-1].content for case in kept} == {"Where is parcel 1?", "Where is parcel 2?"}
    assert {case.reference for case in kept} == {Missing.NO_REFERENCE, "What is your number?"}


async def test_a_repeated_publish_keeps_them_once(world: World) -> None:
    run, state = await passed(world)
    await world.release(run, state)
    kept, stored = await anchors(world), rows(world.store)
    await world.tick()
    assert (await anchors(world), rows(world.store)) == (kept, stored)


async def test_a_crash_after_writing_them_neither_repeats_nor_loses_them(world: World) -> None:
    run, state = await passed(world)
    world.cases = DyingCases(world.cases, KeyError("kill -9"), times=1)
    with pytest.raises(KeyError):
        await world.release(run, state)
    await world.tick()
    assert world.store.releases.get(run.cycle_id).state is ReleaseState.PROMOTED
    assert len(await anchors(world)) == 2
    assert (await world.registry.head("support")).newest == 2


async def test_langfuse_is_away_for_a_moment(world: World) -> None:
    run, state = await passed(world)
    world.cases = DyingCases(world.cases, ServerFault("502"), times=1)
    assert await world.release(run, state) == PROMOTED
    assert len(await anchors(world)) == 2


async def test_what_cannot_be_kept_is_told_and_the_release_stands(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    run, state = await passed(world)
    world.cases = DyingCases(world.cases, BadCredentials("the key may only read", "give it more rights"), times=9)
    assert await world.release(run, state) == PROMOTED
    said = "the complaints that it fixed could not be kept as anchors (BadCredentials)"
    assert [(record.getMessage(), record.action) for record in caplog.records] == [(said, "anchors")]  # type: ignore[attr-defined]
    assert world.store.releases.get(run.cycle_id).state is ReleaseState.PROMOTED


async def test_a_complaint_that_was_not_fixed_is_no_anchor(world: World) -> None:
    world.judge.scores = {Arm.BASELINE: 0.55, Arm.CANDIDATE: 0.95}
    run, state = await passed(world)
    assert await world.release(run, state) == PROMOTED
    assert DATASET not in world.cases.datasets
