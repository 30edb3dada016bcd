"""The owner's tests through the real promptfoo: his assertions, his graders by our model, and everything that fails."""

import json
from pathlib import Path
from typing import Any

import pytest
from promptfoo_cases import SECRET, ScriptedModel, arms
from test_promptfoo_run import hanging, values

from connectors.embeddings import Embedder
from connectors.promptfoo.owner.config import OwnerTests
from connectors.promptfoo.owner.evaluator import OwnerEvaluator
from connectors.promptfoo.runtime import Runtime, install
from connectors.promptfoo.settings import EvaluatorSettings
from optimizer.errors import BadInput, Refused, Unreachable
from optimizer.ports import ModelRequest
from optimizer.types import Arm, Case, Evidence, Unscored
from sandbox.model.app import API_KEY, create_app
from sandbox.model.embedding import EMBEDDER
from sandbox.serving import serve

PROJECT = Path(__file__).parents[2]
SETTINGS = EvaluatorSettings(task_model="sim-task", timeout_s=120.0)


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return install(PROJECT / ".node")


def load(folder: Path, tests: list[Any], body: str = "Answer.", **config: Any) -> OwnerTests:
    path = folder / "promptfooconfig.yaml"
    path.write_text(json.dumps({"prompts": ["langfuse://p@production"], "tests": tests, **config}))
    return OwnerTests.load(
        path, project=folder, prompt_name="p", body=body, judge_model="sim-judge", embedding_model=EMBEDDER
    )


def a_test(name: str, *assertions: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"description": name, "vars": {"question": name}, "assert": list(assertions), **fields}


def by_name(owner: OwnerTests, evidence: Evidence, arm: Arm) -> dict[str, float | str]:
    found = dict(zip([pair.case.id for pair in evidence.pairs], values(evidence, arm), strict=True))
    return {test.name.strip("'"): found[case_id] for case_id, test in owner.tests.items()}


PROGRAMS = {
    "no_secret.cjs": "module.exports = (output, { vars }) => "
    f"vars.question !== undefined && !JSON.stringify(process.env).includes('{SECRET}')",
    "no_secret.py": "import os\n\ndef get_assert(output, context):\n"
    f"    return '{SECRET}' not in repr(dict(os.environ)) and output.startswith('Answer')\n",
    "loud.cjs": "module.exports = (text) => text.toUpperCase()",
}


@pytest.mark.slow
async def test_assertions_run_as_they_are_written_and_see_no_secret(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("LANGFUSE_SECRET_KEY", SECRET)
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "asked.txt").write_text("from a file\n")
    (tmp_path / "rows.csv").write_text(
        '__description,question,__expected,__expected2\nrow,"a, b",contains:a,icontains:B\n'
    )
    inline = f"!JSON.stringify(process.env).includes('{SECRET}') && context.vars.tone === 'kind'"
    wrong, right = {"type": "contains", "value": "nowhere"}, {"type": "contains", "value": "Answer"}
    tests = [
        a_test("inline", {"type": "javascript", "value": inline}),
        a_test(
            "programs",
            *({"type": t, "value": f"file://no_secret.{s}"} for t, s in (("javascript", "cjs"), ("python", "py"))),
        ),
        a_test("weights", {**right, "weight": 3}, wrong),
        a_test("threshold", right, wrong, threshold=0.5),
        a_test("set", {"type": "assert-set", "threshold": 0.5, "assert": [right, wrong]}),
        a_test("unasked", {"type": "cost", "threshold": 1}, {"type": "latency", "threshold": 60_000}),
        {
            **a_test("from a file", {"type": "contains", "value": "from a file"}),
            "vars": {"question": "file://asked.txt"},
        },
        {
            **a_test("rendered", {"type": "contains", "value": "{{name}}: KIND"}),
            "vars": {"question": "{{name}}: {{ tone | loud }}", "name": "Ada"},
        },
        {**a_test("several", {"type": "contains", "value": "one"}), "vars": {"question": ["one", "two"]}},
        a_test("scale", {"type": "javascript", "value": "7"}),
        a_test("best of two", right, {"type": "max-score"}),
        "rows.csv",
    ]
    owner = load(
        tmp_path,
        tests,
        defaultTest={"vars": {"tone": "kind"}, "assert": [{"type": "not-contains", "value": SECRET}]},
        nunjucksFilters={"loud": "loud.cjs"},
    )
    model = ScriptedModel(lambda request: f"Answer to {request.messages[-1].content}")
    evidence = await OwnerEvaluator(runtime, model, owner, SETTINGS).compare(arms(), owner.cases)
    assert owner.not_honoured == ()
    assert evidence.complete, evidence.note
    unjudged = "unscored: promptfoo could not judge this answer"
    expected = {
        "inline": 1.0,
        "programs": 1.0,
        "unasked": 1.0,
        "from a file": 1.0,
        "rendered": 1.0,
        "row": 1.0,
        "weights": 0.49,
        "threshold": pytest.approx(2 / 3),
        "set": 0.75,
        "several": 0.49,
        "scale": unjudged,
    }
    assert by_name(owner, evidence, Arm.BASELINE) == {**expected, "best of two": 1.0}
    assert by_name(owner, evidence, Arm.CANDIDATE) == {**expected, "best of two": 0.0}
    asked = {request.messages[-1].content for request in model.requests}
    assert {"Ada: KIND", "from a file", "one", "two", "a, b"} <= asked
    assert {request.messages[0].content for request in model.requests} == {"Answer.", "Answer well."}


@pytest.mark.slow
async def test_graders_are_our_model_and_one_that_fails_blames_no_answer(runtime: Runtime, tmp_path: Path) -> None:
    def script(request: ModelRequest) -> str:
        asked = "\n".join(message.content for message in request.messages)
        if request.purpose != "judge":
            if "crash" in asked and "Answer well." in asked:
                raise Refused("the model declined to answer")
            if "outage" in asked:
                raise Unreachable("the model does not answer")
            return f"I answer: {request.messages[-1].content}"
        if "dead grader" in asked:
            raise Unreachable("the judge does not answer")
        if "garbage" in asked:
            return "perhaps"
        if "Answer well." in asked or "good" in asked:
            return '{"pass": true, "score": 0.9, "reason": "good", "category": "A"}'
        return '{"pass": false, "score": 0.2, "reason": "bad", "category": "D"}'

    rubric = {"type": "llm-rubric", "value": "is polite"}
    tests = [
        a_test("good", rubric),
        a_test("bad", rubric),
        a_test("sees the prompt", {"type": "factuality", "value": "x"}),
        a_test("dead grader", rubric),
        a_test("dead grader of facts", {"type": "factuality", "value": "x"}),
        a_test("dead grader of the contrary", {"type": "not-llm-rubric", "value": "x"}),
        a_test("garbage", rubric),
        a_test("garbage of facts", {"type": "model-graded-closedqa", "value": "x"}),
        a_test("named", {**rubric, "provider": "openai:chat:gpt-9"}),
        a_test("crash", {"type": "contains", "value": "answer"}),
        a_test("outage", {"type": "contains", "value": "answer"}),
        a_test("best of two", {"type": "contains", "value": "answer"}, {"type": "max-score"}),
        a_test("near", {"type": "similar", "value": "I answer: near", "threshold": 0.9}),
        a_test("far", {"type": "similar", "value": "something of which nothing is true", "threshold": 0.9}),
    ]
    owner = load(tmp_path, tests)
    model = ScriptedModel(script)
    with serve(create_app()) as url:
        async with Embedder(f"{url}/v1", API_KEY, EMBEDDER) as embedder:
            evaluator = OwnerEvaluator(runtime, model, owner, SETTINGS, embedder=embedder)
            evidence = await evaluator.compare(arms(), owner.cases, sample=3)
    assert owner.not_honoured == ()
    assert evidence.complete, evidence.note
    baseline, candidate = (by_name(owner, evidence, arm) for arm in Arm)
    dead = "unscored: a grader of the owner's assertions gave no judgement"
    unjudged = ("dead grader", "dead grader of facts", "dead grader of the contrary", "garbage", "garbage of facts")
    assert [(baseline[name], candidate[name]) for name in unjudged] == [(dead, dead)] * 5
    assert (baseline["good"], baseline["bad"]) == (0.9, 0.2)
    assert (baseline["sees the prompt"], candidate["sees the prompt"]) == (0.0, 1.0)
    assert (baseline["crash"], candidate["crash"]) == (1.0, 0.0)
    assert baseline["outage"] == candidate["outage"] == "unscored: the model does not answer"
    # of two equal answers the first one wins; in every other sample that is the candidate's
    assert (baseline["best of two"], candidate["best of two"]) == (0.0, 1.0)
    assert baseline["near"] == pytest.approx(1.0)
    assert isinstance(baseline["far"], float)
    assert baseline["far"] < 0.5
    judged = [request for request in model.requests if request.purpose == "judge"]
    assert {request.model for request in judged} == {"sim-judge", "gpt-9"}
    assert {request.attempt for request in model.requests} == {3}
    assert not any("tracegrad-prompt-" in m.content for request in judged for m in request.messages)


async def test_a_run_of_the_owners_tests_that_hangs_is_ended(tmp_path: Path) -> None:
    owner = load(tmp_path, [a_test("x")])
    settings = EvaluatorSettings(task_model="sim-task", timeout_s=2.0)
    evaluator = OwnerEvaluator(hanging(tmp_path)[0], ScriptedModel(lambda _: "x"), owner, settings)
    evidence = await evaluator.compare(arms(), owner.cases)
    assert (evidence.complete, evidence.note) == (False, "promptfoo did not finish in time and was ended")
    assert evidence.pairs[0].baseline.result == Unscored(reason="promptfoo never asked for this answer")


async def test_only_the_owners_own_cases_are_run(tmp_path: Path) -> None:
    owner = load(tmp_path, [a_test("x")])
    evaluator = OwnerEvaluator(Runtime(bin_dir=tmp_path, version="0"), ScriptedModel(lambda _: "x"), owner, SETTINGS)
    assert (await evaluator.compare(arms(), ())).pairs == ()
    (case,) = owner.cases
    other = Case(id="other", origin=case.origin, input=case.input, reference=case.reference, source_key="s")
    with pytest.raises(BadInput, match=r"is no test of promptfooconfig\.yaml"):
        await evaluator.compare(arms(), [other])
