"""`tracegrad gate` as a person and a check of a pull request run it: over HTTP, with the real promptfoo where used."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.harness import TRACEGRAD, Place, Sandbox, environment, sandbox, tracegrad

pytestmark = pytest.mark.slow

PASS, FAIL, UNDECIDED, INTERRUPTED = 0, 10, 11, 130
NAME = "support-assistant"
BETTER = """\
When somebody asks about a refund, name the refund window in days.
Never promise a delivery date.
Quote or ask for the order number in every answer about a parcel.
Mention the two-year warranty when something is broken.
"""
WORSE = "Answer with one word only and never give details.\n"
THROUGH_PROMPTFOO = [{"type": "not-contains", "value": "As an AI", "weight": 0.1}]
"""An assertion of the owner's: every answer then goes through promptfoo."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox(tmp_path_factory.mktemp("gate")) as world:
        yield world


@pytest.fixture
def place(shared: Sandbox, tmp_path: Path) -> Iterator[Place]:
    yield Place(shared, tmp_path)
    shared.trouble(first_place=False, dead=[], babbling=[], crash_phrase="", crash_empty=False, outage_after=None)


def production(place: Place) -> str:
    text: str = place.world.get(f"/api/public/v2/prompts/{NAME}")["prompt"]
    return text


def candidate(place: Place, lines: str, name: str = "candidate.txt") -> Path:
    """The version that production reads, with lines added."""
    path = place.folder / name
    path.write_text(f"{production(place).rstrip()}\n{lines}", encoding="utf-8")
    return path


def gate(place: Place, config: Path, text: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command in the place's folder, and see that it publishes nothing."""
    before = place.versions()
    done = tracegrad("--json", "gate", "--prompt", NAME, "--candidate", text, *options, config=config, cwd=place.folder)
    assert "Traceback" not in done.stderr
    assert "this is a bug" not in done.stderr
    assert place.versions() == before
    return done


def verdict(done: subprocess.CompletedProcess[str], code: int) -> dict[str, Any]:
    """The report, with the exit code that goes with it."""
    assert done.returncode == code, done.stderr + done.stdout[:2000]
    shown: dict[str, Any] = json.loads(done.stdout)
    assert shown["verdict"] == {PASS: "pass", FAIL: "fail", UNDECIDED: "undecided"}[code]
    return shown


def finding(shown: dict[str, Any], gate: str) -> tuple[str, str]:
    [found] = [one for one in shown["findings"] if one["gate"] == gate]
    return found["verdict"], found["sentence"]


def test_a_better_prompt_is_proven_through_promptfoo_and_reported_in_every_form(place: Place) -> None:
    config = place.settings(gate__assertions=THROUGH_PROMPTFOO, gate__max_cases=100, gate__export=True)
    names = ("report.md", "report.html", "report.json", "report.txt")
    reports = [word for name in names for word in ("--report", name)]
    done = gate(place, config, candidate(place, BETTER), "--claim", *reports)
    shown = verdict(done, PASS)
    assert shown["proof"] == "proven"
    assert shown["evaluator"].startswith("promptfoo ")
    assert shown["candidate_mean"] > shown["baseline_mean"]
    claim = shown["claim"]
    assert (claim["stake"], claim["budget"]) == (0.05, 0.5)
    assert claim["left"] == pytest.approx(0.45)
    assert claim["e_value"] >= claim["threshold"] == pytest.approx(20)
    screened = {one["id"] for one in shown["cases"]}
    assert screened.isdisjoint(one["id"] for one in claim["cases"]), "a claim is made on cases that no screen has seen"
    assert shown["usage"]["calls"] > 2 * len(screened)
    assert shown["langfuse"].startswith(place.world.langfuse)

    texts = {name: (place.folder / name).read_text(encoding="utf-8") for name in names}
    assert json.loads(texts["report.json"]) == shown
    assert all("proven" in text for text in texts.values())
    asked = place.world.get("/api/public/dataset-items", datasetName="support-regression", limit=3)["data"]
    questions = [item["input"]["messages"][0]["content"] for item in asked]
    assert not any(question in text for question in questions for text in texts.values()), "numbers, ids, our own words"


def test_a_worse_prompt_fails_through_promptfoo(place: Place) -> None:
    config = place.settings(gate__assertions=THROUGH_PROMPTFOO)
    shown = verdict(gate(place, config, candidate(place, WORSE)), FAIL)
    assert shown["reasons"][0].startswith("Failed: ")
    assert finding(shown, "screen")[0] == "fail"


def owned(place: Place, *tests: dict[str, Any]) -> Path:
    """Settings with a promptfoo configuration of the owner's."""
    config = {"prompts": [f"langfuse://{NAME}"], "providers": ["openai:gpt-5"], "tests": list(tests)}
    (place.folder / "promptfooconfig.yaml").write_text(yaml.safe_dump(config, allow_unicode=True))
    return place.settings(gate__promptfoo="promptfooconfig.yaml", gate__replayed=0, gate__max_cases=50)


def test_what_cannot_be_run_as_written_is_told_and_undecided(place: Place) -> None:
    test = {
        "vars": {"shop_name": "Larkspur Garden", "question": "Hello?"},
        "assert": [{"type": "contains", "value": "{{env.HOME}}"}],
    }
    shown = verdict(gate(place, owned(place, test), candidate(place, BETTER)), UNDECIDED)
    told = "promptfooconfig.yaml asks for what this gate cannot do: the environment in a template"
    assert any(one["verdict"] == "undecided" and told in one["sentence"] for one in shown["findings"])


def test_ctrl_c_tells_what_was_paid_and_that_a_stake_stays_spent(tmp_path: Path) -> None:
    with sandbox(tmp_path / "slow", "--latency", "0.2") as world:
        place = Place(world, tmp_path)
        text = candidate(place, BETTER)
        command = [TRACEGRAD, "--config", place.settings(), "gate", "--prompt", NAME, "--candidate", text, "--claim"]
        before = world.calls()["total"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), cwd=tmp_path
        ) as process:
            while world.calls()["total"] - before < 40:
                assert process.poll() is None, "it ended before it could be interrupted"
            process.send_signal(signal.SIGINT)
            out, said = process.communicate(timeout=60)
    assert (process.returncode, out) == (INTERRUPTED, "")
    last = said.splitlines()[-1]
    assert last.startswith("tracegrad: interrupted. There is no verdict. Paid until then: ")
    assert "Paid until then: 0 calls" not in last
    assert last.endswith("The stake of a claim that had begun is spent.")
    assert "Traceback" not in said
