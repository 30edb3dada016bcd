"""The command line against docs/cli.md: every setting, option and exit code in it is real, and none is left out."""

import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from deploy.cli import exits, main
from deploy.lease import LEASE_LOST_EXIT
from deploy.settings import Settings
from optimizer.errors import BadReply, BadSettings, NotFound, Unreachable

REFERENCE = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
TRACEGRAD = Path(sys.executable).parent / "tracegrad"

BETWEEN = {dict: ".*.", tuple: "[{}]."}
"""How the reference writes what stands in a group of groups."""


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every key with its default, in the words of the reference."""
    for name, field in model.model_fields.items():
        inner = [kind for kind in models_in(field.annotation) if kind is not model]
        if field.annotation in inner:
            yield from keys(inner[0], f"{prefix}{name}.")
            continue
        if name == "kind" and len(get_args(field.annotation)) == 1:
            continue  # it only says which group of keys this is
        yield f"{prefix}{name}", default_of(field.get_default(call_default_factory=True))
        several = len(inner) > 1
        for kind in inner:
            tag = get_args(kind.model_fields["kind"].annotation)[0] if several else ""
            between = BETWEEN.get(typing.get_origin(field.annotation), ".").format(tag)
            yield from keys(kind, f"{prefix}{name}{between}")


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


def default_of(value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(value)}]`"
    if isinstance(value, SecretStr) or value == "":
        return '`""`'
    return "a sentence" if " " in str(value) and "*" not in str(value) else f"`{value}`"


def test_the_reference_lists_every_setting_with_its_default() -> None:
    section = REFERENCE.partition("## Settings")[2]
    documented = re.findall(r"^\| `([^`]+)` \| (.+?) \| .+ \|$", section, re.MULTILINE)
    assert dict(documented) == dict(keys(Settings))
    assert len(documented) == len(dict(documented))


def test_the_reference_lists_every_exit_code() -> None:
    section = REFERENCE.partition("## Exit codes")[2].partition("##")[0]
    documented = [int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)]
    codes = [exits.DONE, exits.BUG, exits.USAGE, exits.OUTSIDE, exits.REFUSED, exits.UNDECIDED, exits.COULD_NOT_RUN]
    assert documented == [*codes, exits.SPENT, LEASE_LOST_EXIT, exits.INTERRUPTED]
    said = " ".join(main.EPILOG.split())
    assert all(re.search(rf"\b{code} ", said) for code in documented)


def test_the_reference_lists_every_command_and_option() -> None:
    section = REFERENCE.partition("## Commands")[2].partition("##")[0]
    rows = {row.split()[0].strip("`"): row for row in re.findall(r"^\| (`.+)$", section, re.MULTILINE)}
    assert set(rows) == {command.name or command.callback.__name__ for command in main.app.registered_commands}  # type: ignore[union-attr]
    for command, row in rows.items():
        help_text = subprocess.run([TRACEGRAD, command, "--help"], capture_output=True, text=True, check=True).stdout
        options = set(re.findall(r"^  (--[a-z-]+)", help_text, re.MULTILINE)) - {"--help"}
        assert options == set(re.findall(r"`(--[a-z-]+)`", row)), command


def test_no_help_text_is_cut_off_and_the_version_is_known() -> None:
    shown = subprocess.run([TRACEGRAD, "--help"], capture_output=True, text=True, check=True).stdout
    assert "..." not in shown.partition("Commands:")[2]
    version = subprocess.run([TRACEGRAD, "--version"], capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(r"tracegrad \d+\.\d+\.\d+\n", version)


def test_help_does_not_import_what_commands_need() -> None:
    """What makes `--help` slow is importing these."""
    code = "import sys, deploy.cli.main; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"sqlalchemy", "dbos", "langfuse", "openai", "httpx", "aiohttp", "starlette", "yaml", "pydantic"}
    assert not heavy & set(loaded)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (BadSettings("a key is missing", "set it"), 2, "tracegrad: a key is missing; set it.\n"),
        (NotFound("there is no x", "make one"), 3, "tracegrad: there is no x; make one.\n"),
        (
            Unreachable("no answer"),
            3,
            "tracegrad: no answer; nothing was changed: check the address, or run the command again in a while.\n",
        ),
        (
            BadReply("nonsense"),
            12,
            "tracegrad: nonsense; run the command again with --debug and report what it prints.\n",
        ),
        (
            KeyError("x"),
            1,
            "tracegrad: KeyError: 'x'; this is a bug, run again with --debug and report what it prints.\n",
        ),
    ],
)
def test_every_error_has_an_exit_code_and_one_sentence(
    error: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.complain(error) == code
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("option", ["--json", "--config", "--debug"])
def test_an_option_that_stands_after_the_command_is_sent_before_it(option: str) -> None:
    ended = subprocess.run([TRACEGRAD, "releases", option], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == exits.USAGE
    assert ended.stderr == f"tracegrad: No such option: {option}; write {option} before the command.\n"
