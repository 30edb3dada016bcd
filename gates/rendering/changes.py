"""The cases that changed most. Ids and scores; words of others only when they are asked for."""

from gates.comparison import differences
from gates.rendering.story import CaseId, Column, Passage, Section, Table
from gates.words import points
from optimizer.fence import excerpt
from optimizer.proof import GateReport
from optimizer.types import CaseInput, Evaluation, Missing, Pair, Scored

SHOWN_CASES = 10
"""Of each kind."""

_COLUMNS = (
    Column("Case"),
    Column("From"),
    Column("Before", figures=True),
    Column("After", figures=True),
    Column("Points", figures=True),
)

EXCERPT_CHARS = 400
"""Of each text, when texts are asked for."""


def changes(report: GateReport, *, texts: bool) -> tuple[Section, ...]:
    """Ten cases that got better and ten that got worse, the largest difference first."""
    changed = [(pair, d) for pair in report.evidence.pairs for d in differences((pair,)) if d]
    changed.sort(key=lambda both: (-abs(both[1]), both[0].case.id))
    better, worse = [both for both in changed if both[1] > 0], [both for both in changed if both[1] < 0]
    sections = (_section("better", better, texts=texts), _section("worse", worse, texts=texts))
    return tuple(section for section in sections if section is not None)


def _section(kind: str, changed: list[tuple[Pair, float]], *, texts: bool) -> Section | None:
    if not changed:
        return None
    shown = changed[:SHOWN_CASES]
    return Section(
        title=f"Cases that got {kind}",
        table=Table(
            columns=_COLUMNS,
            rows=tuple(
                (
                    CaseId(value=pair.case.id),
                    str(pair.case.origin),
                    _score(pair.baseline),
                    _score(pair.candidate),
                    points(d),
                )
                for pair, d in shown
            ),
            left_out=len(changed) - len(shown),
        ),
        passages=tuple(_passage(pair) for pair, _ in shown) if texts else (),
        folded=True,
    )


def _score(answer: Evaluation) -> str:
    return f"{100 * answer.result.value:.0f}" if isinstance(answer.result, Scored) else "unscored"


def _passage(pair: Pair) -> Passage:
    reference = pair.case.reference
    said = (
        ("Input", _input(pair.case.input)),
        ("Expected", "" if isinstance(reference, Missing) else reference),
        ("Complaint", pair.case.complaint),
        ("Answer before", pair.baseline.output),
        ("Judge on it", pair.baseline.result.reason),
        ("Answer after", pair.candidate.output),
        ("Judge on it", pair.candidate.result.reason),
    )
    return Passage(
        case_id=CaseId(value=pair.case.id),
        said=tuple((whose, excerpt(words, EXCERPT_CHARS)) for whose, words in said if words),
    )


def _input(given: CaseInput) -> str:
    values = [f"{name}: {value}" for name, value in given.variables]
    slots = [message for _, messages in given.placeholders for message in messages]
    return "\n".join([*values, *(f"{message.role}: {message.content}" for message in (*slots, *given.history))])
