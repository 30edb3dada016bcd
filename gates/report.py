"""A gate report as text for terminals, Markdown for pull requests, a JSON document for programs.

Carries numbers, ids and our own words; no input, output or judge's comment, which may hold what users wrote.
"""

import re

from gates.verdict import points
from optimizer.identity import Json
from optimizer.types import Evaluation, GateReport, Missing, Pair, Scored


def as_text(report: GateReport) -> str:
    """A few lines for a terminal."""
    return "\n".join([*report.reasons, *(f"{name}: {value}" for name, value in _facts(report))])


def as_markdown(report: GateReport) -> str:
    """A section for a pull request."""
    reasons = [f"- {_escaped(reason)}" for reason in report.reasons]
    rows = [f"| {name} | {_escaped(value)} |" for name, value in _facts(report)]
    return "\n".join([f"### Gate: {report.verdict}", "", *reasons, "", "| | |", "|---|---|", *rows, ""])


def as_document(report: GateReport) -> dict[str, Json]:
    """Every number, and the scores of every case by id. Missing numbers are the word that says why."""
    return {
        "verdict": report.verdict.value,
        "reasons": list(report.reasons),
        "complete": report.evidence.complete,
        "note": report.evidence.note,
        "model": report.evidence.model,
        "evaluator": report.evidence.evaluator,
        "scored_pairs": report.scored_pairs,
        "unscored_pairs": report.unscored_pairs,
        "baseline_mean": _number(report.baseline_mean),
        "candidate_mean": _number(report.candidate_mean),
        "effect": _number(report.effect),
        "interval": report.interval.value if isinstance(report.interval, Missing) else list(report.interval),
        "e_value": report.e_value,
        "threshold": report.threshold,
        "usage": {
            "calls": report.usage.calls,
            "input_tokens": report.usage.input_tokens,
            "output_tokens": report.usage.output_tokens,
            "cost_usd": _number(report.usage.cost_usd),
        },
        "cases": [_case(pair) for pair in report.evidence.pairs],
    }


def _facts(report: GateReport) -> list[tuple[str, str]]:
    cost = report.usage.cost_usd
    effect = report.effect
    return [
        ("Cases", f"{report.scored_pairs} judged, {report.unscored_pairs} not"),
        ("Score before", _shown(report.baseline_mean)),
        ("Score after", _shown(report.candidate_mean)),
        ("Difference", effect.value if isinstance(effect, Missing) else f"{points(effect)} points"),
        ("95% interval", _span(report)),
        ("Evidence", f"{report.e_value:.3g} (needs {report.threshold:.3g})"),
        ("Model", report.evidence.model),
        ("Evaluator", report.evidence.evaluator),
        ("Cost", cost.value if isinstance(cost, Missing) else f"${cost:.4f} for {report.usage.calls} calls"),
    ]


def _span(report: GateReport) -> str:
    if isinstance(report.interval, Missing):
        return report.interval.value
    low, high = report.interval
    return f"{points(low)} to {points(high)} points"


def _case(pair: Pair) -> Json:
    return {
        "id": pair.case.id,
        "origin": pair.case.origin.value,
        "baseline": _result(pair.baseline),
        "candidate": _result(pair.candidate),
    }


def _result(evaluation: Evaluation) -> Json:
    result = evaluation.result
    return result.value if isinstance(result, Scored) else "unscored"


def _number(value: float | Missing) -> Json:
    return value.value if isinstance(value, Missing) else value


def _shown(value: float | Missing) -> str:
    return value.value if isinstance(value, Missing) else f"{value:.3f}"


def _escaped(text: str) -> str:
    """Text that cannot become markup, a link or a mention in Markdown."""
    return re.sub(r"([\\`*_\[\]<>|@#])", r"\\\1", " ".join(text.split()))
