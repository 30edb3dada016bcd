"""The split by source, how rows are shared out, and what is refused before anything is spent."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import FENCE, PLAN, SEED, ToyJudge, ToyModel, case, rows

from optimizer.errors import BadInput
from optimizer.prompts import Message, PromptVersion
from optimizer.search.search import search
from optimizer.search.sizes import Sizes, breadth, checked
from optimizer.search.split import split
from optimizer.types import Case

SHARES = (0.5, 0.25, 0.25)
SOURCES = st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=30)


@given(SOURCES, st.binary(min_size=1, max_size=8))
def test_sources_are_divided_completely_and_stay_where_they_are(sources: list[str], secret: bytes) -> None:
    cases = [case(f"row-{n}", "apples", source=source) for n, source in enumerate(sources)]
    found = split(cases, secret=secret, shares=SHARES)
    sides = (found.train, found.validation, found.holdout)
    assert sorted(c.id for side in sides for c in side) == sorted(c.id for c in cases)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert {c.source_key for c in sides[one]}.isdisjoint(c.source_key for c in sides[other])
    fewer = split(reversed(cases[: len(cases) // 2]), secret=secret, shares=SHARES)
    for before, after in zip((fewer.train, fewer.validation, fewer.holdout), sides, strict=True):
        assert set(before) <= set(after)


def test_shares_are_kept_in_the_long_run_and_the_secret_decides() -> None:
    cases = rows("r", 2000)
    found = split(cases, secret=b"one", shares=(0.6, 0.3, 0.1))
    assert [round(len(side) / 2000, 1) for side in (found.train, found.validation, found.holdout)] == [0.6, 0.3, 0.1]
    assert split(cases, secret=b"other").train != split(cases, secret=b"one").train
    nothing = split(cases, secret=b"one", shares=(0.7, 0.3, 0.0))
    assert nothing.holdout == ()


def test_a_case_without_a_source_stands_for_itself() -> None:
    cases = [replace(one, source_key="") for one in rows("r", 200)]
    found = split(cases, secret=b"s")
    assert min(len(found.train), len(found.validation), len(found.holdout)) > 20


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5), (1.5, -0.25, -0.25), (1.0, 0.1, 0.0)])
def test_shares_that_are_none_are_refused(shares: tuple[float, float, float]) -> None:
    with pytest.raises(BadInput, match="do not add up to 1"):
        split([], secret=b"s", shares=shares)


# ---- rows and budget -------------------------------------------------------------------------------------------------

TRAIN, VALIDATION = rows("t", 60), rows("v", 40)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [(96, 16), (150, 60), (200, 40), (240, 60), (260, 40), (300, 56), (400, 60), (9000, 60)],
)
def test_the_budget_decides_how_many_rows_are_studied(budget: int, expected: int) -> None:
    assert checked(SEED, TRAIN, VALIDATION, replace(PLAN, max_task_calls=budget)).train == expected


def test_a_budget_that_is_too_small_is_refused_with_the_smallest_that_works() -> None:
    with pytest.raises(BadInput, match=r"a budget of 95 task calls .* allow at least 96 task calls"):
        checked(SEED, TRAIN, VALIDATION, replace(PLAN, max_task_calls=95))
    assert checked(SEED, TRAIN[:3], VALIDATION[:2], replace(PLAN, max_task_calls=7)) == Sizes(train=3, regression=4)
    with pytest.raises(BadInput, match="at least 7"):
        checked(SEED, TRAIN[:3], VALIDATION[:2], replace(PLAN, max_task_calls=6))


@pytest.mark.parametrize(
    ("train", "validation", "words"),
    [
        ([], VALIDATION, "no training rows"),
        (TRAIN, [], "no validation rows"),
        ([TRAIN[0], TRAIN[0]], VALIDATION, "two training rows have the same id"),
        (TRAIN, [*VALIDATION, VALIDATION[3]], "two validation rows have the same id"),
        (TRAIN, [case("v", "apples", source="t-01"), *VALIDATION], "1 sources are in both"),
    ],
)
async def test_rows_that_nothing_can_be_found_with_cost_nothing(
    train: list[Case], validation: list[Case], words: str
) -> None:
    model = ToyModel()
    with pytest.raises(BadInput, match=words):
        await search(SEED, train=train, validation=validation, model=model, judge=ToyJudge(), plan=PLAN, fence=FENCE)
    assert model.requests == []


async def test_a_prompt_without_a_line_that_may_change_is_refused() -> None:
    prompt = PromptVersion(name="chat", version=1, body=(Message(role="user", content="{{question}}"),))
    with pytest.raises(BadInput, match="no line that may change"):
        checked(prompt, TRAIN, VALIDATION, PLAN)


@pytest.mark.parametrize(
    ("left", "expected"), [(0, (1, 1)), (300, (1, 1)), (599, (1, 1)), (600, (1, 2)), (1200, (2, 2)), (9999, (2, 2))]
)
def test_breadth_is_what_the_budget_leaves_room_for(left: int, expected: tuple[int, int]) -> None:
    assert breadth(PLAN, left, 100) == expected
