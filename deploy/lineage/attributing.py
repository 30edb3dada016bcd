"""In which version each line of a prompt came in: the walk back through its versions, line by line.

Pure. A walk begins with every line of one version open. Going back to the version before closes those that it does not
hold: they came in where the walk was. Lines are matched in their order, so that a line which was removed and came back
came in with the version that brought it back, and of two equal lines each has its own origin.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from optimizer.documents.document import Document
from optimizer.documents.rows import Block, texts_of
from optimizer.prompts import Body, Message
from optimizer.types import Edit

TEXT_ROLE = "system"
"""What a text prompt counts as: turned into a chat's system message, its lines stay what they were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a version, without its ending.

    Attributes:
        message: which entry of a chat prompt, from 0; 0 in a text prompt.
        number: the line in its message, from 1; 0 for a placeholder, whose name is the text.
    """

    role: str
    message: int
    number: int
    text: str


def lines_of(body: Body) -> tuple[Line, ...]:
    """Every line of a body, in order; a placeholder is one."""
    if isinstance(body, str):
        return _lines(TEXT_ROLE, 0, body)
    found: list[Line] = []
    for place, part in enumerate(body):
        if isinstance(part, Message):
            found += _lines(part.role, place, part.content)
        else:
            found.append(Line(role="placeholder", message=place, number=0, text=part.name))
    return tuple(found)


def _lines(role: str, message: int, text: str) -> tuple[Line, ...]:
    return tuple(
        Line(role=role, message=message, number=number, text=said) for number, said in enumerate(texts_of(text), 1)
    )


Match = Mapping[int, int]
"""Of the lines that two versions share: place in the newer one -> place in the older one."""


def matched(new: Sequence[Line], old: Sequence[Line]) -> Match:
    """The lines that are in both, in the same order and said by the same role."""
    a, b = [(line.role, line.text) for line in old], [(line.role, line.text) for line in new]
    # what most versions share stands at both ends, and costs nothing there
    head = next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    most = min(len(a), len(b)) - head
    ends = zip(reversed(a), reversed(b), strict=False)
    tail = min(most, next((at for at, (x, y) in enumerate(ends) if x != y), most))
    found = {at: at for at in range(head)}
    found |= {len(b) - 1 - at: len(a) - 1 - at for at in range(tail)}
    between = SequenceMatcher(None, a[head : len(a) - tail], b[head : len(b) - tail], autojunk=False)
    for block in between.get_matching_blocks():
        found |= {head + block.b + at: head + block.a + at for at in range(block.size)}
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Where a walk stands: the lines whose origin is open.

    Attributes:
        open: place in the version at hand -> place in the version that the walk began with.
    """

    open: Mapping[int, int]

    @classmethod
    def of(cls, lines: Sequence[Line]) -> "Walk":
        """The walk that begins with these lines."""
        return cls(open={place: place for place in range(len(lines))})

    def back(self, match: Match) -> tuple["Walk", Mapping[int, int]]:
        """Go back by one version.

        Args:
            match: between the version at hand and the one before it.

        Returns:
            the walk there, and what came in with the version that was at hand: place in the first -> place in it.
        """
        came = {first: here for here, first in self.open.items() if here not in match}
        return Walk(open={match[here]: first for here, first in self.open.items() if here in match}), came


# ---- what an edit did ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A version as edits of the one before made it.

    Attributes:
        match: which of its lines the one before had.
        edits: place in the version -> the edit that made the line what it is.
        by_hand: places of lines that no edit made: a person wrote them before the version was released.
    """

    match: Match
    edits: Mapping[int, Edit]
    by_hand: frozenset[int]


def made_by(version: Body, *, base: Body, edits: Sequence[Edit]) -> Made:
    """What the edits of a base, and a person after them, made of it.

    Args:
        version: as it was released; a person may have changed what the edits made.
    """
    document = Document.of(base).apply(edits)
    kept, changed = _through(document)
    lines = lines_of(version)
    # the edits know which of two equal lines is theirs; a person's changes have to be compared
    known = matched(lines, lines_of(document.body))
    match = {here: kept[there] for here, there in known.items() if there in kept}
    new = {here: changed[there] for here, there in known.items() if there in changed}
    return Made(match=match, edits=new, by_hand=frozenset(range(len(lines))) - match.keys() - new.keys())


def _through(document: Document) -> tuple[Match, Mapping[int, Edit]]:
    """Of the lines of an edited document, by place: where they stood in its base, and the edits of the others."""
    before, after = _starts(document.base), _starts(document.body)
    kept: dict[int, int] = {}
    changed: dict[int, Edit] = {}
    edited: set[int] = set()
    for block in document.blocks:
        message = _message(block)
        edited.add(message)
        was, now = before[message], after[message]
        for row in block.rows:
            if not row.gone:
                if row.edit is None:
                    kept[now] = was
                else:
                    changed[now] = row.edit
            was, now = was + (not row.added), now + (not row.gone)
    # no edit reaches the other messages
    for place, line in enumerate(lines_of(document.body)):
        if line.message not in edited:
            kept[place] = before[line.message] + place - after[line.message]
    return kept, changed


def _message(block: Block) -> int:
    return int(block.prefix[1:-1]) if block.prefix else 0


def _starts(body: Body) -> Mapping[int, int]:
    """The place of the first line of every message; of an empty one, where it would be."""
    starts: dict[int, int] = {}
    count = 0
    for message, part in enumerate([body] if isinstance(body, str) else body):
        starts[message] = count
        text = part if isinstance(part, str) else part.content if isinstance(part, Message) else None
        count += 1 if text is None else len(texts_of(text))
    return starts
