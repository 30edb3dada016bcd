"""The judge beside people: the same answers, nobody's opinion shown, a bounded number at each gate."""

from dataclasses import replace
from typing import Any

import pytest
from conftest import SetClock
from house_samples import World

from deploy.gating import agreement as agreement_file
from deploy.gating.agreement import agreement, worth
from deploy.gating.order import Evaluators
from deploy.store.facade import Store
from optimizer.errors import OverBudget
from optimizer.rules import BooleanRule, CategoryRule, Direction, NumericRule, ScoreRule
from optimizer.types import Case, Score, Scored, ScoreKind, Unscored

GATE = {"datasets": ["curated"], "human_score": "reviewed"}


@pytest.fixture
def world(owned: Store, clock: SetClock) -> World:
    return World(owned, clock, prompt={"gate": GATE})


def reviewed(world: World, number: int, value: float, *, output: str = "", **given: Any) -> Score:
    """An answer, and what a person on the team thinks of it."""
    world.answer(number, output=output or f"No idea {number}.")
    score = {"name": "reviewed", "value": value, "comment": "our own opinion", **given}
    return world.judge_it(number, **score)


async def pairs(world: World) -> list[tuple[float, float]]:
    tools = Evaluators(screen=world.judge, plain=world.judge, judge=world.judge)
    return sorted(await agreement(world.house, world.house.settings.prompt("support"), tools))


async def test_good_and_bad_answers_are_judged_once_and_their_pairs_are_kept(world: World) -> None:
    reviewed(world, 1, 0.0)
    reviewed(world, 2, 1.0, output="It is on its way.")
    reviewed(world, 3, 0.8)
    assert await pairs(world) == [(0.0, 0.0), (0.8, 0.0), (1.0, 1.0)]
    assert {case.complaint for case in world.judge.judged} == {""}, "the judge is not told what people said"
    assert await pairs(world) == [(0.0, 0.0), (0.8, 0.0), (1.0, 1.0)]
    assert len(world.judge.judged) == 3, "what was judged once is not paid again"
    reviewed(world, 4, 0.5)
    assert len(await pairs(world)) == 4


async def test_only_some_are_judged_at_one_gate_and_those_that_cannot_be_rebuilt_take_no_room(world: World) -> None:
    for number in range(agreement_file.AT_ONCE + 5):
        reviewed(world, number, 1.0)
    for number in range(100, 150):
        reviewed(world, number, 1.0)
        world.traces.all_generations[-1] = replace(world.traces.all_generations[-1], input="of another prompt")
    assert len(await pairs(world)) == agreement_file.AT_ONCE
    assert len(await pairs(world)) == agreement_file.AT_ONCE + 5


async def test_another_rubric_is_another_judge(world: World) -> None:
    reviewed(world, 1, 1.0)
    await pairs(world)
    world.prompt = {"gate": {**GATE, "rubric": "Be strict."}}
    await pairs(world)
    assert len(world.judge.judged) == 2


async def test_a_score_of_a_trace_with_two_answers_is_about_neither(world: World) -> None:
    reviewed(world, 1, 1.0)
    world.answer(2, trace_id="t1")
    assert await pairs(world) == []
    world.judge_it(3, name="reviewed", value=0.0, trace_id="t1", observation_id="g2")
    assert await pairs(world) == [(0.0, 0.0)]


async def test_without_a_name_nobody_is_asked(world: World) -> None:
    world.prompt = {"gate": {"datasets": ["curated"]}}
    reviewed(world, 1, 1.0)
    assert await pairs(world) == []
    assert world.judge.judged == []


async def test_a_judge_of_pairs_agrees_with_nobody(world: World) -> None:
    class OfPairs:
        name = "pairs"

        async def prefer(self, case: Case, baseline: str, candidate: str) -> Any:
            raise AssertionError(case, baseline, candidate)

    reviewed(world, 1, 1.0)
    tools = Evaluators(screen=world.judge, plain=world.judge, judge=OfPairs())
    assert await agreement(world.house, world.house.settings.prompt("support"), tools) == ()


async def test_without_money_the_gate_goes_on_with_what_is_known(world: World) -> None:
    reviewed(world, 1, 1.0, output="It is on its way.")
    assert await pairs(world) == [(1.0, 1.0)]

    async def broke(case: Case, output: str) -> Scored | Unscored:
        raise OverBudget(f"{case.id} {output}")

    reviewed(world, 2, 1.0)
    world.judge.judge = broke  # type: ignore[method-assign]
    assert await pairs(world) == [(1.0, 1.0)]


def score(kind: ScoreKind, value: Any) -> Score:
    return Score(
        id="s",
        name="reviewed",
        kind=kind,
        value=value,
        comment="",
        trace_id="t",
        observation_id="",
        environment="production",
        at=SetClock().now(),
        updated_at=SetClock().now(),
    )


@pytest.mark.parametrize(
    ("kind", "value", "rule", "expected"),
    [
        (ScoreKind.NUMERIC, 0.7, None, 0.7),
        (ScoreKind.NUMERIC, 4.0, None, None),
        (ScoreKind.NUMERIC, 4.0, NumericRule(name="reviewed", threshold=3.0), 1.0),
        (ScoreKind.NUMERIC, 3.0, NumericRule(name="reviewed", threshold=3.0), 1.0),
        (ScoreKind.NUMERIC, 2.0, NumericRule(name="reviewed", threshold=3.0), 0.0),
        (ScoreKind.NUMERIC, 2.0, NumericRule(name="other", threshold=3.0), None),
        (
            ScoreKind.NUMERIC,
            2.0,
            NumericRule(name="reviewed", threshold=3.0, direction=Direction.LOWER_IS_BETTER),
            1.0,
        ),
        (ScoreKind.BOOLEAN, True, None, 1.0),
        (ScoreKind.BOOLEAN, False, None, 0.0),
        (ScoreKind.BOOLEAN, True, BooleanRule(name="reviewed", bad=True), 0.0),
        (ScoreKind.CATEGORICAL, "wrong", CategoryRule(name="reviewed", bad=("wrong",)), 0.0),
        (ScoreKind.CATEGORICAL, "fine", CategoryRule(name="reviewed", bad=("wrong",)), 1.0),
        (ScoreKind.CATEGORICAL, "fine", None, None),
        (ScoreKind.TEXT, "fine", None, None),
    ],
)
def test_which_human_values_are_good(
    kind: ScoreKind, value: Any, rule: ScoreRule | None, expected: float | None
) -> None:
    assert worth(score(kind, value), (rule,) if rule else ()) == expected
