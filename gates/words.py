"""Numbers in the words of a report. Never decides anything."""

from collections.abc import Sequence

NAMED = 5
"""How many things a sentence names before it says how many more there are."""


def points(share: float) -> str:
    """A difference of scores in points, with its sign."""
    return f"{100 * share:+.1f}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: "1 case", "2 cases"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def plain(number: float) -> str:
    """A positive number that may be anywhere between a fraction and e^700, in three digits."""
    if number >= 1e6:
        return "more than a million"
    return f"{number:.3g}" if number < 1e3 else f"{float(f'{number:.3g}'):,.0f}"


def inside(sentence: str) -> str:
    """A sentence after a colon: a small letter, unless it begins with an abbreviation."""
    return sentence if sentence[1:2].isupper() else sentence[:1].lower() + sentence[1:]
