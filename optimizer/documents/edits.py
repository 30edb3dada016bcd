"""Edits of a document's lines: what is wrong with them, what they do, and how to squash or take them back.

Must never do half of them: either all edits of a list are sound, or none is made.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from optimizer.documents.rows import Block, Row, as_text, texts_of
from optimizer.errors import Garbled
from optimizer.types import Edit, EditOp

_SHOWN_ID = 20
"""Characters of a line id in an error: a model may have put anything there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sound edits, by the line they are about. Their order matters only among texts added after the same line."""

    added: dict[str, list[Edit]]
    changed: dict[str, Edit]

    @classmethod
    def of(cls, blocks: Sequence[Block], edits: Sequence[Edit]) -> "Plan":
        """Sort the edits.

        Raises:
            Garbled: an edit names no line, says nothing, or contradicts an earlier one.
        """
        rows = {row.id: row for block in blocks for row in block.rows}
        starts = {block.start for block in blocks}
        plan = cls(added={}, changed={})
        for number, edit in enumerate(edits, start=1):
            if fault := plan._fault(edit, rows.get(edit.line), edit.line in starts):
                raise Garbled(f'edit {number} ({edit.op} at line "{edit.line[:_SHOWN_ID]}") {fault}')
            if edit.op is EditOp.ADD:
                plan.added.setdefault(edit.line, []).append(edit)
            else:
                plan.changed[edit.line] = edit
        return plan

    def _fault(self, edit: Edit, row: Row | None, is_start: bool) -> str:
        """What is wrong with an edit, in words for a repair request; empty when nothing is."""
        # to replace a line that is gone is to put it back where it was
        known = row is not None and (not row.gone or edit.op is EditOp.REPLACE)
        if not known and not (is_start and edit.op is EditOp.ADD):
            return "names a line that does not exist"
        if edit.op is not EditOp.REMOVE and not edit.text:
            return "has no text"
        if edit.op is EditOp.ADD or row is None:
            return ""
        if edit.line in self.changed:
            return f"contradicts an earlier edit ({self.changed[edit.line].op}) of the same line"
        unchanged = edit.op is EditOp.REPLACE and not row.gone and texts_of(edit.text) == (row.text,)
        return "changes nothing" if unchanged else ""

    def made(self, block: Block) -> Block:
        """The block with the edits made."""
        return replace(block, rows=tuple(self._rows(block)))

    def _rows(self, block: Block) -> Iterator[Row]:
        used = Counter(row.anchor for row in block.rows if row.added)

        def fresh(line: str, anchor: str, ending: str) -> Iterator[Row]:
            for text, edit in self._behind(line):
                used[anchor] += 1
                yield Row(id=f"{anchor}.{used[anchor]}", anchor=anchor, old="", text=text, ending=ending, edit=edit)

        touched = self.added.keys() | self.changed.keys()
        yield from fresh(block.start, block.start, "")
        for row in block.rows:
            if row.id not in touched:
                yield row
                continue
            edit = self.changed.get(row.id)
            yield row if edit is None else _changed(row, edit)
            yield from fresh(row.id, row.anchor, row.ending)

    def _behind(self, line: str) -> Iterator[tuple[str, Edit]]:
        """The lines to be put behind a line: what a replacing text has after its first, then what is added."""
        changed = self.changed.get(line)
        if changed is not None and changed.op is EditOp.REPLACE:
            yield from ((text, changed) for text in texts_of(changed.text)[1:])
        for edit in self.added.get(line, ()):
            yield from ((text, edit) for text in texts_of(edit.text))


def _changed(row: Row, edit: Edit) -> Row:
    if edit.op is EditOp.REMOVE:
        return replace(row, edit=edit, gone=True)
    text = texts_of(edit.text)[0]
    if text == row.text and not row.gone:
        return row  # the edit's other lines are what it is about
    as_at_first = not row.added and text == row.old
    return replace(row, text=text, edit=None if as_at_first else edit, gone=False)


def squashed(blocks: Sequence[Block]) -> tuple[Edit, ...]:
    """The edits of the first text that come to the same, in the order of its lines, each about one line.

    A line that was added and then replaced is one `add` that says what was said last, with the last one's reason; one
    that was added and removed, or replaced until it was as at first, is none.
    """
    return tuple(edit for block in blocks for row in block.rows if (edit := _squashed(row)) is not None)


def _squashed(row: Row) -> Edit | None:
    if row.edit is None or (row.added and row.gone):
        return None
    op = EditOp.REMOVE if row.gone else EditOp.ADD if row.added else EditOp.REPLACE
    return replace(row.edit, op=op, line=row.anchor, text="" if row.gone else as_text(row.text))


def undoing(before: Sequence[Block], after: Sequence[Block]) -> tuple[Edit, ...]:
    """The edits of `after` that bring back the lines of `before`, with their ids, and the reasons that made them."""
    old = {row.id: row for block in before for row in block.rows}
    rows = (row for block in after for row in block.rows)
    return tuple(edit for row in rows if (edit := _undoing(old.get(row.id), row)) is not None)


def _undoing(before: Row | None, after: Row) -> Edit | None:
    # a line back at what it was is again the doing of whoever made it so; only what was as at first has no such edit
    source = (before.edit if before else None) or after.edit
    was, now = _said(before), _said(after)
    if was == now or source is None:
        return None
    if was is None:
        return replace(source, op=EditOp.REMOVE, line=after.id, text="")
    return replace(source, op=EditOp.REPLACE, line=after.id, text=as_text(was))


def _said(row: Row | None) -> str | None:
    """The text of a line that is there, None for one that is not."""
    return None if row is None or row.gone else row.text
