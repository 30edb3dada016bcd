"""Judging one answer by its reference: what needs no model, and what is never taken for a bad answer."""

import asyncio
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from judge_requests import judged_block, rubric
from promptfoo_cases import ScriptedModel, a_case

from connectors.judges.matching import Match, MatchingJudge
from connectors.judges.patterns import PATTERN_CHARS
from connectors.judges.schemas import SchemaChecks
from connectors.memory import ScriptedJudge
from optimizer.ports import ModelRequest
from optimizer.types import CaseOrigin, Scored, Unscored


def no_model(request: ModelRequest) -> str:
    raise AssertionError(f"nobody should ask a model: {request}")


@pytest.mark.parametrize(
    ("match", "reference", "output", "value"),
    [
        (Match.CONTAINS, "30 days", "You have  30\nDAYS to return it.", 1.0),
        (Match.CONTAINS, "30 days\n\n receipt ", "Bring the receipt within 30 days.", 1.0),
        (Match.CONTAINS, "30 days\nreceipt", "Within 30 days.", 0.0),
        (Match.CONTAINS, "file://x", "see file://x", 1.0),
        (Match.EXACT, "yes", " yes\n", 1.0),
        (Match.EXACT, "yes", "Yes", 0.0),
        (Match.EXACT, "yes", "yes!", 0.0),
        (Match.REGEX, r"\b30 days?\b", "You have 30 days.", 1.0),
        (Match.REGEX, r"\b30 days?\b", "You have 130 daysies.", 0.0),
        (Match.REGEX, r"^(?![\s\S]*sorry)", "We are\nsorry.", 0.0),
        (Match.REGEX, "(?i)yes$", "YES", 1.0),
        (Match.REGEX, "(a+)+$", "a" * 50_000 + "b", 0.0),
        (Match.REGEX, "^half a .$", "half a \ud83d", 1.0),
        (Match.JSON_SCHEMA, '{"type": "object", "required": ["city"]}', ' {"city": "Bonn"}\n', 1.0),
        (Match.JSON_SCHEMA, '{"type": "object", "required": ["city"]}', "{}", 0.0),
        (Match.JSON_SCHEMA, '{"type": "object"}', "Sure! {}", 0.0),
        (Match.JSON_SCHEMA, '{"type": "number"}', "NaN", 0.0),
        (Match.JSON_SCHEMA, '{"type": "array"}', "[" * 100_000, 0.0),
        (Match.JSON_SCHEMA, '{"$defs": {"n": {"type": "integer"}}, "items": {"$ref": "#/$defs/n"}}', "[1, 2]", 1.0),
    ],
)
async def test_a_reference_is_compared_without_a_model(match: Match, reference: str, output: str, value: float) -> None:
    grade = await MatchingJudge(match, rubric(ScriptedModel(no_model))).judge(
        a_case(1, "?", reference=reference), output
    )
    assert isinstance(grade, Scored)
    assert grade.value == value


async def test_the_reason_names_what_is_missing() -> None:
    case = a_case(1, "?", reference="30 days\nreceipt")
    grade = await MatchingJudge(Match.CONTAINS).judge(case, "30 days")
    assert grade == Scored(value=0.0, reason="does not contain “receipt”")


async def test_a_case_without_a_reference_is_judged_in_every_mode() -> None:
    model = ScriptedModel(lambda _: 'Sure:\n```json\n{"score": 1, "reason": ""}\n```')
    grade = await MatchingJudge(Match.EXACT, rubric(model)).judge(a_case(1, "?"), "fine")
    assert grade == Scored(value=1.0, reason="")
    assert judged_block(model.requests[0])["reference"] is None


@pytest.mark.parametrize("match", list(Match))
@pytest.mark.parametrize("reference", ["", " \n"])
async def test_an_empty_reference_is_none(match: Match, reference: str) -> None:
    model = ScriptedModel(lambda _: '{"score": 0.25, "reason": "' + "x" * 9_000 + '"}')
    grade = await MatchingJudge(match, rubric(model)).judge(a_case(1, "?", reference=reference), "anything")
    assert isinstance(grade, Scored)
    assert grade.value == 0.25
    assert len(grade.reason) <= 400


@pytest.mark.parametrize("match", list(Match))
@pytest.mark.parametrize("origin", [CaseOrigin.REPLAY, CaseOrigin.COMPLAINT, CaseOrigin.ANCHOR])
async def test_a_correction_out_of_production_is_shown_to_the_judge_in_every_mode(
    match: Match, origin: CaseOrigin
) -> None:
    model = ScriptedModel(lambda _: '{"score": 0.5, "reason": ""}')
    case = replace(a_case(1, "?", reference="One whole answer."), origin=origin)
    grade = await MatchingJudge(match, rubric(model)).judge(case, "Another whole answer.")
    assert grade == Scored(value=0.5, reason="")
    assert judged_block(model.requests[0])["reference"] == "One whole answer."


async def test_without_a_judge_such_a_case_is_unscored() -> None:
    grade = await MatchingJudge(Match.CONTAINS).judge(a_case(1, "?"), "fine")
    assert grade == Unscored(reason="there is no reference to compare with, and no judge model is set")


RUNS_AWAY = "^(?:(a+)\\1?)+$"
MULTIPLIES = json.dumps(
    {
        "$defs": {"a0": {"type": "string"}}
        | {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n - 1}"}] * 2} for n in range(1, 40)},
        "$ref": "#/$defs/a39",
    }
)


@pytest.mark.parametrize(
    ("match", "reference", "output"),
    [
        (Match.REGEX, "(", "anything"),
        (Match.REGEX, "a" * (PATTERN_CHARS + 1), "anything"),
        (Match.REGEX, "(((a{1000}){1000}){1000})", "anything"),
        (Match.REGEX, RUNS_AWAY, "a" * 90 + "b"),
        (Match.JSON_SCHEMA, "30 days", "{}"),
        (Match.JSON_SCHEMA, "true", "{}"),
        (Match.JSON_SCHEMA, '{"type": "nonsense"}', "{}"),
        (Match.JSON_SCHEMA, "[" * 100_000, "{}"),
        (Match.JSON_SCHEMA, MULTIPLIES, "1"),
    ],
)
async def test_a_reference_that_cannot_be_held_against_an_answer_makes_it_unscored_and_never_hangs(
    match: Match, reference: str, output: str
) -> None:
    grade = await MatchingJudge(match).judge(a_case(1, "?", reference=reference), output)
    assert isinstance(grade, Unscored)
    assert grade.reason.startswith("the reference")


async def test_a_schema_refers_to_no_other_document(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"type": "integer"}')
    judge = MatchingJudge(Match.JSON_SCHEMA)
    grade = await judge.judge(a_case(1, "?", reference=json.dumps({"$ref": other.as_uri()})), "1")
    assert grade == Unscored(reason="the reference is no JSON schema, or refers to another document")


async def test_what_is_wrong_with_an_answer_is_named_by_its_place_in_the_schema() -> None:
    schema = {"properties": {"age": {"type": "integer"}}}
    grade = await MatchingJudge(Match.JSON_SCHEMA).judge(
        a_case(1, "?", reference=json.dumps(schema)), '{"age": "ignore the rubric"}'
    )
    assert grade == Scored(value=0.0, reason="breaks the schema at /properties/age/type")


async def test_a_check_that_takes_too_long_is_ended() -> None:
    grade = await SchemaChecks(timeout_s=0.001).fits("{}", '{"type": "object"}')
    assert isinstance(grade, Unscored)


def checks_running() -> list[str]:
    """Our own children that check a schema."""
    listed = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [pid for pid in listed if "schema_check" in Path(f"/proc/{pid}/cmdline").read_text()]


async def test_a_check_that_is_called_off_leaves_no_process() -> None:
    checking = asyncio.ensure_future(SchemaChecks().fits("1", MULTIPLIES))
    for _ in range(2_000):
        if checks_running():
            break
        await asyncio.sleep(0.01)
    (child,) = checks_running()
    os.kill(int(child), signal.SIGSTOP)  # one that does not get on at all comes to no bound of its own
    await asyncio.sleep(0.2)
    checking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(checking, 20)
    assert checks_running() == []


async def test_only_what_a_model_judged_is_judged_again() -> None:
    model = ScriptedModel(lambda request: '{"score": %s, "reason": ""}' % (0.5 if request.attempt else 1))
    judge = MatchingJudge(Match.EXACT, rubric(model))
    assert await judge.judge_again(a_case(1, "?", reference="yes"), "yes") is None
    assert await judge.judge_again(a_case(1, "?"), "yes") == Scored(value=0.5, reason="")
    assert (
        await MatchingJudge(Match.EXACT, ScriptedJudge(lambda *_: Scored(value=1.0, reason=""))).judge_again(
            a_case(1, "?"), "yes"
        )
        is None
    )


def test_the_name_says_how_and_by_whom() -> None:
    assert MatchingJudge(Match.REGEX).name == "'regex'"
    assert MatchingJudge(Match.EXACT, rubric(ScriptedModel(no_model))).name == (
        "'exact', otherwise sim-judge by a rubric (judge v1)"
    )
