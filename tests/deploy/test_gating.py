"""The gate stage: whose cases are used, what the judge is told, and a verdict that is given once."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from conftest import SetClock
from house_samples import BODY, FIXED, World, rows

from deploy.collecting import collect, losses_about
from deploy.gating.stage import gate
from deploy.gating.suite import Recorded, Suite, assembled
from deploy.optimizing import find_candidate
from deploy.store.facade import Store
from optimizer.errors import BadInput, NotFound
from optimizer.types import Arm, Case, CaseInput, CaseOrigin, Generation, Missing, ScoreKind, Verdict


@pytest.fixture
def world(owned: Store, clock: SetClock) -> World:
    return World(owned, clock)


def replayed(cases: Sequence[Case]) -> list[Case]:
    return [case for case in cases if case.origin is CaseOrigin.REPLAY]


async def suite(world: World, recorded: Sequence[Generation], **given: Any) -> Suite:
    prompt = world.house.settings.prompt("support")
    return await assembled(
        prompt, world.cases, world.registry, Recorded(inputs=recorded, **given), secret=b"of this installation"
    )


ALL_OPEN = {"datasets": ["curated"], "sealed_datasets": ["sealed"], "replayed": 10, "sealed": 0}


async def test_gate_cases_never_come_from_gradient_sources_and_are_one_per_source(world: World) -> None:
    world.prompt = {"gate": ALL_OPEN}
    for number in range(3):
        world.complaint(number)
        world.answer(number + 10, source_key=f"user{number}")  # of the same people, about something else
    for number in range(20, 26):
        world.answer(number, ago=timedelta(minutes=number), source_key=f"innocent{number % 2}")
    run = world.cycle()
    assert "ended" not in await world.walk(run, collect, find_candidate, gate)
    screened = [case for cases in world.judge.compared for case in cases if case.origin is CaseOrigin.REPLAY]
    assert {case.source_key for case in screened} <= {"innocent0", "innocent1"}
    kept = await suite(world, world.traces.all_generations, gradient_sources={"user0", "user1", "user2"})
    assert len(kept.screen) == 102
    assert {case.source_key for case in replayed(kept.screen)} == {"innocent0", "innocent1"}
    assert world.judge.arms[Arm.BASELINE].body == BODY
    assert world.judge.arms[Arm.CANDIDATE].body == f"{BODY}\n{FIXED}"


async def test_a_source_is_sealed_or_open_and_never_both(world: World) -> None:
    world.prompt = {"gate": {"datasets": ["curated"], "replayed": 100, "sealed": 100}}
    recorded = [world.answer(number, source_key=f"user{number % 40}") for number in range(120)]
    kept = await suite(world, recorded)
    opened = {case.source_key for case in replayed(kept.screen)}
    sealed = {case.source_key for case in kept.sealed}
    assert len(opened) + len(sealed) == len(opened | sealed) == 40
    assert min(len(opened), len(sealed)) >= 8, "by a hash, half of them each"
    assert (await suite(world, recorded)).sealed == kept.sealed


async def test_no_more_cases_than_the_owner_wants(world: World) -> None:
    world.prompt = {"gate": {**ALL_OPEN, "replayed": 2}}
    recorded = [world.answer(number) for number in range(30, 36)]
    assert len(replayed((await suite(world, recorded)).screen)) == 2
    world.prompt = {"gate": {**ALL_OPEN, "replayed": 2, "max_cases": 101}}
    assert len((await suite(world, recorded)).screen) == 101, "`max_cases` bounds both"


async def test_inputs_that_cannot_be_rebuilt_are_left_out_and_counted(world: World) -> None:
    world.prompt = {"gate": ALL_OPEN}
    recorded = [
        world.answer(1),
        world.answer(2, input="something else altogether"),
        world.answer(3, input=json.dumps([{"role": "system", "content": "Another prompt."}])),
        world.answer(4, prompt_version=99),  # a version that somebody has deleted since
    ]
    kept = await suite(world, recorded)
    (case,) = replayed(kept.screen)
    assert case.source_key == "user1"
    assert case.input.history[-1].content == "Where is parcel 1?"
    assert (case.recorded_output, case.reference, case.complaint) == ("No idea 1.", Missing.NO_REFERENCE, "")
    assert kept.replayable == 0.25


async def test_the_judge_is_told_what_people_said_about_a_replayed_case(world: World) -> None:
    world.prompt = {"gate": ALL_OPEN}
    world.answer(1)
    world.judge_it(1, comment="It never asked for my number")
    world.judge_it(
        11, trace_id="t1", name="output", kind=ScoreKind.CORRECTION, value="What is your number?", comment=""
    )
    world.answer(2)
    world.judge_it(2, comment="", value=0.1)  # bad, but nobody said why
    recorded = list(world.traces.all_generations)
    world.store.traces.save(recorded, world.traces.all_scores, at=world.clock.now())
    losses = losses_about(world.store, world.house.settings.prompt("support"), recorded)
    cases = replayed((await suite(world, recorded, losses=losses)).screen)
    told = {case.source_key: (case.complaint, case.reference) for case in cases}
    assert told == {
        "user1": ("It never asked for my number", "What is your number?"),
        "user2": ("", Missing.NO_REFERENCE),
    }
    others = await suite(world, recorded, gradient_sources=["user1"], losses=losses)
    assert [case.source_key for case in replayed(others.screen)] == ["user2"]


async def test_complaints_that_gave_no_gradient_reach_the_judge(world: World) -> None:
    world.prompt = {"max_complaints": 2, "gate": ALL_OPEN}
    for number in range(4):
        world.answer(number, ago=timedelta(hours=1 + number))
        world.judge_it(number, ago=timedelta(minutes=5), comment=f"complaint {number}")
    await world.walk(world.cycle(), collect, find_candidate, gate)
    told = {case.complaint for cases in world.judge.compared for case in replayed(cases)}
    assert told <= {"complaint 2", "complaint 3"}


@pytest.mark.parametrize(
    ("setting", "name", "error", "said"),
    [
        ("datasets", "gone", NotFound, "there is no dataset 'gone'; create it in Langfuse or take it out of"),
        ("sealed_datasets", "gone", NotFound, "there is no dataset 'gone'; create it in Langfuse or take it out of"),
        ("datasets", "empty", BadInput, "the dataset 'empty' holds no active item; add some or take it out of"),
    ],
)
async def test_a_dataset_that_is_missing_or_empty(
    world: World, setting: str, name: str, error: type[Exception], said: str
) -> None:
    world.cases.datasets["empty"] = []
    world.prompt = {"gate": {"datasets": ["curated"], setting: [name]}}
    with pytest.raises(error) as told:
        await suite(world, ())
    assert str(told.value) == f"{said} `gate.{setting}` of support."


@pytest.mark.parametrize(
    ("scores", "note", "verdict", "reason"),
    [
        ((0.2, 0.9), "", Verdict.PASS, ""),
        ((0.9, 0.2), "", Verdict.FAIL, "Failed: the candidate answers worse"),
        ((0.5, 0.5), "", Verdict.FAIL, "Failed: a gain of 5 points or more can be ruled out"),
        ((0.2, 0.9), "the runner died", Verdict.UNDECIDED, "Undecided: the evaluation did not run to its end"),
    ],
)
async def test_only_a_pass_goes_on(
    world: World, scores: tuple[float, float], note: str, verdict: Verdict, reason: str
) -> None:
    world.judge.scores = dict(zip((Arm.BASELINE, Arm.CANDIDATE), scores, strict=True))
    world.judge.note = note
    world.complaint(1)
    world.complaint(2)
    run = world.cycle()
    state = await world.walk(run, collect, find_candidate, gate)
    assert world.store.cycles.get(run.cycle_id).verdict is verdict
    report = world.store.reports.load(run.cycle_id)
    assert report is not None
    assert report.verdict is verdict
    assert state.get("ended") == (None if verdict is Verdict.PASS else "done")
    assert str(state.get("reason", "")).startswith(reason)


async def test_too_few_cases_are_undecided(world: World) -> None:
    world.cases.datasets["curated"] = [
        Case(id="d1", origin=CaseOrigin.DATASET, input=CaseInput(), reference="r", source_key="d1")
    ]
    world.complaint(1)
    world.complaint(2)
    state = await world.walk(world.cycle(), collect, find_candidate, gate)
    assert state == {"ended": "done", "reason": "Undecided: 1 cases are too few; 100 are needed."}


async def test_a_verdict_is_given_once(world: World) -> None:
    world.complaint(1)
    world.complaint(2)
    run = world.cycle()
    before = await world.walk(run, collect, find_candidate)
    first = await gate(world.house, run, before)
    kept = rows(world.store)
    world.judge.scores = {Arm.BASELINE: 0.9, Arm.CANDIDATE: 0.1}
    world.pass_time(hours=1)
    assert await gate(world.house, run, before) == first
    assert rows(world.store) == kept
    assert len(world.judge.compared) == 1, "what was proven is not proven again"
