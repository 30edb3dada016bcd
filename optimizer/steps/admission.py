"""Which edits may become part of a candidate: the guard, the owner's checks, and the memory of what failed.

What breaks a rule is dropped edit by edit, looking again after each. When more is left than one step may change, the
best founded causes come first, each with all of its edits or with none: half of what a cause calls for may be a line
that was taken out and not put back. Nothing here may mend an edit, and no message quotes what a rule found in a
stranger's text.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from optimizer.documents.document import Document
from optimizer.fence import excerpt
from optimizer.guards.guard import check
from optimizer.steps.history import TRIED, PastStep, deed, failed_deeds, replaced_texts
from optimizer.steps.rewriting import Check, Rewriter
from optimizer.types import Edit, RootCause

_SAID_CHARS = 300

Edits: TypeAlias = tuple[Edit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Why edits may not stand as they are. `places` are those to blame, which go together; none when all are."""

    message: str
    places: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedEdit:
    """An edit that was refused, and why."""

    edit: Edit
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """What was let in, what was not, and what is still wrong with what was."""

    edits: Edits
    refused: tuple[RefusedEdit, ...] = ()
    rest: tuple[Objection, ...] = ()


Against: TypeAlias = Callable[[Edits], tuple[Objection, ...]]
"""Everything that speaks against making these edits together; nothing when they may stand."""


def objections(
    document: Document,
    causes: Sequence[RootCause],
    rewriter: Rewriter,
    source_texts: Sequence[str],
    history: Sequence[PastStep],
) -> Against:
    """What speaks against edits of this document, which were made because of these causes; their number comes last."""
    failed = failed_deeds(history)

    def against(edits: Edits) -> tuple[Objection, ...]:
        if not edits:
            return ()
        return (
            *_tried(document, edits, failed),
            *(_guarded(document, edits, source_texts, rewriter) if rewriter.guard else ()),
            *(found for rule in rewriter.checks for found in _checked(document, edits, rule)),
            *(_too_many(edits, causes, rewriter.limits.max_edits) if rewriter.guard else ()),
        )

    return against


def admitted(edits: Edits, against: Against) -> Admitted:
    """Drop the edits that the first objection names, looking again after each."""
    refused: list[RefusedEdit] = []
    while found := against(edits):
        named = next((objection for objection in found if objection.places), None)
        if named is None:
            break
        refused += (RefusedEdit(edit=edits[place], reason=named.message) for place in named.places)
        edits = tuple(edit for place, edit in enumerate(edits) if place not in named.places)
    return Admitted(edits=edits, refused=tuple(refused), rest=found)


def reasons(found: Sequence[Objection]) -> str:
    """The objections for the rewriter's eyes."""
    return sentences(_where(objection.places) + objection.message for objection in found)


def sentences(messages: Iterable[str]) -> str:
    """The messages in a row, each once."""
    return " ".join(dict.fromkeys(messages))


def _where(places: Sequence[int]) -> str:
    numbers = ", ".join(str(place + 1) for place in places)
    return f"edit {numbers}: " if numbers else ""


def _tried(document: Document, edits: Edits, failed: frozenset[object]) -> Iterator[Objection]:
    for place, (edit, before) in enumerate(zip(edits, replaced_texts(document, edits), strict=True)):
        if deed(edit, before) in failed:
            yield Objection(message=TRIED, places=(place,))


def _guarded(document: Document, edits: Edits, source_texts: Sequence[str], rewriter: Rewriter) -> Iterator[Objection]:
    """The guard over the step, but for the number of edits.

    It numbers the lines of a body anew; after earlier steps a document does not.
    """
    position = {
        line.id: numbered.id for line, numbered in zip(document.lines, Document.of(document.body).lines, strict=True)
    }
    placed = tuple(replace(edit, line=position.get(edit.line, edit.line)) for edit in edits)
    limits = replace(rewriter.limits, max_edits=len(edits))
    found = check(document.body, document.apply(edits).body, placed, source_texts, limits)
    place_of = {edit.id: place for place, edit in reversed(list(enumerate(placed)))}
    for violation in found:
        places = (place_of[violation.edit_id],) if violation.edit_id in place_of else ()
        yield Objection(message=violation.message, places=places)


def _checked(document: Document, edits: Edits, rule: Check) -> Iterator[Objection]:
    """One objection for every edit without which the rule would be kept; a common one if there is none."""
    if not (said := excerpt(rule(document.apply(edits).body).strip(), _SAID_CHARS)):
        return
    without = ([other for other in edits if other is not edit] for edit in edits)
    culprits: list[tuple[int, ...]] = [
        (place,) for place, rest in enumerate(without) if not rule(document.apply(rest).body).strip()
    ]
    for places in culprits or [()]:
        yield Objection(message=said, places=places)


def _too_many(edits: Edits, causes: Sequence[RootCause], most: int) -> Iterator[Objection]:
    """The edits beyond those for the best founded causes that fit; a common objection when no cause's edits do."""
    if len(edits) <= most:
        return
    counts, fitting, left = Counter(edit.cause.label for edit in edits), set(), most
    for cause in causes:
        if counts[cause.label] <= left:
            fitting.add(cause.label)
            left -= counts[cause.label]
    beyond = tuple(place for place, edit in enumerate(edits) if edit.cause.label not in fitting)
    message = f"There are {len(edits)} edits; make at most {most}, those for the best founded causes."
    yield Objection(message=message, places=beyond if len(beyond) < len(edits) else ())
