"""What goes wrong in a run of the real promptfoo, and the verdict that it leads to."""

from dataclasses import replace
from pathlib import Path

import pytest
from promptfoo_cases import ScriptedModel, a_case, arms

from connectors.judges.matching import Match, MatchingJudge
from connectors.judges.pairwise import PairwiseJudge
from connectors.judges.rubric import ModelJudge
from connectors.promptfoo.evaluator import PromptfooEvaluator
from connectors.promptfoo.runtime import Runtime, install
from connectors.promptfoo.settings import EvaluatorSettings
from gates.comparison import differences
from gates.judging import judged, trusted
from gates.rules import GateRules
from gates.screen import screen
from gates.soundness import sound
from optimizer.errors import EmptyReply, ServerFault
from optimizer.ports import ModelRequest
from optimizer.types import Missing, Scored, Verdict

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
SETTINGS = EvaluatorSettings(
    task_model="sim-task", timeout_s=120.0, assertions=({"type": "not-contains", "value": "As an AI"},)
)
RULES = GateRules()
CASES = 60
"""In each trouble."""


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return install(PROJECT / ".node")


def is_candidate(request: ModelRequest) -> bool:
    return request.messages[0].content == "Answer well."


def troubled(request: ModelRequest) -> str:
    """A crashing candidate, a dead grader, and an outage in the middle, by the first word of the question."""
    asked = request.messages[-1].content
    if request.purpose == "judge":
        raise ServerFault("the judge failed (503)")
    if asked.startswith("crash") and is_candidate(request):
        raise EmptyReply("the reply holds no text")
    if asked.startswith("outage") and is_candidate(request) and int(asked.split()[-1]) % 2:
        raise ServerFault("the model failed (503)")
    return f"yes, in sample {request.attempt}" if is_candidate(request) or asked.startswith("crash") else "no"


async def test_a_crashing_candidate_fails_and_a_dead_grader_or_an_outage_leaves_it_undecided(runtime: Runtime) -> None:
    troubles = {"crash": "yes", "dead": Missing.NO_REFERENCE, "outage": "yes"}
    cases = [
        replace(a_case(number, f"{trouble} {number}", reference=reference), id=f"{trouble}-{number}")
        for trouble, reference in troubles.items()
        for number in range(CASES)
    ]
    model = ScriptedModel(troubled)
    rubric = ModelJudge(model, "sim-judge", "Be kind.", fence_secret=b"secret")
    evaluator = PromptfooEvaluator(runtime, model, MatchingJudge(Match.CONTAINS, otherwise=rubric), SETTINGS)
    evidence = await evaluator.compare(arms(), cases, sample=4)
    assert evidence.complete, evidence.note
    crash, dead, outage = (
        replace(evidence, pairs=tuple(pair for pair in evidence.pairs if pair.case.id.startswith(trouble)))
        for trouble in troubles
    )

    assert sound(crash, RULES, replayable=Missing.NOT_RECORDED).verdict is Verdict.PASS
    assert {pair.baseline.output for pair in crash.pairs} == {"yes, in sample 4"}
    assert {pair.candidate.result for pair in crash.pairs} == {
        Scored(value=0.0, reason="no usable answer: the reply holds no text")
    }
    found = screen(crash.pairs, RULES, last=True)
    assert found is not None
    assert found.verdict is Verdict.FAIL

    held = sound(dead, RULES, replayable=Missing.NOT_RECORDED)
    assert held.verdict is Verdict.UNDECIDED
    assert "60 of 60 cases could not be judged" in held.sentence

    assert sound(outage, RULES, replayable=Missing.NOT_RECORDED).verdict is Verdict.UNDECIDED
    # our comparison and the owner's assertion, of equal weight
    assert differences(outage.pairs) == (0.5,) * (CASES // 2)


async def test_a_judge_that_always_says_the_first_is_not_aligned_and_decides_nothing(runtime: Runtime) -> None:
    def script(request: ModelRequest) -> str:
        if request.purpose == "judge":
            return '{"better": "first", "reason": "It comes first."}'
        return "yes" if is_candidate(request) else "no"

    model = ScriptedModel(script)
    judge = PairwiseJudge(model, "sim-judge", fence_secret=b"secret")
    cases = [a_case(number, f"question {number}") for number in range(CASES)]
    evidence = await PromptfooEvaluator(runtime, model, judge, SETTINGS).compare(arms(), cases)
    assert evidence.complete, evidence.note
    reading = judged("pairwise", evidence, ())
    assert (reading.swapped, reading.inconsistent, reading.first_preferred) == (60, 60, 60)
    held = trusted(reading, RULES)
    assert held.verdict is Verdict.UNDECIDED
    assert "The judge prefers whichever answer is shown first" in held.sentence
    values = [pair.candidate.result.value for pair in evidence.pairs if isinstance(pair.candidate.result, Scored)]
    assert len(set(values)) == 1
