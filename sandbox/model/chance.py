"""Chance without state: every draw is a hash of what it is about.

The same parts give the same draw in every process and in any order of calls. Nothing here may read a clock, a global
random generator or Python's salted `hash`.
"""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def draw(*parts: object) -> float:
    """A number in [0, 1) that depends on the parts alone."""
    text = "\x1f".join(str(part) for part in parts)
    hashed = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(hashed[:7], "big") / (1 << 56)


def pick(options: Sequence[T], *parts: object) -> T:
    """One of the options; the parts decide which."""
    return options[int(draw(*parts) * len(options))]


def shuffled(options: Sequence[T], *parts: object) -> list[T]:
    """The options in an order that the parts decide."""
    numbered = sorted(range(len(options)), key=lambda index: draw(*parts, index))
    return [options[index] for index in numbered]
