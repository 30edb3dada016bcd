"""The GitHub workflow that we document: it parses, gives away nothing, and its scripts do what the page says.

The scripts run in bash with stand-ins for `tracegrad` and `gh`; the command line of `tracegrad` is the real one's.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from deploy.cli.main import app
from gates.rendering.markdown import marker

ROOT = Path(__file__).parent.parent
FILE = ROOT / "examples" / "github" / "tracegrad-gate.yml"
PAGE = ROOT / "docs" / "ci.md"
FLOW: dict[Any, Any] = yaml.safe_load(FILE.read_text())
ON = FLOW[True]  # what YAML 1.1 makes of the word "on"
GATE, COMMENT = FLOW["jobs"]["gate"], FLOW["jobs"]["comment"]


def script(job: dict[str, Any], name: str) -> str:
    (found,) = [step["run"] for step in job["steps"] if step.get("name") == name]
    return str(found)


def run(said: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """A step's script as a runner of GitHub runs it; `python` and the stand-ins in `bin` are found first."""
    (folder / "bin").mkdir(exist_ok=True)
    python = folder / "bin" / "python"
    if not python.exists():
        python.symlink_to(sys.executable)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    given = {"PATH": path, "GITHUB_OUTPUT": str(folder / "output"), **env}
    return subprocess.run(
        ["bash", "-e", "-c", said], cwd=folder, env=given, capture_output=True, text=True, check=False
    )


def stand_in(place: Path, *lines: str) -> None:
    """A program that does what the lines say."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("\n".join(["#!/bin/bash", *lines, ""]))
    place.chmod(0o755)


def test_strangers_get_neither_secrets_nor_a_pen() -> None:
    assert set(ON) == {"pull_request"}
    assert FLOW["permissions"] == {}
    assert GATE["permissions"] == {"contents": "read"}
    assert COMMENT["permissions"] == {"pull-requests": "write"}
    for job in (GATE, COMMENT):
        assert "head.repo.full_name == github.repository" in job["if"]
    assert "secrets." not in yaml.safe_dump(COMMENT)
    assert not [step for step in COMMENT["steps"] if "checkout" in step.get("uses", "")]
    with_keys = [step["name"] for step in GATE["steps"] if "secrets." in yaml.safe_dump(step)]
    assert with_keys == ["Gate"]


def test_actions_are_pinned_and_nothing_of_a_pull_request_is_pasted_into_a_script() -> None:
    steps = [*GATE["steps"], *COMMENT["steps"]]
    for step in steps:
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"])
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False
        assert "${{" not in step.get("run", "")


def test_every_command_and_flag_exists() -> None:
    words = [*commands(FILE.read_text()), *commands(PAGE.read_text())]
    assert {line[0] for line in words} >= {"gate", "setup-node"}
    group = typer.main.get_command(app)
    known = {option for parameter in group.params for option in parameter.opts}
    for line in words:
        command = group.commands[line[0]]  # type: ignore[attr-defined]
        options = {o for parameter in command.params for o in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in line if word.startswith("--")} <= options | known, line


def test_every_flag_that_the_page_names_is_the_gate_s() -> None:
    gate = typer.main.get_command(app).commands["gate"]  # type: ignore[attr-defined]
    named = set(re.findall(r"`(--[a-z-]+)", PAGE.read_text()))
    assert named == {"--claim", "--report"}
    assert named <= {option for parameter in gate.params for option in parameter.opts}


def commands(text: str) -> list[list[str]]:
    """Every call of tracegrad: the command, then its words; options before the command come last."""
    found = []
    for match in re.finditer(r"(?:venv/bin/|`|^)tracegrad ([^`\n]+)", text.replace("\\\n", " "), re.MULTILINE):
        words = shlex.split(match[1].split("||")[0], comments=True)
        before = []
        while words and words[0].startswith("-"):
            before += words[: 1 if words[0] in {"--json", "--debug"} else 2]
            words = words[len(before) :]
        if words:
            found.append([*words, *before])
    return found


@pytest.mark.parametrize(
    ("there", "proposed", "changed"), [("a", "b", True), ("a", "a", False), ("", "b", True), ("a", "", False)]
)
def test_only_a_prompt_that_changed_is_judged(tmp_path: Path, there: str, proposed: str, changed: bool) -> None:
    for side, text in (("there", there), ("proposed", proposed)):
        (tmp_path / side).mkdir()
        if text:
            (tmp_path / side / "p.txt").write_text(text)
    ended = run(script(GATE, "Did this prompt change?"), tmp_path, FILE="p.txt")
    assert ended.returncode == 0
    assert (tmp_path / "output").exists() is changed


@pytest.mark.parametrize("code", [0, 10, 11])
def test_the_gate_s_exit_code_and_report_are_kept(tmp_path: Path, code: int) -> None:
    stand_in(
        tmp_path / "venv/bin/tracegrad", 'printf "%s\\n" "$@" > asked', "echo said > report/gate.md", f"exit {code}"
    )
    ended = run(script(GATE, "Gate"), tmp_path, PROMPT="a b", FILE="p.txt")
    assert ended.returncode == 0
    assert (tmp_path / "output").read_text() == f"code={code}\n"
    assert (tmp_path / "report/gate.md").read_text() == "said\n"
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[asked.index("--prompt") + 1] == "a b"


@pytest.mark.parametrize("prompt", ["support", "folder/sup port--> <b>", "größe"])
def test_a_gate_that_could_not_run_says_so_in_its_own_comment(tmp_path: Path, prompt: str) -> None:
    stand_in(tmp_path / "venv/bin/tracegrad", "exit 12")
    ended = run(script(GATE, "Gate"), tmp_path, PROMPT=prompt, FILE="p.txt")
    assert ended.returncode == 0
    assert (tmp_path / "output").read_text() == "code=12\n"
    lines = (tmp_path / "report/gate.md").read_text().splitlines()
    assert lines[:2] == [marker(prompt), "### Gate: could not run"]


@pytest.mark.parametrize(
    ("code", "check", "said"),
    [
        ("0", 0, "Gate passed"),
        ("10", 1, "Gate failed"),
        ("11", 1, "Gate undecided"),
        ("12", 1, "Gate could not run"),
        ("2", 1, "ended with code 2"),
        ("", 1, "ended with code"),
    ],
)
def test_only_a_pass_is_green(tmp_path: Path, code: str, check: int, said: str) -> None:
    ended = run(script(GATE, "Verdict"), tmp_path, CODE=code)
    assert ended.returncode == check
    assert said in ended.stdout


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        ("", "--method POST here/comments"),
        ("17", "--method PATCH comments/17"),
        ("17\n23", "--method PATCH comments/17"),
    ],
)
def test_a_comment_is_written_once_and_then_edited(tmp_path: Path, known: str, asked: str) -> None:
    for number in (0, 1):
        (tmp_path / f"reports/gate-{number}").mkdir(parents=True)
        (tmp_path / f"reports/gate-{number}/gate.md").write_text(f"{marker(f'p{number}')}\nreport {number}\n")
    stand_in(
        tmp_path / "bin/gh",
        f'case "$*" in *--jq*) echo "$MARKER" >> markers; printf "{known}" ;; *) echo "$*" >> asked ;; esac',
    )
    ended = run(
        script(COMMENT, "Write a comment, or edit the one that is there"),
        tmp_path,
        COMMENTS="here/comments",
        COMMENT="comments",
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "asked").read_text().splitlines() == [
        f"api --silent {asked} -F body=@reports/gate-{number}/gate.md" for number in (0, 1)
    ]
    assert (tmp_path / "markers").read_text().splitlines() == [marker("p0"), marker("p1")]


def test_no_comment_is_doubled_when_github_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "reports/gate-0").mkdir(parents=True)
    (tmp_path / "reports/gate-0/gate.md").write_text(marker() + "\n")
    stand_in(tmp_path / "bin/gh", "echo called >> asked; exit 1")
    ended = run(script(COMMENT, "Write a comment, or edit the one that is there"), tmp_path, COMMENTS="c", COMMENT="d")
    assert ended.returncode != 0
    assert (tmp_path / "asked").read_text() == "called\n"


def test_nothing_to_say_is_no_error(tmp_path: Path) -> None:
    assert run(script(COMMENT, "Write a comment, or edit the one that is there"), tmp_path).returncode == 0


def test_the_page_knows_every_place_to_adapt() -> None:
    assert FILE.read_text().count("# HERE") == 5
    assert "five places" in PAGE.read_text()
    assert "examples/github/tracegrad-gate.yml" in PAGE.read_text()
