"""Numbers as people read them, each beside its interval. Missing ones are the word that says why there is none."""

import math
from datetime import UTC, datetime

from gates.words import counted, points
from optimizer.proof import Interval
from optimizer.types import Missing, Usage

_Z95 = 1.959964


def points_between(interval: Interval | Missing) -> str:
    """An interval in points."""
    return interval.value if isinstance(interval, Missing) else f"{points(interval[0])} to {points(interval[1])}"


def score(value: float | Missing, interval: Interval | Missing = Missing.NOT_RECORDED) -> str:
    """A score in points of 100, with its interval where there is one."""
    if isinstance(value, Missing):
        return value.value
    between = "" if isinstance(interval, Missing) else f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"
    return f"{100 * value:.1f}{between}"


def change(ratio: float | Missing, interval: Interval | Missing = Missing.NOT_RECORDED) -> str:
    """A ratio as a change in percent, with its interval where there is one."""
    if isinstance(ratio, Missing):
        return ratio.value
    between = "" if isinstance(interval, Missing) else f" ({_percent(interval[0])} to {_percent(interval[1])})"
    return _percent(ratio) + between


def part(count: int, total: int) -> str:
    """How many of how many, with a 95% interval of the share; a dash where there was nothing to count."""
    if total == 0:
        return "–"
    low, high = share_interval(count, total)
    return f"{count} of {total} ({100 * low:.0f}% to {100 * high:.0f}%)"


def share_interval(count: int, total: int) -> Interval:
    """Wilson's 95% interval of a share: it also says something when none or all were counted."""
    share, spread = count / total, _Z95**2 / total
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def digits(value: float | Missing) -> str:
    """A number of any size, to three digits."""
    return value.value if isinstance(value, Missing) else f"{value:.3g}"


def day(at: datetime | Missing) -> str:
    """A day in UTC."""
    return at.value if isinstance(at, Missing) else at.astimezone(UTC).strftime("%Y-%m-%d")


def spend(usage: Usage) -> str:
    """What model calls cost."""
    calls = counted(usage.calls, "model call")
    cost = usage.cost_usd
    return f"{calls}, {cost.value}" if isinstance(cost, Missing) else f"${cost:.4f} for {calls}"


def _percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.0f}%"
