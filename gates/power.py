"""How small a loss a slice of so many cases could have shown. Says nothing about what it did show."""

from gates.statistics import at_least, binomial, sign_test

LIKELY = 0.8
"""The chance with which a loss counts as one that would have been seen."""

_HALVINGS = 9  # a five-hundredth of the score: reports show whole points
_FAR = 5.0  # standard deviations of a count beyond which its chance is not added up


def smallest_loss(cases: int, churn: float, p: float, *, least: float = 0.05, size: float = 1.0) -> float:
    """The smallest loss of the mean score that so many cases would have shown with 80% chance; 1 when none would.

    A loss is shown when the mean falls by more than `least` and the sign test's p-value is below `p`.

    Args:
        churn: share of cases whose scores differ between the arms; a loss beyond it makes further cases differ.
        size: by how much such a case differs; 1 for scores of 0 and 1.
    """
    needed = _needed(cases, p, least / size)
    if _chance(cases, churn, 1.0, needed) < LIKELY:
        return 1.0
    too_small, shown = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (too_small + shown) / 2.0
        if _chance(cases, churn, middle, needed) < LIKELY:
            too_small = middle
        else:
            shown = middle
    return shown * size


def _needed(cases: int, p: float, least: float) -> list[int]:
    """For each number of differing cases, how many of them must be worse; one too many where no number is enough."""
    needed: list[int] = []
    significant = 0
    for differing in range(cases + 1):
        # one case more needs at most one worse case more
        while significant <= differing and sign_test(differing - significant, significant) >= p:
            significant += 1
        worse = significant
        while worse <= differing and (2 * worse - differing) / cases <= least:
            worse += 1
        needed.append(worse)
    return needed


def _chance(cases: int, churn: float, loss: float, needed: list[int]) -> float:
    """The chance that a slice shows a loss, which is given in cases worse minus cases better, per case."""
    churn = max(churn, loss)
    if churn == 0.0:
        return 0.0
    worse = (churn + loss) / 2.0 / churn
    spread = _FAR * (cases * churn * (1.0 - churn)) ** 0.5 + 1.0
    first, last = max(0, int(cases * churn - spread)), min(cases, int(cases * churn + spread) + 1)
    return sum(
        binomial(differing, cases, churn) * at_least(needed[differing], differing, worse)
        for differing in range(first, last + 1)
    )
