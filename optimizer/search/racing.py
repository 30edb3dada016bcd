"""Successive halving on paired cases: every prompt answers the same cases, and at each rung the worse half goes.

Decisions are taken between the rungs, on means over the cases that all of them answered, in the order of the prompts.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from optimizer.search.entrant import mean

Run: TypeAlias = Callable[[str, int], Awaitable[Mapping[str, float]]]
"""Scores of one prompt on the first so many cases."""


def rungs(entrants: int, cases: int) -> tuple[int, ...]:
    """How many cases each rung has: all for one prompt, a half and all for two, a quarter, a half and all for four."""
    halvings = max(0, (entrants - 1).bit_length())
    return tuple(-(-cases // 2**k) for k in range(halvings, -1, -1))


def survivors(scores: Mapping[str, Mapping[str, float]]) -> tuple[str, ...]:
    """The better half, at least one, in the order given; ties fall to the earlier."""
    order = list(scores)
    shared = set.intersection(*(set(found) for found in scores.values())) if scores else set()
    paired = {one: {case: scores[one][case] for case in shared} for one in order}
    ranked = sorted(order, key=lambda one: (-mean(paired[one]), order.index(one)))
    kept = set(ranked[: -(-len(order) // 2)])
    return tuple(one for one in order if one in kept)
