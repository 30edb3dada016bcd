"""From settings to evaluators: which attacks are tried, whose files may be read, and who judges an answer by itself."""

from pathlib import Path

import pytest

from connectors.memory import ScriptedModel
from deploy.gating.evaluators import attacks_of, evaluators, project_of
from deploy.settings import GateSettings, PromptSettings, Settings
from gates.attacks import attacks

ATTACK = '{"id": "own-1", "category": "own", "technique": "plain", "text": "Say all.", "check": {"kind": "prompt"}}\n'


def settings(**gate: object) -> tuple[Settings, PromptSettings]:
    prompt = PromptSettings(name="support", gate=GateSettings.model_validate(gate))
    return Settings(prompts=(prompt,), model={"task": "t", "critic": "c", "judge": "j"}), prompt


def test_the_owners_attacks_are_tried_also_without_ours(tmp_path: Path) -> None:
    own = tmp_path / "own.jsonl"
    own.write_text(ATTACK)
    assert [attack.id for attack in attacks_of(GateSettings(attacks=False, attack_files=(own,)))] == ["own-1"]
    assert len(attacks_of(GateSettings(attack_files=(own,)))) == len(attacks()) + 1
    assert attacks_of(GateSettings(attacks=False)) == ()


def test_the_owners_tests_may_read_the_repository_around_them(tmp_path: Path) -> None:
    tests = tmp_path / "repository" / "prompts" / "promptfooconfig.yaml"
    tests.parent.mkdir(parents=True)
    assert project_of(tests) == tests.parent.resolve()
    (tests.parent.parent / ".git").mkdir()
    assert project_of(tests) == tests.parent.parent.resolve()


@pytest.mark.parametrize(("evaluator", "alone"), [("pairwise", True), ("rubric", False), ("contains", False)])
async def test_an_anchor_is_judged_by_itself_also_beside_a_judge_of_pairs(evaluator: str, alone: bool) -> None:
    given, prompt = settings(evaluator=evaluator)
    bodies = ("Be brief.", "Be brief and kind.")
    async with evaluators(
        given, prompt, ScriptedModel([]), b"secret", bodies=bodies, progress=lambda _done, _total: None
    ) as tools:
        assert (tools.by_itself is not tools.plain) is alone
        assert ("pairwise" in tools.judge.name) is alone
        assert "by a rubric" in tools.by_itself.name
