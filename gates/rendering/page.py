"""The story as HTML: a page of its own, or a fragment for the status page. No script, no style attribute, no address.

What others said stands in it only when asked for; every text is escaped, and what hides or steers is spelled out.
"""

from base64 import b64encode
from hashlib import sha256
from html import escape

from gates.rendering.drawing import drawn, scale_for
from gates.rendering.story import CaseId, Cell, Column, Difference, Passage, Section, Story, Table
from gates.rendering.style import STYLE
from gates.rendering.telling import story_of
from gates.rendering.text import shown
from gates.rendering.unseen import visible
from optimizer.proof import GateReport
from optimizer.types import Verdict


def as_page(report: GateReport, *, prompt: str = "", texts: bool = False) -> str:
    """A whole page that loads nothing, and forbids itself to.

    Args:
        prompt: the prompt's name, for the heading.
        texts: with short excerpts of inputs, answers and judgements: for people who may read them.
    """
    allowed = b64encode(sha256(STYLE.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; style-src 'sha256-{allowed}'; base-uri 'none'; form-action 'none'"
    title = _text(f"Gate report of {prompt}" if prompt else "Gate report")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
        f"{as_fragment(report, texts=texts)}</main>\n</body>\n</html>\n"
    )


def as_fragment(report: GateReport, *, texts: bool = False) -> str:
    """The report without a page around it; `STYLE` says how it looks."""
    story = story_of(report, texts=texts)
    return f'<article class="report">\n{_head(story)}{"".join(map(_section, story.sections))}</article>\n'


def _head(story: Story) -> str:
    first, *others = story.lead or ("",)
    title = _text(story.title).replace(str(story.verdict), f'<span class="{story.verdict}">{story.verdict}</span>', 1)
    said = "".join(f"<p>{_text(sentence)}</p>\n" for sentence in others)
    return f'<h2>{title}</h2>\n<p class="lead">{_text(first)}</p>\n{said}'


def _section(section: Section) -> str:
    said = "".join(f"<li>{_text(sentence)}</li>\n" for sentence in section.sentences)
    inside = (f"<ul>\n{said}</ul>\n" if said else "") + (_table(section.table) if section.table else "")
    inside += "".join(map(_passage, section.passages))
    if section.folded:
        return f"<details><summary>{_text(section.title)}</summary>\n{inside}</details>\n"
    return f"<section>\n<h3>{_text(section.title)}</h3>\n{inside}</section>\n"


def _table(table: Table) -> str:
    scale = scale_for([cell for row in table.rows for cell in row if isinstance(cell, Difference)])
    if not table.columns:
        rows = "".join(
            f"<tr><th>{_cell(name, scale)}</th><td>{_cell(cell, scale)}</td></tr>\n" for name, cell in table.rows
        )
        return f'<table class="facts"><tbody>\n{rows}</tbody></table>\n'
    head = "".join(f"<th{_side(column)}>{_text(column.name)}</th>" for column in table.columns)
    rows = "".join(f"<tr>{_row(row, table.columns, scale)}</tr>\n" for row in table.rows)
    more = f'<p class="soft">and {table.left_out} more</p>\n' if table.left_out else ""
    return f'<table class="cards"><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table>\n{more}'


def _row(row: tuple[Cell, ...], columns: tuple[Column, ...], scale: float) -> str:
    return "".join(
        f'<td{_side(column)} data-label="{_text(column.name)}">{_cell(cell, scale)}</td>'
        for cell, column in zip(row, columns, strict=True)
    )


def _side(column: Column) -> str:
    return ' class="number"' if column.figures else ""


def _cell(cell: Cell, scale: float) -> str:
    if isinstance(cell, Verdict):
        return f'<span class="badge {cell}">{cell}</span>'
    if isinstance(cell, CaseId):
        return f"<code>{_text(cell.value)}</code>"
    if isinstance(cell, Difference):
        return f'<span class="drawn">{drawn(cell, scale)}{_text(shown(cell))}</span>'
    return _text(cell)


def _passage(passage: Passage) -> str:
    said = "".join(
        f'<dt>{_text(whose)}</dt><dd dir="auto">{escape(visible(words))}</dd>\n' for whose, words in passage.said
    )
    return f'<section class="said"><code>{_text(passage.case_id.value)}</code>\n<dl>\n{said}</dl></section>\n'


def _text(text: str) -> str:
    return escape(visible(" ".join(text.split())))
