"""`tracegrad gate` over the simulated Langfuse and model: verdicts, what it says and writes, and what it refuses."""

import asyncio
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deploy.cli import main
from sandbox.langfuse.app import create_app as create_langfuse
from sandbox.model.app import API_KEY
from sandbox.model.app import create_app as create_model
from sandbox.model.troubles import Troubles
from sandbox.scenario.history import seed_history
from sandbox.scenario.support import PROMPT_NAME, SupportApplication
from sandbox.serving import serve

PASS, USAGE, FAIL, UNDECIDED, COULD_NOT_RUN = 0, 2, 10, 11, 12
VERDICTS = {PASS: "pass", FAIL: "fail", UNDECIDED: "undecided"}
PUBLIC, SECRET = "pk-lf-sandbox", "sk-lf-sandbox"
BETTER = """\
When somebody asks about a refund, name the refund window in days.
Never promise a delivery date.
Quote or ask for the order number in every answer about a parcel.
Mention the two-year warranty when something is broken.
"""
WORSE = "Answer with one word only and never give details.\n"
GATE: dict[str, Any] = {
    "datasets": ["support-regression"],
    "replayed": 60,
    "sealed": 100,
    "max_cases": 50,
    "evaluator": "contains",
    "attacks": False,
    "latency_margin": 20,  # a simulated model answers at once: what would be compared is this machine's noise
    "export": False,
}


@dataclass(frozen=True)
class World:
    """Where the simulated world listens, and the switches of its model."""

    langfuse: str
    model: str
    troubles: Troubles

    def get(self, path: str, **params: Any) -> Any:
        return httpx.get(self.langfuse + path, params=params, auth=(PUBLIC, SECRET)).raise_for_status().json()

    @property
    def calls(self) -> int:
        total: int = httpx.get(f"{self.model}/sandbox/calls").json()["total"]
        return total

    @property
    def production(self) -> str:
        text: str = self.get(f"/api/public/v2/prompts/{PROMPT_NAME}")["prompt"]
        return text


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    troubles = Troubles()
    langfuse = create_langfuse(tmp_path_factory.mktemp("gate") / "langfuse.db")
    with serve(langfuse) as langfuse_url, serve(create_model(seed=7, troubles=troubles)) as model_url:

        async def seed() -> None:
            async with SupportApplication(langfuse_url, f"{model_url}/v1") as application:
                await seed_history(application, now=datetime.now(UTC))
                await application.project.create_dataset("empty", description="Holds nothing")

        asyncio.run(seed())
        yield World(langfuse=langfuse_url, model=model_url, troubles=troubles)


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def report(self, code: int) -> dict[str, Any]:
        """The document of a gate that ended with this code."""
        assert self.code == code, self.err + self.out[:3000]
        shown: dict[str, Any] = json.loads(self.out)
        assert shown["verdict"] == VERDICTS[code]
        return shown

    @property
    def sentence(self) -> str:
        """The one complaint."""
        [said] = [line for line in self.err.splitlines() if line.startswith("tracegrad: ")]
        assert said.endswith("."), said
        assert "this is a bug" not in said
        return said.removeprefix("tracegrad: ")


def finding(shown: dict[str, Any], gate: str) -> tuple[str, str]:
    [found] = [one for one in shown["findings"] if one["gate"] == gate]
    return found["verdict"], found["sentence"]


@pytest.fixture
def folder(tmp_path: Path, world: World, migrated: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which commands run, with a better and a worse candidate, and a database that is made already."""
    (tmp_path / ".tracegrad").mkdir()
    shutil.copy(migrated, tmp_path / ".tracegrad" / "tracegrad.db")
    (tmp_path / ".tracegrad" / "source.key").write_bytes(b"the same sources are sealed ever")
    (tmp_path / "better.txt").write_text(f"{world.production.rstrip()}\n{BETTER}")
    (tmp_path / "worse.txt").write_text(f"{world.production.rstrip()}\n{WORSE}")
    monkeypatch.chdir(tmp_path)
    for name in ("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    before = world.get("/api/public/v2/prompts", limit=10)["data"]
    yield tmp_path
    assert world.get("/api/public/v2/prompts", limit=10)["data"] == before, "a gate publishes nothing"
    world.troubles.update(Troubles().settings)


Run = Callable[..., Ended]


@pytest.fixture
def gate(folder: Path, world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process; `settings` change keys of the gate, or of other sections."""

    def run(candidate: str, *options: str, before: tuple[str, ...] = ("--json",), **settings: Any) -> Ended:
        write(folder, world, settings)
        words = [*before, "gate", "--prompt", PROMPT_NAME, "--candidate", candidate, *options]
        monkeypatch.setattr(sys, "argv", ["tracegrad", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main.main()
        said = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        assert "Traceback" not in said.err
        return Ended(code=ended.value.code, out=said.out, err=said.err)

    return run


def write(folder: Path, world: World, settings: dict[str, Any]) -> None:
    """The settings file."""
    langfuse = {"host": world.langfuse, "public_key": PUBLIC, "secret_key": SECRET, "requests_per_minute": 0}
    prompt = {"name": PROMPT_NAME, **settings.pop("prompt", {})}
    prices = {name: {"input_usd_per_mtok": 1, "output_usd_per_mtok": 4} for name in ("sim-task", "sim-judge")}
    model = {
        "base_url": f"{world.model}/v1",
        "api_key": API_KEY,
        "task": "sim-task",
        "critic": "sim-critic",
        "judge": "sim-judge",
        "prices": prices,
    }
    content = {
        "langfuse": {**langfuse, **settings.pop("langfuse", {})},
        "model": {**model, **settings.pop("model", {})},
        **settings.pop("top", {}),
        "prompts": [{**prompt, "gate": {**GATE, **settings}}],
    }
    (folder / "tracegrad.yaml").write_text(yaml.safe_dump(content))


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_a_better_prompt_is_screened_and_nothing_is_staked(folder: Path, gate: Run) -> None:
    shown = gate("better.txt").report(PASS)
    assert shown["proof"] == "screened, not proven"
    assert shown["claim"] is None
    assert (shown["prompt"], shown["candidate"], shown["baseline"]) == (PROMPT_NAME, "better.txt", None)
    assert shown["candidate_mean"] > shown["baseline_mean"]
    assert shown["usage"]["calls"] > shown["scored_pairs"]
    assert shown["usage"]["cost_usd"] > 0
    assert shown["case_counts"]["sealed"] > 0
    assert shown["langfuse"] == ""
    assert {path.name for path in folder.iterdir()} == {"better.txt", "worse.txt", "tracegrad.yaml", ".tracegrad"}


def test_each_claim_opens_a_stake_and_uses_up_sealed_cases(gate: Run) -> None:
    first, second = gate("better.txt", "--claim").report(PASS), gate("better.txt", "--claim").report(PASS)
    assert [one["proof"] for one in (first, second)] == ["proven", "proven"]
    assert [one["claim"]["stake"] for one in (first, second)] == pytest.approx([0.05, 0.045])
    assert [one["claim"]["left"] for one in (first, second)] == pytest.approx([0.45, 0.405])
    used = [{case["id"] for case in one["claim"]["cases"]} for one in (first, second)]
    screened = {case["id"] for one in (first, second) for case in one["cases"]}
    assert used[0].isdisjoint(used[1])
    assert screened.isdisjoint(used[0] | used[1])
    third = gate("better.txt", "--claim").report(UNDECIDED)
    assert "sealed cases are left that nobody has looked at" in finding(third, "claim")[1]
    assert third["claim"] is None, "no stake is opened for cases that could decide nothing"
    fourth = gate("better.txt", "--claim", prompt={"name": PROMPT_NAME, "formerly": ["an older name"]}, min_cases=20)
    assert fourth.report(PASS)["claim"]["left"] == pytest.approx(0.3645)


def test_a_claim_may_be_asked_for_where_cycles_only_screen(gate: Run) -> None:
    observed = {"release": {"policy": "observe"}}
    assert gate("better.txt", "--claim", claim=False, prompt=observed).report(PASS)["proof"] == "proven"


def test_a_claim_may_be_asked_for_where_a_canary_proves(gate: Run) -> None:
    watched = {"release": {"policy": "canary", "canary": {"metric": {"score": "helpful"}}}}
    assert gate("better.txt", "--claim", prompt=watched).report(PASS)["proof"] == "proven"


def test_a_worse_prompt(gate: Run) -> None:
    shown = gate("worse.txt").report(FAIL)
    assert shown["reasons"][0] == "Failed: the candidate answers worse than the current prompt."
    assert finding(shown, "screen")[0] == "fail"


def test_the_baseline_may_be_a_file(gate: Run) -> None:
    assert gate("better.txt", "--baseline", "worse.txt").report(PASS)["baseline"] == "worse.txt"
    gate("worse.txt", "--baseline", "better.txt").report(FAIL)
    same = gate("worse.txt", "--baseline", "worse.txt").report(PASS)
    assert same["reasons"] == ["No change: the candidate is the baseline, word for word, so nothing was asked."]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_candidate_that_changes_nothing(folder: Path, world: World, gate: Run, end: str) -> None:
    before = world.calls
    (folder / "same.txt").write_bytes((world.production.rstrip("\n") + end).encode())
    assert gate("same.txt", "--claim").report(UNDECIDED)["claim"] is None, "there is nothing to prove"
    shown = gate("same.txt").report(PASS)
    assert shown["reasons"] == ["No change: the candidate is version 1, word for word, so nothing was asked."]
    assert (shown["proof"], shown["claim"]) == ("none", None)
    assert world.calls == before


def test_attacks_are_tried_when_asked_for(gate: Run) -> None:
    shown = gate("better.txt", "--attacks").report(PASS)
    assert sum(one["attacks"] for one in shown["attacks"]) >= 200
    assert gate("better.txt", "--no-attacks", attacks=True).report(PASS)["attacks"] == []


def test_too_few_cases(gate: Run) -> None:
    assert "400" in gate("better.txt", min_cases=400, max_cases=400).report(UNDECIDED)["reasons"][0]


# ---- troubles --------------------------------------------------------------------------------------------------------


def test_a_dead_grader(world: World, gate: Run) -> None:
    world.troubles.update({"babbling": ["sim-judge"]})
    shown = gate("better.txt", evaluator="rubric", replayed=0).report(UNDECIDED)
    assert shown["scored_pairs"] == 0
    assert finding(shown, "evidence")[0] == "undecided"


def test_a_judge_that_always_prefers_the_first_place(world: World, gate: Run) -> None:
    world.troubles.update({"first_place": True})
    shown = gate("better.txt", evaluator="pairwise", replayed=0).report(UNDECIDED)
    assert finding(shown, "judge")[0] == "undecided"
    judge = shown["judge"]
    assert judge["inconsistent"] == judge["first_preferred"] == judge["swapped"] > 0


def test_a_candidate_at_which_the_model_falls_silent(world: World, gate: Run) -> None:
    world.troubles.update({"crash_phrase": "two-year warranty", "crash_empty": True})
    assert gate("better.txt").report(FAIL)["candidate_mean"] < 0.1


def test_a_key_that_the_model_refuses(gate: Run) -> None:
    shown = gate("better.txt", model={"api_key": "sk-wrong"}).report(UNDECIDED)
    assert shown["complete"] is False
    assert "refused the API key" in shown["note"]


def test_a_budget_that_is_spent(gate: Run) -> None:
    shown = gate("better.txt", prompt={"budget_usd": 0.001}).report(UNDECIDED)
    assert shown["complete"] is False
    assert "budget" in shown["note"]


EVALUATORS = """
def choosy(row):
    print("an evaluator may print")
    if row["id"].endswith("7"):
        raise KeyError(row["output"])
    return float((row["expected"] or "") in row["output"])
"""


def test_an_evaluator_that_raises_on_some_cases(folder: Path, gate: Run) -> None:
    (folder / "gate_evaluators.py").write_text(EVALUATORS)
    ended = gate("better.txt", evaluator="python:gate_evaluators:choosy", replayed=0)
    shown = ended.report(UNDECIDED)
    assert 0 < shown["unscored_pairs"] < shown["scored_pairs"]
    assert "an evaluator may print" in ended.err


def test_a_prompt_that_holds_the_expected_answers(folder: Path, world: World, gate: Run) -> None:
    items = world.get("/api/public/dataset-items", datasetName="support-regression", limit=100)["data"]
    pairs = [f"{item['input']['messages'][0]['content']} -> {item['expectedOutput']}" for item in items[:40]]
    (folder / "leak.txt").write_text("\n".join([world.production.rstrip(), *pairs]))
    before = world.calls
    assert "holds the expected answers of" in gate("leak.txt").report(FAIL)["reasons"][0]
    assert world.calls == before, "the texts alone tell it"


# ---- what is said and written ----------------------------------------------------------------------------------------


def test_a_person_reads_the_verdict_first(gate: Run) -> None:
    ended = gate("worse.txt", "--report", "r.md", before=())
    assert ended.code == FAIL
    assert ended.out.lstrip().startswith("Gate: fail\nFailed: the candidate answers worse than the current prompt.\n")
    assert ended.out.rstrip().endswith("Written: r.md")
    assert "Trying both versions on the same cases" in ended.err


def test_the_report_in_every_form_holds_no_text_of_a_customer(folder: Path, world: World, gate: Run) -> None:
    names = ("r.md", "r.html", "r.json", "r.txt")
    ended = gate("better.txt", *(word for name in names for word in ("--report", name)))
    texts = {name: (folder / name).read_text() for name in names}
    assert json.loads(texts["r.json"]) == ended.report(PASS)
    assert all("screened, not proven" in text for text in texts.values())
    assert texts["r.html"].startswith("<!doctype html>")
    items = world.get("/api/public/dataset-items", datasetName="support-regression", limit=100)["data"]
    questions = [item["input"]["messages"][0]["content"] for item in items]
    assert not any(question in text for question in questions for text in (*texts.values(), ended.out))


# ---- no verdict ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"langfuse": {"host": "http://127.0.0.1:9"}}, "cannot reach Langfuse at http://127.0.0.1:9"),
        ({"langfuse": {"secret_key": "sk-lf-wrong"}}, "refused the keys"),
        ({"prompt": {"name": "another"}}, "prompt 'support-assistant' is not registered (registered: another)"),
        ({"prompt": {"label": "staging"}}, "has the label 'staging'"),
        ({"datasets": ["gone"]}, "there is no dataset 'gone'; create it in Langfuse or take it out of"),
        ({"datasets": ["empty"]}, "the dataset 'empty' holds no active item; add some or take it out of"),
        ({"evaluator": "python:nowhere:f"}, "nowhere"),
        ({"evaluator": "http://127.0.0.1:9/judge"}, "127.0.0.1:9"),
        ({"evaluator": "ragas"}, "gate.evaluator: must be one of rubric, pairwise"),
        ({"promptfoo": "broken.yaml"}, "broken.yaml"),
        ({"promptfoo": "gone.yaml"}, "gone.yaml"),
        ({"promptfoo": "outside.yaml"}, "'file:///etc/hostname' leads out of the project; copy the file into"),
        ({"assertions": [{"type": "contains", "value": "x"}], "top": {"node_dir": "gone"}}, "tracegrad setup-node"),
        ({"attacks": True, "attack_files": ["gone.jsonl"]}, "gone.jsonl"),
        ({"min_cases": 1}, "min_cases"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else None,
)
def test_what_keeps_it_from_a_verdict(
    folder: Path, world: World, gate: Run, settings: dict[str, Any], said: str
) -> None:
    (folder / "broken.yaml").write_text("tests: [")
    (folder / "outside.yaml").write_text("tests: [{assert: [{type: contains, value: 'file:///etc/hostname'}]}]")
    before = world.calls
    refused(gate("better.txt", **settings), said)
    assert world.calls == before, "nothing was paid"


@pytest.mark.parametrize(
    ("name", "text", "options", "said"),
    [
        ("absent.txt", None, (), "there is no file absent.txt; correct the path."),
        ("empty.txt", " \n", (), "empty.txt is empty; write something into it."),
        ("c.json", '[{"role": "user", "content": "x"}]', (), "the prompt is plain text, and the candidate is a chat"),
        ("c.txt", "Be kind.", ("--baseline", "b.txt"), "there is no file b.txt"),
        ("c.txt", "Be kind.", ("--report", "r.pdf"), "end its name in .md, .html, .json, .txt."),
        ("c.txt", "Be kind.", ("--report", "absent/r.md"), "absent/r.md cannot be written"),
        ("c.md", "Be kind.", ("--report", "c.md"), "c.md is one of the files that are read"),
    ],
)
def test_files_that_cannot_be_used(
    folder: Path, world: World, gate: Run, name: str, text: str | None, options: tuple[str, ...], said: str
) -> None:
    if text is not None:
        (folder / name).write_text(text)
    before = world.calls
    refused(gate(name, *options), said)
    assert world.calls == before, "nothing was paid"


def refused(ended: Ended, said: str) -> None:
    assert ended.code == COULD_NOT_RUN, ended.err
    assert ended.out == ""
    assert said in ended.sentence


def test_no_settings_file(gate: Run) -> None:
    refused(gate("better.txt", before=("--json", "--config", "gone.yaml")), "there is no settings file at gone.yaml")


def test_a_wrong_option_is_wrong_usage(gate: Run) -> None:
    assert gate("better.txt", "--clam").code == USAGE
