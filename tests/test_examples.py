"""The examples run as they stand, against the simulated model."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.model.app import API_KEY, create_app
from sandbox.serving import serve

TWO_STAGES = Path(__file__).parents[1] / "examples" / "graph" / "two_stages.py"


def ran(base_url: str, key: str) -> "subprocess.CompletedProcess[str]":
    """The script as a newcomer runs it, from another folder and with nothing else in its environment."""
    environment = {"PATH": os.environ["PATH"], "OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": key}
    return subprocess.run(
        [sys.executable, str(TWO_STAGES)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_two_prompts_in_a_row_change_and_every_new_line_has_its_reason() -> None:
    with serve(create_app()) as server:
        done = ran(f"{server}/v1", API_KEY)
    assert (done.returncode, done.stderr) == (0, "")
    picture, told = done.stdout.split("\n\n", 1)
    assert picture.startswith("flowchart TD\n")
    assert "draft" in picture
    drafting, polishing = told.removeprefix("A step was made.\n\n").split("\n\n")
    for prompt, first in ((drafting, "Draft an answer."), (polishing, "Write the final answer.")):
        lines = prompt.splitlines()
        assert lines[1] == f"    {first}"
        new = [number for number, line in enumerate(lines) if line.startswith("  + ")]
        assert new
        for number in new:
            assert lines[number + 1].startswith("      why: ")
            assert lines[number + 2].startswith("      q")


def test_what_only_one_customer_missed_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    example = runpy.run_path(str(TWO_STAGES))
    with serve(create_app()) as server:
        asked = {"task_model": "sim-task", "critic_model": "sim-critic", "questions": {"q1": "Where is my parcel?"}}
        example["improve"](f"{server}/v1", API_KEY, **asked)
    told = capsys.readouterr().out
    assert "No step was made: " in told
    assert "  + " not in told
