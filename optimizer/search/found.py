"""What a search came to."""

from dataclasses import dataclass

from optimizer.documents.document import Document
from optimizer.steps.tgd import NoCandidate, RefusedEdit
from optimizer.types import Candidate, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search came to.

    Attributes:
        best: the prompt whose gain on the validation rows is more than chance gives once in twenty times, or why there
            is none. It was chosen on these rows, so the gain is no proof.
        document: the prompt to use, the seed's when there is nothing better.
        seed_score, best_score: means over the validation rows, [0, 1]; equal when the seed stays.
        task_calls: runs of a prompt on a case that were made.
        rejected: edits that did not last, each with the reason.
        usage: of the calls of task model, critic and rewriter; a judge accounts for its own.
    """

    best: Candidate | NoCandidate
    document: Document
    seed_score: float
    best_score: float
    task_calls: int
    rounds: int
    rejected: tuple[RefusedEdit, ...]
    usage: Usage
    stopped_because: str
