"""A prompt in the search: its document, and the prompt that it was made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Self

from optimizer.documents.document import Document
from optimizer.identity import digest
from optimizer.prompts import Body, body_json
from optimizer.template import contents
from optimizer.types import Edit, Scored, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """A prompt in the search.

    Attributes:
        id: digest of its body: two ways to the same text are one entrant.
        parent: what it was made of, None for the seed.
        round: the round that it comes from, 0 for the seed.
    """

    id: str
    document: Document
    body: Body
    parent: Self | None = None
    round: int = 0

    @classmethod
    def of(cls, document: Document, *, parent: Self | None = None, round_: int = 0) -> Self:
        """The entrant of a document."""
        body = document.body
        return cls(id=digest("entrant", body_json(body)), document=document, body=body, parent=parent, round=round_)

    @property
    def chars(self) -> int:
        """Length of all its messages."""
        return sum(map(len, contents(self.body)))

    @property
    def new_edits(self) -> tuple[Edit, ...]:
        """Those of its edits that its parent does not have."""
        old = self.parent.document.edits if self.parent else ()
        return tuple(edit for edit in self.document.edits if edit not in old)


def without(document: Document, edits: Sequence[Edit]) -> Document:
    """The document as if these of its edits had never been made."""
    made = document.edits
    kept = [edit for edit in made if edit not in edits]
    return document if len(kept) == len(made) else Document.of(document.base).apply(kept)


def values(trials: Mapping[str, Trial]) -> dict[str, float]:
    """The scores by case id; trials without one are left out."""
    return {case_id: trial.result.value for case_id, trial in trials.items() if isinstance(trial.result, Scored)}


def mean(scores: Mapping[str, float]) -> float:
    """The mean score, 0 when there is none."""
    return fsum(scores.values()) / len(scores) if scores else 0.0
