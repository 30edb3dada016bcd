"""Which cases a gate uses, and what the judge is told about them."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from conftest import SetClock
from house_samples import World, asked

from deploy.collecting import losses_about
from deploy.gating.suite import Recorded, Suite, anchors, anchors_of, assembled, case_id
from deploy.store.facade import Store
from optimizer.errors import BadInput, NotFound
from optimizer.types import Case, CaseInput, CaseOrigin, Generation, Missing, ScoreKind, TextLoss

SECRET = b"nobody knows it"


@pytest.fixture
def world(owned: Store, clock: SetClock) -> World:
    return World(owned, clock)


async def suite(
    world: World,
    inputs: Sequence[Generation] = (),
    *,
    gradient_sources: Sequence[str] = (),
    losses: Sequence[TextLoss] = (),
    complained: Sequence[Generation] = (),
    **gate: object,
) -> Suite:
    screened = {} if gate.get("claim", True) else {"release": {"policy": "observe"}}
    world.prompt = {"gate": {"datasets": ["curated"], "replayed": 100, "sealed": 100, **gate}, **screened}
    recorded = Recorded(inputs=inputs, losses=losses, gradient_sources=gradient_sources, complained=complained)
    prompt = world.house.settings.prompt("support")
    return await assembled(prompt, world.cases, world.registry, recorded, secret=SECRET)


def replayed(cases: Sequence[Case]) -> list[Case]:
    return [case for case in cases if case.origin is CaseOrigin.REPLAY]


async def test_replayed_cases_are_one_per_source_and_none_of_a_source_that_gave_a_gradient(world: World) -> None:
    recorded = [world.answer(number, source_key=f"user{number // 2}") for number in range(40)]
    found = await suite(world, recorded, gradient_sources=[f"user{number}" for number in range(5)])
    sources = [case.source_key for case in (*replayed(found.screen), *found.sealed)]
    assert sorted(sources) == sorted(f"user{number}" for number in range(5, 20))
    assert {case.origin for case in found.screen} == {CaseOrigin.DATASET, CaseOrigin.REPLAY}


async def test_no_screen_sees_a_sealed_source_and_each_stays_on_its_side(world: World) -> None:
    recorded = [world.answer(number) for number in range(60)]
    first = await suite(world, recorded[:40])
    second = await suite(world, recorded[20:])
    opened = {case.source_key for found in (first, second) for case in replayed(found.screen)}
    sealed = {case.source_key for found in (first, second) for case in found.sealed}
    assert opened
    assert sealed
    assert opened.isdisjoint(sealed)
    assert opened | sealed == {f"user{number}" for number in range(60)}


async def test_the_owner_decides_how_much_is_sealed(world: World) -> None:
    recorded = [world.answer(number) for number in range(40)]
    assert (await suite(world, recorded, sealed=0)).sealed == ()
    assert (await suite(world, recorded, claim=False)).sealed == ()
    assert not replayed((await suite(world, recorded, replayed=0)).screen)
    sides = {case.source_key for case in (await suite(world, recorded)).sealed}
    assert {case.source_key for case in (await suite(world, recorded, replayed=5, sealed=1)).sealed} == sides


async def test_the_order_mixes_what_a_first_look_sees(world: World) -> None:
    recorded = [world.answer(number) for number in range(100)]
    found = await suite(world, recorded, sealed=0)
    assert len(found.screen) == 200
    kinds = [case.origin for case in found.screen[:50]]
    assert 10 < kinds.count(CaseOrigin.REPLAY) < 40
    assert [case.id for case in found.screen] == [case.id for case in (await suite(world, recorded, sealed=0)).screen]


async def test_no_more_cases_than_the_owner_wants(world: World) -> None:
    recorded = [world.answer(number) for number in range(30)]
    assert len(replayed((await suite(world, recorded, replayed=2, sealed=0)).screen)) == 2
    found = await suite(world, recorded, max_cases=101, sealed=0)
    assert len(found.screen) == 101
    assert len(replayed(found.screen)) == 1, "curated cases come first"


async def test_inputs_that_cannot_be_rebuilt_are_left_out_and_counted(world: World) -> None:
    recorded = [
        world.answer(1),
        world.answer(2, input="something else altogether"),
        world.answer(3, input=json.dumps([{"role": "system", "content": "Another prompt."}])),
        world.answer(4, prompt_version=99),  # a version that somebody has deleted since
    ]
    found = await suite(world, recorded)
    (case,) = (*replayed(found.screen), *found.sealed)
    assert case.source_key == "user1"
    assert case.input.history[-1].content == "Where is parcel 1?"
    assert (case.recorded_output, case.reference, case.complaint) == ("No idea 1.", Missing.NO_REFERENCE, "")
    assert case.at == recorded[0].at
    assert found.replayable == 0.25
    assert (await suite(world)).replayable is Missing.NOT_RECORDED


async def test_the_judge_is_told_what_people_said_about_a_replayed_case(world: World) -> None:
    world.answer(1)
    world.judge_it(1, comment="It never asked for my number")
    world.judge_it(
        11, trace_id="t1", name="output", kind=ScoreKind.CORRECTION, value="What is your number?", comment=""
    )
    world.answer(2)
    world.judge_it(2, comment="", value=0.1)  # bad, but nobody said why
    recorded = world.traces.all_generations
    world.store.traces.save(recorded, world.traces.all_scores, at=world.clock.now())
    losses = losses_about(world.store, world.house.settings.prompt("support"), recorded)
    found = await suite(world, recorded, losses=losses, sealed=0)
    told = {case.source_key: (case.complaint, case.reference) for case in replayed(found.screen)}
    assert told == {
        "user1": ("It never asked for my number", "What is your number?"),
        "user2": ("", Missing.NO_REFERENCE),
    }


async def test_the_complaints_behind_a_candidate_are_cases_of_their_own(world: World) -> None:
    world.answer(1)
    world.judge_it(1, comment="It never asked for my number")
    recorded = world.traces.all_generations
    world.store.traces.save(recorded, world.traces.all_scores, at=world.clock.now())
    losses = losses_about(world.store, world.house.settings.prompt("support"), recorded)
    found = await suite(world, recorded, losses=losses, complained=recorded, gradient_sources=["user1"])
    (case,) = found.complaints
    assert (case.id, case.origin) == (case_id(CaseOrigin.COMPLAINT, recorded[0]), CaseOrigin.COMPLAINT)
    assert case.complaint == "It never asked for my number"
    assert not replayed((*found.screen, *found.sealed)), "whoever gave a gradient gives no evidence"


async def test_anchors_and_sealed_datasets(world: World) -> None:
    anchor = Case(
        id="anchor-1", origin=CaseOrigin.ANCHOR, input=CaseInput(), reference=Missing.NO_REFERENCE, source_key="a"
    )
    world.cases.datasets[anchors_of("support")] = [anchor]
    kept = [replace(anchor, id=f"o{n}", input=asked(f"own {n}"), origin=CaseOrigin.DATASET) for n in range(3)]
    copies = [replace(anchor, id="copy of the anchor"), replace(world.cases.datasets["curated"][7], id="of the screen")]
    world.cases.datasets["kept back"] = [*kept, *copies, replace(kept[0], id="twice")]
    found = await suite(world, sealed_datasets=["kept back"])
    assert found.anchors == (anchor,)
    older = replace(anchor, id="anchor-0")
    world.cases.datasets[anchors_of("help")] = [older]
    world.prompt = {**world.prompt, "formerly": ["help", "never used"]}
    renamed = world.house.settings.prompt("support")
    assert await anchors(renamed, world.cases) == (older, anchor), "a rename forgets no promise"
    assert len(found.sealed) == 3
    assert {case.input for case in found.sealed} == {case.input for case in kept}, "a copy is nothing new"
    assert set(found.screen).isdisjoint((anchor, *kept))


async def test_a_case_that_this_gate_scores_anyway_is_not_sealed_and_none_is_sealed_twice(world: World) -> None:
    both = await suite(world, datasets=["curated"], sealed_datasets=["curated", "sealed", "sealed"], max_cases=70)
    sealed = [case.id for case in both.sealed]
    assert len(both.screen) == 70
    assert len(sealed) == len(set(sealed)) == 130
    assert set(sealed).isdisjoint(case.id for case in both.screen)
    world.cases.datasets[anchors_of("support")] = list(both.sealed[:3])
    found = await suite(world, sealed_datasets=["sealed", anchors_of("support")])
    assert set(found.sealed).isdisjoint(found.anchors)


@pytest.mark.parametrize("setting", ["datasets", "sealed_datasets"])
async def test_a_dataset_that_is_missing_or_empty(world: World, setting: str) -> None:
    with pytest.raises(NotFound) as missing:
        await suite(world, **{setting: ["gone"]})
    assert str(missing.value) == (
        f"there is no dataset 'gone'; create it in Langfuse or take it out of `gate.{setting}` of support."
    )
    world.cases.datasets["bare"] = []
    with pytest.raises(BadInput) as empty:
        await suite(world, **{setting: ["bare"]})
    assert str(empty.value) == (
        f"the dataset 'bare' holds no active item; add some or take it out of `gate.{setting}` of support."
    )
