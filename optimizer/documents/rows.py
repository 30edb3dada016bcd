"""The lines of one editable text as they are kept: with their endings, what they said first, and who changed them.

Nothing is ever forgotten here. A line that an edit removed stays as a row that is gone, so that the text can be put
together from the first one byte for byte, whatever happened in between, and no id is ever used for two lines.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from optimizer.types import Edit

_LINE = re.compile(r"([^\n]*?)(\r\n|\n|\Z)")
"""Only a newline ends a line, with or without a carriage return before it; no other separator that Unicode knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line as it is shown, without its ending.

    Attributes:
        id: "3" in a text prompt, "m0.3" for the third line of a chat prompt's first entry, "3.1" for the first line
            that was ever added behind line 3. It stays with the line for good.
    """

    id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line that is or was there.

    Attributes:
        id: never changes, whatever becomes of the line.
        anchor: the line of the first text that it stands at: itself, or for an added line the last one before it.
        old: what the line said in the first text, empty for an added line.
        ending: how the line that it stands at ended in the first text.
        edit: the edit that made the line what it is, None while it is as it was in the first text.
        gone: an edit removed the line.
    """

    id: str
    anchor: str
    old: str
    text: str
    ending: str
    edit: Edit | None = None
    gone: bool = False

    @property
    def added(self) -> bool:
        """True when the first text did not have the line."""
        return self.id != self.anchor


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One editable text. `prefix` is "" for a text prompt, "m0." for the first entry of a chat prompt."""

    prefix: str
    title: str
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, text: str, *, prefix: str = "", title: str = "") -> "Block":
        """The block of a first text, its lines numbered from 1."""
        return cls(
            prefix=prefix,
            title=title,
            rows=tuple(
                Row(id=f"{prefix}{n}", anchor=f"{prefix}{n}", old=line, text=line, ending=ending)
                for n, (line, ending) in enumerate(_split(text), start=1)
            ),
        )

    @property
    def start(self) -> str:
        """The id of the place before the first line."""
        return f"{self.prefix}0"

    @property
    def live(self) -> tuple[Row, ...]:
        """The lines that are there, in order."""
        return tuple(row for row in self.rows if not row.gone)

    @property
    def text(self) -> str:
        """The lines with sound endings: a newline between any two, and at the end what the first text had there."""
        first = [row for row in self.rows if not row.added]
        newline = next((row.ending for row in first if row.ending), "\n")
        open_ended = not first or not first[-1].ending
        live = self.live
        whole = "".join(row.text + (row.ending or newline) for row in live)
        # an empty line exists by its ending alone, so it keeps one even at an open end
        return whole.removesuffix(live[-1].ending or newline) if live and live[-1].text and open_ended else whole


def texts_of(text: str) -> tuple[str, ...]:
    """The lines of an edit's text; a newline at its end makes no empty line."""
    return tuple(line for line, _ in _split(text))


def as_text(line: str) -> str:
    """An edit's text that makes this one line; an empty line exists by its newline alone."""
    return line or "\n"


def _split(text: str) -> Iterator[tuple[str, str]]:
    return ((match[1], match[2]) for match in _LINE.finditer(text) if match[0])
