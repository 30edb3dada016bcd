"""The story as Markdown for a pull request: numbers, ids and our own words, never an input, an answer or a judgement.

Other people read it, some of them outside the company. Whatever a sentence quotes (the note of a run that broke, the
name of a model) can become no markup, link, mention or reference in it.
"""

import re
from urllib.parse import quote

from gates.rendering.story import CaseId, Cell, Section, Story, Table
from gates.rendering.telling import story_of
from gates.rendering.text import shown
from gates.rendering.unseen import visible
from optimizer.proof import GateReport
from optimizer.types import Verdict

LIMIT = 65_536
"""Characters that GitHub takes in one comment."""

LONGEST_SENTENCE = 2_000

_CUT = "The report is longer than a comment may be; `tracegrad gate` shows the rest."

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
    story = story_of(report)
    blocks = _blocks(story, prompt)
    kept: list[str] = []
    room = LIMIT - len(_CUT) - 1
    for block in blocks:
        if len(block) + 1 > room:
            return "\n".join([*kept, _CUT, ""])
        kept.append(block)
        room -= len(block) + 1
    return "\n".join(kept)


def _blocks(story: Story, prompt: str) -> list[str]:
    about = f" of {escaped(prompt)}" if prompt else ""
    head = story.title.replace("Gate", f"Gate{about}", 1)
    return [f"{marker(prompt)}\n### {head}\n\n{escaped(story.lead)}\n", *map(_section, story.sections)]


def _section(section: Section) -> str:
    said = [_item(sentence) for sentence in section.sentences]
    table = _table(section.table) if section.table else []
    lines = [*said, *([""] if said and table else []), *table]
    if section.folded:
        return "\n".join([f"<details><summary>{section.title}</summary>", "", *lines, "", "</details>", ""])
    return "\n".join([f"#### {section.title}", "", *lines, ""])


def _item(sentence: str) -> str:
    safe = escaped(sentence)
    return "- " + _STARTS_A_BLOCK.sub(lambda found: f"\\{found[1]}" if found[1] else f"{found[2]}\\{found[3]}", safe)


def _table(table: Table) -> list[str]:
    columns = table.columns or ("",) * len(table.rows[0])
    rows = [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in table.rows]
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns), *rows]
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
