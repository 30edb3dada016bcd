"""Cost, latency and length of answers: shown to be not much more than before, or the gate is not passed.

Missing prices and latencies are told and never a fail.
"""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist, fmean, stdev

from gates.rules import GateRules
from gates.words import counted
from optimizer.proof import Finding, Gate, Interval, ResourceReading
from optimizer.types import Evaluation, Missing, Pair, Verdict

LEAST_PAIRS = 20
"""Fewer pairs with the number say nothing about it."""

_ONE_SIDED = 0.95
_NAMES = {
    Gate.COST: "The cost of an answer",
    Gate.LATENCY: "The time to answer",
    Gate.LENGTH: "The length of an answer",
}


def resources(pairs: Sequence[Pair], rules: GateRules) -> tuple[ResourceReading, ...]:
    """Cost, latency and length, in this order."""
    return (
        _reading(Gate.COST, "USD per answer", pairs, rules.cost_margin),
        _reading(Gate.LATENCY, "s", pairs, rules.latency_margin),
        _reading(Gate.LENGTH, "characters", pairs, rules.length_margin),
    )


def resourced(reading: ResourceReading, pairs: Sequence[Pair]) -> Finding:
    """The reading in words, with how many of the pairs it rests on."""
    name, used = _NAMES[reading.gate], len(_measured(reading.gate, pairs))
    if isinstance(reading.ratio, Missing) or isinstance(reading.interval, Missing):
        sentence = f"{name} was not compared: {used} of {counted(len(pairs), 'case')} have it for both versions."
        return Finding(gate=reading.gate, verdict=Verdict.PASS, sentence=sentence)
    low, high = reading.interval
    numbers = (
        f"{reading.ratio:.2f} times the current prompt's (90% interval {low:.2f} to {high:.2f}; up to "
        f"{reading.margin:.2f} is tolerated"
    )
    numbers += f"; {used} of {len(pairs)} cases have it)" if used < len(pairs) else ")"
    sentence = {
        Verdict.PASS: f"{name} stays within what is tolerated: {numbers}.",
        Verdict.FAIL: f"{name} rises too far: {numbers}.",
        Verdict.UNDECIDED: f"{name} may rise too far, more cases are needed to tell: {numbers}.",
    }[reading.verdict]
    return Finding(gate=reading.gate, verdict=reading.verdict, sentence=sentence)


def _reading(gate: Gate, unit: str, pairs: Sequence[Pair], margin: float) -> ResourceReading:
    both = _measured(gate, pairs)
    ratio: float | Missing = Missing.NOT_RECORDED
    interval: Interval | Missing = Missing.NOT_RECORDED
    verdict = Verdict.PASS
    if len(both) >= LEAST_PAIRS:
        ratio, interval = _ratio([math.log(candidate / baseline) for baseline, candidate in both])
        verdict = _verdict(interval, margin)
    return ResourceReading(
        gate=gate,
        unit=unit,
        baseline_mean=fmean(baseline for baseline, _ in both) if both else Missing.NOT_RECORDED,
        candidate_mean=fmean(candidate for _, candidate in both) if both else Missing.NOT_RECORDED,
        ratio=ratio,
        interval=interval,
        margin=margin,
        verdict=verdict,
    )


def _verdict(interval: Interval, margin: float) -> Verdict:
    low, high = interval
    if high <= margin:
        return Verdict.PASS
    return Verdict.FAIL if low > margin else Verdict.UNDECIDED


def _ratio(logs: Sequence[float]) -> tuple[float, Interval]:
    mean, freedom = fmean(logs), len(logs) - 1
    z = NormalDist().inv_cdf(_ONE_SIDED)
    t = z + (z**3 + z) / (4 * freedom)  # Student's quantile to the first order (Fisher 1926): .004 off at 19 degrees
    wide = t * stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean), (math.exp(mean - wide), math.exp(mean + wide))


def _measured(gate: Gate, pairs: Sequence[Pair]) -> list[tuple[float, float]]:
    """(baseline, candidate) where both are known and above 0: an empty answer has no length to compare with."""
    number = _NUMBERS[gate]
    both = [(number(pair.baseline), number(pair.candidate)) for pair in pairs]
    return [
        (baseline, candidate)
        for baseline, candidate in both
        if not isinstance(baseline, Missing) and not isinstance(candidate, Missing) and baseline > 0 and candidate > 0
    ]


_NUMBERS: dict[Gate, Callable[[Evaluation], float | Missing]] = {
    Gate.COST: lambda evaluation: evaluation.usage.cost_usd,
    Gate.LATENCY: lambda evaluation: evaluation.latency_s,
    Gate.LENGTH: lambda evaluation: float(len(evaluation.output)),
}
