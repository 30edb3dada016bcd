"""A prompt as addressable lines: typed edits in, a new prompt out, with the reason of every line.

It must never touch a byte of a line that no edit names, nor any message of a chat prompt but the system and developer
ones. Edits refer to the lines of one base document, so their order does not matter except among texts that are added
after the same line.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from optimizer.errors import Garbled
from optimizer.prompts import Body, Message
from optimizer.types import Edit, EditOp

_EDITABLE_ROLES = ("system", "developer")
_LINE = re.compile(r"([^\n]*?)(\r\n|\n|\Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line. `id` is "3" in a text prompt, "m0.3" for the third line of a chat prompt's first entry."""

    id: str
    text: str


class ChangeOp(StrEnum):
    KEEP = "keep"
    ADD = "add"
    REPLACE = "replace"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of one line of the base, or a line that was added.

    Attributes:
        line_id: the line's id in the base; for an added line, the id of the line it follows.
        old: text in the base, empty for an added line.
        new: text now, empty for a removed line.
        edit: the edit that did it, None for a line that was kept.
    """

    op: ChangeOp
    line_id: str
    old: str
    new: str
    edit: Edit | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    text: str
    ending: str
    edit: Edit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """One editable text: `prefix` is "" for a text prompt, "m0." for the first entry of a chat prompt."""

    prefix: str
    rows: tuple[_Row, ...]

    @property
    def text(self) -> str:
        return "".join(row.text + row.ending for row in self.rows)

    def id(self, number: int) -> str:
        return f"{self.prefix}{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A body with addressable lines.

    Attributes:
        base: the body that the document was made of, without any edits.
        changes: what the edits did to the document they were applied to, line by line; empty before any.
    """

    base: Body
    sections: tuple[_Section, ...]
    changes: tuple[Change, ...] = ()

    @classmethod
    def of(cls, body: Body) -> "Document":
        """The document of a body; every line is the base's."""
        if isinstance(body, str):
            return cls(base=body, sections=(_Section(prefix="", rows=_rows(body)),))
        return cls(
            base=body,
            sections=tuple(
                _Section(prefix=f"m{i}.", rows=_rows(part.content))
                for i, part in enumerate(body)
                if isinstance(part, Message) and part.role in _EDITABLE_ROLES
            ),
        )

    @property
    def lines(self) -> tuple[Line, ...]:
        """The editable lines, in order, without their line endings."""
        return tuple(
            Line(id=section.id(n), text=row.text)
            for section in self.sections
            for n, row in enumerate(section.rows, start=1)
        )

    @property
    def blame(self) -> dict[str, Edit | None]:
        """Line id -> the edit that made the line, None for a line of the base."""
        return {section.id(n): row.edit for section in self.sections for n, row in enumerate(section.rows, start=1)}

    @property
    def body(self) -> Body:
        """The prompt as it is with all edits."""
        if isinstance(self.base, str):
            return self.sections[0].text
        texts = {section.prefix: section.text for section in self.sections}
        return tuple(
            Message(role=part.role, content=texts[f"m{i}."])
            if isinstance(part, Message) and f"m{i}." in texts
            else part
            for i, part in enumerate(self.base)
        )

    def apply(self, edits: Sequence[Edit]) -> "Document":
        """The document with all edits made. Every edit names a line of this document.

        Raises:
            Garbled: an edit names no line, says nothing, or contradicts an earlier one. Nothing was changed.
        """
        plan = _Plan.of(self, edits)
        changes = tuple(change for section in self.sections for change in plan.changes(section))
        sections = tuple(
            _Section(prefix=section.prefix, rows=_joined(section.rows, tuple(plan.rows(section))))
            for section in self.sections
        )
        return Document(base=self.base, sections=sections, changes=changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Edits by the line they are about."""

    added: dict[str, list[Edit]]
    changed: dict[str, Edit]

    @classmethod
    def of(cls, document: Document, edits: Sequence[Edit]) -> "_Plan":
        texts = {line.id: line.text for line in document.lines}
        starts = {section.id(0) for section in document.sections}
        plan = cls(added={}, changed={})
        for number, edit in enumerate(edits, start=1):
            if fault := plan._fault(edit, texts, starts):
                raise Garbled(f'edit {number} ({edit.op} at line "{edit.line[:20]}") {fault}')
            if edit.op is EditOp.ADD:
                plan.added.setdefault(edit.line, []).append(edit)
            else:
                plan.changed[edit.line] = edit
        return plan

    def _fault(self, edit: Edit, texts: dict[str, str], starts: set[str]) -> str:
        """What is wrong with an edit, in words for a repair request; empty when nothing is."""
        if edit.line not in texts and not (edit.op is EditOp.ADD and edit.line in starts):
            return "names a line that does not exist"
        if edit.op is not EditOp.REMOVE and not edit.text.strip():
            return "has no text"
        if edit.op is EditOp.ADD:
            return "says the same as an earlier edit" if edit.text in self._texts_added(edit.line) else ""
        if edit.line in self.changed:
            return f"contradicts an earlier edit ({self.changed[edit.line].op}) of the same line"
        return "changes nothing" if edit.op is EditOp.REPLACE and edit.text == texts[edit.line] else ""

    def _texts_added(self, line: str) -> tuple[str, ...]:
        return tuple(edit.text for edit in self.added.get(line, ()))

    def changes(self, section: _Section) -> Iterator[Change]:
        yield from self._additions(section.id(0))
        for number, row in enumerate(section.rows, start=1):
            line_id = section.id(number)
            edit = self.changed.get(line_id)
            if edit is None:
                yield Change(op=ChangeOp.KEEP, line_id=line_id, old=row.text, new=row.text, edit=None)
            elif edit.op is EditOp.REMOVE:
                yield Change(op=ChangeOp.REMOVE, line_id=line_id, old=row.text, new="", edit=edit)
            else:
                first, *more = _texts(edit)
                yield Change(op=ChangeOp.REPLACE, line_id=line_id, old=row.text, new=first, edit=edit)
                for text in more:
                    yield Change(op=ChangeOp.ADD, line_id=line_id, old="", new=text, edit=edit)
            yield from self._additions(line_id)

    def _additions(self, line_id: str) -> Iterator[Change]:
        for edit in self.added.get(line_id, ()):
            for text in _texts(edit):
                yield Change(op=ChangeOp.ADD, line_id=line_id, old="", new=text, edit=edit)

    def rows(self, section: _Section) -> Iterator[_Row]:
        """The new rows, each with the ending of the line that it stands at."""
        base = {section.id(n): row for n, row in enumerate(section.rows, start=1)}
        for change in self.changes(section):
            row = base.get(change.line_id)
            if change.op is ChangeOp.KEEP and row is not None:
                yield row
            elif change.op is not ChangeOp.REMOVE:
                yield _Row(text=change.new, ending=row.ending if row else "", edit=change.edit)


def _texts(edit: Edit) -> list[str]:
    """The lines of an edit's text; a newline at its end makes no empty line."""
    return [row.text for row in _rows(edit.text)]


def _rows(text: str) -> tuple[_Row, ...]:
    return tuple(_Row(text=match[1], ending=match[2]) for match in _LINE.finditer(text) if match[0])


def _joined(base: Sequence[_Row], rows: Sequence[_Row]) -> tuple[_Row, ...]:
    """Rows with sound endings: a newline between any two, and at the end what the base had there."""
    newline = next((row.ending for row in base if row.ending), "\n")
    open_ended = not base or not base[-1].ending

    def ending(number: int, row: _Row) -> str:
        # an empty line exists by its ending alone, so it keeps one even at an open end
        return "" if open_ended and number == len(rows) and row.text else row.ending or newline

    return tuple(_Row(text=row.text, ending=ending(n, row), edit=row.edit) for n, row in enumerate(rows, start=1))


def render(changes: Sequence[Change], *, context: int = 3) -> str:
    """A unified view for showing: kept lines near a change, "-" and "+" lines, and the reason behind each change."""
    touched = [i for i, change in enumerate(changes) if change.op is not ChangeOp.KEEP]
    shown: list[str] = []
    gap = False
    for i, change in enumerate(changes):
        if change.op is ChangeOp.KEEP:
            near = any(abs(i - j) <= context for j in touched)
            if near:
                shown.append(f"  {change.old}")
            elif not gap:
                shown.append("  ...")
            gap = not near
            continue
        gap = False
        reason = f"  # {' '.join(change.edit.reason.split())}" if change.edit else ""
        if change.op in (ChangeOp.REPLACE, ChangeOp.REMOVE):
            shown.append(f"- {change.old}" + (reason if change.op is ChangeOp.REMOVE else ""))
        if change.op in (ChangeOp.REPLACE, ChangeOp.ADD):
            shown.append(f"+ {change.new}{reason}")
    return "\n".join(shown)
