"""The gate stage: whose cases are used, what the judge is told, and a verdict that is given once."""

import json
from collections.abc import Sequence
from datetime import timedelta

import pytest
from conftest import SetClock
from house_samples import BODY, FIXED, World, rows

from deploy.collecting import collect, losses_about
from deploy.gating import gate, gate_cases
from deploy.optimizing import find_candidate
from deploy.store.facade import Store
from optimizer.errors import NotFound
from optimizer.types import Arm, Case, CaseInput, CaseOrigin, Missing, ScoreKind, Verdict


@pytest.fixture
def world(owned: Store, clock: SetClock) -> World:
    return World(owned, clock)


def replayed(cases: Sequence[Case]) -> list[Case]:
    return [case for case in cases if case.origin is CaseOrigin.REPLAY]


async def test_gate_cases_never_come_from_gradient_sources_and_are_one_per_source(world: World) -> None:
    for number in range(3):
        world.complaint(number)
        world.answer(number + 10, source_key=f"user{number}")  # of the same people, about something else
    for number in range(20, 26):
        world.answer(number, ago=timedelta(minutes=number), source_key=f"innocent{number % 2}")
    run = world.cycle()
    assert "ended" not in await world.walk(run, collect, find_candidate, gate)
    (cases,) = world.judge.compared
    assert len(cases) == 102
    assert {case.source_key for case in replayed(cases)} == {"innocent0", "innocent1"}
    assert world.judge.arms[Arm.BASELINE].body == BODY
    assert world.judge.arms[Arm.CANDIDATE].body == f"{BODY}\n{FIXED}"


async def test_no_more_replayed_cases_than_the_owner_wants(world: World) -> None:
    world.prompt = {"gate": {"datasets": ["curated"], "replayed": 2, "max_pairs": 101}}
    for number in range(3):
        world.complaint(number)
    for number in range(20, 26):
        world.answer(number, ago=timedelta(minutes=number))
    await world.walk(world.cycle(), collect, find_candidate, gate)
    (cases,) = world.judge.compared
    assert len(cases) == 101, "`max_pairs` bounds both"
    world.prompt = {"gate": {"datasets": ["curated"], "replayed": 2}}
    recorded = [world.answer(number) for number in range(30, 36)]
    prompt = world.house.settings.prompt("support")
    cases = await gate_cases(prompt, world.cases, world.registry, recorded, gradient_sources=())
    assert len(replayed(cases)) == 2


async def test_inputs_that_cannot_be_rebuilt_are_left_out(world: World) -> None:
    prompt = world.house.settings.prompt("support")
    recorded = [
        world.answer(1),
        world.answer(2, input="something else altogether"),
        world.answer(3, input=json.dumps([{"role": "system", "content": "Another prompt."}])),
        world.answer(4, prompt_version=99),  # a version that somebody has deleted since
    ]
    cases = await gate_cases(prompt, world.cases, world.registry, recorded, gradient_sources=())
    (case,) = replayed(cases)
    assert case.source_key == "user1"
    assert case.input.history[-1].content == "Where is parcel 1?"
    assert (case.recorded_output, case.reference, case.complaint) == ("No idea 1.", Missing.NO_REFERENCE, "")


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
    prompt = world.house.settings.prompt("support")
    losses = losses_about(world.store, prompt, recorded)
    cases = await gate_cases(prompt, world.cases, world.registry, recorded, gradient_sources=(), losses=losses)
    told = {case.source_key: (case.complaint, case.reference) for case in replayed(cases)}
    assert told == {
        "user1": ("It never asked for my number", "What is your number?"),
        "user2": ("", Missing.NO_REFERENCE),
    }
    cases = await gate_cases(prompt, world.cases, world.registry, recorded, gradient_sources=["user1"], losses=losses)
    assert [case.source_key for case in replayed(cases)] == ["user2"]


async def test_complaints_that_gave_no_gradient_reach_the_judge(world: World) -> None:
    world.prompt = {"max_complaints": 2}
    for number in range(4):
        world.answer(number, ago=timedelta(hours=1 + number))
        world.judge_it(number, ago=timedelta(minutes=5), comment=f"complaint {number}")
    await world.walk(world.cycle(), collect, find_candidate, gate)
    assert {c.complaint for c in replayed(world.judge.compared[0])} == {"complaint 2", "complaint 3"}


async def test_a_dataset_that_is_missing(world: World) -> None:
    world.prompt = {"gate": {"datasets": ["curated", "gone"]}}
    prompt = world.house.settings.prompt("support")
    with pytest.raises(NotFound) as told:
        await gate_cases(prompt, world.cases, world.registry, (), gradient_sources=())
    assert str(told.value) == (
        "there is no dataset 'gone'; create it in Langfuse or take it out of `gate.datasets` of support."
    )


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
