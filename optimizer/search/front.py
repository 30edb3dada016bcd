"""The Pareto front over the validation cases, and the parents drawn from it.

With noisy scores everybody is the best on some case. So an advantage of at most `margin` cases in all counts for
nothing: a prompt leaves the front when another one is as good in the mean and loses no more than that to it.
"""

from collections.abc import Mapping, Sequence
from random import Random
from typing import TypeAlias

Scores: TypeAlias = Mapping[str, Mapping[str, float]]
"""Scores by prompt and by case."""


def front(scores: Scores, *, margin: float) -> tuple[str, ...]:
    """The prompts that no other one covers, in the order given; of equals the first."""
    order = list(scores)

    def covered(one: str) -> bool:
        return any(
            covers(scores[other], scores[one], margin=margin)
            and not (covers(scores[one], scores[other], margin=margin) and order.index(one) < order.index(other))
            for other in order
            if other != one
        )

    kept = tuple(one for one in order if not covered(one))
    return kept or tuple(order[:1])


def covers(one: Mapping[str, float], other: Mapping[str, float], *, margin: float) -> bool:
    """True when `one` is as good in the mean, and `other` is better by no more than `margin` in all."""
    shared = [case for case in other if case in one]
    advantage = sum(max(0.0, other[case] - one[case]) for case in shared)
    return sum(one[c] for c in shared) >= sum(other[c] for c in shared) and advantage <= margin


def draw(scores: Scores, members: Sequence[str], first: str, count: int, random: Random) -> tuple[str, ...]:
    """`first`, and other members up to `count`, each the likelier the more cases it is best on."""
    drawn, left = [first], [one for one in members if one != first]
    while left and len(drawn) < count:
        weights = [1 + _wins(scores, one, members) for one in left]
        drawn.append(random.choices(left, weights)[0])
        left.remove(drawn[-1])
    return tuple(drawn)


def _wins(scores: Scores, one: str, members: Sequence[str]) -> int:
    """The cases on which nobody among the members is better."""
    return sum(all(scores[other].get(case, 0.0) <= value for other in members) for case, value in scores[one].items())
