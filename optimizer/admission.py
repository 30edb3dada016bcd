"""Which edits may become part of a candidate: the guard, the owner's checks, and the memory of what failed.

What breaks a rule is dropped edit by edit, looking again after each. Nothing here may mend an edit, and no message
quotes what a rule found in a stranger's text.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from optimizer.document import Document
from optimizer.fence import excerpt
from optimizer.guard import check
from optimizer.history import TRIED, PastStep, deed, failed_deeds, replaced_texts
from optimizer.rewriting import Check, Rewriter
from optimizer.types import Edit

_SAID_CHARS = 300

Edits: TypeAlias = tuple[Edit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Why edits may not stand as they are. `edit_id` is empty when no single edit is to blame."""

    message: str
    edit_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedEdit:
    """An edit that was refused, and why."""

    edit: Edit
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """What was let in, what was not, and what is still wrong with what was."""

    edits: Edits
    refused: tuple[RefusedEdit, ...] = ()
    rest: tuple[Objection, ...] = ()


Against: TypeAlias = Callable[[Edits], tuple[Objection, ...]]
"""Everything that speaks against making these edits together; nothing when they may stand."""


def objections(
    document: Document, rewriter: Rewriter, source_texts: Sequence[str], history: Sequence[PastStep]
) -> Against:
    """What speaks against edits of this document."""
    failed = failed_deeds(history)

    def against(edits: Edits) -> tuple[Objection, ...]:
        if not edits:
            return ()
        return (
            *_tried(document, edits, failed),
            *(_guarded(document, edits, source_texts, rewriter) if rewriter.guard else ()),
            *(found for rule in rewriter.checks for found in _checked(document, edits, rule)),
        )

    return against


def admitted(edits: Edits, against: Against) -> Admitted:
    """Drop the edits that objections name, one by one, looking again after each."""
    refused: list[RefusedEdit] = []
    while found := against(edits):
        broken = {objection.edit_id: objection.message for objection in reversed(found)}
        culprit = next((edit for edit in edits if edit.id in broken), None)
        if culprit is None:
            break
        refused.append(RefusedEdit(edit=culprit, reason=broken[culprit.id]))
        edits = tuple(edit for edit in edits if edit is not culprit)
    return Admitted(edits=edits, refused=tuple(refused), rest=found)


def reasons(edits: Edits, found: Sequence[Objection]) -> str:
    """The objections for the rewriter's eyes."""
    number = {edit.id: f"edit {n}: " for n, edit in enumerate(edits, start=1)}
    return sentences(number.get(objection.edit_id, "") + objection.message for objection in found)


def sentences(messages: Iterable[str]) -> str:
    """The messages in a row, each once."""
    return " ".join(dict.fromkeys(messages))


def _tried(document: Document, edits: Edits, failed: frozenset[object]) -> Iterator[Objection]:
    for edit, before in zip(edits, replaced_texts(document, edits), strict=True):
        if deed(edit, before) in failed:
            yield Objection(message=TRIED, edit_id=edit.id)


def _guarded(document: Document, edits: Edits, source_texts: Sequence[str], rewriter: Rewriter) -> Iterator[Objection]:
    """The guard over the step. It numbers the lines of a body anew; after earlier steps a document does not."""
    position = {
        line.id: numbered.id for line, numbered in zip(document.lines, Document.of(document.body).lines, strict=True)
    }
    placed = tuple(replace(edit, line=position.get(edit.line, edit.line)) for edit in edits)
    found = check(document.body, document.apply(edits).body, placed, source_texts, rewriter.limits)
    if not found:
        return
    own = {moved.id: edit.id for moved, edit in zip(placed, edits, strict=True)}
    for violation in found:
        yield Objection(message=violation.message, edit_id=own.get(violation.edit_id, ""))


def _checked(document: Document, edits: Edits, rule: Check) -> Iterator[Objection]:
    """One objection for every edit without which the rule would be kept; a common one if there is none."""
    if not (said := excerpt(rule(document.apply(edits).body).strip(), _SAID_CHARS)):
        return
    culprits = [edit.id for edit in edits if not rule(document.apply([e for e in edits if e is not edit]).body).strip()]
    for edit_id in culprits or [""]:
        yield Objection(message=said, edit_id=edit_id)
