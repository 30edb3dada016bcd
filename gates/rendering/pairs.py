"""What the report says about single cases and groups of them, read off the pairs."""

from collections.abc import Iterable, Mapping, Sequence

from gates.comparison import differences, scores
from gates.slices import names as slices_of
from gates.statistics import interval
from optimizer.proof import Interval
from optimizer.types import Missing, Pair


def means(pairs: Iterable[Pair]) -> tuple[Interval | Missing, Interval | Missing]:
    """95% intervals of the mean score of the baseline and of the candidate, over the scored pairs."""
    scored = scores(pairs)
    if not scored:
        return Missing.NOT_RECORDED, Missing.NOT_RECORDED
    return _mean([before for before, _ in scored]), _mean([after for _, after in scored])


def in_slices(names: Iterable[str], pairs: Iterable[Pair]) -> Mapping[str, Interval | Missing]:
    """95% intervals of the difference in each of the slices; missing where the pairs do not hold one."""
    found: dict[str, list[float]] = {name: [] for name in names}
    for pair in pairs:
        for difference in differences((pair,)):
            for name in slices_of(pair.case) & found.keys():
                found[name].append(difference)
    return {name: interval(values) if values else Missing.NOT_RECORDED for name, values in found.items()}


def _mean(scores: Sequence[float]) -> Interval:
    low, high = interval([2.0 * score - 1.0 for score in scores])  # the bet is over [-1, 1]
    return (low + 1.0) / 2.0, (high + 1.0) / 2.0
