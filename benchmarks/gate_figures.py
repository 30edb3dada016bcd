"""Means with their 95% bounds, and columns of text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean and the ends of its 95% interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def mean(values: Sequence[float]) -> Mean:
    """By the normal approximation; where nothing ever differed from nought, by the rule of three."""
    count = len(values)
    middle = math.fsum(values) / count
    if not any(values):
        return Mean(mean=0.0, low=0.0, high=3.0 / count)
    spread = math.fsum((value - middle) ** 2 for value in values) / max(count - 1, 1)
    half = 1.96 * math.sqrt(spread / count)
    return Mean(mean=middle, low=middle - half, high=middle + half)


def share(hits: int, tries: int) -> Mean:
    """A share with Wilson's interval."""
    z, rate = 1.96, hits / tries
    middle = (rate + z * z / (2 * tries)) / (1 + z * z / tries)
    half = z / (1 + z * z / tries) * math.sqrt(rate * (1 - rate) / tries + z * z / (4 * tries * tries))
    return Mean(mean=rate, low=max(0.0, middle - half), high=min(1.0, middle + half))


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A table as text."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
