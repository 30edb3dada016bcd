"""A person's change through the gate, over the twin house: the same cases, the same budget, nothing published."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from conftest import SetClock
from house_samples import BODY, FIXED, World

from deploy.collecting import collect
from deploy.gating.handwritten import Change, Till, judged
from deploy.gating.stage import gate
from deploy.optimizing import find_candidate
from deploy.store.facade import Store
from deploy.store.ledger import Ledger
from optimizer.errors import BadInput
from optimizer.prompts import Body, Message
from optimizer.proof import GateReport, Proof
from optimizer.types import Arm, Case, CaseInput, CaseOrigin, Verdict


@pytest.fixture
def world(owned: Store, clock: SetClock) -> World:
    return World(owned, clock)


async def report(world: World, candidate: Body = f"{BODY}\n{FIXED}", **given: Any) -> GateReport:
    change = Change(prompt=world.house.settings.prompt("support"), candidate=candidate, **given)
    outcome = await judged(world.house, change, Till())
    assert (await world.registry.head("support")).newest == 1
    assert outcome.address == ""
    return outcome.report


def stakes(world: World) -> list[float]:
    prompt_id = world.store.ledgers.prompt_id("support")
    opened = world.store.ledgers.stakes(prompt_id, Ledger.PROPOSAL)
    return sorted((row.stake for row in opened), reverse=True)  # all of the same moment


async def test_a_screen_stakes_nothing_and_a_claim_stakes_out_of_the_daemons_budget(world: World) -> None:
    screened = await report(world)
    assert (screened.verdict, screened.proof) == (Verdict.PASS, Proof.SCREENED)
    assert stakes(world) == []
    proven = await report(world, claim=True)
    assert (proven.verdict, proven.proof) == (Verdict.PASS, Proof.PROVEN)
    assert stakes(world) == pytest.approx([0.05])

    world.complaint(1)
    world.complaint(2)
    run = world.cycle()
    await world.walk(run, collect, find_candidate, gate)
    assert stakes(world) == pytest.approx([0.05, 0.045]), "the daemon pays from the same budget"
    cycles = world.store.reports.load(run.cycle_id)
    assert cycles is not None
    assert cycles.claim is not None
    assert proven.claim is not None
    mine, daemons = ({pair.case.id for pair in one.evidence.pairs} for one in (proven.claim, cycles.claim))
    assert mine.isdisjoint(daemons)


async def test_sources_that_gave_a_gradient_give_no_case_to_a_person_either(world: World) -> None:
    world.prompt = {
        "gate": {"datasets": ["curated"], "replayed": 10, "sealed": 0, "claim": False},
        "release": {"policy": "observe"},
    }
    world.complaint(1)
    world.complaint(2)
    await world.walk(world.cycle(), collect, find_candidate)
    for number in (3, 4):
        world.answer(number)
    world.judge.compared.clear()
    await report(world)
    replayed = {case.source_key for cases in world.judge.compared for case in cases} - {
        case.source_key for case in world.cases.datasets["curated"]
    }
    assert replayed <= {"user3", "user4"}


async def test_the_candidate_that_is_the_baseline(world: World) -> None:
    found = await report(world, f"{BODY}\n")
    assert (found.verdict, found.proof, found.evidence.pairs) == (Verdict.PASS, Proof.NONE, ())
    nothing = await report(world, f"{BODY}\n", claim=True)
    assert nothing.verdict is Verdict.UNDECIDED, "there is nothing to prove"
    assert stakes(world) == []
    assert world.judge.compared == []
    same = await report(world, "Be kind.\n", baseline="Be kind.")
    assert same.reasons[0].startswith("No change: ")


async def test_a_chat_is_no_candidate_for_a_text(world: World) -> None:
    with pytest.raises(BadInput, match="the prompt is plain text, and the candidate is a chat; write"):
        await report(world, (Message(role="system", content="Be kind."),))


async def test_the_baseline_may_be_another_text(world: World) -> None:
    await report(world, baseline="Be rude.\n")
    assert world.judge.arms[Arm.BASELINE].body == "Be rude."
    assert world.judge.arms[Arm.CANDIDATE].body == f"{BODY}\n{FIXED}"


def cases(count: int) -> Sequence[Case]:
    return [
        Case(id=f"c{n}", origin=CaseOrigin.DATASET, input=CaseInput(), reference="r", source_key=f"c{n}")
        for n in range(count)
    ]


async def test_a_hundred_thousand_cases_of_which_some_come_twice(world: World) -> None:
    many = cases(100_000)
    world.cases.datasets["many"] = list(many)
    world.cases.datasets["again"] = [replace(case, reference="another") for case in many[:1000]]
    world.prompt = {
        "gate": {"datasets": ["many", "again"], "replayed": 0, "sealed": 0, "claim": False, "max_cases": 400},
        "release": {"policy": "observe"},
    }
    world.judge.scores = {Arm.BASELINE: 0.5, Arm.CANDIDATE: 0.5}
    found = await report(world)
    scored = [pair.case.id for pair in found.evidence.pairs]
    assert len(scored) == len(set(scored)) <= 400
