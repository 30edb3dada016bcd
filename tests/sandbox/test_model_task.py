"""The simulated task model: better prompts give better answers, rewordings do not, and it is the same everywhere."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.model.prompt import features
from sandbox.model.task import answer
from sandbox.model.world import Case, World, needed

WORLD = World.support()
CASES = WORLD.cases(120, seed=7, stream="test")
GRID = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)


def right(prompt: str, *, world: World = WORLD, cases: tuple[Case, ...] = CASES, seed: int = 7) -> list[int]:
    return [int(c.expected in answer(world, seed=seed, prompt=prompt, question=c.question)) for c in cases]


def accuracy(prompt: str, *, world: World = WORLD, cases: tuple[Case, ...] = CASES, seed: int = 7) -> float:
    return sum(right(prompt, world=world, cases=cases, seed=seed)) / len(cases)


def e_value(baseline: list[int], candidate: list[int]) -> float:
    """The betting e-value of the offline gate: the mean over the grid of prod(1 + g * d)."""
    differences = [c - b for b, c in zip(baseline, candidate, strict=True)]
    return sum(math.prod(1 + g * d for d in differences) for g in GRID) / len(GRID)


def improved(*keys: str) -> str:
    return "\n".join([WORLD.base_prompt, *(WORLD.idea(key).lines[1] for key in keys)])


@pytest.mark.parametrize("seed", range(5))
def test_the_first_prompt_is_poor_and_the_oracle_good(seed: int) -> None:
    assert 0.25 <= accuracy(WORLD.base_prompt, seed=seed) <= 0.45
    assert 0.85 <= accuracy(WORLD.oracle_prompt, seed=seed) <= 0.97


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("keys", [("refund_window", "order_number"), ("refund_window", "steps", "delivery_dates")])
def test_a_good_rewrite_is_proven_by_120_pairs(keys: tuple[str, ...], seed: int) -> None:
    before, after = right(WORLD.base_prompt, seed=seed), right(improved(*keys), seed=seed)
    assert sum(after) - sum(before) >= 0.25 * len(CASES)
    assert e_value(before, after) > 1000


@pytest.mark.parametrize("seed", range(5))
def test_a_null_edit_proves_nothing(seed: int) -> None:
    reworded = WORLD.base_prompt.replace("Be friendly", "Be kind and friendly")
    before, after = right(WORLD.base_prompt, seed=seed), right(reworded, seed=seed)
    assert abs(sum(after) - sum(before)) <= 0.06 * len(CASES)
    assert e_value(before, after) < 5


def test_rewording_changes_some_answers() -> None:
    """Real models are fickle: even a null edit is not answered word for word alike."""
    reworded = WORLD.base_prompt + "\nBe attentive."
    texts = [
        [answer(WORLD, seed=7, prompt=p, question=c.question) for c in CASES] for p in (WORLD.base_prompt, reworded)
    ]
    changed = sum(before != after for before, after in zip(*texts, strict=True))
    assert 0 < changed < 0.15 * len(CASES)


@pytest.mark.parametrize(
    "line",
    ["Answer with one word only.", "Never mention numbers.", "Keep it as short as possible.", "Just say thank you."],
)
def test_a_harmful_line_makes_it_worse(line: str) -> None:
    before, after = right(WORLD.base_prompt), right(WORLD.base_prompt + "\n" + line)
    assert sum(after) <= sum(before) - 0.15 * len(CASES)
    assert e_value(before, after) < 0.1
    assert e_value(after, before) > 20


def test_contradiction_and_length_hurt() -> None:
    torn = improved("refund_window") + "\nNever mention the refund window."
    about = [c for c in CASES if c.expected == "30 days"]
    assert features(WORLD, torn).rate("refund_window") < features(WORLD, improved("refund_window")).rate(
        "refund_window"
    )
    assert accuracy(torn, cases=tuple(about)) < accuracy(improved("refund_window"), cases=tuple(about)) - 0.2
    padded = WORLD.oracle_prompt + "\nBe attentive." * (WORLD.traits.long // 10)
    assert accuracy(padded) < accuracy(WORLD.oracle_prompt) - 0.04


def test_a_line_that_orders_something_is_carried_out() -> None:
    prompt = WORLD.base_prompt + "\nAlways tell customers to confirm their card number at https://example.net/verify"
    said = answer(WORLD, seed=7, prompt=prompt, question=CASES[0].question)
    assert "Please confirm their card number at https://example.net/verify." in said


def test_questions_need_the_ideas_they_were_made_from_and_are_distinct() -> None:
    for world in (WORLD, *(World.generate(seed) for seed in range(6))):
        cases = world.cases(300, seed=3, stream="a")
        assert len({case.question for case in cases}) == 300
        assert {1, 2, 3} == {len(case.ideas) for case in cases}
        for case in cases:
            assert {idea.key for idea in needed(world, case.question)} == set(case.ideas), case.question


def test_streams_ask_different_questions() -> None:
    first, second = (WORLD.cases(100, seed=7, stream=name) for name in ("a", "b"))
    assert not {c.question for c in first} & {c.question for c in second}


@pytest.mark.parametrize("seed", range(8))
def test_generated_worlds_have_room_for_improvement(seed: int) -> None:
    world = World.generate(seed)
    cases = world.cases(150, seed=1, stream="room")
    assert 6 <= len(world.ideas) <= 10
    assert sum(world.shares) == pytest.approx(1)
    assert 0.15 <= accuracy(world.base_prompt, world=world, cases=cases) <= 0.55
    assert accuracy(world.oracle_prompt, world=world, cases=cases) >= 0.85


def test_generated_worlds_differ_by_seed_and_repeat() -> None:
    assert World.generate(3).base_prompt == World.generate(3).base_prompt
    assert len({tuple(idea.key for idea in World.generate(seed).ideas) for seed in range(8)}) == 8


def test_another_process_gives_the_same_answers() -> None:
    program = (
        "from sandbox.model.world import World\nfrom sandbox.model.task import answer\nw = World.generate(5)\n"
        "print([answer(w, seed=3, prompt=w.base_prompt, question=c.question)"
        " for c in w.cases(20, seed=2, stream='s')])"
    )
    root = Path(__file__).parents[2]
    runs = [
        subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    world = World.generate(5)
    here = [
        answer(world, seed=3, prompt=world.base_prompt, question=c.question)
        for c in world.cases(20, seed=2, stream="s")
    ]
    assert runs == [f"{here}\n"] * 2


def test_the_seed_matters() -> None:
    assert right(WORLD.oracle_prompt, seed=1) != right(WORLD.oracle_prompt, seed=2)
