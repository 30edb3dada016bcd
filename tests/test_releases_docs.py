"""docs/releases.md says what the code does: policies, commands, roles, notifications; and its examples work."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from connectors.notify import Notice, document, signature
from deploy.cli import main
from deploy.ordering import LEADS_TO, REMEMBERED
from deploy.release_settings import NotifySettings, ReleaseSettings
from deploy.releases.telling import NEWS, PAUSES, WANTED
from deploy.roles import FORGE_VARIABLES, MODEL_VARIABLES
from deploy.settings import Settings
from deploy.web import hooks
from deploy.web.reading_gateway import PATHS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "releases.md").read_text(encoding="utf-8")
FLAT = " ".join(PAGE.split())
NOTICE = Notice(id="a/0", release="a", prompt="p", state="proposed", reason="", actor="ada", at=datetime.now(UTC))


def names_in(heading: str, upto: str) -> list[str]:
    """The first cell of every row between two places, without its marks."""
    part = PAGE.partition(heading)[2].partition(upto)[0]
    cells = re.findall(r"^\| (`[^|]+) \|", part, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_every_policy_role_and_kind_of_address_is_explained() -> None:
    policies = get_args(ReleaseSettings.model_fields["policy"].annotation)
    assert names_in("## Who decides", "```") == list(policies)
    roles = get_args(Settings.model_fields["role"].annotation)
    assert names_in("## Who holds which key", "Strangers") == list(roles)
    for kind in get_args(NotifySettings.model_fields["kind"].annotation):
        assert f"**`{kind}`**" in PAGE


def test_the_defaults_are_named() -> None:
    assert f"`{ReleaseSettings().policy}` (default)" in PAGE
    assert f"`{Settings().role}` (default)" in PAGE


def test_every_command_of_the_page_exists() -> None:
    known = {command.name or command.callback.__name__ for command in main.app.registered_commands}  # type: ignore[union-attr]
    said = set(re.findall(r"tracegrad (?:--config \S+ )?([a-z-]+)", PAGE)) - {"is", "page"}
    assert said <= known | {"blame", "forget"}
    assert set(LEADS_TO) | REMEMBERED <= said


def test_what_is_told_and_how_often() -> None:
    states = re.search(r"is told when a release is (.+?):", FLAT)
    assert states
    assert set(re.findall(r"`(\w+)`", states[1])) == set(WANTED)
    assert [pause.total_seconds() / 60 for pause in PAUSES] == [5, 15, 60, 240, 720]
    assert "after 5 and 15 minutes, 1, 4 and 12 hours, and then given up" in FLAT
    assert NEWS.days == 2
    assert "What is older than two days is told to nobody" in FLAT
    assert set(names_in("**`signed`** is", "| header")) == set(document(NOTICE))


def test_the_receivers_example_takes_our_signature_and_no_other() -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    scope: dict[str, Any] = {}
    exec(code, scope)
    body, now = b'{"id":"a/0"}', datetime.now(UTC)
    assert scope["is_ours"](b"secret", signature("secret", body, at=now), body)
    assert not scope["is_ours"](b"secret", signature("secret", body, at=now), body + b" ")
    assert not scope["is_ours"](b"other", signature("secret", body, at=now), body)
    assert not scope["is_ours"](b"secret", signature("secret", body, at=datetime(2026, 1, 1, tzinfo=UTC)), body)
    assert signature("secret", body, at=datetime.fromtimestamp(1_700_000_000, UTC)) in PAGE


def test_what_roles_and_gateway_are_said_to_check() -> None:
    for variable in (*MODEL_VARIABLES, *FORGE_VARIABLES):
        assert f"`{variable}`" in PAGE
    assert "on the eight paths" in FLAT
    listed = ["health", "projects", "v3/scores", "v2/observations", "v2/prompts", "dataset-items"]
    paths = [f"/api/public/{path}" for path in (*listed, "v2/prompts/a", "v2/datasets/a")]
    assert len(paths) == 8
    assert all(PATHS.fullmatch(path.encode()) for path in paths)
    assert f"`{hooks.PATH}`" in PAGE


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_every_settings_example_is_valid(example: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings(**yaml.safe_load(example))


def test_every_link_leads_somewhere() -> None:
    for page, anchor in re.findall(r"\]\(([\w.-]*)(?:#([\w-]+))?\)", PAGE):
        target = ROOT / "docs" / page
        assert target.is_file(), page
        headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
        slugs = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
        assert not anchor or anchor in slugs
    for anchor in re.findall(r"releases\.md#([\w-]+)", (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")):
        assert f"## {anchor.replace('-', ' ')}" in PAGE.lower()
