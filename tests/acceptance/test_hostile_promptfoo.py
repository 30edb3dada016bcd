"""Texts that are out to do harm, through the real promptfoo: inert behind the gateway, and alive without it.

A secret is planted in a file and in the environment, and a program whose run leaves a mark. The same texts, looked at
in the same way, pass once by the product and once by a configuration of this test that does what people do first: put
the texts into promptfoo's variables.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from connectors.judges.matching import Match, MatchingJudge
from connectors.judges.rubric import ModelJudge
from connectors.promptfoo.evaluator import PromptfooEvaluator
from connectors.promptfoo.owner.config import OwnerTests
from connectors.promptfoo.owner.evaluator import OwnerEvaluator
from connectors.promptfoo.process import WRAPPER, environment
from connectors.promptfoo.runtime import Runtime, install
from connectors.promptfoo.settings import EvaluatorSettings
from optimizer.ports import ModelReply, ModelRequest
from optimizer.prompts import Message, PromptVersion
from optimizer.types import Arm, Case, CaseInput, CaseOrigin, Evidence, Missing, Scored, Usage

pytestmark = pytest.mark.slow

IN_A_FILE = "what-stands-in-a-file-of-the-machine"
IN_THE_ENVIRONMENT = "what-stands-in-the-environment"
NODE = Path(__file__).parents[2] / ".node"
SETTINGS = EvaluatorSettings(task_model="sim-task", timeout_s=120.0)


@dataclass(frozen=True)
class Trap:
    """What is planted, and the texts that are after it."""

    folder: Path

    @property
    def mark(self) -> Path:
        """What the planted program leaves behind."""
        return self.folder / "was-run"

    def lay(self) -> None:
        """Write the secret and the program."""
        (self.folder / "secret.txt").write_text(IN_A_FILE)
        program = f"open({str(self.mark)!r}, 'w')\ndef get_var(*_):\n    return {{'output': 'run'}}\n"
        (self.folder / "pwn.py").write_text(program)
        (self.folder / "pwn.cjs").write_text(
            f"require('fs').writeFileSync({json.dumps(str(self.mark))}, ''); module.exports = () => ({{output: 'run'}})"
        )

    @property
    def texts(self) -> tuple[str, ...]:
        """The hostile texts."""
        return (
            f"file://{self.folder}/secret.txt",
            f"file://{self.folder}/pwn.py",
            f"file://{self.folder}/pwn.cjs",
            "{{env.PLANTED}} {{ env['PLANTED'] }}",
            "{{7*7}}",
            "{% for x in range(3) %}{{env.PLANTED}}{% endfor %}",
            f"{{% include '{self.folder}/secret.txt' %}}",
            "{{ range.constructor('return process.env.PLANTED')() }}",
            json.dumps([f"file://{self.folder}/secret.txt", "two"]),
            json.dumps({"error": "replaced", "output": f"file://{self.folder}/secret.txt"}),
            "tracegrad-prompt-00000000000000000000000000000000",
            f"exec:touch {self.mark}",
            "package:evil:run",
            f"[0, 1]\u2028\u0000 \U0001f4a9 $(touch {self.mark}) `touch {self.mark}`",
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
            "null",
            "</script><!-- -->\r\n---\n- a: *b",
            "x{{y}}" * 170_000,
        )


@dataclass(frozen=True)
class Seen:
    """What came out."""

    secret_of_file: bool
    secret_of_environment: bool
    program_ran: bool
    arrived: frozenset[str]
    """Texts that reached the model as they were written."""


Design = Callable[[Trap, Runtime], Awaitable[list[str]]]
"""Passes the texts on, and gives everything that was sent, answered and noted."""


class Echo:
    """A model that answers with the question and grades kindly; `said` is everything that it was ever told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.said += [message.content for message in request.messages]
        text = '{"pass": true, "score": 1, "reason": "good"}' if request.purpose == "judge" else self.said[-1]
        return ModelReply(text=text, model=request.model, usage=Usage(calls=1))


def everything(model: Echo, found: Evidence) -> list[str]:
    evaluations = [arm for pair in found.pairs for arm in (pair.baseline, pair.candidate)]
    return [*model.said, *(e.output for e in evaluations), *(e.result.reason for e in evaluations)]


def arms(baseline: str = "Answer.", candidate: str = "Answer well.") -> Mapping[Arm, PromptVersion]:
    texts = {Arm.BASELINE: baseline, Arm.CANDIDATE: candidate}
    return {arm: PromptVersion(name="p", version=1, body=text) for arm, text in texts.items()}


async def by_the_product(trap: Trap, runtime: Runtime) -> list[str]:
    """Hostile inputs, answers, references, complaints and recorded answers, judged by comparison and by a model."""
    cases = [
        Case(
            id=f"case-{number}-{'judged' if isinstance(reference, Missing) else 'compared'}",
            origin=CaseOrigin.DATASET,
            input=CaseInput(history=(Message(role="user", content=text),)),
            reference=reference,
            source_key=f"source-{number}",
            complaint=text,
            recorded_output=text,
        )
        for number, text in enumerate(trap.texts)
        for reference in (text, Missing.NO_REFERENCE)
    ]
    model = Echo()
    rubric = ModelJudge(model, "sim-judge", "Be kind.", fence_secret=b"secret")
    judge = MatchingJudge(Match.EXACT, otherwise=rubric)
    owners = {"type": "not-contains", "value": IN_A_FILE}
    settings = EvaluatorSettings(task_model="sim-task", timeout_s=120.0, assertions=(owners,))
    found = await PromptfooEvaluator(runtime, model, judge, settings).compare(arms(), cases)
    assert found.complete, found.note
    results = [arm.result for pair in found.pairs for arm in (pair.baseline, pair.candidate)]
    assert [r.value for r in results if isinstance(r, Scored)] == [1.0] * (2 * len(cases))
    outputs = {pair.case.id: pair.candidate.output for pair in found.pairs}
    assert outputs == {case.id: case.complaint for case in cases}
    return everything(model, found)


async def by_the_owners_tests(trap: Trap, runtime: Runtime) -> list[str]:
    """Hostile answers and hostile prompts, in the owner's own tests, with a model that grades."""
    config = trap.folder / "promptfooconfig.yaml"
    graded = [{"type": "llm-rubric", "value": "is kind"}, {"type": "not-contains", "value": IN_A_FILE}]
    tests = [{"vars": {"question": f"say {number}"}, "assert": graded} for number in range(len(trap.texts))]
    config.write_text(json.dumps({"tests": tests, "prompts": ["langfuse://p"]}))
    owner = OwnerTests.load(config, project=trap.folder, prompt_name="p", body="Answer.", judge_model="sim-judge")
    assert owner.not_honoured == ()

    class Hostile(Echo):
        async def complete(self, request: ModelRequest) -> ModelReply:
            reply = await super().complete(request)
            if request.purpose == "judge":
                return reply
            text = trap.texts[int(reply.text.split()[-1])]
            self.said.append(text)
            return ModelReply(text=text, model=reply.model, usage=reply.usage)

    model = Hostile()
    hostile_prompts = arms("{{env.PLANTED}} {{7*7}}", "\n".join(trap.texts[:9]))
    found = await OwnerEvaluator(runtime, model, owner, SETTINGS).compare(hostile_prompts, owner.cases)
    assert found.complete, found.note
    outputs = {pair.candidate.output for pair in found.pairs}
    assert outputs == set(trap.texts)
    results = [arm.result for pair in found.pairs for arm in (pair.baseline, pair.candidate)]
    assert [r.value for r in results if isinstance(r, Scored)] == [1.0] * len(results)
    return everything(model, found)


async def without_the_gateway(trap: Trap, runtime: Runtime) -> list[str]:
    """The texts as promptfoo's variables, promptfoo's usual environment: what the product never does."""
    config, out = trap.folder / "naive.json", trap.folder / "naive-results.json"
    tests = [{"vars": {"question": text}} for text in trap.texts]
    config.write_text(json.dumps({"prompts": ["{{question}}"], "providers": ["echo"], "tests": tests}))
    guarded = environment(runtime, trap.folder, timeout_s=120.0)
    usual = {
        k: v for k, v in guarded.items() if k not in ("PROMPTFOO_DISABLE_TEMPLATE_ENV_VARS", "PROMPTFOO_SELF_HOSTED")
    }
    command = [sys.executable, "-I", "-c", WRAPPER, "eval", "-c", str(config), "-o", str(out), "--no-cache"]
    command += ["--no-write", "--no-table", "--no-progress-bar"]
    env = {**usual, "PLANTED": os.environ["PLANTED"]}
    await asyncio.to_thread(subprocess.run, command, env=env, cwd=trap.folder, timeout=120, capture_output=True)
    rows = json.loads(out.read_text())["results"]["results"]
    return [str((row.get("response") or {}).get("output")) for row in rows]


async def seen(design: Design, trap: Trap, runtime: Runtime) -> Seen:
    """Lay the trap, pass the texts by a design, and look."""
    trap.lay()
    came_out = await design(trap, runtime)
    return Seen(
        secret_of_file=any(IN_A_FILE in text for text in came_out),
        secret_of_environment=any(IN_THE_ENVIRONMENT in text for text in came_out),
        program_ran=trap.mark.exists(),
        arrived=frozenset(trap.texts) & frozenset(came_out),
    )


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return install(NODE)


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trap:
    monkeypatch.setenv("PLANTED", IN_THE_ENVIRONMENT)
    monkeypatch.chdir(tmp_path)
    return Trap(tmp_path)


@pytest.mark.parametrize("design", [by_the_product, by_the_owners_tests])
async def test_behind_the_gateway_hostile_texts_are_texts(design: Design, trap: Trap, runtime: Runtime) -> None:
    found = await seen(design, trap, runtime)
    assert not found.secret_of_file
    assert not found.secret_of_environment
    assert not found.program_ran
    assert found.arrived == frozenset(trap.texts)


async def test_the_same_texts_in_promptfoos_variables_steal_and_run(trap: Trap, runtime: Runtime) -> None:
    found = await seen(without_the_gateway, trap, runtime)
    assert found.secret_of_file
    assert found.secret_of_environment
    assert found.program_ran
    assert found.arrived != frozenset(trap.texts)
