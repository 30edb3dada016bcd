"""The gate stage of a cycle: whose cases are used, a verdict that is given once, and what later cycles learn of it."""

from datetime import timedelta

import pytest
from conftest import SetClock
from house_samples import BODY, FIXED, World, rows

from deploy.collecting import collect
from deploy.gating.stage import gate, gradient_sources
from deploy.optimizing import find_candidate, remembered
from deploy.store.facade import Store
from optimizer.proof import Proof
from optimizer.types import Arm, CaseOrigin, Verdict


@pytest.fixture
def world(owned: Store, clock: SetClock) -> World:
    return World(owned, clock)


async def test_the_people_behind_a_candidate_are_no_cases_but_complaints(world: World) -> None:
    for number in range(3):
        world.complaint(number)
        world.answer(number + 10, source_key=f"user{number}")  # of the same people, about something else
    for number in range(20, 40):
        world.answer(number, ago=timedelta(minutes=number), source_key=f"innocent{number}")
    run = world.cycle()
    assert "ended" not in await world.walk(run, collect, find_candidate, gate)
    asked = [case for cases in world.judge.compared for case in cases]
    people = {case.source_key for case in asked if case.origin is CaseOrigin.REPLAY}
    assert people
    assert all(person.startswith("innocent") for person in people)
    assert {case.source_key for case in asked if case.origin is CaseOrigin.COMPLAINT} == {"user0", "user1", "user2"}
    assert world.judge.arms[Arm.BASELINE].body == BODY
    assert world.judge.arms[Arm.CANDIDATE].body == f"{BODY}\n{FIXED}"


async def test_a_source_that_gave_a_gradient_once_gives_no_case_in_any_later_cycle(world: World) -> None:
    world.complaint(1)
    world.complaint(2)
    await world.walk(world.cycle("first"), collect, find_candidate, gate)
    world.judge.compared.clear()
    world.pass_time(hours=2)
    world.complaint(3)
    world.complaint(4)
    await world.walk(world.cycle("second"), collect, find_candidate, gate)
    asked = [case for cases in world.judge.compared for case in cases if case.origin is CaseOrigin.REPLAY]
    assert not {case.source_key for case in asked} & {"user1", "user2"}


async def test_a_rename_forgets_nobody_who_gave_a_gradient(world: World) -> None:
    for number in (1, 2):
        world.complaint(number)
    await world.walk(world.cycle("first"), collect, find_candidate, gate)
    world.others = ("help",)
    unnamed = world.house.settings.prompt("help")
    renamed = unnamed.model_copy(update={"formerly": ("support",)})
    assert gradient_sources(world.house, unnamed) == frozenset()
    assert gradient_sources(world.house, renamed) == {"user1", "user2"}, "at the first gate under the new name"


@pytest.mark.parametrize(
    ("scores", "note", "verdict", "reason"),
    [
        ((0.2, 0.9), "", Verdict.PASS, ""),
        ((0.9, 0.2), "", Verdict.FAIL, "Failed: the candidate answers worse"),
        ((0.5, 0.5), "", Verdict.FAIL, "Failed: no difference: both versions scored the same"),
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
    world.cases.datasets["curated"] = world.cases.datasets["curated"][:1]
    world.complaint(1)
    world.complaint(2)
    state = await world.walk(world.cycle(), collect, find_candidate, gate)
    assert state == {
        "ended": "done",
        "reason": "Undecided: 1 judged case, and 50 are needed; name a larger dataset, or raise `gate.replayed`.",
    }


async def test_what_is_only_screened_is_not_published_where_a_proof_is_asked_for(world: World) -> None:
    world.prompt = {"gate": {"datasets": ["curated"], "replayed": 10, "sealed": 10}}
    world.complaint(1)
    world.complaint(2)
    run = world.cycle()
    state = await world.walk(run, collect, find_candidate, gate)
    report = world.store.reports.load(run.cycle_id)
    assert report is not None
    assert (report.verdict, report.proof) == (Verdict.UNDECIDED, Proof.SCREENED)
    assert str(state["reason"]).startswith("Undecided: screened, not proven: 0 sealed cases are left")


async def test_a_verdict_is_given_once(world: World) -> None:
    world.complaint(1)
    world.complaint(2)
    run = world.cycle()
    before = await world.walk(run, collect, find_candidate)
    first = await gate(world.house, run, before)
    kept, asked = rows(world.store), len(world.judge.compared)
    world.judge.scores = {Arm.BASELINE: 0.9, Arm.CANDIDATE: 0.1}
    world.pass_time(hours=1)
    assert await gate(world.house, run, before) == first
    assert rows(world.store) == kept
    assert len(world.judge.compared) == asked, "what was proven is not proven again"


async def test_later_cycles_learn_the_verdict_and_no_number(world: World) -> None:
    world.complaint(1)
    world.complaint(2)
    await world.walk(world.cycle("first"), collect, find_candidate, gate)
    world.pass_time(hours=1)
    (past,) = remembered(world.house, world.cycle("second"), ())
    assert (past.verdict, past.reason) == (Verdict.PASS, "the gate's verdict: pass")
