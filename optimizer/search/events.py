"""What a search tells while it runs: one value for each declared point, in order."""

from dataclasses import dataclass
from typing import TypeAlias

from optimizer.prompts import Body


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The seed's scores, [0, 1], on the rows that it was run on."""

    train: float
    validation: float
    task_calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """A rewrite that passed the guard and is about to be run."""

    round: int
    body: Body
    edits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What became of a rewrite.

    Attributes:
        accepted: it is the best so far.
        reason: the numbers, in words.
    """

    round: int
    body: Body
    accepted: bool
    validation: float
    task_calls: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The search is over, and why."""

    reason: str
    task_calls: int


Event: TypeAlias = Measured | Proposed | Judged | Stopped


def silent(_: Event) -> None:
    """Watches nothing."""
