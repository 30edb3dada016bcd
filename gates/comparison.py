"""Pairs -> differences and their numbers. Only pairs that both arms have a score for count."""

from collections.abc import Iterable, Sequence
from statistics import fmean

from gates.statistics import interval, z_score
from optimizer.proof import Comparison
from optimizer.types import Missing, Pair, Scored

_DIGITS = 9  # means of judgements differ in their last bits where the answers do not: that is no better and no worse


def scores(pairs: Iterable[Pair]) -> tuple[tuple[float, float], ...]:
    """(baseline, candidate) of every pair that was scored in both arms, in the given order."""
    return tuple(
        (pair.baseline.result.value, pair.candidate.result.value)
        for pair in pairs
        if isinstance(pair.baseline.result, Scored) and isinstance(pair.candidate.result, Scored)
    )


def differences(pairs: Iterable[Pair]) -> tuple[float, ...]:
    """Candidate minus baseline of every pair that was scored in both arms, in the given order."""
    return tuple(round(candidate - baseline, _DIGITS) for baseline, candidate in scores(pairs))


def compared(pairs: Sequence[Pair]) -> Comparison:
    """Both arms in numbers; missing where no pair was scored."""
    both = scores(pairs)
    found = differences(pairs)
    return Comparison(
        scored=len(both),
        unscored=len(pairs) - len(both),
        baseline_mean=fmean(baseline for baseline, _ in both) if both else Missing.NOT_RECORDED,
        candidate_mean=fmean(candidate for _, candidate in both) if both else Missing.NOT_RECORDED,
        effect=fmean(found) if found else Missing.NOT_RECORDED,
        interval=interval(found) if found else Missing.NOT_RECORDED,
        z=z_score(found),
        better=sum(difference > 0 for difference in found),
        worse=sum(difference < 0 for difference in found),
    )
