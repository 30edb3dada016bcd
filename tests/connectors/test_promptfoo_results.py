"""promptfoo's output file: what is read of it, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.promptfoo.results import parse
from optimizer.errors import BadAnswer
from optimizer.types import Arm


def a_row(prompt: int, case_id: str, **fields: Any) -> dict[str, Any]:
    test = {"vars": {"case_id": case_id}, "metadata": {"tracegrad_case": case_id}}
    return {"promptIdx": prompt, "testIdx": 0, "score": 1, "failureReason": 0, "testCase": test, "cost": 0.1, **fields}


def written(tmp_path: Path, *rows: dict[str, Any], version: int = 3) -> Path:
    prompts = [{"label": "candidate", "id": "x"}, {"label": "baseline", "id": "y"}]
    path = tmp_path / "results.json"
    results = {"version": version, "prompts": prompts, "results": rows, "stats": {}}
    path.write_text(json.dumps({"evalId": "e", "results": results, "config": {}}))
    return path


def test_rows_are_joined_by_arm_and_case_whatever_their_order(tmp_path: Path) -> None:
    failed = {"pass": False, "score": 0, "reason": "no", "assertion": {"type": "contains"}}
    kept = {"pass": False, "score": 1, "reason": "yes", "assertion": {"type": "javascript", "metric": "tracegrad"}}
    rows = parse(
        written(
            tmp_path,
            a_row(1, "b", score=0.25, gradingResult={"pass": False, "componentResults": [kept, failed]}),
            a_row(0, "a", failureReason=2, gradingResult=None, error="no answer"),
        )
    )
    assert set(rows) == {(Arm.BASELINE, "b"), (Arm.CANDIDATE, "a")}
    assert rows[Arm.BASELINE, "b"][0].score == 0.25
    assert rows[Arm.BASELINE, "b"][0].complaints == ("contains",)
    assert not rows[Arm.BASELINE, "b"][0].is_error
    assert rows[Arm.CANDIDATE, "a"][0].is_error


@pytest.mark.parametrize(
    "row", [a_row(2, "a"), a_row(0, "a", score=None), a_row(0, "a", testCase={"metadata": {}}), {"promptIdx": 0}]
)
def test_a_row_that_is_not_understood_makes_the_file_unusable(tmp_path: Path, row: dict[str, Any]) -> None:
    with pytest.raises(BadAnswer, match="not in the form of version 3"):
        parse(written(tmp_path, a_row(0, "b"), row))


def test_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadAnswer, match="version 3"):
        parse(written(tmp_path, version=4))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"<html>", b'{"results": {"version": 3}}', b"NaN"])
def test_anything_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(BadAnswer):
        parse(path)


def test_a_missing_file_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(BadAnswer, match="wrote no results"):
        parse(tmp_path / "results.json")


@pytest.mark.parametrize(
    ("component", "unjudged"),
    [
        ({"pass": False, "score": 0, "reason": "no", "metadata": {"graderError": True}}, True),
        ({"pass": False, "score": 0, "reason": "API call error: Error: Request failed after 4 retries"}, True),
        ({"pass": False, "score": 0, "reason": 'API error: 400\n{"message": "tracegrad-gave-no-judgement: x"}'}, True),
        ({"pass": False, "score": 0, "reason": "Model grader produced a malformed response:\nmaybe"}, True),
        ({"pass": False, "score": 0, "reason": "Invalid select-best verdict: NaN"}, True),
        ({"pass": False, "score": 0, "reason": "Factuality checker output did not match expected format: x"}, True),
        ({"pass": True, "score": 1, "reason": "API call error is what the answer explains well"}, False),
        ({"pass": False, "score": 0, "reason": 'Expected output to contain "API call error"'}, False),
        ({"pass": False, "score": 0, "reason": "impolite", "metadata": {"renderedAssertionValue": "x"}}, False),
    ],
)
def test_a_grader_that_failed_is_told_from_a_bad_answer(
    tmp_path: Path, component: dict[str, Any], unjudged: bool
) -> None:
    rows = parse(written(tmp_path, a_row(0, "a", gradingResult={"componentResults": [component]})))
    assert rows[Arm.CANDIDATE, "a"][0].is_unjudged is unjudged
