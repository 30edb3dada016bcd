"""A prompt in the search: its document, where it came from, and what is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from optimizer.document import Document
from optimizer.identity import digest
from optimizer.prompts import Body, body_json
from optimizer.template import contents
from optimizer.types import Edit, Scored, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """A prompt in the search.

    Attributes:
        edits: every edit that made it of the seed.
        step: those of them that its last step made.
        round: the round that it comes from, 0 for the seed.
    """

    document: Document
    body: Body
    edits: tuple[Edit, ...] = ()
    step: tuple[Edit, ...] = ()
    parent: str = ""
    round: int = 0

    @property
    def id(self) -> str:
        return digest("entrant", body_json(self.body))

    @property
    def chars(self) -> int:
        """Length of all its messages."""
        return sum(map(len, contents(self.body)))


def values(trials: Mapping[str, Trial]) -> dict[str, float]:
    """The scores by case id; trials without one are left out."""
    return {case_id: trial.result.value for case_id, trial in trials.items() if isinstance(trial.result, Scored)}


def mean(scores: Mapping[str, float]) -> float:
    """The mean score, 0 when there is none."""
    return sum(scores.values()) / len(scores) if scores else 0.0
