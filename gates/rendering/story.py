"""What a report tells, in order and without a format: text, Markdown and HTML are written from the same story.

A story holds our own words, numbers and ids. Passages are the one place for words of others (inputs, answers, the
judge's reasons); they are there only when they were asked for, and whoever writes them out must disarm them.
"""

from dataclasses import dataclass

from optimizer.proof import Interval
from optimizer.types import Missing, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseId:
    """A case's name: letters, digits, dash and underscore."""

    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Candidate minus baseline in points of score, which can also be drawn."""

    value: float | Missing
    interval: Interval | Missing


Cell = str | Verdict | CaseId | Difference


@dataclass(frozen=True, slots=True)
class Column:
    """The name of a column; figures stand on the right."""

    name: str
    figures: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under named columns.

    Attributes:
        columns: empty for pairs of a name and a value.
        left_out: further rows that are not shown.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What was said in one case: pairs of whose words they are, and the words, which are hostile."""

    case_id: CaseId
    said: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of the story.

    Attributes:
        folded: of interest to some; a page may hide it behind its title.
    """

    title: str
    sentences: tuple[str, ...] = ()
    table: Table | None = None
    passages: tuple[Passage, ...] = ()
    folded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The verdict, why in a few sentences, and everything behind it."""

    verdict: Verdict
    title: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]
