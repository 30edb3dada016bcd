"""The story for a terminal: sentences, and tables whose columns line up. Nothing in it steers the terminal."""

from gates.rendering.numbers import points_between
from gates.rendering.story import CaseId, Cell, Difference, Passage, Section, Table
from gates.rendering.telling import story_of
from gates.rendering.unseen import on_one_line, visible
from gates.words import points
from optimizer.proof import GateReport
from optimizer.types import Missing


def as_text(report: GateReport, *, texts: bool = False) -> str:
    """The report for a person at a terminal.

    Args:
        texts: with short excerpts of inputs, answers and judgements. They are for this machine only.
    """
    story = story_of(report, texts=texts)
    lines = [story.title, *map(on_one_line, story.lead)]
    for section in story.sections:
        lines += ["", section.title, *_section(section)]
    return "\n".join(lines)


def shown(cell: Cell) -> str:
    """A cell in words."""
    if isinstance(cell, Difference):
        if isinstance(cell.value, Missing):
            return cell.value.value
        between = "" if isinstance(cell.interval, Missing) else f" ({points_between(cell.interval)})"
        return f"{points(cell.value)} points{between}"
    return cell.value if isinstance(cell, CaseId) else str(cell)


def _section(section: Section) -> list[str]:
    lines = [f"  {on_one_line(sentence)}" for sentence in section.sentences]
    if section.table is not None:
        lines += _table(section.table)
    return lines + [line for passage in section.passages for line in _passage(passage)]


def _table(table: Table) -> list[str]:
    cells = [[on_one_line(shown(cell)) for cell in row] for row in table.rows]
    rows = [[column.name for column in table.columns], *cells] if table.columns else cells
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    right = {place for place, column in enumerate(table.columns) if column.figures}
    lines = [
        "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    more = [f"  and {table.left_out} more"] if table.left_out else []
    return [f"  {line.rstrip()}" for line in lines] + more


def _passage(passage: Passage) -> list[str]:
    lines = ["", f"  {passage.case_id.value}"]
    for whose, words in passage.said:
        lines += [f"    {whose}:", *(f"      {line}" for line in visible(words).splitlines())]
    return lines
