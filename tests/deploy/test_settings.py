"""The settings: precedence, strictness, and one clear sentence for every fault."""

from pathlib import Path

import pytest

from deploy.cli.init import TEMPLATE
from deploy.settings import Settings, load
from optimizer.errors import BadSettings
from optimizer.rules import BooleanRule, CategoryRule, CorrectionRule, Direction, NumericRule


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LANGFUSE_HOST", "LANGFUSE_BASE_URL", "LANGFUSE_PUBLIC_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "tracegrad.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_template_is_valid_as_it_stands(tmp_path: Path) -> None:
    settings = load(written(tmp_path, TEMPLATE))
    prompt = settings.prompt("my-prompt")
    assert prompt.score_rules == (
        NumericRule(name="user-feedback", threshold=0.5),
        BooleanRule(name="resolved", bad=False),
        CategoryRule(name="quality", bad=("bad", "wrong")),
        CorrectionRule(),
    )


def test_above_means_lower_is_better(tmp_path: Path) -> None:
    text = "prompts: [{name: p, rules: [{kind: numeric, score: toxicity, above: 0.2}]}]"
    rule = load(written(tmp_path, text)).prompt("p").score_rules[0]
    assert rule == NumericRule(name="toxicity", threshold=0.2, direction=Direction.LOWER_IS_BETTER)


def test_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "langfuse: {host: 'http://yaml', timeout_s: 7}")
    assert load(path).langfuse.host == "http://yaml"
    monkeypatch.setenv("LANGFUSE_HOST", "http://vendor")
    assert load(path).langfuse.host == "http://vendor"
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "TRACEGRAD_LANGFUSE__HOST").write_text("http://secret")
    assert load(path).langfuse.host == "http://secret"
    monkeypatch.setenv("TRACEGRAD_LANGFUSE__HOST", "http://env")
    settings = load(path)
    assert settings.langfuse.host == "http://env"
    assert settings.langfuse.timeout_s == 7.0, "the other keys of the section are kept"


def test_keys_are_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    assert "sk-very-secret" not in repr(Settings())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("langfuse: {hots: x}", "langfuse.hots: unknown key"),
        ("promts: []", "promts: unknown key"),
        ("langfuse: [", "not valid YAML in line"),
        ("just words", "does not hold settings"),
        ("prompts: [{name: p, schedule: 'every day'}]", "prompts.0.schedule"),
        ("prompts: [{name: p}, {name: p}]", "p is listed twice"),
        ("prompts: [{name: p, rules: [{kind: numeric, score: s}]}]", "needs either `below`"),
        ("langfuse: {environments: [production, tracegrad]}", "must not hold 'tracegrad'"),
        ("model: {concurrency: 0}", "model.concurrency"),
    ],
)
def test_every_fault_is_named_and_says_what_to_do(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load(written(tmp_path, text))
    assert said in str(caught.value)
    assert caught.value.fix


def test_no_file_and_no_prompt(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="run `tracegrad init`"):
        load(tmp_path / "none.yaml")
    with pytest.raises(BadSettings, match=r"'q' is not registered \(registered: p\)"):
        load(written(tmp_path, "prompts: [{name: p}]")).prompt("q")
