"""Two documents of the same base become one.

Must never half merge: where both changed the same line into different things, the whole section is one document's, and
the result says so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from optimizer.documents.document import Document
from optimizer.documents.sections import Section
from optimizer.errors import BadInput
from optimizer.types import Edit, EditOp


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Both documents changed a line of the base, each in its own way.

    Attributes:
        sections: the base's sections with such a line.
        document: the merge with these sections as in `ours`, whole.
    """

    sections: tuple[Section, ...]
    document: Document


def merge(ours: Document, theirs: Document) -> Document | Conflict:
    """Both documents' edits in one document of their common base, or where they contradict each other.

    Lines that both add at the same place all get in, a line that both add there once. Which document's come first is
    decided by what they say, so that without a conflict it does not matter which document is `ours`. The result
    begins a chain: added lines are numbered anew.

    Raises:
        BadInput: the documents have different bases.
    """
    if ours.base != theirs.base:
        raise BadInput("the documents have different bases", "merge documents that were made of the same prompt")
    base = Document.of(ours.base)
    mine, others = _Side.of(ours.edits), _Side.of(theirs.edits)
    clashes = {line for line, edit in mine.changed.items() if not _agree(edit, others.changed.get(line, edit))}
    contested = tuple(section for section in base.sections if not clashes.isdisjoint(section.lines))
    closed = {line for section in contested for line in (section.id, *section.lines)}
    changed = {line: edit for line, edit in others.changed.items() if line not in closed} | mine.changed
    added = {line: edits for line, edits in others.added.items() if line not in closed}
    joined = [
        edit for line in {**mine.added, **added} for edit in _joined(mine.added.get(line, ()), added.get(line, ()))
    ]
    merged = base.apply((*changed.values(), *joined))
    return Conflict(sections=contested, document=merged) if contested else merged


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """The edits of one document by the base's line that they are about."""

    added: dict[str, list[Edit]]
    changed: dict[str, Edit]

    @classmethod
    def of(cls, edits: Sequence[Edit]) -> "_Side":
        side = cls(added={}, changed={})
        for edit in edits:
            if edit.op is EditOp.ADD:
                side.added.setdefault(edit.line, []).append(edit)
            else:
                side.changed[edit.line] = edit
        return side


def _agree(one: Edit, other: Edit) -> bool:
    return (one.op, one.text) == (other.op, other.text)


def _joined(ours: Sequence[Edit], theirs: Sequence[Edit]) -> Iterator[Edit]:
    """Two runs of lines after the same line: one whole, then what the other one says besides."""
    first, second = sorted((ours, theirs), key=lambda run: [edit.text for edit in run])
    said = {edit.text for edit in first}
    yield from first
    yield from (edit for edit in second if edit.text not in said)
