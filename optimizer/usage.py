"""What model calls cost, and the names of numbers that are missing."""

from dataclasses import dataclass
from enum import StrEnum


class Missing(StrEnum):
    """Why there is no number or text where one could have been."""

    NOT_RECORDED = "not recorded"
    NOT_PRICED = "not priced"
    NO_REFERENCE = "no reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What model calls cost."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | Missing = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        costs = (self.cost_usd, other.cost_usd)
        return Usage(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost_usd=next((c for c in costs if isinstance(c, Missing)), Missing.NOT_PRICED)
            if any(isinstance(c, Missing) for c in costs)
            else sum(c for c in costs if not isinstance(c, Missing)),
        )
