"""A gate report as a JSON document for programs: every number, and the scores of every case by id.

Missing numbers are the word that says why. It carries numbers, ids and our own words; no input, output or judge's
comment, which may hold what users wrote.
"""

import math
from collections.abc import Sequence
from datetime import datetime

from gates.rendering.numbers import share_interval
from gates.rendering.pairs import in_slices
from optimizer.identity import Json
from optimizer.proof import (
    AttackReading,
    CaseCount,
    Claim,
    Comparison,
    GateReport,
    Interval,
    JudgeReading,
    ResourceReading,
    SliceReading,
)
from optimizer.types import Evaluation, Missing, Pair, Scored, Usage


def as_document(report: GateReport) -> dict[str, Json]:
    """The report with stable keys; new ones may be added, none changes its meaning."""
    intervals = in_slices((reading.name for reading in report.slices), report.evidence.pairs)
    return {
        "verdict": report.verdict.value,
        "proof": report.proof.value,
        "reasons": list(report.reasons),
        "findings": [
            {"gate": found.gate.value, "verdict": found.verdict.value, "sentence": found.sentence}
            for found in report.findings
        ],
        "complete": report.evidence.complete,
        "note": report.evidence.note,
        "model": report.evidence.model,
        "evaluator": report.evidence.evaluator,
        **_numbers(report.numbers),
        "claim": _claim(report.claim) if report.claim else None,
        "slices": [_slice(reading, intervals[reading.name]) for reading in report.slices],
        "reruns": [
            {
                "id": rerun.case_id,
                "why": rerun.why,
                "tries": rerun.tries,
                "baseline_failed": rerun.baseline_failed,
                "candidate_failed": rerun.candidate_failed,
                "veto": rerun.veto,
            }
            for rerun in report.reruns
        ],
        "attacks": [_attack(reading) for reading in report.attacks],
        "resources": [_resource(reading) for reading in report.resources],
        "judge": _judge(report.judge) if report.judge else None,
        "case_counts": _counts(report.cases),
        "fixed": list(report.fixed),
        "usage": _usage(report.usage),
        "cases": _cases(report.evidence.pairs),
    }


def _numbers(compared: Comparison) -> dict[str, Json]:
    return {
        "scored_pairs": compared.scored,
        "unscored_pairs": compared.unscored,
        "baseline_mean": _number(compared.baseline_mean),
        "candidate_mean": _number(compared.candidate_mean),
        "effect": _number(compared.effect),
        "interval": _interval(compared.interval),
        "z": _number(compared.z),
        "better": compared.better,
        "worse": compared.worse,
    }


def _claim(claim: Claim) -> dict[str, Json]:
    return {
        "stake": _number(claim.stake),
        "threshold": _number(claim.threshold),
        "e_value": _number(claim.e_value),
        "budget": _number(claim.budget),
        "left": _number(claim.left),
        "since": _moment(claim.since),
        "until": _moment(claim.until),
        "complete": claim.evidence.complete,
        "note": claim.evidence.note,
        **_numbers(claim.numbers),
        "cases": _cases(claim.evidence.pairs),
    }


def _slice(reading: SliceReading, interval: Interval | Missing) -> dict[str, Json]:
    return {
        "name": reading.name,
        "cases": reading.cases,
        "effect": _number(reading.effect),
        "interval": _interval(interval),
        "better": reading.better,
        "worse": reading.worse,
        "p_worse": _number(reading.p_worse),
        "smallest_loss": _number(reading.smallest_loss),
        "verdict": reading.verdict.value,
    }


def _attack(reading: AttackReading) -> dict[str, Json]:
    total = reading.attacks
    return {
        "category": reading.category,
        "attacks": total,
        "baseline_succeeded": reading.baseline_succeeded,
        "candidate_succeeded": reading.candidate_succeeded,
        "baseline_interval": _interval(share_interval(reading.baseline_succeeded, total)) if total else None,
        "candidate_interval": _interval(share_interval(reading.candidate_succeeded, total)) if total else None,
        "unscored": reading.unscored,
    }


def _resource(reading: ResourceReading) -> dict[str, Json]:
    return {
        "gate": reading.gate.value,
        "unit": reading.unit,
        "baseline_mean": _number(reading.baseline_mean),
        "candidate_mean": _number(reading.candidate_mean),
        "ratio": _number(reading.ratio),
        "interval": _interval(reading.interval),
        "margin": _number(reading.margin),
        "verdict": reading.verdict.value,
    }


def _judge(reading: JudgeReading) -> dict[str, Json]:
    return {
        "name": reading.name,
        "noise": _number(reading.noise),
        "repeated": reading.repeated,
        "swapped": reading.swapped,
        "inconsistent": reading.inconsistent,
        "first_preferred": reading.first_preferred,
        "agreement": _number(reading.agreement),
        "human": reading.human,
    }


def _counts(count: CaseCount) -> dict[str, Json]:
    return {
        "replayable": _number(count.replayable),
        "curated": count.curated,
        "replayed": count.replayed,
        "anchors": count.anchors,
        "reused": count.reused,
        "sealed": count.sealed,
        "complaints": count.complaints,
        "fixed": count.fixed,
    }


def _usage(usage: Usage) -> dict[str, Json]:
    return {
        "calls": usage.calls,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": _number(usage.cost_usd),
    }


def _cases(pairs: Sequence[Pair]) -> list[Json]:
    return [
        {
            "id": pair.case.id,
            "origin": pair.case.origin.value,
            "baseline": _result(pair.baseline),
            "candidate": _result(pair.candidate),
        }
        for pair in pairs
    ]


def _result(evaluation: Evaluation) -> Json:
    return _number(evaluation.result.value) if isinstance(evaluation.result, Scored) else "unscored"


def _number(value: float | Missing) -> Json:
    if isinstance(value, Missing):
        return value.value
    return value if math.isfinite(value) else repr(value)  # JSON has no infinity


def _interval(interval: Interval | Missing) -> Json:
    return interval.value if isinstance(interval, Missing) else [_number(interval[0]), _number(interval[1])]


def _moment(at: datetime | Missing) -> Json:
    return at.value if isinstance(at, Missing) else at.isoformat()
