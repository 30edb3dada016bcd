"""A prompt as addressable sections and lines: typed edits in, a new prompt out, with the reason of every line.

It must never touch a byte of a line that no edit names, nor any message of a chat prompt but the system and developer
ones. Edits of one list refer to the lines of the document that they are applied to, so their order does not matter
except among texts that are added after the same line.

A document remembers the first one of its chain. A line keeps its id through any number of edits, whatever becomes of
the lines around it; `edits`, `changes` and `blame` look back to the first base, not to the last step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from optimizer.documents.changes import Change as Change
from optimizer.documents.changes import ChangeOp as ChangeOp
from optimizer.documents.changes import changes_of
from optimizer.documents.changes import render as render
from optimizer.documents.edits import Plan, squashed, undoing
from optimizer.documents.rows import Block
from optimizer.documents.rows import Line as Line
from optimizer.documents.sections import Section as Section
from optimizer.documents.sections import sections_of
from optimizer.prompts import Body, Message
from optimizer.types import Edit

_EDITABLE_ROLES = ("system", "developer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A body with addressable lines.

    Attributes:
        base: the body that the first document of the chain was made of, without any edits.
    """

    base: Body
    blocks: tuple[Block, ...]

    @classmethod
    def of(cls, body: Body) -> "Document":
        """The document of a body; every line is the base's. A message with images has no lines."""
        if isinstance(body, str):
            return cls(base=body, blocks=(Block.of(body),))
        return cls(
            base=body,
            blocks=tuple(
                Block.of(part.content, prefix=f"m{i}.", title=part.role)
                for i, part in enumerate(body)
                if isinstance(part, Message) and part.role in _EDITABLE_ROLES and not part.parts
            ),
        )

    @property
    def lines(self) -> tuple[Line, ...]:
        """The editable lines, in order, without their line endings."""
        return tuple(Line(id=row.id, text=row.text) for block in self.blocks for row in block.live)

    @property
    def sections(self) -> tuple[Section, ...]:
        """The parts of the prompt, in order; every line is in exactly one."""
        return tuple(
            section
            for block in self.blocks
            for section in sections_of(
                [Line(id=row.id, text=row.text) for row in block.live], start=block.start, title=block.title
            )
        )

    @property
    def blame(self) -> dict[str, Edit | None]:
        """Line id -> the edit that made the line what it is, None for a line that is as in the base."""
        return {row.id: row.edit for block in self.blocks for row in block.live}

    @property
    def changes(self) -> tuple[Change, ...]:
        """What became of every line of the base, and the lines that were added."""
        return changes_of(self.blocks)

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits of the base that make this document, each about one line, in the order of the lines.

        `Document.of(base).apply(edits)` has the same body. A line that several steps worked on carries the reason and
        the cause of the last one.
        """
        return squashed(self.blocks)

    @property
    def body(self) -> Body:
        """The prompt as it is with all edits."""
        if isinstance(self.base, str):
            return self.blocks[0].text
        texts = {block.prefix: block.text for block in self.blocks}
        return tuple(
            replace(part, content=texts[f"m{i}."]) if isinstance(part, Message) and f"m{i}." in texts else part
            for i, part in enumerate(self.base)
        )

    def apply(self, edits: Sequence[Edit]) -> "Document":
        """The document with all edits made. Every edit names a line of this document.

        An added line gets an id that nothing in the chain ever had. To replace a line that an earlier step removed
        puts it back where it was.

        Raises:
            Garbled: an edit names no line, says nothing, or contradicts an earlier one. Nothing was changed.
        """
        plan = Plan.of(self.blocks, edits)
        return replace(self, blocks=tuple(plan.made(block) for block in self.blocks))


def inverse(document: Document, edits: Sequence[Edit]) -> tuple[Edit, ...]:
    """The edits that take these back: applied after them, they bring back the document's lines, ids and reasons.

    Raises:
        Garbled: the edits cannot be applied to the document.
    """
    return undoing(document.blocks, document.apply(edits).blocks)
