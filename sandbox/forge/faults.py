"""What is to go wrong next, and how often every kind of write was carried out."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(kw_only=True)
class Faults:
    """Switches; counters count down as they are used up.

    Attributes:
        die_before_write, die_after_write: the n-th coming write is answered 502, before or after it was carried out;
            0 is never.
        secondary_limit_next: how many coming requests are answered 403 with a secondary rate limit.
        primary_limit_next: how many are answered 403 because the hour's requests are used up.
        retry_after_s: what those answers say; 0 leaves the header out.
        slow_s: how long every answer takes.
    """

    die_before_write: int = 0
    die_after_write: int = 0
    secondary_limit_next: int = 0
    primary_limit_next: int = 0
    retry_after_s: int = 7
    slow_s: float = 0.0

    def update(self, changes: Mapping[str, Any]) -> None:
        """Set switches by name. Raises ValueError for a name that is none."""
        if unknown := sorted(set(changes) - set(asdict(self))):
            raise ValueError(f"unknown faults {unknown}; known are {sorted(asdict(self))}")
        for name, value in changes.items():
            setattr(self, name, value)

    def strikes(self, name: str) -> bool:
        """Use up one of a counter; a death strikes when its counter gets to zero."""
        left = int(getattr(self, name))
        if left > 0:
            setattr(self, name, left - 1)
        return left == 1 if name.startswith("die") else left > 0


Writes = Counter[str]
"""Writes that were carried out, by kind."""
