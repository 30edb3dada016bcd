"""Scores find the generations they are about, and complaints become words, without a model and in a fixed order."""

import itertools
import math

import pytest
from scripted import generation, score

from optimizer.rules import BooleanRule, CategoryRule, CorrectionRule, Direction, EveryScore, NumericRule, ScoreRule
from optimizer.traces.losses import is_asked_for, is_complaint, join, text_losses
from optimizer.types import LossKind, Score, ScoreKind

LOW = NumericRule(name="user-feedback", threshold=0.5)
HIGH = NumericRule(name="toxicity", threshold=0.2, direction=Direction.LOWER_IS_BETTER)
THUMB = BooleanRule(name="helpful")
WRONG = CategoryRule(name="quality", bad=("wrong", "rude"))
FIXED = CorrectionRule()
RULES: tuple[ScoreRule, ...] = (LOW, HIGH, THUMB, WRONG, FIXED)

BOOLEAN, CATEGORICAL, CORRECTION = ScoreKind.BOOLEAN, ScoreKind.CATEGORICAL, ScoreKind.CORRECTION


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (score("s", 0.1), "scored 0.1 for user-feedback, below 0.5"),
        (score("s", 0.5), ""),
        (score("s", math.nan), ""),
        (score("s", 0.9, name="toxicity"), "scored 0.9 for toxicity, above 0.2"),
        (score("s", 0.1, name="toxicity"), ""),
        (score("s", 0.1, name="other"), ""),
        (score("s", False, name="helpful", kind=BOOLEAN), "marked false for helpful"),
        (score("s", True, name="helpful", kind=BOOLEAN), ""),
        (score("s", 0.0, name="helpful"), ""),
        (score("s", "rude", name="quality", kind=CATEGORICAL), 'marked "rude" for quality'),
        (score("s", "fine", name="quality", kind=CATEGORICAL), ""),
        (score("s", "some text", kind=ScoreKind.TEXT), ""),
    ],
)
def test_each_rule_has_its_complaint_and_its_words(given: Score, words: str) -> None:
    assert is_complaint(given, RULES) is bool(words)
    losses = text_losses(join([given], [generation("g")], RULES).traces, RULES)
    assert [(loss.kind, loss.text) for loss in losses] == ([(LossKind.SCORE, words)] if words else [])


@pytest.mark.parametrize("value", [0.1, 0.9])
def test_to_ask_for_every_score_is_no_complaint(value: float) -> None:
    given, rules = score("s", value), [EveryScore(name="user-feedback")]
    assert is_asked_for(given, rules)
    assert not is_asked_for(given, [EveryScore(name="other")])
    assert not is_complaint(given, rules)
    joined = join([given], [generation("g")], rules)
    assert (joined.traces, joined.waiting, text_losses(joined.traces, rules)) == ((), (), ())


def test_a_true_value_can_be_the_bad_one() -> None:
    flagged = score("s", True, name="escalated", kind=BOOLEAN)
    assert is_complaint(flagged, [BooleanRule(name="escalated", bad=True)])


def test_a_comment_is_the_loss_as_it_stands() -> None:
    traces = join([score("s", 0.1, comment=" too long\n")], [generation("g")], RULES).traces
    assert [(loss.kind, loss.text, loss.weight) for loss in text_losses(traces, RULES)] == [
        (LossKind.COMMENT, "too long", 1.0)
    ]


def test_a_comment_on_a_good_score_is_no_complaint() -> None:
    assert join([score("s", 0.9, comment="thanks")], [generation("g")], RULES).traces == ()


def test_a_correction_is_the_best_loss_and_holds_the_corrected_output() -> None:
    given = [
        score("a", 0.1),
        score("b", 0.2, comment="wrong day"),
        score("c", "On Monday.", name="output", kind=CORRECTION, comment="days matter"),
    ]
    losses = text_losses(join(given, [generation("g")], RULES).traces, RULES)
    assert losses[0].kind is LossKind.CORRECTION
    assert losses[0].text == "On Monday."
    assert {(loss.kind, loss.text) for loss in losses[1:]} == {
        (LossKind.COMMENT, "wrong day"),
        (LossKind.COMMENT, "days matter"),
    }


def test_a_correction_that_changes_nothing_confirms_the_output() -> None:
    same = score("c", " answer g ", name="output", kind=CORRECTION)
    assert text_losses(join([same], [generation("g")], RULES).traces, RULES) == ()


def test_a_score_of_an_observation_is_about_that_generation_alone() -> None:
    pair = [generation("g", trace="t"), generation("h", trace="t", prompt="router")]
    [trace] = join([score("s", 0, trace="t", observation="g")], pair, RULES).traces
    assert trace.generation.id == "g"
    assert trace.n_prompts == 2
    assert [loss.weight for loss in text_losses([trace], RULES)] == [1.0]


def test_a_score_of_a_trace_blames_its_prompts_in_equal_shares() -> None:
    pair = [
        generation("g", trace="t"),
        generation("h", trace="t", prompt="router"),
        generation("i", trace="t", prompt=""),
    ]
    traces = join([score("s", 0, trace="t")], pair, RULES).traces
    assert [trace.generation.id for trace in traces] == ["g", "h"]
    assert [loss.weight for loss in text_losses(traces, RULES)] == [0.5, 0.5]
    assert [loss.weight for loss in text_losses(traces[:1], RULES)] == [0.5]


def test_generations_of_one_prompt_share_its_part_of_the_blame() -> None:
    three = [generation(key, trace="t") for key in "ghi"]
    losses = text_losses(join([score("s", 0, trace="t")], three, RULES).traces, RULES)
    assert sum(loss.weight for loss in losses) == pytest.approx(1)


@pytest.mark.parametrize("observation", ["a-tool-call", "elsewhere"])
def test_a_score_of_another_observation_is_about_the_linked_generations_of_its_trace(observation: str) -> None:
    rows = [generation("g", trace="t"), generation("elsewhere", trace="other")]
    joined = join([score("s", 0, trace="t", observation=observation)], rows, RULES)
    assert [trace.generation.id for trace in joined.traces] == ["g"]


def test_complaints_about_invisible_traces_wait() -> None:
    given = [score("z", 0, trace="late"), score("a", 0, trace="unlinked"), score("m", 1, trace="late")]
    joined = join(given, [generation("g", trace="unlinked", prompt="")], RULES)
    assert joined.waiting == ("a", "z")
    assert joined.traces == ()


def test_the_row_that_was_edited_last_counts() -> None:
    rows = [score("s", 0.1, comment="bad", edited=0), score("s", 0.9, comment="good after all", edited=5)]
    for order in itertools.permutations(rows):
        joined = join(order, [generation("g")], RULES)
        assert joined.traces == ()
        assert joined.waiting == ()


def test_the_same_words_about_the_same_trace_are_one_loss() -> None:
    given = [score("a", 0, trace="t", comment="bad"), score("b", 0.2, trace="t", observation="g", comment="bad")]
    pair = [generation("g", trace="t"), generation("h", trace="t", prompt="router")]
    losses = text_losses(join(given, pair, RULES).traces, RULES)
    assert sorted((loss.trace.generation.id, loss.weight) for loss in losses) == [("g", 1.0), ("h", 0.5)]


def test_order_depends_on_content_only() -> None:
    scores = [
        score("a", 0.1, trace="t1", comment="older"),
        score("b", 0.1, trace="t2"),
        score("c", "Better.", trace="t1", name="output", kind=CORRECTION),
        score("d", 0.1, trace="t3", comment="newer"),
    ]
    rows = [generation(f"g{n}", trace=f"t{n}", minutes=n) for n in (1, 2, 3)]
    expected = text_losses(join(scores, rows, RULES).traces, RULES)
    assert [loss.text for loss in expected] == ["Better.", "newer", "older", "scored 0.1 for user-feedback, below 0.5"]
    for shuffled in itertools.permutations(scores):
        joined = join(shuffled, reversed(rows), RULES)
        assert text_losses(reversed(joined.traces), RULES) == expected
