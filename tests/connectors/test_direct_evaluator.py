"""A comparison without promptfoo: in order, bounded, complete or not, and nothing left behind."""

import asyncio
import gc
import threading
from dataclasses import replace
from typing import Any

import pytest
from promptfoo_cases import a_case, arms

from connectors.direct import DirectEvaluator
from connectors.judges.matching import Match, MatchingJudge
from connectors.judges.pairwise import PairwiseJudge
from connectors.judges.python import PythonJudge
from connectors.judges.rubric import ModelJudge
from connectors.memory import ScriptedJudge, ScriptedModel
from connectors.openai import CallRules, OpenAIModel
from optimizer.errors import BadCredentials, BadInput, BadSettings, Refused, Unreachable, Unsupported
from optimizer.ports import Judge, ModelReply, ModelRequest, PairJudge
from optimizer.prompts import PromptVersion
from optimizer.types import Arm, Case, Evidence, Scored, Shown, Unscored
from sandbox.model.app import create_app
from sandbox.model.troubles import Troubles
from sandbox.model.world import World
from sandbox.serving import serve

WORLD = World.support()
GOOD = Scored(value=1.0, reason="good")
CASES = [a_case(number, f"question {number}", reference=f"question {number}") for number in range(5)]


def evaluator(model: Any, judge: Judge | PairJudge | None = None, **options: Any) -> DirectEvaluator:
    return DirectEvaluator(model, judge or MatchingJudge(Match.EXACT), task_model="sim-task", **options)


def echo(request: ModelRequest) -> str:
    return request.messages[-1].content


def values(evidence: Evidence, arm: Arm) -> list[float | str]:
    made = [pair.baseline if arm is Arm.BASELINE else pair.candidate for pair in evidence.pairs]
    return [m.result.value if isinstance(m.result, Scored) else m.result.reason for m in made]


# ---- what comes out ------------------------------------------------------------------------------------------------


async def test_every_case_is_answered_by_both_arms_and_told_in_order() -> None:
    def script(request: ModelRequest) -> str:
        return echo(request) if request.messages[0].content == "Answer well." else "no idea"

    evidence = await evaluator(ScriptedModel(script)).compare(arms(), list(reversed(CASES)))
    assert [pair.case for pair in evidence.pairs] == CASES
    assert values(evidence, Arm.BASELINE) == [0.0] * 5
    assert values(evidence, Arm.CANDIDATE) == [1.0] * 5
    assert (evidence.complete, evidence.note, evidence.model) == (True, "", "sim-task")
    assert evidence.evaluator == "'exact'"
    pair = evidence.pairs[3]
    assert (pair.candidate.case_id, pair.candidate.arm, pair.candidate.output) == (
        "case-003",
        Arm.CANDIDATE,
        "question 3",
    )
    assert (await evaluator(ScriptedModel(script)).compare(arms(), [])).pairs == ()


async def test_another_sample_draws_the_answers_anew() -> None:
    model = ScriptedModel(echo)
    await evaluator(model, temperature=0.5, max_tokens=77).compare(arms(), CASES[:1], sample=4)
    assert {(r.attempt, r.temperature, r.max_tokens) for r in model.requests} == {(4, 0.5, 77)}


async def test_a_bad_answer_and_a_missing_one_stay_where_they_are() -> None:
    def script(request: ModelRequest) -> str | Exception:
        said = echo(request)
        return {"question 1": Refused("no"), "question 2": Unreachable("down")}.get(said, said)

    evidence = await evaluator(ScriptedModel(script)).compare(arms(), CASES)
    assert values(evidence, Arm.CANDIDATE) == [1.0, 0.0, "down", 1.0, 1.0]
    assert evidence.complete


async def test_refused_keys_end_the_run_as_incomplete() -> None:
    def script(request: ModelRequest) -> str | Exception:
        return echo(request) if echo(request) < "question 2" else BadCredentials("refused", "check the key")

    model = ScriptedModel(script)
    evidence = await evaluator(model, concurrency=1).compare(arms(), CASES)
    assert (evidence.complete, evidence.note) == (False, "refused; check the key.")
    assert values(evidence, Arm.BASELINE) == [1.0, 1.0, *["refused; check the key."] * 3]
    assert len(model.requests) == 5


async def test_a_judge_that_always_says_first_ends_in_ties_and_shows_itself() -> None:
    model = ScriptedModel(
        lambda request: (
            '{"better": "first", "reason": ""}' if request.purpose == "judge" else request.messages[0].content
        )
    )
    judge = PairwiseJudge(model, "sim-judge", fence_secret=b"secret")
    evidence = await evaluator(model, judge).compare(arms(), CASES)
    assert values(evidence, Arm.BASELINE) == values(evidence, Arm.CANDIDATE) == [0.5] * 5
    assert [swap.case_id for swap in evidence.swaps] == [case.id for case in CASES]
    assert {(swap.forward, swap.backward) for swap in evidence.swaps} == {(Shown.FIRST, Shown.FIRST)}


async def test_a_model_judges_some_answers_twice() -> None:
    model = ScriptedModel(lambda request: '{"score": 0.5, "reason": ""}' if request.purpose == "judge" else "an answer")
    judge = ModelJudge(model, "sim-judge", "Be kind.", fence_secret=b"secret")
    evidence = await evaluator(model, judge, repeats=3).compare(arms(), CASES)
    assert len(evidence.repeats) == 3
    assert (await evaluator(model, judge, repeats=0).compare(arms(), CASES)).repeats == ()


async def test_an_evaluator_that_raises_or_takes_too_long_on_some_cases_leaves_those_unscored() -> None:
    over = threading.Event()

    def evaluate(row: dict[str, Any]) -> float:
        if row["id"] == "case-001":
            raise KeyError(row["output"])
        if row["id"] == "case-002":
            over.wait(60)
        return 1.0

    judge = PythonJudge("python:here:evaluate", evaluate, timeout_s=1.0)
    evidence = await evaluator(ScriptedModel(echo), judge).compare(arms(), CASES)
    over.set()
    assert evidence.complete
    found = values(evidence, Arm.CANDIDATE)
    assert (found[0], found[2:]) == (1.0, ["the evaluator took longer than 1 s", 1.0, 1.0])
    assert str(found[1]).startswith("the evaluator raised KeyError in test_direct_evaluator.py line ")


async def test_an_evaluator_on_another_scale_ends_the_run() -> None:
    judge = PythonJudge("python:here:evaluate", lambda _: 85)
    evidence = await evaluator(ScriptedModel(echo), judge).compare(arms(), CASES)
    assert not evidence.complete
    assert "a score lies between 0 (worst) and 1 (best)" in evidence.note


async def test_an_owners_evaluator_is_asked_again_as_nobody_knows_whether_it_varies() -> None:
    asked: list[str] = []

    def evaluate(row: dict[str, Any]) -> float:
        asked.append(row["id"])
        return 1.0 / len(asked)

    evidence = await evaluator(ScriptedModel(echo), PythonJudge("python:here:evaluate", evaluate), repeats=2).compare(
        arms(), CASES
    )
    assert len(asked) == 12
    assert all(repeat.first != repeat.second for repeat in evidence.repeats)
    assert len(evidence.repeats) == 2


# ---- what is refused before anything is paid for -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        ([CASES[0], CASES[1], CASES[0]], "2 cases have the same id 'case-000'; give every case its own"),
        (
            [CASES[0], replace(CASES[1], id="{{7*7}}")],
            "the id of case number 2 holds other characters .*; rename the case",
        ),
        ([replace(CASES[0], id="")], "case number 1"),
        ([replace(CASES[0], id="x" * 129)], "case number 1"),
    ],
)
async def test_ids_that_are_not_safe_or_not_unique(cases: list[Case], said: str) -> None:
    model = ScriptedModel([])
    with pytest.raises(BadInput, match=said):
        await evaluator(model).compare(arms(), cases)
    assert model.requests == []


async def test_arms_that_cannot_be_compared() -> None:
    model = ScriptedModel([])
    with pytest.raises(Unsupported, match="pulls in other prompts"):
        await evaluator(model).compare(arms("@@@langfusePrompt:name=tone|label=production@@@"), CASES)
    one: dict[Arm, PromptVersion] = {Arm.BASELINE: arms()[Arm.BASELINE]}
    with pytest.raises(BadSettings, match="needs both arms"):
        await evaluator(model).compare(one, CASES)
    assert model.requests == []


# ---- bounds --------------------------------------------------------------------------------------------------------


class Busy:
    """A model that counts what is in flight."""

    def __init__(self) -> None:
        self.now = self.most = self.tasks = 0

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.now += 1
        self.most, self.tasks = max(self.most, self.now), max(self.tasks, len(asyncio.all_tasks()))
        await asyncio.sleep(0)
        self.now -= 1
        return ModelReply(text=echo(request), model="m")


async def test_no_more_calls_and_no_more_tasks_than_were_allowed() -> None:
    model, cases = Busy(), [a_case(number, "hi") for number in range(600)]
    seen: list[tuple[int, int]] = []
    chosen = evaluator(
        model,
        ScriptedJudge(lambda *_: GOOD),
        concurrency=7,
        progress=lambda done, total: seen.append((done, total)),
    )
    evidence = await chosen.compare(arms(), cases)
    assert len(evidence.pairs) == 600
    assert seen[-1] == (1_200, 1_200)
    assert model.most == 7
    assert model.tasks <= 3 * 7 + 3  # a worker, an answer and a judgement for each, whatever the number of cases


class Stuck:
    """A model that answers the first call and no other, and notes what was called off."""

    def __init__(self) -> None:
        self.asked, self.called_off = 0, 0
        self.stuck = asyncio.Event()

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.asked += 1
        if self.asked == 1:
            return ModelReply(text=echo(request), model="m")
        self.stuck.set()
        try:
            return await asyncio.Future()
        except asyncio.CancelledError:
            self.called_off += 1
            raise


async def test_a_comparison_that_is_called_off_leaves_nothing_in_flight() -> None:
    model = Stuck()
    before = asyncio.all_tasks()
    comparing = asyncio.ensure_future(evaluator(model, concurrency=3).compare(arms(), CASES))
    await model.stuck.wait()
    comparing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await comparing
    assert model.called_off == model.asked - 1 > 0
    assert asyncio.all_tasks() == before


async def test_a_bug_is_not_taken_for_evidence_and_ends_everything() -> None:
    model = Stuck()

    def script(_: Case, __: str) -> Scored:
        raise ZeroDivisionError("a bug")

    before = asyncio.all_tasks()
    with pytest.raises(ZeroDivisionError):
        await evaluator(model, ScriptedJudge(script), concurrency=3).compare(arms(), CASES)
    gc.collect()
    assert asyncio.all_tasks() == before
    assert model.called_off == model.asked - 1


# ---- over HTTP, with the simulated model ---------------------------------------------------------------------------


def shop_cases(count: int) -> list[Case]:
    shop = enumerate(WORLD.cases(count, seed=4, stream="direct evaluator"))
    return [a_case(number, case.question, reference=case.expected) for number, case in shop]


async def compared(url: str, kind: str, count: int = 24) -> Evidence:
    """The shop's first prompt against its best one."""
    async with OpenAIModel(f"{url}/v1", "sk-sandbox", rules=CallRules(attempts=1)) as model:
        judge: Judge | PairJudge = {
            "pairwise": PairwiseJudge(model, "sim-judge", fence_secret=b"secret"),
            "rubric": ModelJudge(model, "sim-judge", "Be right.", fence_secret=b"secret"),
            "contains": MatchingJudge(Match.CONTAINS),
        }[kind]
        return await evaluator(model, judge).compare(arms(WORLD.base_prompt, WORLD.oracle_prompt), shop_cases(count))


def gain(evidence: Evidence) -> float:
    pairs = [(pair.baseline.result, pair.candidate.result) for pair in evidence.pairs]
    found = [c.value - b.value for b, c in pairs if isinstance(b, Scored) and isinstance(c, Scored)]
    return sum(found) / len(found) if found else 0.0


@pytest.mark.parametrize("kind", ["contains", "rubric", "pairwise"])
async def test_every_judge_finds_the_better_prompt_over_http(kind: str) -> None:
    with serve(create_app()) as url:
        evidence = await compared(url, kind)
        again = await compared(url, kind)
    assert evidence.complete
    assert gain(evidence) > 0.3
    assert [(p.baseline.result, p.candidate.result) for p in evidence.pairs] == [
        (p.baseline.result, p.candidate.result) for p in again.pairs
    ]
    assert (evidence.repeats, evidence.swaps) == (again.repeats, again.swaps)
    assert bool(evidence.repeats) == (kind == "rubric")
    assert bool(evidence.swaps) == (kind == "pairwise")


@pytest.mark.parametrize("trouble", [Troubles(dead=["sim-judge"]), Troubles(babbling=["sim-judge"])])
@pytest.mark.parametrize("kind", ["rubric", "pairwise"])
async def test_a_dead_or_babbling_grader_leaves_everything_unscored(kind: str, trouble: Troubles) -> None:
    with serve(create_app(troubles=trouble)) as url:
        evidence = await compared(url, kind, count=6)
    both = [side.result for pair in evidence.pairs for side in (pair.baseline, pair.candidate)]
    judged = [result for result in both if isinstance(result, Unscored)]
    assert len(judged) >= 8  # equal answers are a tie without a judge
    assert all(result.reason.startswith("the judge gave no judgement: ") for result in judged)
    assert evidence.complete


@pytest.mark.parametrize(("empty", "result"), [(True, Scored), (False, Unscored)])
async def test_a_candidate_that_says_nothing_is_to_blame_and_a_server_that_fails_is_not(
    empty: bool, result: type[Scored] | type[Unscored]
) -> None:
    phrase = WORLD.oracle_prompt.split("\n")[-1]
    with serve(create_app(troubles=Troubles(crash_phrase=phrase, crash_empty=empty))) as url:
        evidence = await compared(url, "contains", count=6)
    assert {type(pair.candidate.result) for pair in evidence.pairs} == {result}
    assert {type(pair.baseline.result) for pair in evidence.pairs} == {Scored}
    assert all(pair.candidate.result.value == 0 for pair in evidence.pairs if isinstance(pair.candidate.result, Scored))


async def test_an_outage_leaves_what_came_after_it_unscored() -> None:
    with serve(create_app(troubles=Troubles(outage_after=10))) as url:
        evidence = await compared(url, "contains")
    both = [side.result for pair in evidence.pairs for side in (pair.baseline, pair.candidate)]
    assert sum(isinstance(result, Scored) for result in both) == 10
    assert sum(isinstance(result, Unscored) for result in both) == 38
