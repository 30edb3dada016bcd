"""Pairs made of scores, for the tests of the gates. A word in place of a score is why there is none."""

from collections.abc import Sequence

from optimizer.types import (
    Arm,
    Case,
    CaseInput,
    CaseOrigin,
    Evaluation,
    Evidence,
    Missing,
    Pair,
    Scored,
    Unscored,
    Usage,
)

Score = float | str


def a_case(
    case_id: str, *, source: str = "", tags: tuple[str, ...] = (), origin: CaseOrigin = CaseOrigin.REPLAY
) -> Case:
    return Case(
        id=case_id, origin=origin, input=CaseInput(), reference=Missing.NO_REFERENCE, source_key=source, tags=tags
    )


def an_answer(
    case_id: str,
    arm: Arm,
    score: Score,
    *,
    cost_usd: float | Missing = 0.001,
    latency_s: float | Missing = 0.1,
    output: str = "an answer",
) -> Evaluation:
    return Evaluation(
        case_id=case_id,
        arm=arm,
        output=output,
        result=Unscored(reason=score) if isinstance(score, str) else Scored(value=score, reason="why"),
        usage=Usage(calls=1, input_tokens=10, output_tokens=5, cost_usd=cost_usd),
        latency_s=latency_s,
    )


def a_pair(case_id: str, baseline: Score, candidate: Score, tags: tuple[str, ...] = ()) -> Pair:
    return Pair(
        case=a_case(case_id, tags=tags),
        baseline=an_answer(case_id, Arm.BASELINE, baseline),
        candidate=an_answer(case_id, Arm.CANDIDATE, candidate),
    )


def pairs_of(*scores: tuple[Score, Score], times: int = 1, tags: tuple[str, ...] = (), first: int = 0) -> list[Pair]:
    return [
        a_pair(f"case-{number:04}", baseline, candidate, tags)
        for number, (baseline, candidate) in enumerate(scores * times, start=first)
    ]


def changed(better: int, worse: int, same: int, tags: tuple[str, ...] = ()) -> list[Pair]:
    """So many cases that became right, wrong, and stayed as they were."""
    return pairs_of(*[(0.0, 1.0)] * better, *[(1.0, 0.0)] * worse, *[(1.0, 1.0)] * same, tags=tags)


def evidence_of(pairs: Sequence[Pair], *, note: str = "") -> Evidence:
    return Evidence(pairs=tuple(pairs), model="sim-task", evaluator="direct", complete=not note, note=note)
