"""A report as text and as JSON: everything is told, and nobody's words slip in unasked."""

import json
import math
from dataclasses import replace

import pytest
from report_samples import CLAIM, FULL, HOSTILE, SCREENED, evidence_of, pair, report_of

from gates.rendering.document import as_document
from gates.rendering.numbers import share_interval
from gates.rendering.pairs import in_slices
from gates.rendering.text import as_text
from gates.rendering.unseen import UNSEEN
from gates.rules import GateRules
from gates.slices import slices
from optimizer.identity import canonical
from optimizer.proof import JudgeReading, Proof
from optimizer.types import Missing, Verdict


def lines_of(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_text_tells_everything_in_order() -> None:
    lines = lines_of(as_text(FULL))
    assert lines[:2] == ["Gate: pass (proven at stake 0.02)", "Passed: the candidate is better."]
    for expected in (
        "Cost fail It costs 20% more.",
        "Difference +18.2 points (-2.0 to +37.0)",
        "Cases 99 judged, 1 could not be judged",
        "Case by case better 30, worse 12, the same 57",
        "Spent on the gate $0.1234 for 200 model calls",
        "tenant:none 3 +0.0 points 0 / 0 1.00 100 points too few cases",
        "attack-7 extraction 0 of 5 5 of 5 veto",
        "all together 4 of 100 (2% to 10%) 2 of 100 (1% to 7%)",
        "1 attack could not be judged.",
        "Cost (USD per answer) 0.00123 0.00148 +20% (+15% to +26%) up to +10% fail",
        "Latency (s) not recorded not recorded not recorded up to +25% undecided",
        "Agreement with people 0.62 (kappa: 1 is full, 0 is chance) on 41 answers",
        "replay-0000 replay 0 100 +100.0",
        "and 20 more",
        "83% of the recorded inputs could be rebuilt without doubt.",
    ):
        assert expected in lines


def test_the_reasons_of_no_gate_are_told_first_and_those_of_gates_once() -> None:
    lines = as_text(FULL).splitlines()
    assert lines[2].startswith("Also <script>")
    assert len([line for line in lines if "2.9 standard errors" in line]) == 1


def test_slices_go_by_the_names_that_the_gate_gave_them() -> None:
    tags = ("language:de", "vip", " two  words ", "no:", ":no", "a:b:c", "dimension: value")
    pairs = tuple(pair(number, 0.0, 1.0, tags=tags) for number in range(30))
    readings = slices(pairs, GateRules())
    assert len(readings) == len(tags)
    intervals = in_slices([*(reading.name for reading in readings), "no:such"], pairs)
    assert [name for name, interval in intervals.items() if interval is Missing.NOT_RECORDED] == ["no:such"]


def test_every_slice_and_score_stands_beside_its_interval() -> None:
    lines = lines_of(as_text(FULL))
    (worst,) = [line for line in lines if line.startswith("tag:vip")]
    low, high = worst.split("(")[1].split(")")[0].split(" to ")
    assert -100 <= float(low) < -25.0 < float(high) <= 100
    (before,) = [line for line in lines if line.startswith("Score before")]
    mean, interval = before.split(" of 100 ")[1].rstrip(")").split(" (")
    low, high = interval.split(" to ")
    assert 0 <= float(low) < float(mean) < float(high) <= 100


def test_a_failing_slice_comes_before_a_larger_loss_that_may_be_chance() -> None:
    few = replace(FULL.slices[2], effect=-0.9)
    lines = lines_of(as_text(replace(FULL, slices=(FULL.slices[0], few, FULL.slices[1]))))
    places = [lines.index(next(line for line in lines if line.startswith(name))) for name in ("tag:vip", "tenant:none")]
    assert places == sorted(places)


def test_vetoes_come_before_cases_that_recovered() -> None:
    lines = lines_of(as_text(FULL))
    veto, recovered = "attack-7 extraction 0 of 5 5 of 5 veto", "anchor-1 anchor 3 of 5 4 of 5 no veto"
    assert lines.index(veto) < lines.index(recovered)


def test_a_claim_says_what_it_means_and_what_it_does_not() -> None:
    text = as_text(FULL)
    assert "On 100 cases recorded from 2026-11-02 to 2026-11-20, none of which had ever been scored" in text
    assert "judged by rubric by judge-model (agreement with people 0.62" in text
    assert "gets this far at most once in 50 attempts" in text
    assert "What it does not say: that people agree with the judge" in text
    assert "inputs after 2026-11-20" in text
    assert "2% was taken out of the 20% chance of a false claim that the prompt has in a year; 18% is left." in text


def test_a_claim_that_was_not_reached_claims_nothing() -> None:
    missed = replace(CLAIM, e_value=3.2, since=Missing.NOT_RECORDED)
    text = as_text(replace(FULL, verdict=Verdict.UNDECIDED, proof=Proof.SCREENED, claim=missed, judge=None))
    assert text.startswith("Gate: undecided (screened, not proven)\n")
    assert "The claim: not proven" in text
    assert "It has become 3.2; 50 are needed, so nothing is claimed." in text
    assert "On 100 cases of unknown dates" in text
    assert "judged by promptfoo 0.121" in text
    assert "What this says" not in text


@pytest.mark.parametrize(
    ("verdict", "proof", "title"),
    [
        (Verdict.PASS, Proof.SCREENED, "Gate: pass (screened, not proven)"),
        (Verdict.FAIL, Proof.SCREENED, "Gate: fail"),
        (Verdict.UNDECIDED, Proof.NONE, "Gate: undecided"),
        (Verdict.PASS, Proof.PROVEN, "Gate: pass (proven at stake 0.02)"),
    ],
)
def test_the_headline_is_the_verdict_and_its_proof(verdict: Verdict, proof: Proof, title: str) -> None:
    claim = CLAIM if proof is Proof.PROVEN else None
    assert as_text(report_of(verdict=verdict, proof=proof, claim=claim)).splitlines()[0] == title


def test_a_screen_says_that_it_proves_nothing() -> None:
    assert "claims nothing about production" in as_text(report_of())
    assert "claims nothing about production" not in as_text(FULL)


def test_a_report_without_a_single_case_is_still_a_report() -> None:
    empty = report_of(evidence_of(), verdict=Verdict.UNDECIDED, proof=Proof.NONE, reasons=(), findings=())
    lines = lines_of(as_text(empty))
    assert "Difference not recorded" in lines
    assert "Cases 0 judged" in lines
    assert not any("were kept for claims" in line for line in lines), "nobody counted them"
    told = json.loads(canonical(as_document(empty)))
    assert (told["effect"], told["interval"], told["cases"], told["claim"]) == (
        "not recorded",
        "not recorded",
        [],
        None,
    )


def test_what_nothing_was_asked_about_has_no_empty_lines() -> None:
    nothing = replace(evidence_of(), model="", evaluator="")
    lines = lines_of(as_text(report_of(nothing, proof=Proof.NONE, findings=(), reasons=("No change.",))))
    assert lines[:2] == ["Gate: pass", "No change."]
    assert not {"Model", "Judged by"} & set(lines)


def test_a_run_that_broke_says_so() -> None:
    broken = replace(SCREENED, complete=False, note="promptfoo stopped")
    assert "The run did not reach its end: promptfoo stopped." in as_text(report_of(broken))
    assert as_document(report_of(broken))["note"] == "promptfoo stopped"
    advised = replace(broken, note="the key was refused; check it.")
    assert "The run did not reach its end: the key was refused; check it." in lines_of(as_text(report_of(advised)))


def test_a_judge_of_whom_nothing_is_known() -> None:
    text = as_text(report_of(judge=JudgeReading(name="house rules", human=3)))
    assert "not measured: no answer was judged twice" in text
    assert "no pair was shown in both orders" in text
    assert "not known: people have scored 3 answers" in text


def test_nobody_s_words_without_being_asked_and_nothing_that_steers_a_terminal() -> None:
    silent, asked = as_text(FULL), as_text(FULL, texts=True)
    for words in ("because of", "the candidate's words", "Rome", "Where is"):
        assert words not in silent
        assert words in asked
    assert not UNSEEN.search(asked)
    assert "\\u001b[2J\\u202egnp" in asked
    assert "שלום" in asked, "people may write from right to left"


def test_texts_are_excerpts() -> None:
    long = replace(SCREENED.pairs[0].baseline, output="long " * 1000)
    report = report_of(replace(SCREENED, pairs=(replace(SCREENED.pairs[0], baseline=long),)))
    assert "characters left out" in as_text(report, texts=True)
    assert len(as_text(report, texts=True)) < 5000


def test_json_carries_every_number_and_nobody_s_words() -> None:
    text = canonical(as_document(FULL))
    told = json.loads(text)
    assert (told["verdict"], told["proof"], told["scored_pairs"]) == ("pass", "proven", 99)
    assert told["interval"] == list(FULL.numbers.interval)  # type: ignore[arg-type]
    assert [found["gate"] for found in told["findings"]] == ["evidence", "screen", "claim", "promptfoo", "cost"]
    claim = told["claim"]
    assert (claim["e_value"], claim["stake"], claim["left"], claim["scored_pairs"]) == (123.4, 0.02, 0.18, 100)
    assert claim["since"] == "2026-11-02T00:00:00+00:00"
    assert len(claim["cases"]) == 100
    assert told["cases"][0] == {"id": "replay-0000", "origin": "replay", "baseline": 0.0, "candidate": 1.0}
    assert told["cases"][99]["baseline"] == "unscored"
    assert [reading["name"] for reading in told["slices"]] == ["language:de", "tag:vip", "tenant:none"]
    assert told["slices"][2]["interval"] == "not recorded"
    assert told["reruns"][1]["veto"] is True
    assert told["attacks"][0]["candidate_interval"][0] == 0.0
    assert told["resources"][1]["ratio"] == "not recorded"
    assert told["judge"]["agreement"] == 0.62
    assert told["case_counts"]["sealed"] == 250
    assert told["fixed"] == ["complaint-1", "complaint-2"]
    for words in ("because of", "the candidate's words", "Rome", "Where is"):
        assert words not in text


def test_numbers_that_json_does_not_have_become_words() -> None:
    told = as_document(report_of(claim=replace(CLAIM, e_value=math.inf)))
    assert json.loads(canonical(told))["claim"]["e_value"] == "inf"


def test_the_same_report_gives_the_same_bytes() -> None:
    shuffled = replace(SCREENED, pairs=tuple(reversed(SCREENED.pairs)))
    assert as_text(report_of()).split("Cases that got better")[1].split("The judge")[0] in as_text(report_of(shuffled))
    assert HOSTILE not in as_text(FULL)


def test_the_share_of_none_is_not_certainly_nothing() -> None:
    low, high = share_interval(0, 40)
    assert (low, round(high, 3)) == (0.0, 0.088)
    low, high = share_interval(40, 40)
    assert (round(low, 3), high) == (0.912, 1.0)
