"""The Pareto front, and the parents drawn from it."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from optimizer.search.front import covers, draw, front

CASES = [f"c{n}" for n in range(5)]
SCORES = st.dictionaries(
    st.text("pqrs", min_size=1, max_size=3),
    st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=5, max_size=5).map(
        lambda row: dict(zip(CASES, row, strict=True))
    ),
    min_size=1,
    max_size=6,
)


def dominated(scores: dict[str, dict[str, float]], one: str) -> bool:
    """Is another one nowhere worse and somewhere better?"""
    return any(
        all(other[c] >= scores[one][c] for c in CASES) and any(other[c] > scores[one][c] for c in CASES)
        for other in scores.values()
    )


@given(SCORES)
def test_without_a_margin_the_front_is_what_nobody_dominates(scores: dict[str, dict[str, float]]) -> None:
    kept = front(scores, margin=0.0)
    different = {tuple(scores[one].values()) for one in scores if not dominated(scores, one)}
    assert {tuple(scores[one].values()) for one in kept} == different
    assert len(kept) == len(different)


@given(SCORES, st.sampled_from([0.0, 0.5, 1.0, 2.0]))
def test_the_best_mean_is_on_the_front_whatever_the_margin(scores: dict[str, dict[str, float]], margin: float) -> None:
    best = max(sum(row.values()) for row in scores.values())
    kept = front(scores, margin=margin)
    assert any(sum(scores[one].values()) == best for one in kept)
    assert set(kept) <= set(front(scores, margin=0.0))


def test_one_lucky_case_puts_nobody_on_the_front() -> None:
    steady = dict(zip(CASES, [1.0, 1.0, 1.0, 0.0, 0.0], strict=True))
    lucky = dict(zip(CASES, [0.0, 0.0, 1.0, 1.0, 0.0], strict=True))
    strong = dict(zip(CASES, [0.0, 0.0, 0.0, 1.0, 1.0], strict=True))
    assert front({"steady": steady, "lucky": lucky}, margin=0.0) == ("steady", "lucky")
    assert front({"steady": steady, "lucky": lucky}, margin=1.0) == ("steady",)
    assert front({"steady": steady, "strong": strong}, margin=1.0) == ("steady", "strong")


def test_only_cases_that_both_answered_are_compared() -> None:
    assert covers({"c0": 0.0, "c1": 1.0}, {"c1": 1.0, "c2": 1.0}, margin=0.0)
    assert not covers({"c1": 0.0}, {"c1": 1.0, "c2": 0.0}, margin=0.0)


def test_parents_are_drawn_by_the_seed_and_the_first_is_given() -> None:
    scores = {name: {c: float((n + k) % 3 == 0) for k, c in enumerate(CASES)} for n, name in enumerate("abcdef")}
    members = tuple(scores)
    drawn = [draw(scores, members, "c", 3, Random(f"seed {n}")) for n in range(20)]
    assert drawn == [draw(scores, members, "c", 3, Random(f"seed {n}")) for n in range(20)]
    assert {one[0] for one in drawn} == {"c"}
    assert all(len(set(one)) == 3 for one in drawn)
    assert len(set(drawn)) > 5
    assert draw(scores, ("c",), "c", 3, Random(1)) == ("c",)
