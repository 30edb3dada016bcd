"""Which of the owner's assertions are admitted."""

import pytest

from connectors.promptfoo.settings import EvaluatorSettings
from optimizer.errors import BadSettings
from optimizer.identity import Json


@pytest.mark.parametrize(
    "assertion",
    [
        {"type": "javascript", "value": "process.exit()"},
        {"type": "python", "value": "1"},
        {"type": "not-ruby", "value": "1"},
        {"type": "llm-rubric", "value": "good"},
        {"type": "webhook", "value": "http://example.org"},
        {"type": "is-sql"},
        {"type": "contains", "value": "file:///etc/passwd"},
        {"type": "contains-any", "value": ["ok", " file://x"]},
        {"type": "is-json", "value": {"$ref": "https://example.org"}},
        {"type": "contains", "value": "x", "transform": "process.exit()"},
        {"value": "x"},
    ],
)
def test_assertions_that_could_run_or_read_something_are_refused(assertion: dict[str, Json]) -> None:
    with pytest.raises(BadSettings):
        EvaluatorSettings(task_model="m", assertions=(assertion,))


def test_plain_assertions_are_admitted() -> None:
    plain: tuple[dict[str, Json], ...] = (
        {"type": "not-contains", "value": "As an AI", "weight": 2},
        {"type": "is-json"},
    )
    assert EvaluatorSettings(task_model="m", assertions=plain).assertions == plain
