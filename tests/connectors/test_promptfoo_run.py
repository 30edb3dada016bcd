"""The real promptfoo, from our evaluator's call to its evidence."""

import asyncio
import json
import os
import signal
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from promptfoo_cases import SECRET, ScriptedModel, a_case, arms, echo

from connectors.judges.matching import Match, MatchingJudge
from connectors.judges.rubric import ModelJudge
from connectors.promptfoo.evaluator import PromptfooEvaluator
from connectors.promptfoo.runtime import Runtime, install
from connectors.promptfoo.settings import DETERMINISTIC, EvaluatorSettings
from optimizer.errors import BadCredentials, BadInput, Refused, Unreachable, Unsupported
from optimizer.identity import Json
from optimizer.ports import Judge, ModelRequest
from optimizer.types import Arm, Evidence, Missing, Scored, Unscored, Usage

PROJECT = Path(__file__).parents[2]
CASES = [a_case(1, "hi", reference="hi")]


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return install(PROJECT / ".node")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the run's private directory goes, to see that nothing is left in it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def evaluator(
    runtime: Runtime, model: ScriptedModel, judge: Judge | None = None, **settings: object
) -> PromptfooEvaluator:
    chosen = EvaluatorSettings(**{"task_model": "sim-task", "timeout_s": 120.0, **settings})  # type: ignore[arg-type]
    return PromptfooEvaluator(runtime, model, judge or MatchingJudge(Match.EXACT), chosen)


def values(evidence: Evidence, arm: Arm) -> list[float | str]:
    pairs = [pair.baseline if arm is Arm.BASELINE else pair.candidate for pair in evidence.pairs]
    return [p.result.value if isinstance(p.result, Scored) else f"unscored: {p.result.reason}" for p in pairs]


@pytest.mark.slow
async def test_every_way_an_answer_can_go_wrong(runtime: Runtime, workspace: Path) -> None:
    def script(request: ModelRequest) -> str:
        question = request.messages[-1].content
        if request.purpose == "judge":
            raise Unreachable("the judge does not answer")
        if "refuse" in question and request.messages[0].content == "Answer well.":
            raise Refused("the model declined to answer")
        if "gone" in question:
            raise Unreachable("the model does not answer")
        return "As an AI, I say yes" if "boast" in question else "yes"

    cases = [
        a_case(0, "plain", reference="yes"),
        a_case(1, "wrong", reference="no"),
        a_case(2, "refuse", reference="yes"),
        a_case(3, "gone", reference="yes"),
        a_case(4, "boast", reference="as an ai, i say yes"),
        a_case(5, "for the judge", reference=Missing.NO_REFERENCE),
    ]
    model = ScriptedModel(script)
    rubric = ModelJudge(model, "sim-judge", "Be kind.", fence_secret=b"secret")
    settings = EvaluatorSettings(
        task_model="sim-task", timeout_s=120.0, assertions=({"type": "not-contains", "value": "As an AI"},)
    )
    made: list[tuple[int, int]] = []
    judge = PromptfooEvaluator(
        runtime,
        model,
        MatchingJudge(Match.CONTAINS, rubric),
        settings,
        progress=lambda done, total: made.append((done, total)),
    )
    evidence = await judge.compare(arms(), list(reversed(cases)))
    assert evidence.complete, evidence.note
    assert [pair.case.id for pair in evidence.pairs] == [case.id for case in cases]
    gone = "unscored: the model does not answer"
    unjudged = "unscored: the judge gave no judgement: the judge does not answer"
    assert values(evidence, Arm.BASELINE) == [1.0, 0.5, 1.0, gone, 0.5, unjudged]
    assert values(evidence, Arm.CANDIDATE) == [1.0, 0.5, 0.0, gone, 0.5, unjudged]
    assert evidence.pairs[2].candidate.result == Scored(
        value=0.0, reason="no usable answer: the model declined to answer"
    )
    assert evidence.pairs[4].candidate.result == Scored(
        value=0.5, reason="contains what the reference asks for; fails 'not-contains'"
    )
    assert evidence.pairs[0].candidate.usage == Usage(calls=1, input_tokens=10, output_tokens=5, cost_usd=0.001)
    assert evidence.evaluator == "promptfoo 0.123.1"
    assert made == [(number, 12) for number in range(1, 13)]
    assert os.listdir(workspace) == []


@pytest.mark.slow
async def test_every_type_of_assertion_that_is_admitted_runs(runtime: Runtime) -> None:
    values: dict[str, Json] = {kind: "yes" for kind in DETERMINISTIC}
    values |= {kind: ["yes"] for kind in DETERMINISTIC if kind.endswith(("-all", "-any"))}
    values |= {"is-json": {}, "contains-json": {}, "word-count": 1}
    limits = {"cost": {"threshold": 1}, "latency": {"threshold": 60_000}}
    assertions = tuple({"type": kind, **limits.get(kind, {"value": values[kind]})} for kind in sorted(DETERMINISTIC))
    judge = evaluator(runtime, ScriptedModel(lambda _: "yes"), assertions=assertions)
    evidence = await judge.compare(arms(), [a_case(1, "?", reference="yes")])
    result = evidence.pairs[0].candidate.result
    assert isinstance(result, Scored)
    broken = {part.removeprefix("fails ").strip("'") for part in result.reason.split("; ")[1:]}
    markup = {f"{verb}-{kind}" for verb in ("is", "contains") for kind in ("json", "xml", "html")}
    assert broken == {*markup, "is-refusal"}


@pytest.mark.slow
async def test_refused_keys_end_the_run_as_incomplete(runtime: Runtime) -> None:
    def script(_: ModelRequest) -> str:
        raise BadCredentials("the key was refused", "check the key")

    model = ScriptedModel(script)
    evidence = await evaluator(runtime, model, concurrency=1).compare(
        arms(), [a_case(number, "hi", reference="hi") for number in range(5)]
    )
    assert not evidence.complete
    assert evidence.note == "the key was refused; check the key."
    assert len(model.requests) == 1
    assert all(isinstance(pair.baseline.result, Unscored) for pair in evidence.pairs)


def a_runtime(tmp_path: Path, promptfoo: str) -> Runtime:
    """A runtime whose promptfoo is a Python script of ours; the wrapper asks its `node` for a version first."""
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    for name, body in (("node", "print('v24.0.0')"), ("promptfoo", promptfoo)):
        path = bin_dir / name
        path.write_text(f"#!{sys.executable}\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Runtime(bin_dir=bin_dir, version="0.0.0")


def is_alive(pid: int) -> bool:
    """False for processes that are gone, and for those that only wait to be collected by the system."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def hanging(tmp_path: Path) -> tuple[Runtime, Path]:
    """A promptfoo that starts a child and never ends, and the file where it names both processes."""
    pids = tmp_path / "pids"
    script = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(tmp_path / 'partial')!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"os.rename({str(tmp_path / 'partial')!r}, {str(pids)!r})\n"
        "time.sleep(600)"
    )
    return a_runtime(tmp_path, script), pids


def in_time(happened: Callable[[], bool]) -> bool:
    """Whether it happened within half a minute: killed processes take a moment to go on a busy machine."""
    return any(happened() or time.sleep(0.05) for _ in range(600))


def ended(pids: Path) -> bool:
    """Whether all processes went; those that did not are ended now, for the sake of the machine."""
    named = [int(pid) for pid in pids.read_text().split()]
    if in_time(lambda: not any(is_alive(pid) for pid in named)):
        return True
    for pid in filter(is_alive, named):
        os.kill(pid, signal.SIGKILL)
    return False


async def test_a_run_that_hangs_is_ended_with_everything_it_started(tmp_path: Path) -> None:
    runtime, pids = hanging(tmp_path)
    evidence = await evaluator(runtime, ScriptedModel(echo), timeout_s=8.0).compare(arms(), CASES)
    assert not evidence.complete
    assert evidence.note == "promptfoo did not finish in time and was ended"
    assert isinstance(evidence.pairs[0].candidate.result, Unscored)
    assert await asyncio.to_thread(ended, pids)


async def test_a_run_that_is_called_off_leaves_nothing_behind(tmp_path: Path, workspace: Path) -> None:
    runtime, pids = hanging(tmp_path)
    running = asyncio.ensure_future(evaluator(runtime, ScriptedModel(echo)).compare(arms(), CASES))
    assert await asyncio.to_thread(in_time, pids.exists)
    assert any(name.startswith("tracegrad-") for name in os.listdir(workspace))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await asyncio.to_thread(ended, pids)
    assert not any(name.startswith("tracegrad-") for name in os.listdir(workspace))


async def test_a_run_that_leaves_cases_out_is_incomplete(tmp_path: Path) -> None:
    results = {"results": {"version": 3, "prompts": [{"label": "baseline"}, {"label": "candidate"}], "results": []}}
    lazy = f"import sys\nopen(sys.argv[sys.argv.index('-o') + 1], 'w').write({json.dumps(results)!r})"
    evidence = await evaluator(a_runtime(tmp_path, lazy), ScriptedModel(echo)).compare(arms(), CASES)
    assert (evidence.complete, evidence.note) == (False, "promptfoo left out 2 of 2 answers")


async def test_the_child_sees_nothing_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGFUSE_SECRET_KEY", SECRET)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    seen = tmp_path / "environment"
    judge = evaluator(
        a_runtime(tmp_path, f"import os\nopen({str(seen)!r}, 'w').write(repr(dict(os.environ)))"), ScriptedModel(echo)
    )
    evidence = await judge.compare(arms(), CASES)
    assert evidence.note.startswith("promptfoo wrote no results")
    environment = seen.read_text()
    assert "PROMPTFOO_DISABLE_TELEMETRY" in environment
    assert SECRET not in environment
    assert "PROXY" not in environment


async def test_a_run_that_fails_is_incomplete(tmp_path: Path) -> None:
    judge = evaluator(a_runtime(tmp_path, "raise SystemExit(3)"), ScriptedModel(echo))
    evidence = await judge.compare(arms(), CASES)
    assert (evidence.complete, evidence.note) == (False, "promptfoo failed with exit code 3")


async def test_without_promptfoo_the_wrapper_cannot_download_one(tmp_path: Path) -> None:
    runtime = a_runtime(tmp_path, "")
    (runtime.bin_dir / "promptfoo").unlink()
    evidence = await evaluator(runtime, ScriptedModel(echo)).compare(arms(), CASES)
    assert (evidence.complete, evidence.note) == (False, "promptfoo failed with exit code 1")


async def test_a_case_id_that_could_be_a_template_is_refused(tmp_path: Path) -> None:
    case = a_case(1, "hi")
    strange = type(case)(id="{{7*7}}", origin=case.origin, input=case.input, reference="hi", source_key="s")
    judge = evaluator(Runtime(bin_dir=tmp_path, version="0.0.0"), ScriptedModel(echo))
    with pytest.raises(BadInput, match="rename the case"):
        await judge.compare(arms(), [strange])
    with pytest.raises(BadInput, match="2 cases have the same id 'case-001'"):
        await judge.compare(arms(), [case, case])


async def test_a_prompt_that_pulls_in_others_is_refused(tmp_path: Path) -> None:
    judge = evaluator(Runtime(bin_dir=tmp_path, version="0.0.0"), ScriptedModel(echo))
    with pytest.raises(Unsupported, match="pulls in other prompts"):
        await judge.compare(arms("Be kind.", "@@@langfusePrompt:name=tone|label=production@@@"), CASES)


@pytest.mark.slow
async def test_a_bug_in_the_model_is_not_taken_for_evidence(runtime: Runtime) -> None:
    def script(_: ModelRequest) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await evaluator(runtime, ScriptedModel(script)).compare(arms(), CASES)
