"""What the search has tried: steps with what became of them, and every edit that did not last, with the reason.

The rewriter is shown the latest steps, so that it does not propose the same again and does propose what helped.
"""

from collections.abc import Sequence

from optimizer.documents.document import Document
from optimizer.steps.history import PastStep
from optimizer.steps.tgd import RefusedEdit
from optimizer.types import Edit, Missing, Verdict


class Memory:
    """Steps in the order in which they were judged."""

    def __init__(self) -> None:
        self.steps: list[PastStep] = []
        self._rejected: dict[str, RefusedEdit] = {}

    @property
    def rejected(self) -> tuple[RefusedEdit, ...]:
        """Every edit that did not last, once, with the first reason."""
        return tuple(self._rejected.values())

    def not_admitted(self, refused: Sequence[RefusedEdit]) -> None:
        """Edits that never became part of a prompt."""
        for one in refused:
            self._rejected.setdefault(one.edit.id, one)

    def kept(self, before: Document, edits: Sequence[Edit], reason: str) -> None:
        """A step that made the best prompt so far."""
        self._remember(before, edits, Verdict.PASS, reason)

    def undecided(self, before: Document, edits: Sequence[Edit], reason: str) -> None:
        """Edits that went down with others, and may be good."""
        self.not_admitted([RefusedEdit(edit=edit, reason=reason) for edit in edits])
        self._remember(before, edits, Missing.NOT_RECORDED, reason)

    def failed(self, before: Document, edits: Sequence[Edit], reason: str) -> None:
        """Edits that did not help; told once."""
        new = [edit for edit in edits if edit.id not in self._rejected]
        self.not_admitted([RefusedEdit(edit=edit, reason=reason) for edit in new])
        self._remember(before, new, Verdict.FAIL, reason)

    def _remember(self, before: Document, edits: Sequence[Edit], verdict: Verdict | Missing, reason: str) -> None:
        if edits:
            self.steps.append(PastStep.of(before, edits, verdict=verdict, reason=reason))
