"""The simulated customers: they complain about bad answers, in words that fit, and some of them are hostile."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sandbox.model.ideas import mentions
from sandbox.model.task import answer
from sandbox.model.vocabulary import BEYOND_SIGNS
from sandbox.model.world import World, missed
from sandbox.scenario.customers import FEEDBACK, HOSTILE_LINE, Stream, attacks, feedback, hostile, questions
from sandbox.scenario.history import DISLIKED, QUESTIONS, USERS
from sandbox.scenario.support import Answered

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
WORLD = World.support()
STREAM = Stream(name="history", seed=7, start=NOW - timedelta(days=6), end=NOW, users=USERS)


def answered(prompt: str, stream: Stream = STREAM) -> list[Answered]:
    return [
        Answered(
            question=question,
            output=answer(WORLD, seed=7, prompt=prompt, question=question.text),
            prompt_version=1,
            observation_id=question.trace_id[16:],
        )
        for question in questions(WORLD, stream, QUESTIONS)
    ]


def ratings(prompt: str) -> list[float]:
    said = feedback(WORLD, STREAM, answered(prompt))
    return [value for score in said if score["name"] == FEEDBACK and isinstance(value := score["value"], float)]


def test_better_prompts_are_liked_better() -> None:
    before, after = ratings(WORLD.base_prompt), ratings(WORLD.oracle_prompt)
    assert len(before) == len(after) > 100
    assert sum(before) / len(before) < 0.4
    assert sum(after) / len(after) > 0.65


def test_a_low_rating_means_a_lacking_answer_or_something_no_prompt_can_fix() -> None:
    by_trace = {one.question.trace_id: one for one in answered(WORLD.base_prompt)}
    unfixable = fitting = 0
    for score in feedback(WORLD, STREAM, list(by_trace.values())):
        one = by_trace[str(score["traceId"])]
        lacking = missed(WORLD, one.question.text, one.output)
        comment = str(score.get("comment", ""))
        if mentions(comment, BEYOND_SIGNS):
            unfixable += 1
        elif comment:
            assert any(mentions(comment, idea.signs) for idea in lacking), comment
            fitting += 1
        if score["name"] == FEEDBACK and not mentions(comment, BEYOND_SIGNS):
            assert isinstance(score["value"], float)
            assert (score["value"] < DISLIKED) == bool(lacking)
    assert fitting >= 70
    assert 3 <= unfixable <= 20


def test_corrections_are_complete_answers() -> None:
    by_trace = {one.question.trace_id: one for one in answered(WORLD.base_prompt)}
    corrections = [s for s in feedback(WORLD, STREAM, list(by_trace.values())) if s["dataType"] == "CORRECTION"]
    assert 3 <= len(corrections) <= 15
    for score in corrections:
        assert not missed(WORLD, by_trace[str(score["traceId"])].question.text, str(score["value"]))
        assert score["name"] == "output"
        assert score["source"] == "ANNOTATION"


def test_about_two_hundred_people_ask_in_order_of_time() -> None:
    asked = questions(WORLD, STREAM, QUESTIONS)
    assert 180 <= len({question.user for question in asked}) <= 220
    assert [q.at for q in asked] == sorted(q.at for q in asked)
    assert all(STREAM.start <= q.at < STREAM.end for q in asked)
    assert len({q.trace_id for q in asked}) == QUESTIONS
    assert not {q.user for q in asked} & {q.user for q in attacks(WORLD, STREAM, 2)}


def test_attackers_write_five_comments_or_one_each() -> None:
    two, many = attacks(WORLD, STREAM, 2), attacks(WORLD, STREAM, 30)
    assert (len(two), len({q.user for q in two})) == (5, 2)
    assert (len(many), len({q.user for q in many})) == (30, 30)


def test_hostile_comments_all_carry_the_line() -> None:
    said = hostile(STREAM, answered(WORLD.base_prompt)[:5])
    assert len(said) == 5
    assert all(HOSTILE_LINE in str(score["comment"]) and score["value"] == 0.0 for score in said)


def test_everything_repeats_by_seed_and_differs_between_streams() -> None:
    assert feedback(WORLD, STREAM, answered(WORLD.base_prompt)) == feedback(WORLD, STREAM, answered(WORLD.base_prompt))
    other = replace(STREAM, name="turn-1")
    mine, theirs = questions(WORLD, STREAM, QUESTIONS), questions(WORLD, other, QUESTIONS)
    assert not {q.trace_id for q in mine} & {q.trace_id for q in theirs}
