"""`tracegrad optimize` over files, the simulated model and real HTTP: what it finds, says, writes and refuses."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from re import MULTILINE
from typing import Any

import httpx
import pytest
import yaml
from optimize_samples import EVALUATORS, ODD, REFUSED
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deploy.cli import main
from deploy.cli.exits import DONE, INTERRUPTED, OUTSIDE, SPENT, USAGE
from deploy.cli.optimize import HEADLINES
from deploy.offline.report import Result
from sandbox.model.app import API_KEY, create_app
from sandbox.serving import serve

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "optimize"
TRACEGRAD = Path(sys.executable).parent / "tracegrad"
TRAIN, VALIDATION = 24, 16


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def better(self) -> bool:
        """A prompt was found, whether the few rows of a test prove it or not."""
        return self.out.splitlines()[1] in (HEADLINES[Result.IMPROVED][0], HEADLINES[Result.UNPROVEN][0])

    @property
    def sentence(self) -> str:
        """The one complaint."""
        [said] = [line for line in self.err.splitlines() if line.startswith("tracegrad: ")]
        assert said.endswith("."), said
        assert "this is a bug" not in said
        return said.removeprefix("tracegrad: ")


Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    with serve(create_app(seed=7)) as url:
        yield url


def calls(model: str) -> Any:
    """What the simulated model has seen."""
    return httpx.get(f"{model}/sandbox/calls").json()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the example's prompt and some of its rows, in which commands run."""
    shutil.copy(EXAMPLES / "prompt.txt", tmp_path)
    for name, count in (("train", TRAIN), ("val", VALIDATION)):
        lines = (EXAMPLES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        (tmp_path / f"{name}.jsonl").write_text("".join(lines[:count]), encoding="utf-8")
    (tmp_path / "cli_evaluators.py").write_text(EVALUATORS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", API_KEY)
    return tmp_path


@pytest.fixture
def optimize(folder: Path, model: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process, in the folder; an option that is None is left out."""
    assert Path.cwd() == folder

    def run(*more: str, before: tuple[str, ...] = (), **changed: str | None) -> Ended:
        options: dict[str, str | None] = {
            "prompt": "prompt.txt",
            "train": "train.jsonl",
            "val": "val.jsonl",
            "evaluator": "python:cli_evaluators:phrase",
            "max_task_calls": "120",
            "out": "better.txt",
            "model": "sim-task",
            "critic_model": "sim-critic",
            "base_url": f"{model}/v1",
        }
        given = {key: value for key, value in (options | changed).items() if value is not None}
        words = [word for key, value in given.items() for word in (f"--{key.replace('_', '-')}", value)]
        monkeypatch.setattr(sys, "argv", ["tracegrad", *before, "optimize", *words, *more])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main.main()
        said = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(code=ended.value.code, out=said.out, err=said.err)

    return run


def written(folder: Path) -> set[str]:
    """Files that were not there before."""
    own = {"prompt.txt", "train.jsonl", "val.jsonl", "cli_evaluators.py", "__pycache__"}
    return {path.name for path in folder.iterdir()} - own


# ---- what it finds ---------------------------------------------------------------------------------------------------


def test_a_better_prompt_with_the_way_from_every_line_back_to_its_rows(folder: Path, model: str, optimize: Run) -> None:
    before = calls(model)
    ended = optimize(before=("--json",))
    after = calls(model)
    assert ended.code == DONE, ended.err
    shown = json.loads(ended.out)
    assert written(folder) == {"better.txt", "better.txt.lineage.json"}
    assert json.loads((folder / "better.txt.lineage.json").read_text()) == shown
    text = (folder / "better.txt").read_bytes().decode()
    assert text == shown["prompt"] != shown["base"]

    assert shown["result"] in (Result.IMPROVED, Result.UNPROVEN)
    score = shown["score"]
    assert score["after"] > score["before"]
    assert score["after"] - score["before"] == pytest.approx(score["difference"])
    assert score["interval_95"][0] <= score["difference"] <= score["interval_95"][1]
    assert score["rows"] == score["of_rows"] == VALIDATION

    trained = {json.loads(line)["id"] for line in (folder / "train.jsonl").read_text().splitlines()}
    edits = {edit["id"]: edit for edit in shown["edits"]}
    assert "".join(line["text"] + "\n" for line in shown["lines"]) == text
    base_lines = set(shown["base"].splitlines())
    for line in shown["lines"]:
        if line["text"] not in base_lines:
            assert line["edit"] in edits
    for change in shown["changes"]:
        rows = {gradient["row"] for gradient in edits[change["edit"]]["gradients"]}
        assert len(rows) >= 2
        assert rows <= trained

    assert shown["task_calls"] <= shown["max_task_calls"] == 120
    assert shown["spent"]["task"]["calls"] == shown["task_calls"]
    assert shown["total"]["calls"] == after["total"] - before["total"]
    tokens = after["prompt_tokens"] - before["prompt_tokens"]
    assert shown["total"]["input_tokens"] == tokens


def test_the_scores_are_what_the_two_prompts_get(folder: Path, model: str, optimize: Run) -> None:
    """Asked again by a client of our own, both prompts get the scores that were reported."""
    shown = json.loads(optimize(before=("--json",)).out)
    rows = [json.loads(line) for line in (folder / "val.jsonl").read_text().splitlines()]

    def mean(prompt: str) -> float:
        hits = 0
        for row in rows:
            messages = [{"role": "system", "content": prompt}, {"role": "user", "content": row["input"]}]
            body = {"model": "sim-task", "messages": messages, "temperature": 0.0, "max_tokens": 2048}
            reply = client.post("/v1/chat/completions", json=body)
            hits += row["expected"] in reply.json()["choices"][0]["message"]["content"]
        return hits / len(rows)

    with httpx.Client(base_url=model, headers={"authorization": f"Bearer {API_KEY}"}) as client:
        assert shown["score"]["before"] == pytest.approx(mean(shown["base"]))
        assert shown["score"]["after"] == pytest.approx(mean(shown["prompt"]))


def test_the_same_seed_gives_the_same_bytes(folder: Path, optimize: Run) -> None:
    optimize(out="one.txt", seed="3")
    optimize(out="two.txt", seed="3")
    assert (folder / "one.txt").read_bytes() == (folder / "two.txt").read_bytes()
    assert (folder / "one.txt.lineage.json").read_bytes() == (folder / "two.txt.lineage.json").read_bytes()


def test_what_a_person_reads(optimize: Run) -> None:
    ended = optimize()
    lines = ended.out.splitlines()
    assert ended.better
    assert re.search(r"Score 0\.\d+ before, [01]\.\d+ after, on 16 validation rows\n", ended.out)
    assert re.search(r"Gain \+0\.\d+, 95% interval [+-]\d\.\d+ to \+\d\.\d+; \d+ rows better, \d+ worse", ended.out)
    assert "why: The prompt did not cover" in ended.out
    assert re.search(r"^task +\d+ +\d+ +not priced$", ended.out, MULTILINE)
    assert "The prompt was chosen by its score on these 16 rows" in ended.out
    assert "Written: better.txt" in lines
    assert "an evaluator may print" not in ended.out
    assert "an evaluator may print" in ended.err


def test_feedback_cannot_write_lines_of_ours(optimize: Run) -> None:
    ended = optimize(evaluator="python:cli_evaluators:forging")
    assert ended.code == DONE, ended.err
    assert "A better prompt was found Score 0.000 before, 1.000 after\\u001b[2J" in ended.out
    assert not any(line.strip().startswith("Score 0.000 before, 1.000 after") for line in ended.out.splitlines())


def test_a_server_and_a_rubric_judge_as_well(folder: Path, optimize: Run) -> None:
    async def grade(request: Request) -> JSONResponse:
        row = await request.json()
        return JSONResponse({"score": float(row["expected"] in row["output"]), "feedback": f"no {row['expected']}"})

    with serve(Starlette(routes=[Route("/grade", grade, methods=["POST"])])) as url:
        ended = optimize(evaluator=f"{url}/grade")
    assert ended.code == DONE, ended.err
    assert ended.better, ended.out

    shutil.copy(EXAMPLES / "rubric.md", folder)
    ended = optimize(evaluator="judge:rubric.md", out="other.txt")
    assert ended.code == DONE, ended.err
    assert ended.better, ended.out
    assert re.search(r"^judge +\d+ ", ended.out, MULTILINE)


def test_a_settings_file_gives_models_and_prices(folder: Path, model: str, optimize: Run) -> None:
    price = {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 10.0}
    names = {"task": "sim-task", "critic": "gpt-0", "base_url": f"{model}/v1"}
    settings = {"model": {**names, "prices": {"sim-task": price, "sim-critic": price}}}
    (folder / "tracegrad.yaml").write_text(yaml.safe_dump(settings))
    shown = json.loads(optimize(before=("--json",), model=None, base_url=None).out)
    total = shown["total"]
    assert total["cost_usd"] == pytest.approx((total["input_tokens"] + 10 * total["output_tokens"]) / 1e6)
    assert sum(usage["cost_usd"] for usage in shown["spent"].values()) == pytest.approx(total["cost_usd"])
    assert shown["models"] == {"task": "sim-task", "critic": "sim-critic"}
    absent = optimize(before=("--config", "absent.yaml"), out="other.txt")
    assert "there is no settings file at absent.yaml" in absent.sentence


def test_nothing_to_win_is_no_change(folder: Path, optimize: Run) -> None:
    ended = optimize(evaluator="python:cli_evaluators:content")
    assert ended.code == DONE
    assert "No change: nothing better was found" in ended.out
    assert "Score 1.000 on 16 validation rows" in ended.out
    assert (folder / "better.txt").read_bytes() == (folder / "prompt.txt").read_bytes()
    assert json.loads((folder / "better.txt.lineage.json").read_text())["changes"] == []


def test_a_budget_that_proves_nothing_is_not_a_success(folder: Path, optimize: Run) -> None:
    ended = optimize(evaluator="python:cli_evaluators:never_content", max_task_calls=str(2 * VALIDATION + 16))
    assert ended.code == SPENT, ended.out
    assert "No result: the budget ended before there was one; give a larger --max-task-calls" in ended.out
    assert written(folder) == {"better.txt.lineage.json"}


def test_answers_that_cannot_be_judged_are_counted(optimize: Run) -> None:
    ended = optimize(evaluator="python:cli_evaluators:choosy", before=("--json",))
    assert ended.code == DONE, ended.err
    shown = json.loads(ended.out)
    [(reason, times)] = shown["not_judged"].items()
    assert re.fullmatch(r"the evaluator raised KeyError in cli_evaluators.py line \d+", reason)
    assert times > 0
    assert shown["score"]["rows"] < VALIDATION
    assert any("were not scored with both prompts" in said for said in shown["does_not_show"])
    assert any("could not be judged" in said for said in shown["does_not_show"])


# ---- chats, variables and odd texts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "parse"), [("chat.json", json.loads), ("chat.yaml", yaml.safe_load)])
def test_a_chat_with_variables_and_placeholders(
    folder: Path, optimize: Run, name: str, parse: Callable[[str], Any]
) -> None:
    text = (folder / "prompt.txt").read_text().replace("Larkspur Garden", "{{shop}}")
    chat = [
        {"role": "system", "content": text},
        {"type": "placeholder", "name": "history"},
        {"role": "user", "content": "{{question}}"},
    ]
    (folder / name).write_text(json.dumps(chat))
    earlier = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello, how can I help?"}]
    for file in ("train.jsonl", "val.jsonl"):
        rows = [json.loads(line) for line in (folder / file).read_text().splitlines()]
        for row in rows:
            row["input"] = {"variables": {"shop": "X", "question": row["input"]}, "placeholders": {"history": earlier}}
        (folder / file).write_text("\n".join(json.dumps(row) for row in rows))
    ended = optimize(prompt=name, out=f"better.{name}")
    assert ended.code == DONE, ended.err
    assert ended.better, ended.out
    better = parse((folder / f"better.{name}").read_text())
    assert better[1:] == chat[1:]
    assert better[0]["content"] != text
    assert "{{shop}}" in better[0]["content"]
    for out in ("better.txt", "better"):
        assert "end --out in .json or .yaml" in optimize(prompt=name, out=out).sentence


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_prompt_keeps_what_no_edit_names(folder: Path, optimize: Run, odd: str) -> None:
    text = ODD[odd] + (folder / "prompt.txt").read_text()
    (folder / "odd.txt").write_bytes(text.encode())
    ended = optimize(prompt="odd.txt", max_task_calls="100")
    assert ended.code == DONE, ended.err
    assert ended.better, ended.out
    assert (folder / "better.txt").read_bytes().decode().startswith(ODD[odd])


# ---- what it refuses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_costs_nothing(folder: Path, model: str, optimize: Run, case: str) -> None:
    files, changed, said = REFUSED[case]
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    before, there = calls(model)["total"], written(folder)
    ended = optimize(**changed)
    assert ended.code == USAGE
    assert said in ended.sentence
    assert calls(model)["total"] == before
    assert written(folder) == there


def test_without_a_key_nobody_asks_openai(optimize: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    ended = optimize(base_url=None)
    assert ended.code == USAGE
    assert ended.sentence.endswith("set OPENAI_API_KEY, or --base-url of another server.")


def test_an_existing_file_is_overwritten_on_demand_only(folder: Path, optimize: Run) -> None:
    (folder / "better.txt").write_text("mine")
    assert optimize().code == USAGE
    assert (folder / "better.txt").read_text() == "mine"
    assert optimize("--force").code == DONE
    assert (folder / "better.txt").read_text() != "mine"


@pytest.mark.parametrize(
    ("evaluator", "said"),
    [
        ("failing", "none of the first 8 answers could be judged: the evaluator raised ZeroDivisionError in"),
        ("percent", "the evaluator gave the score 85, and a score lies between 0 (worst) and 1 (best)"),
    ],
)
def test_an_evaluator_that_never_works_ends_the_run(folder: Path, optimize: Run, evaluator: str, said: str) -> None:
    ended = optimize(evaluator=f"python:cli_evaluators:{evaluator}")
    assert ended.code == USAGE
    assert said in ended.sentence
    assert re.search(
        r"^Nothing was written\. Paid until then: \d+ calls, \d+ tokens, no price known\.$", ended.err, re.M
    )
    assert written(folder) == set()


def test_what_weakens_the_rows_is_said(folder: Path, optimize: Run) -> None:
    for file in ("train.jsonl", "val.jsonl"):
        rows = [json.loads(line) for line in (folder / file).read_text().splitlines()]
        rows[1]["input"] = rows[0]["input"]
        del rows[2]["expected"]
        (folder / file).write_text("\n".join(json.dumps(row) for row in rows))
    said = json.loads(optimize(before=("--json",)).out)["does_not_show"]
    assert "Rows with the input of another one, which count again: 1 in train.jsonl." in said
    assert "Rows with the input of another one, which count again: 1 in val.jsonl." in said
    [refused] = [sentence for sentence in said if "could not be judged" in sentence]
    assert re.match(r'\d+ answers could not be judged, all on rows without an "expected", because', refused)


def test_rows_without_an_expected_answer_are_pointed_at(folder: Path, optimize: Run) -> None:
    for file in ("train.jsonl", "val.jsonl"):
        rows = [json.loads(line) for line in (folder / file).read_text().splitlines()]
        (folder / file).write_text("\n".join(json.dumps({k: row[k] for k in ("id", "input")}) for row in rows))
    ended = optimize()
    assert ended.code == USAGE
    assert ended.sentence.endswith('try the evaluator on one row, and give the rows an "expected" if it needs one.')


@pytest.mark.parametrize(
    ("changed", "key", "said"),
    [
        ({"critic_model": "gpt-0"}, API_KEY, "knows no model 'gpt-0'"),
        ({"model": "gpt-0"}, API_KEY, "knows no model 'gpt-0'"),
        ({}, "sk-wrong", "refused the API key"),
    ],
)
def test_a_model_that_refuses_is_found_before_the_rows_are_paid(
    folder: Path,
    model: str,
    optimize: Run,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, str],
    key: str,
    said: str,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    before = calls(model)["total"]
    ended = optimize(**changed)
    assert ended.code == OUTSIDE
    assert said in ended.sentence
    assert calls(model)["total"] <= before + 1
    assert written(folder) == set()


# ---- as a process ----------------------------------------------------------------------------------------------------


def test_the_guide_runs_as_it_is_written(model: str, tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "optimize.md").read_text(encoding="utf-8").replace("\\\n", " ")
    [command] = re.findall(r"^tracegrad (optimize .+)$", guide, MULTILINE)
    place = tmp_path / "optimize"
    shutil.copytree(EXAMPLES, place)
    words = shlex.split(command.replace("http://127.0.0.1:3001", model))
    [key] = re.findall(r"^export OPENAI_API_KEY=(.+)$", guide, MULTILINE)
    done = subprocess.run(
        [TRACEGRAD, *words], cwd=place, env={**os.environ, "OPENAI_API_KEY": key}, capture_output=True, text=True
    )
    assert done.returncode == DONE, done.stderr
    assert "A better prompt was found" in done.stdout
    assert "  + " in done.stdout
    assert (place / "better.txt").read_text() != (place / "prompt.txt").read_text()


def test_ctrl_c_writes_nothing_and_says_what_was_paid(folder: Path) -> None:
    with serve(create_app(seed=7, latency_s=0.3)) as slow:
        files = "--prompt prompt.txt --train train.jsonl --val val.jsonl --out better.txt --max-task-calls 160"
        models = f"--model sim-task --critic-model sim-critic --base-url {slow}/v1"
        words = [*files.split(), *models.split(), "--evaluator", "python:cli_evaluators:phrase"]
        process = subprocess.Popen(
            [TRACEGRAD, "optimize", *words], cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 60
        while calls(slow)["calls"].get("task", 0) < 20 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED, err
    [said] = [line for line in err.splitlines() if line.startswith("tracegrad: ")]
    assert re.match(r"tracegrad: interrupted\. Nothing was written\. Paid until then: \d+ calls, ", said)
    assert "Traceback" not in err
    assert out == ""
    assert written(folder) == set()
