"""One pair of a report as a row: numbers and ids here, every text of the case and the answers in `source_text`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from deploy.store.encoding import decoded, encoded
from deploy.store.texts import SourceText
from optimizer.identity import Json
from optimizer.prompts import Message
from optimizer.types import (
    Arm,
    Case,
    CaseInput,
    CaseOrigin,
    Evaluation,
    Missing,
    Pair,
    Scored,
    Unscored,
    Usage,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTexts:
    """Every text of a pair: the case's by name, and each arm's answer with what the judge said about it."""

    case_id: str
    case: Mapping[str, SourceText]
    baseline: tuple[SourceText, SourceText]
    candidate: tuple[SourceText, SourceText]

    @classmethod
    def of(cls, pair: Pair) -> "PairTexts":
        """The texts of a pair, all of its case's source."""
        case, source = pair.case, pair.case.source_key
        said = {
            "input": json.dumps(_input_json(case.input)),
            "reference": "" if isinstance(case.reference, Missing) else case.reference,
            "recorded_output": case.recorded_output,
            "complaint": case.complaint,
        }
        texts = {name: SourceText(kind=f"case:{name}", text=text, source_key=source) for name, text in said.items()}
        return cls(
            case_id=case.id,
            case=texts,
            baseline=_answer_texts(pair.baseline, source),
            candidate=_answer_texts(pair.candidate, source),
        )

    @property
    def all(self) -> tuple[SourceText, ...]:
        """All of them in one row."""
        return (*self.case.values(), *self.baseline, *self.candidate)


def pair_row(pair: Pair, texts: PairTexts) -> dict[str, Any]:
    """The columns that say what the pair came to."""
    case = pair.case
    ids: dict[str, Json] = {name: text.id for name, text in texts.case.items()}
    if isinstance(case.reference, Missing):
        ids["reference"] = encoded(case.reference)
    return {
        "case_id": case.id,
        "origin": case.origin.value,
        "source_key": case.source_key,
        "tags": list(case.tags),
        "text_ids": ids,
        "baseline": _answer_json(pair.baseline, texts.baseline),
        "candidate": _answer_json(pair.candidate, texts.candidate),
        "recorded_at": None if isinstance(case.at, Missing) else case.at,
    }


def text_ids(row: sa.Row[Any]) -> Iterable[str]:
    """Ids of the texts that a row needs."""
    yield from (id_ for id_ in row.text_ids.values() if isinstance(id_, str))
    for answer in (row.baseline, row.candidate):
        yield from (answer["output_id"], answer["reason_id"])


def pair_of(row: sa.Row[Any], texts: Mapping[str, str]) -> Pair:
    """The pair of a row; a text that was erased is empty."""
    ids = row.text_ids
    reference = ids["reference"]
    case = Case(
        id=row.case_id,
        origin=CaseOrigin(row.origin),
        input=_input(json.loads(texts.get(ids["input"], "{}"))),
        reference=texts.get(reference, "") if isinstance(reference, str) else decoded(Missing, reference["missing"]),
        source_key=row.source_key,
        recorded_output=texts.get(ids["recorded_output"], ""),
        complaint=texts.get(ids["complaint"], ""),
        tags=tuple(row.tags),
        at=_moment(row.recorded_at),
    )
    return Pair(
        case=case,
        baseline=_answer(case, Arm.BASELINE, row.baseline, texts),
        candidate=_answer(case, Arm.CANDIDATE, row.candidate, texts),
    )


def _moment(recorded_at: datetime | None) -> datetime | Missing:
    return Missing.NOT_RECORDED if recorded_at is None else recorded_at


def _answer_texts(answer: Evaluation, source_key: str) -> tuple[SourceText, SourceText]:
    """What an arm said, and what the judge said about it: both may repeat the input."""
    return (
        SourceText(kind="answer", text=answer.output, source_key=source_key),
        SourceText(kind="judgement", text=answer.result.reason, source_key=source_key),
    )


def _answer_json(answer: Evaluation, texts: tuple[SourceText, SourceText]) -> dict[str, Json]:
    output, reason = texts
    return {
        "output_id": output.id,
        "reason_id": reason.id,
        "score": encoded(answer.result.value) if isinstance(answer.result, Scored) else None,
        "usage": encoded(answer.usage),
        "latency_s": encoded(answer.latency_s),
    }


def _answer(case: Case, arm: Arm, said: Mapping[str, Any], texts: Mapping[str, str]) -> Evaluation:
    reason = texts.get(said["reason_id"], "")
    score, latency = said["score"], said["latency_s"]
    return Evaluation(
        case_id=case.id,
        arm=arm,
        output=texts.get(said["output_id"], ""),
        result=Unscored(reason=reason) if score is None else Scored(value=float(score), reason=reason),
        usage=decoded(Usage, said["usage"]),
        latency_s=Missing(latency["missing"]) if isinstance(latency, dict) else float(latency),
    )


def _input_json(given: CaseInput) -> dict[str, Json]:
    return {
        "variables": [list(pair) for pair in given.variables],
        "placeholders": [[name, _messages_json(messages)] for name, messages in given.placeholders],
        "history": _messages_json(given.history),
        "tools_json": given.tools_json,
    }


def _input(said: Mapping[str, Any]) -> CaseInput:
    return CaseInput(
        variables=tuple((name, value) for name, value in said.get("variables", ())),
        placeholders=tuple((name, _messages(items)) for name, items in said.get("placeholders", ())),
        history=_messages(said.get("history", ())),
        tools_json=said.get("tools_json", ""),
    )


def _messages_json(messages: Iterable[Message]) -> list[Json]:
    return [[message.role, message.content] for message in messages]


def _messages(items: Iterable[Sequence[str]]) -> tuple[Message, ...]:
    return tuple(Message(role=role, content=content) for role, content in items)
