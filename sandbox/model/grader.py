"""Grades one answer of a simulated task, for every system that is compared and in the same words for each.

A row is right when the answer contains the phrase of its main idea: 1, otherwise 0. The other ideas that a question
needs show in rich feedback only. The grader is exact: it must not err, so that accuracy means the same everywhere.
"""

from dataclasses import dataclass

from sandbox.model.chance import pick
from sandbox.model.task import answer
from sandbox.model.world import Case, World, missed


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """What an answer is worth, and why."""

    score: float
    feedback: str


def grade(world: World, case: Case, output: str) -> Grade:
    """The grade of one answer."""
    if case.expected.lower() in output.lower():
        return Grade(score=1.0, feedback="Correct: the answer contains what was expected.")
    expected = f'The expected answer contains "{case.expected}".'
    if not world.traits.rich:
        return Grade(score=0.0, feedback=f"Wrong. {expected}")
    lacking = missed(world, case.question, output)
    said = " ".join(pick(idea.complaints, "feedback", case.question, idea.key) for idea in lacking)
    return Grade(score=0.0, feedback=f"Wrong. {said} {expected}")


def hits(world: World, cases: tuple[Case, ...], *, seed: int, prompt: str) -> tuple[int, ...]:
    """1 or 0 for each case: the prompt's own answer, sampled greedily."""
    said = (answer(world, seed=seed, prompt=prompt, question=case.question) for case in cases)
    return tuple(int(grade(world, case, text).score) for case, text in zip(cases, said, strict=True))
