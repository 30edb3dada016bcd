"""Gate reports with the pairs behind them. Numbers are JSON; every text of a case or an answer is in `source_text`."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from deploy.store.database import Records, insert_new, waiting_out
from deploy.store.schema import case_result, gate_report
from deploy.store.texts import SourceText, keep_links, keep_texts, load_texts
from optimizer.identity import Json
from optimizer.prompts import Message
from optimizer.types import (
    Arm,
    Case,
    CaseInput,
    CaseOrigin,
    Evaluation,
    Evidence,
    GateReport,
    Missing,
    Pair,
    Scored,
    Unscored,
    Usage,
    Verdict,
)


class Reports(Records):
    """One report per cycle."""

    @waiting_out
    def save(self, cycle_id: str, candidate_id: str, report: GateReport, *, at: datetime) -> None:
        """Keep a report; the first one of a cycle stays."""
        pairs = [(_case_texts(pair.case), pair) for pair in report.evidence.pairs]
        row = {
            "cycle_id": cycle_id,
            "candidate_id": candidate_id,
            "verdict": report.verdict.value,
            "numbers": _report_json(report),
            "created_at": at,
        }
        with self._write() as connection:
            for texts, pair in pairs:
                answers = [text for arm in (pair.baseline, pair.candidate) for text in _answer_texts(pair.case, arm)]
                keep_texts(connection, [*texts.values(), *answers], at=at)
                made_of = [text.id for text in (*texts.values(), *answers)]
                keep_links(connection, "case_result", [(f"{cycle_id}/{pair.case.id}", made_of)])
            insert_new(connection, gate_report, [row])
            rows = [_pair_row(cycle_id, place, pair, texts) for place, (texts, pair) in enumerate(pairs)]
            insert_new(connection, case_result, rows)

    @waiting_out
    def load(self, cycle_id: str) -> GateReport | None:
        """The report of a cycle, None when its gate has not spoken."""
        with self._read() as connection:
            row = connection.execute(sa.select(gate_report).where(gate_report.c.cycle_id == cycle_id)).one_or_none()
            if row is None:
                return None
            found = sa.select(case_result).where(case_result.c.cycle_id == cycle_id).order_by(case_result.c.position)
            rows = connection.execute(found).all()
            texts = load_texts(connection, [text_id for result in rows for text_id in _text_ids(result)])
        return _report(row.verdict, row.numbers, [_pair(result, texts) for result in rows])


# ---- the report ----------------------------------------------------------------------------------------------------


def _report_json(report: GateReport) -> dict[str, Json]:
    interval = report.interval
    return {
        "reasons": list(report.reasons),
        "model": report.evidence.model,
        "evaluator": report.evidence.evaluator,
        "complete": report.evidence.complete,
        "note": report.evidence.note,
        "scored_pairs": report.scored_pairs,
        "unscored_pairs": report.unscored_pairs,
        "baseline_mean": _number_json(report.baseline_mean),
        "candidate_mean": _number_json(report.candidate_mean),
        "effect": _number_json(report.effect),
        "interval": _number_json(interval)
        if isinstance(interval, Missing)
        else [_number_json(interval[0]), _number_json(interval[1])],
        "e_value": _number_json(report.e_value),
        "threshold": _number_json(report.threshold),
        "usage": _usage_json(report.usage),
    }


def _report(verdict: str, said: Mapping[str, Any], pairs: Sequence[Pair]) -> GateReport:
    interval = said["interval"]
    return GateReport(
        verdict=Verdict(verdict),
        reasons=tuple(said["reasons"]),
        evidence=Evidence(
            pairs=tuple(pairs),
            model=said["model"],
            evaluator=said["evaluator"],
            complete=said["complete"],
            note=said["note"],
        ),
        scored_pairs=said["scored_pairs"],
        unscored_pairs=said["unscored_pairs"],
        baseline_mean=_number(said["baseline_mean"]),
        candidate_mean=_number(said["candidate_mean"]),
        effect=_number(said["effect"]),
        interval=(_float(interval[0]), _float(interval[1])) if isinstance(interval, list) else _missing(interval),
        e_value=_float(said["e_value"]),
        threshold=_float(said["threshold"]),
        usage=_usage(said["usage"]),
    )


# ---- a pair --------------------------------------------------------------------------------------------------------


def _case_texts(case: Case) -> dict[str, SourceText]:
    said = {
        "input": json.dumps(_input_json(case.input)),
        "reference": "" if isinstance(case.reference, Missing) else case.reference,
        "recorded_output": case.recorded_output,
        "complaint": case.complaint,
    }
    return {kind: SourceText(kind=f"case:{kind}", text=text, source_key=case.source_key) for kind, text in said.items()}


def _answer_texts(case: Case, answer: Evaluation) -> tuple[SourceText, SourceText]:
    """What an arm said, and what the judge said about it: both may repeat the input."""
    return (
        SourceText(kind="answer", text=answer.output, source_key=case.source_key),
        SourceText(kind="judgement", text=answer.result.reason, source_key=case.source_key),
    )


def _pair_row(cycle_id: str, place: int, pair: Pair, texts: Mapping[str, SourceText]) -> dict[str, Any]:
    case = pair.case
    ids: dict[str, Json] = {kind: text.id for kind, text in texts.items()}
    if isinstance(case.reference, Missing):
        ids["reference"] = _number_json(case.reference)
    return {
        "cycle_id": cycle_id,
        "position": place,
        "case_id": case.id,
        "origin": case.origin.value,
        "source_key": case.source_key,
        "tags": list(case.tags),
        "text_ids": ids,
        "baseline": _answer_json(case, pair.baseline),
        "candidate": _answer_json(case, pair.candidate),
    }


def _answer_json(case: Case, answer: Evaluation) -> dict[str, Json]:
    output, reason = _answer_texts(case, answer)
    return {
        "output_id": output.id,
        "reason_id": reason.id,
        "score": _number_json(answer.result.value) if isinstance(answer.result, Scored) else None,
        "usage": _usage_json(answer.usage),
        "latency_s": _number_json(answer.latency_s),
    }


def _text_ids(row: sa.Row[Any]) -> Iterable[str]:
    yield from (id_ for id_ in row.text_ids.values() if isinstance(id_, str))
    for answer in (row.baseline, row.candidate):
        yield from (answer["output_id"], answer["reason_id"])


def _pair(row: sa.Row[Any], texts: Mapping[str, str]) -> Pair:
    ids = row.text_ids
    reference = ids["reference"]
    case = Case(
        id=row.case_id,
        origin=CaseOrigin(row.origin),
        input=_input(json.loads(texts.get(ids["input"], "{}"))),
        reference=texts.get(reference, "") if isinstance(reference, str) else _missing(reference),
        source_key=row.source_key,
        recorded_output=texts.get(ids["recorded_output"], ""),
        complaint=texts.get(ids["complaint"], ""),
        tags=tuple(row.tags),
    )
    return Pair(
        case=case,
        baseline=_answer(case, Arm.BASELINE, row.baseline, texts),
        candidate=_answer(case, Arm.CANDIDATE, row.candidate, texts),
    )


def _answer(case: Case, arm: Arm, said: Mapping[str, Any], texts: Mapping[str, str]) -> Evaluation:
    reason = texts.get(said["reason_id"], "")
    scored = said["score"] is not None
    return Evaluation(
        case_id=case.id,
        arm=arm,
        output=texts.get(said["output_id"], ""),
        result=Scored(value=_float(said["score"]), reason=reason) if scored else Unscored(reason=reason),
        usage=_usage(said["usage"]),
        latency_s=_float(said["latency_s"]),
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


# ---- numbers that JSON does not have -------------------------------------------------------------------------------


def _number_json(value: float | Missing) -> Json:
    if isinstance(value, Missing):
        return {"missing": value.value}
    return value if math.isfinite(value) else repr(value)


def _number(said: Any) -> float | Missing:
    return _missing(said) if isinstance(said, dict) else _float(said)


def _float(said: Any) -> float:
    return float(said)


def _missing(said: Mapping[str, str]) -> Missing:
    return Missing(said["missing"])


def _usage_json(usage: Usage) -> dict[str, Json]:
    return {
        "calls": usage.calls,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": _number_json(usage.cost_usd),
    }


def _usage(said: Mapping[str, Any]) -> Usage:
    return Usage(
        calls=said["calls"],
        input_tokens=said["input_tokens"],
        output_tokens=said["output_tokens"],
        cost_usd=_number(said["cost_usd"]),
    )
