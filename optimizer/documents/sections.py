"""Where a prompt's parts begin and end: Markdown headings, tags such as `<rules>` ... `</rules>`, chat messages.

Must never guess: a tag that is not closed, or a heading inside a code fence, is a line like any other. A section holds
the lines that no section within it holds, so sections share no line and leave none out.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.documents.rows import Line

_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(?P<title>\S.*)")
_OPENING = re.compile(r"[ \t]*<(?P<name>[^\W\d][\w.-]{0,63})(?:[ \t][^<>]*)?(?<!/)>[ \t]*")
_CLOSING = re.compile(r"[ \t]*</(?P<name>[^\W\d][\w.-]{0,63})[ \t]*>[ \t]*")
_FENCE = re.compile(r" {0,3}(?P<mark>`{3,}+|~{3,}+)(?P<info>[^`]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a prompt.

    Attributes:
        id: the id of the line that opens it; for what comes before any heading or tag, of the place before line 1.
        title: the heading or the tag's name; for what comes first, a chat message's role, or nothing.
        lines: the ids of its lines in order, the opening and the closing one included.
    """

    id: str
    title: str
    lines: tuple[str, ...]


def sections_of(lines: Sequence[Line], *, start: str, title: str) -> tuple[Section, ...]:
    """The sections of one text in the order in which they begin; one without lines is none.

    Args:
        start: id of the place before the first line.
        title: name of what comes before any heading or tag.
    """
    opened, tags = _marks(lines)
    closings = frozenset(tags.values())
    titles, members = {start: title}, dict[str, list[str]]()
    here, outer = start, list[tuple[str, str]]()
    for number, line in enumerate(lines):
        if number in closings:
            here, left = outer.pop()
            members[left].append(line.id)
            continue
        if number in opened:
            if number in tags:
                outer.append((here, line.id))
            here = line.id
            titles[here] = opened[number]
        members.setdefault(here, []).append(line.id)
    return tuple(Section(id=key, title=titles[key], lines=tuple(ids)) for key, ids in members.items())


def _marks(lines: Sequence[Line]) -> tuple[dict[int, str], dict[int, int]]:
    """What sections are called by the number of the line that opens them; of opening tags, the closing tag's line."""
    titles, tags = dict[int, str](), dict[int, int]()
    pending, names = list[tuple[str, int]](), Counter[str]()
    fence = ""
    for number, line in enumerate(lines):
        mark = _FENCE.fullmatch(line.text)
        if fence:
            fence = "" if mark and mark["mark"].startswith(fence) and not mark["info"].strip() else fence
        elif mark:
            fence = mark["mark"]
        elif heading := _HEADING.fullmatch(line.text):
            titles[number] = _title(heading[1])
        elif opening := _OPENING.fullmatch(line.text):
            pending.append((opening[1], number))
            names[opening[1]] += 1
        elif (closing := _CLOSING.fullmatch(line.text)) and names[closing[1]]:
            name, at = "", 0
            while name != closing[1]:  # what was opened since is not closed, so it opens nothing
                name, at = pending.pop()
                names[name] -= 1
            tags[at], titles[at] = number, name
    return titles, tags


def _title(text: str) -> str:
    """A heading without the spaces and the number signs that may close it."""
    text = text.rstrip(" \t")
    bare = text.rstrip("#")
    return bare.rstrip(" \t") if bare.endswith((" ", "\t")) else text
