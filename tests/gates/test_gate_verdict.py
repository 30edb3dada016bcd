"""What a candidate has to prove, and how the verdict is told."""

import json
import math

import pytest

from gates.report import as_document, as_markdown, as_text
from gates.verdict import GateRules, decide
from optimizer.errors import BadSettings
from optimizer.identity import canonical
from optimizer.types import (
    Arm,
    Case,
    CaseInput,
    CaseOrigin,
    Evaluation,
    Evidence,
    Missing,
    Pair,
    Scored,
    Unscored,
    Usage,
    Verdict,
)

RULES = GateRules(min_pairs=100)


def an_evaluation(arm: Arm, number: int, score: float | str, cost_usd: float | Missing = 0.001) -> Evaluation:
    return Evaluation(
        case_id=f"case-{number:03}",
        arm=arm,
        output="what the model said to user@example.org",
        result=Unscored(reason=score) if isinstance(score, str) else Scored(value=score, reason="because <b>"),
        usage=Usage(calls=1, input_tokens=10, output_tokens=5, cost_usd=cost_usd),
        latency_s=0.1,
    )


def pairs(*scores: tuple[float | str, float | str], times: int = 1) -> tuple[Pair, ...]:
    return tuple(
        Pair(
            case=Case(
                id=f"case-{number:03}",
                origin=CaseOrigin.REPLAY,
                input=CaseInput(),
                reference=Missing.NO_REFERENCE,
                source_key=str(number),
            ),
            baseline=an_evaluation(Arm.BASELINE, number, baseline),
            candidate=an_evaluation(Arm.CANDIDATE, number, candidate),
        )
        for number, (baseline, candidate) in enumerate(scores * times)
    )


def evidence(given: tuple[Pair, ...], *, note: str = "") -> Evidence:
    return Evidence(pairs=given, model="sim-task", evaluator="promptfoo 0", complete=not note, note=note)


BETTER = ((0.0, 1.0), (1.0, 1.0), (0.5, 0.5), (0.0, 0.0))
WORSE = tuple((candidate, baseline) for baseline, candidate in BETTER)
SAME = ((1.0, 1.0), (0.0, 0.0))


def test_a_better_candidate_passes() -> None:
    report = decide(evidence(pairs(*BETTER, times=30)), RULES)
    assert report.verdict is Verdict.PASS
    assert (report.scored_pairs, report.unscored_pairs) == (120, 0)
    assert (report.baseline_mean, report.candidate_mean, report.effect) == pytest.approx((0.375, 0.625, 0.25))
    assert report.e_value >= 20
    assert not isinstance(report.interval, Missing)
    assert 0 < report.interval[0] < 0.25 < report.interval[1]
    assert report.usage == Usage(calls=240, input_tokens=2400, output_tokens=1200, cost_usd=pytest.approx(0.24))


def test_the_same_prompt_does_not_pass() -> None:
    report = decide(evidence(pairs(*SAME, times=200)), RULES)
    assert (report.verdict, report.e_value, report.effect) == (Verdict.FAIL, 1.0, 0.0)
    assert "can be ruled out" in report.reasons[0]


def test_a_worse_candidate_fails() -> None:
    report = decide(evidence(pairs(*WORSE, times=30)), RULES)
    assert report.verdict is Verdict.FAIL
    assert report.reasons[0] == "Failed: the candidate answers worse than the current prompt."


def test_a_difference_that_may_be_chance_is_undecided() -> None:
    chance = ((0.0, 1.0),) * 14 + ((1.0, 0.0),) * 8 + ((1.0, 1.0),) * 100
    report = decide(evidence(pairs(*chance)), RULES)
    assert report.verdict is Verdict.UNDECIDED
    assert "too small to tell from chance" in report.reasons[0]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (evidence(pairs(*BETTER, times=24)), "96 cases are too few; 100 are needed"),
        (evidence(()), "0 cases are too few"),
        (evidence(pairs(*BETTER, times=30), note="promptfoo stopped"), "did not run to its end (promptfoo stopped)"),
        (
            evidence(pairs(*BETTER, *[("judge down", 1.0)] * 2, times=30)),
            "60 of 180 cases could not be judged (judge down); at most 2% may be missing",
        ),
    ],
)
def test_evidence_that_is_not_all_there_is_undecided_however_good(given: Evidence, reason: str) -> None:
    report = decide(given, RULES)
    assert report.verdict is Verdict.UNDECIDED
    assert reason in report.reasons[0]


def test_one_unscored_pair_in_a_hundred_is_tolerated_and_not_counted() -> None:
    report = decide(evidence((*pairs(*BETTER, times=30), *pairs((0.0, "judge down")))), RULES)
    assert (report.verdict, report.scored_pairs, report.unscored_pairs) == (Verdict.PASS, 120, 1)


def test_rules_that_let_everything_pass_are_refused() -> None:
    with pytest.raises(BadSettings):
        GateRules(threshold=1.0)


def test_json_carries_every_number_and_nobody_s_words() -> None:
    report = decide(evidence(pairs(*BETTER, ("judge down", 1.0), times=40)), RULES)
    text = canonical(as_document(report))
    told = json.loads(text)
    assert told["verdict"] == "undecided"
    assert told["e_value"] == report.e_value
    assert told["interval"] == list(report.interval)  # type: ignore[arg-type]
    assert told["cases"][0] == {"id": "case-000", "origin": "replay", "baseline": 0.0, "candidate": 1.0}
    assert told["cases"][4]["baseline"] == "unscored"
    assert "example.org" not in text
    assert "because" not in text


def test_json_without_any_case_says_why_numbers_are_missing() -> None:
    told = json.loads(canonical(as_document(decide(evidence(()), RULES))))
    assert (told["effect"], told["interval"]) == ("not recorded", "not recorded")
    assert told["cases"] == []


def test_enormous_evidence_still_fits_into_json() -> None:
    report = decide(evidence(pairs((0.0, 1.0), times=3000)), RULES)
    assert math.isfinite(report.e_value)
    assert json.loads(canonical(as_document(report)))["verdict"] == "pass"


def test_text_and_markdown_tell_the_same_story() -> None:
    report = decide(evidence(pairs(*BETTER, times=30)), RULES)
    assert "Passed: the candidate answers better than the current prompt." in as_text(report)
    assert "+25.0 points" in as_text(report)
    assert as_markdown(report).startswith("### Gate: pass\n")
    assert "| Score before | 0.375 |" in as_markdown(report)


def test_markdown_cannot_be_written_by_an_error_message() -> None:
    report = decide(evidence(pairs(*BETTER, times=30), note="see <img src=x> [me](http://x) @all | `\n# hi"), RULES)
    line = next(line for line in as_markdown(report).splitlines() if "Undecided" in line)
    assert r"\<img src=x\> \[me\](http://x) \@all \| \` \# hi" in line
