"""The vocabulary of ideas: everything said about an idea is recognised as this idea's and nobody else's."""

import pytest

from sandbox.model.families import POOL
from sandbox.model.ideas import Idea, contradicts, mentions, speaks_of, states
from sandbox.model.shop_ideas import DELIVERY_DATES, REFUND_WINDOW
from sandbox.model.vocabulary import BEYOND_PROMPTS, BEYOND_SIGNS

IDEAS = pytest.mark.parametrize("idea", POOL, ids=lambda idea: idea.key)


@IDEAS
def test_lines_state_their_idea_only(idea: Idea) -> None:
    for line in idea.lines:
        assert [other.key for other in POOL if states(other, line)] == [idea.key], line
        assert not [other.key for other in POOL if contradicts(other, line)], line


@IDEAS
def test_odd_lines_are_recognised_as_nobodys(idea: Idea) -> None:
    for line in idea.odd_lines:
        assert not [other.key for other in POOL if speaks_of(other, line)], line


@IDEAS
def test_names_questions_and_complaints_belong_to_one_idea(idea: Idea) -> None:
    for name in idea.names:
        assert [other.key for other in POOL if speaks_of(other, name)] == [idea.key], name
    for question in idea.questions:
        assert [other.key for other in POOL if mentions(question, other.topics)] == [idea.key], question
    for complaint in idea.complaints:
        assert [other.key for other in POOL if mentions(complaint, other.signs)] == [idea.key], complaint
        assert not mentions(complaint, BEYOND_SIGNS), complaint


@IDEAS
def test_only_the_answer_contains_the_checkable_phrase(idea: Idea) -> None:
    assert idea.phrase in idea.answer
    for other in POOL:
        assert idea.phrase.lower() not in other.vague.lower()
        assert other is idea or idea.phrase.lower() not in other.answer.lower()


def test_complaints_beyond_prompts_carry_their_signs_and_no_ideas() -> None:
    for complaint in BEYOND_PROMPTS:
        assert mentions(complaint, BEYOND_SIGNS)
        assert not [idea.key for idea in POOL if mentions(complaint, idea.signs)], complaint


@pytest.mark.parametrize(
    ("idea", "line", "stated", "contradicted"),
    [
        (REFUND_WINDOW, "Never mention the refund window.", False, True),
        (REFUND_WINDOW, "Never forget to mention the refund window.", True, False),
        (DELIVERY_DATES, "Promise a delivery date in every answer.", False, True),
        (DELIVERY_DATES, "Do not promise any delivery date.", True, False),
    ],
)
def test_negation(idea: Idea, line: str, stated: bool, contradicted: bool) -> None:
    assert states(idea, line) is stated
    assert contradicts(idea, line) is contradicted
