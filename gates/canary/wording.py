"""The numbers of a look in words that expect no statistics of the reader. Never decides anything."""

from gates.canary.measuring import Measured, Rail
from gates.words import counted, plain, points
from optimizer.rollouts import Reading
from optimizer.types import Missing


def spoken(part: float) -> str:
    """A part of the scale in points: 0.01 is "1 point"."""
    return f"{100 * part:.3g} {'point' if round(100 * part, 3) == 1 else 'points'}"


def span(days: float) -> str:
    """Days in words, whole ones."""
    return counted(int(days), "day")


def units_of(seen: Measured) -> str:
    """How many were exposed in both arms."""
    return counted(seen.candidate.exposed + seen.control.exposed, "user or session", "users or sessions")


def mean_of(reading: Reading) -> str:
    """An arm's mean in points of 100; it says so when nobody's time to answer is over."""
    if isinstance(reading.mean, Missing):
        return "no complete scores yet"
    return f"{100 * reading.mean:.1f} of 100 points ({reading.matured})"


def compared(seen: Measured) -> str:
    """Effect, interval and how many it rests on."""
    if isinstance(seen.effect, Missing) or isinstance(seen.interval, Missing):
        return "no user or session has had its time to give scores"
    low, high = seen.interval
    numbers = f"{seen.candidate.matured} with the new version and {seen.control.matured} with the old one"
    return f"{points(seen.effect)} points (95% interval {points(low)} to {points(high)}) over {numbers}"


def failing(rail: Rail) -> str:
    """A raised guard rail with the numbers of both arms."""
    candidate, control = _told(rail.alarm.name, rail.candidate), _told(rail.alarm.name, rail.control)
    odds = f"evidence {plain(rail.alarm.e_value)}, alarm at {plain(rail.alarm.limit)}"
    return f"The new version {_WORSE[rail.alarm.name]}: {candidate} against {control} ({odds})"


def illness(seen: Measured, healthy: float) -> str:
    """Why going back is not enough."""
    return (
        f"The old version is not healthy either: {mean_of(seen.control)}, and less than {100 * healthy:.1f} counts as "
        f"ill (evidence {plain(seen.ill)}). A person has to look."
    )


_WORSE = {"errors": "fails more often", "latency": "is slower than tolerated", "cost": "is dearer than tolerated"}


def _told(name: str, number: float | Missing) -> str:
    if isinstance(number, Missing):
        return "unknown"
    return {"errors": f"{number:.1%}", "latency": f"{number:.2f} s", "cost": f"${number:.4f}"}[name]
