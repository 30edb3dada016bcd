"""The story as Markdown for a pull request: numbers, ids and our own words, never an input, an answer or a judgement.

Other people read it, some of them outside the company. Whatever a sentence quotes (the note of a run that broke, the
name of a model) can become no markup, link, mention or reference in it.
"""

import re
from urllib.parse import quote

from gates.rendering.story import CaseId, Cell, Column, Section, Story, Table
from gates.rendering.telling import story_of
from gates.rendering.text import shown
from gates.rendering.unseen import visible
from optimizer.proof import GateReport
from optimizer.types import Verdict

LIMIT = 65_536
"""Characters that GitHub takes in one comment."""

LONGEST_SENTENCE = 1_000

_CUT = "The report is longer than a comment may be; `tracegrad gate` shows the rest.\n"

_MARKUP = re.compile(r"([\\`*_\[\]<>|~$&])")
_STARTS_A_BLOCK = re.compile(r"^(?:([-+=#])|(\d+)([.)]))")
_REFERENCE = re.compile(r"@|#(?=\w)|:(?=//)|(?i:www(?=\.)|gh-(?=\d)|(?:mailto|xmpp)(?=:))")
_APART = "&#8203;"
"""A space without width: GitHub makes mentions and links out of what the reader sees, so escapes do not stop it."""


def marker(prompt: str = "") -> str:
    """The invisible first line of a comment, by which a workflow finds its own comment about this prompt again."""
    return f"<!-- tracegrad-gate {quote(prompt, safe='')} -->" if prompt else "<!-- tracegrad-gate -->"


def as_markdown(report: GateReport, *, prompt: str = "") -> str:
    """The report for a pull request, in one comment.

    Args:
        prompt: the prompt's name, for the heading and for `marker`.
    """
    kept: list[str] = []
    room, cut = LIMIT - len(_CUT), False
    for block in _blocks(story_of(report), prompt):
        if len(block) >= room:
            cut = True
            continue
        kept.append(block)
        room -= len(block) + 1
    return "\n".join([*kept, _CUT] if cut else kept)


def _blocks(story: Story, prompt: str) -> list[str]:
    about = f" of {escaped(prompt)}" if prompt else ""
    head = story.title.replace("Gate", f"Gate{about}", 1)
    lead = [f"{_unblocked(sentence)}\n" for sentence in story.lead]
    return [f"{marker(prompt)}\n### {head}\n", *lead, *map(_section, story.sections)]


def _section(section: Section) -> str:
    said = [f"- {_unblocked(sentence)}" for sentence in section.sentences]
    table = _table(section.table) if section.table else []
    lines = [*said, *([""] if said and table else []), *table]
    if section.folded:
        return "\n".join([f"<details><summary>{section.title}</summary>", "", *lines, "", "</details>", ""])
    return "\n".join([f"#### {section.title}", "", *lines, ""])


def _unblocked(sentence: str) -> str:
    """A sentence that begins no list, heading or rule of its own."""
    safe = escaped(sentence)
    return _STARTS_A_BLOCK.sub(lambda found: f"\\{found[1]}" if found[1] else f"{found[2]}\\{found[3]}", safe)


def _table(table: Table) -> list[str]:
    columns = table.columns or (Column(""), Column(""))
    sides = ["---:" if column.figures else "---" for column in columns]
    cells = [[column.name for column in columns], sides, *([_cell(cell) for cell in row] for row in table.rows)]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return lines + (["", f"and {table.left_out} more"] if table.left_out else [])


def _cell(cell: Cell) -> str:
    if isinstance(cell, Verdict):
        return f"**{cell}**" if cell is not Verdict.PASS else str(cell)
    if isinstance(cell, CaseId):
        return f"`{re.sub(r'[^A-Za-z0-9_-]', '-', cell.value)}`"
    return escaped(shown(cell))


def escaped(text: str) -> str:
    """One line of text that cannot become markup, a link, a mention or a reference in Markdown."""
    line = visible(" ".join(text.split()))
    line = line if len(line) <= LONGEST_SENTENCE else f"{line[:LONGEST_SENTENCE]} …"
    safe = _MARKUP.sub(r"\\\1", line)
    return _REFERENCE.sub(lambda found: found[0] + _APART, safe)
