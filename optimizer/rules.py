"""Which scores are asked for, and which of them are complaints.

The owner decides: a trace store does not know which end of a score is good.
"""

from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    """Which end of a numeric score is good. The trace store does not know; the owner's settings do."""

    HIGHER_IS_BETTER = "higher is better"
    LOWER_IS_BETTER = "lower is better"


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericRule:
    """A numeric score is a complaint when it is on the bad side of the threshold; the threshold itself is good."""

    name: str
    threshold: float
    direction: Direction = Direction.HIGHER_IS_BETTER


@dataclass(frozen=True, slots=True, kw_only=True)
class BooleanRule:
    """A boolean score is a complaint when it has the `bad` value."""

    name: str
    bad: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryRule:
    """A categorical score is a complaint when it is one of `bad`."""

    name: str
    bad: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionRule:
    """Every human correction of an output is a complaint, and the best one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryScore:
    """Asks for every score of a name, good ones too: to compare a judge with people. It makes no complaint."""

    name: str


ScoreRule = NumericRule | BooleanRule | CategoryRule | CorrectionRule | EveryScore
