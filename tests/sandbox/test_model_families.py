"""Families of tasks: kinds that differ, the same in every process, winnable, and with their difficulty in effect."""

import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.model.families import _FILLER, _FRAME, POOL, Kind, family
from sandbox.model.grader import grade, hits
from sandbox.model.ideas import speaks_of
from sandbox.model.prompt import features
from sandbox.model.task import answer
from sandbox.model.world import World, needed

KINDS = pytest.mark.parametrize("kind", Kind)


def accuracy(world: World, prompt: str, seed: int = 1) -> float:
    found = hits(world, world.cases(150, seed=seed, stream="test"), seed=seed, prompt=prompt)
    return sum(found) / len(found)


@KINDS
@pytest.mark.parametrize("seed", range(3))
def test_a_family_has_room_for_improvement_and_a_prompt_that_uses_it(kind: Kind, seed: int) -> None:
    world = family(kind, seed)
    first, best = accuracy(world, world.base_prompt), accuracy(world, world.oracle_prompt)
    assert 0 <= first <= 0.65
    assert best >= 0.78
    assert best - first >= 0.25
    assert sum(world.shares) == pytest.approx(1)
    assert not set(world.ideas) & set(world.idle)
    found = features(world, world.oracle_prompt)
    assert found.stated == {idea.key for idea in world.ideas}
    assert not found.contradicted | found.nagged
    assert found.clarity == 1.0


@KINDS
def test_questions_need_the_ideas_they_were_made_from(kind: Kind) -> None:
    world = family(kind, 4)
    for case in world.cases(150, seed=2, stream="a"):
        assert {idea.key for idea in needed(world, case.question)} == set(case.ideas), case.question


def test_kinds_and_seeds_differ() -> None:
    worlds = [family(kind, seed) for kind in Kind for seed in range(3)]
    assert len({tuple(idea.key for idea in world.ideas) for world in worlds}) == len(worlds)
    assert len(family(Kind.MANY, 1).ideas) >= 12
    assert max(family(Kind.MANY, 1).shares) > 8 * min(family(Kind.MANY, 1).shares)
    assert not family(Kind.POOR, 1).traits.rich
    assert family(Kind.NOISY, 1).traits.fickle > family(Kind.PLAIN, 1).traits.fickle
    assert len(family(Kind.LONG, 1).base_prompt) > 3 * len(family(Kind.PLAIN, 1).base_prompt)
    clashing = family(Kind.CLASHING, 1)
    assert len(features(clashing, clashing.base_prompt).contradicted) == 2


def test_in_a_clashing_family_repetition_and_length_hurt() -> None:
    world = family(Kind.CLASHING, 2)
    best = world.oracle_prompt
    repeated = "\n".join([best, *(idea.lines[1] for idea in world.ideas)])
    padded = best + "\nBe attentive." * 40
    assert features(world, repeated).nagged == {idea.key for idea in world.ideas}
    assert accuracy(world, repeated) < accuracy(world, best) - 0.2
    assert accuracy(world, padded) < accuracy(world, best) - 0.04
    plain = family(Kind.PLAIN, 2)
    repeated = "\n".join([plain.oracle_prompt, *(idea.lines[1] for idea in plain.ideas)])
    assert accuracy(plain, repeated) > accuracy(plain, plain.oracle_prompt) - 0.05


def test_nothing_around_the_rules_states_one() -> None:
    for line in (*_FRAME, *_FILLER):
        assert not [idea.key for idea in POOL if speaks_of(idea, line)], line


def test_the_grader_says_what_is_missing_in_words_or_only_what_was_expected() -> None:
    for kind, rich in ((Kind.PLAIN, True), (Kind.POOR, False)):
        world = family(kind, 3)
        case = world.cases(40, seed=1, stream="grader")[0]
        bad, good = (answer(world, seed=1, prompt=p, question=case.question) for p in ("Be nice.", world.oracle_prompt))
        main = world.idea(case.ideas[0])
        bad = bad.replace(main.answer, main.vague)
        graded = grade(world, case, bad)
        assert graded.score == 0
        assert f'"{case.expected}"' in graded.feedback
        assert any(complaint in graded.feedback for complaint in main.complaints) is rich
        assert grade(world, case, good + main.phrase).score == 1
        assert grade(world, case, good + main.phrase).feedback.startswith("Correct")


def test_another_process_draws_the_same_families() -> None:
    program = (
        "from sandbox.model.families import Kind, family\n"
        "print([(w.base_prompt, w.shares, w.traits) for w in (family(k, 1234) for k in Kind)])"
    )
    root = Path(__file__).parents[2]
    there = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    here = [(w.base_prompt, w.shares, w.traits) for w in (family(kind, 1234) for kind in Kind)]
    assert there.stdout == f"{here}\n"
