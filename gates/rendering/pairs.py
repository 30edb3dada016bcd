"""What the report says about single cases and groups of them, read off the pairs."""

from collections.abc import Iterable, Sequence

from gates.comparison import differences, scores
from gates.statistics import interval
from optimizer.proof import Interval
from optimizer.types import Missing, Pair


def means(pairs: Iterable[Pair]) -> tuple[Interval | Missing, Interval | Missing]:
    """95% intervals of the mean score of the baseline and of the candidate, over the scored pairs."""
    scored = scores(pairs)
    if not scored:
        return Missing.NOT_RECORDED, Missing.NOT_RECORDED
    return _mean([before for before, _ in scored]), _mean([after for _, after in scored])


def of_slice(name: str, pairs: Iterable[Pair]) -> Interval | Missing:
    """95% interval of the difference in one slice; missing when the pairs do not hold it."""
    found = differences(pair for pair in pairs if name in _slices(pair))
    return interval(found) if found else Missing.NOT_RECORDED


def _mean(scores: Sequence[float]) -> Interval:
    low, high = interval([2.0 * score - 1.0 for score in scores])  # the bet is over [-1, 1]
    return (low + 1.0) / 2.0, (high + 1.0) / 2.0


def _slices(pair: Pair) -> frozenset[str]:
    """The names that `gates.slices` gives to a case's slices."""
    names = set()
    for tag in pair.case.tags:
        whole = " ".join(tag.split())
        dimension, _, value = whole.partition(":")
        names.add(whole if dimension and value else f"tag:{whole}")
    return frozenset(names)
