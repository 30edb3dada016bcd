"""What goes wrong in a run of the real promptfoo, and the verdict that it leads to."""

from collections.abc import Callable
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
from optimizer.ports import Judge, LanguageModel, ModelRequest, PairJudge
from optimizer.types import Evidence, Missing, Scored, Verdict

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
SETTINGS = EvaluatorSettings(
    task_model="sim-task", timeout_s=120.0, assertions=({"type": "not-contains", "value": "As an AI"},)
)
RULES = GateRules()
CASES = [a_case(number, f"question {number}", reference="yes") for number in range(60)]
Script = Callable[[ModelRequest], str]


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return install(PROJECT / ".node")


def by_comparison(_: LanguageModel) -> Judge:
    return MatchingJudge(Match.CONTAINS)


def by_rubric(model: LanguageModel) -> Judge:
    return ModelJudge(model, "sim-judge", "Be kind.", fence_secret=b"secret")


def by_pairs(model: LanguageModel) -> PairJudge:
    return PairwiseJudge(model, "sim-judge", fence_secret=b"secret")


async def compared(
    runtime: Runtime, script: Script, judge: Callable[[LanguageModel], Judge | PairJudge], *, sample: int = 0
) -> Evidence:
    model = ScriptedModel(script)
    evaluator = PromptfooEvaluator(runtime, model, judge(model), SETTINGS)
    return await evaluator.compare(arms(), CASES, sample=sample)


def is_candidate(request: ModelRequest) -> bool:
    return request.messages[0].content == "Answer well."


async def test_a_candidate_that_crashes_fails(runtime: Runtime) -> None:
    def script(request: ModelRequest) -> str:
        if is_candidate(request):
            raise EmptyReply("the reply holds no text")
        return f"yes, in sample {request.attempt}"

    evidence = await compared(runtime, script, by_comparison, sample=4)
    assert sound(evidence, RULES, replayable=Missing.NOT_RECORDED).verdict is Verdict.PASS
    assert {pair.baseline.output for pair in evidence.pairs} == {"yes, in sample 4"}
    assert {pair.candidate.result for pair in evidence.pairs} == {
        Scored(value=0.0, reason="no usable answer: the reply holds no text")
    }
    found = screen(evidence.pairs, RULES, last=True)
    assert found is not None
    assert found.verdict is Verdict.FAIL


async def test_a_dead_grader_leaves_it_undecided(runtime: Runtime) -> None:
    def script(request: ModelRequest) -> str:
        if request.purpose == "judge":
            raise ServerFault("the judge failed (503)")
        return "yes" if is_candidate(request) else "no"

    evidence = await compared(runtime, script, by_rubric)
    assert evidence.complete, evidence.note
    held = sound(evidence, RULES, replayable=Missing.NOT_RECORDED)
    assert held.verdict is Verdict.UNDECIDED
    assert "60 of 60 cases could not be judged" in held.sentence


async def test_a_provider_outage_leaves_it_undecided(runtime: Runtime) -> None:
    def script(request: ModelRequest) -> str:
        number = int(request.messages[-1].content.split()[-1])
        if number >= 30 and is_candidate(request):
            raise ServerFault("the model failed (503)")
        return "yes" if is_candidate(request) else "no"

    evidence = await compared(runtime, script, by_comparison)
    assert evidence.complete, evidence.note
    assert sound(evidence, RULES, replayable=Missing.NOT_RECORDED).verdict is Verdict.UNDECIDED
    # our comparison and the owner's assertion, of equal weight
    assert differences(evidence.pairs) == (0.5,) * 30


async def test_a_judge_that_always_says_the_first_is_not_aligned_and_decides_nothing(runtime: Runtime) -> None:
    def script(request: ModelRequest) -> str:
        if request.purpose == "judge":
            return '{"better": "first", "reason": "It comes first."}'
        return "yes" if is_candidate(request) else "no"

    evidence = await compared(runtime, script, by_pairs)
    assert evidence.complete, evidence.note
    reading = judged("pairwise", evidence, ())
    assert (reading.swapped, reading.inconsistent, reading.first_preferred) == (60, 60, 60)
    held = trusted(reading, RULES)
    assert held.verdict is Verdict.UNDECIDED
    assert "The judge prefers whichever answer is shown first" in held.sentence
    values = [pair.candidate.result.value for pair in evidence.pairs if isinstance(pair.candidate.result, Scored)]
    assert len(set(values)) == 1
