"""The settings in examples/release are settings, and with the keys that their comments name they need nothing more."""

import re
from pathlib import Path

import pytest

from deploy.releases.metrics import metric_of
from deploy.settings import Settings, load
from deploy.wiring import require

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples" / "release").glob("*.yaml"))


def loaded(example: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As a process loads it that has the keys in its environment."""
    for key in keys_of(example):
        monkeypatch.setenv(key, "a-key")
    return load(example)


def keys_of(example: Path) -> list[str]:
    """The variables that the comments name as keys."""
    return re.findall(r"(?:TRACEGRAD_\w+__\w+|LANGFUSE_\w+_KEY|OPENAI_API_KEY)", example.read_text(encoding="utf-8"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_all_that_its_releases_need(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = loaded(example, monkeypatch)
    require(settings)
    for prompt in settings.prompts:
        assert prompt.release.watched
        assert metric_of(prompt).score == prompt.release.canary.metric.score  # type: ignore[union-attr]
        assert not prompt.claims


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_no_key_is_written_into_an_example(example: Path) -> None:
    settings = load(example)
    assert settings.forge.token.get_secret_value() == ""
    assert settings.launchdarkly.token.get_secret_value() == ""
    assert settings.ofrep.token.get_secret_value() == ""
    assert settings.langfuse.secret_key.get_secret_value() == ""


def test_each_example_shows_what_it_is_named_for(monkeypatch: pytest.MonkeyPatch) -> None:
    by_name = {example.stem: loaded(example, monkeypatch) for example in EXAMPLES}
    assert set(by_name) == {"pull-requests-and-canary", "launchdarkly"}
    asked, alone = (prompt.release for prompt in by_name["pull-requests-and-canary"].prompts)
    assert (asked.policy, asked.ask, asked.then, asked.resolver) == ("propose", "pull-request", "canary", "ofrep")
    assert (alone.policy, alone.resolver) == ("canary", "ofrep")
    (dark,) = (prompt.release for prompt in by_name["launchdarkly"].prompts)
    assert (dark.resolver, dark.flag) == ("launchdarkly", "support-prompt")


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target
