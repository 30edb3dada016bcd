"""How long a unit's scores count: until 95% of the scores have come, in whichever arm they come later.

The time is the same for both arms and fixed before the first unit is exposed. Too short a time favours the arm whose
good scores come first.
"""

import math
from collections.abc import Sequence

ARRIVED = 0.95
LEAST_DAYS, MOST_DAYS = 1.0, 14.0
FEWEST = 20
"""Fewer known delays than this say nothing about an arm."""

UNKNOWN_DAYS = 7.0
"""Where the past says nothing: a week holds every day of the week."""


def maturity_days(*arms: Sequence[float]) -> float:
    """Whole days in [1, 14] after which 95% of the scores of every arm have come.

    Args:
        arms: for each version the days between the first exposure of a unit and each of its scores. Only of units that
            have been watched for longer than `MOST_DAYS`: others have had no time for their late scores.
    """
    known = [sorted(delays) for delays in arms if len(delays) >= FEWEST]
    if not known:
        return UNKNOWN_DAYS
    slowest = max(delays[math.ceil(ARRIVED * len(delays)) - 1] for delays in known)
    return float(min(MOST_DAYS, max(LEAST_DAYS, math.ceil(slowest))))
