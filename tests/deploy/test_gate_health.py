"""What the doctor says about a prompt's gate, over the twin house: nothing is scored, staked or paid."""

from collections.abc import Sequence
from typing import Any

import pytest
from conftest import SetClock
from house_samples import World

from deploy.doctor import Check, Health
from deploy.gating.health import check_gate
from deploy.store.facade import Store
from deploy.store.ledger import Ledger
from gates.cases import content
from optimizer.types import Case, CaseInput, CaseOrigin

GATE: dict[str, Any] = {
    "datasets": ["curated"],
    "sealed_datasets": ["sealed"],
    "replayed": 10,
    "sealed": 10,
    "min_cases": 50,
}


@pytest.fixture
def world(owned: Store, clock: SetClock) -> World:
    return World(owned, clock, prompt={"gate": GATE})


async def found(world: World, **gate: Any) -> list[Check]:
    screened = {} if gate.get("claim", True) else {"release": {"policy": "observe"}}
    world.prompt = {"gate": {**GATE, **gate}, **screened}
    sample = [world.answer(number) for number in range(3)]
    return [check async for check in check_gate(world.house, world.house.settings.prompt("support"), sample)]


def said(checks: Sequence[Check], health: Health) -> list[str]:
    return [check.said for check in checks if check.health is health]


async def test_all_is_well_and_nothing_was_used_up(world: World) -> None:
    checks = await found(world)
    assert {check.health for check in checks} == {Health.OK}
    text = "\n".join(check.said for check in checks)
    assert "answers are judged by scripted 1" in text
    assert "cases, 100 from datasets" in text
    assert "sealed cases that nobody has scored yet" in text
    assert "0.5 of the error budget of 0.5 a year is left; the next claim stakes 0.05 and needs evidence of 20" in text
    prompt_id = world.store.ledgers.prompt_id("support")
    assert world.store.ledgers.stakes(prompt_id, Ledger.PROPOSAL) == ()
    assert world.store.case_uses.counts(prompt_id) == {}
    assert world.judge.compared == []
    assert world.model.requests == []


async def test_a_dataset_that_is_missing_and_one_that_is_empty(world: World) -> None:
    world.cases.datasets["empty"] = []
    checks = await found(world, datasets=["gone"], sealed_datasets=["empty"])
    assert said(checks, Health.FAILED) == [
        "there is no dataset 'gone'; create it in Langfuse or take it out of `gate.datasets` of support.",
        "the dataset 'empty' holds no active item; add some or take it out of `gate.sealed_datasets` of support.",
    ]


async def test_too_few_cases_and_too_few_sealed_ones(world: World) -> None:
    world.cases.datasets["small"] = [
        Case(id="x1", origin=CaseOrigin.DATASET, input=CaseInput(), reference="r", source_key="x1")
    ]
    checks = await found(world, datasets=["small"], sealed_datasets=["small"])
    screen, sealed = said(checks, Health.WARNING)
    assert "passes nothing on fewer than 50; name a larger dataset." in screen
    assert "and a claim needs 50; wait for new traffic, raise `gate.sealed`" in sealed


async def test_sealed_cases_that_were_scored_are_no_longer_sealed(world: World) -> None:
    prompt_id = world.store.ledgers.prompt_id("support")
    used = [content(case) for case in world.cases.datasets["sealed"][:60]]
    world.store.case_uses.use(prompt_id, "an-earlier-gate", used, at=world.clock.now())
    (sealed,) = said(await found(world), Health.WARNING)
    assert sealed.startswith("4")


async def test_a_spent_budget(world: World) -> None:
    prompt_id = world.store.ledgers.prompt_id("support")
    for number in range(3):
        world.store.ledgers.open(
            prompt_id, Ledger.PROPOSAL, release_id=f"r{number}", candidate="c", budget=0.5, at=world.clock.now()
        )
    text = "\n".join(said(await found(world), Health.OK))
    assert "0.364 of the error budget of 0.5 a year is left; the next claim stakes 0.036" in text
    assert "needs evidence of 27" in text


async def test_embeddings_are_needed_only_for_meanings(world: World) -> None:
    checks = await found(world, assertions=[{"type": "similar:cosine", "value": "x"}])
    assert said(checks, Health.FAILED) == [
        "an assertion of type `similar` needs embeddings; name a model at `model.embedding`."
    ]


async def test_screening_alone_needs_nothing_sealed(world: World) -> None:
    checks = await found(world, claim=False, sealed_datasets=[])
    assert "`claim` is off: what passes is screened, not proven" in said(checks, Health.OK)


async def test_a_score_of_people_that_nobody_gives_is_told(world: World) -> None:
    (unknown,) = said(await found(world, human_score="helpfull"), Health.WARNING)
    assert unknown == (
        "of the last 30 days, 0 answers have a score 'helpfull'; correct `gate.human_score`, or have people score some."
    )
    world.complaint(7)
    told = said(await found(world, human_score="helpful"), Health.OK)
    start = "of the last 30 days, 1 answers have a score 'helpful'"
    assert f"{start}; the judge is held to people's scores from 30 on" in told
