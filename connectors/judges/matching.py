"""A judge that compares an answer with the case's reference, without a model where that is enough.

Never raises for an answer. What cannot be compared is judged by another judge, or is unscored, never bad.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum

from connectors.judges.patterns import found
from connectors.judges.schemas import SchemaChecks
from connectors.judges.varying import Varying
from optimizer.ports import Judge
from optimizer.types import Case, CaseOrigin, Missing, Scored, Unscored

_FROM_PRODUCTION = (CaseOrigin.REPLAY, CaseOrigin.COMPLAINT, CaseOrigin.ANCHOR)


class Match(StrEnum):
    """How an answer is compared with the case's reference: by what it holds, or with what stands in it."""

    CONTAINS = "contains"
    EXACT = "exact"
    REGEX = "regex"
    JSON_SCHEMA = "json-schema"


class MatchingJudge:
    """Judges answers by comparison.

    A case without a reference goes to another judge, and so does one out of production (replayed, a complaint, an
    anchor): its reference is one whole answer that a person gave, not what every answer must contain.

    Args:
        otherwise: the judge of what cannot be compared; without one such an answer is unscored.
    """

    def __init__(self, match: Match, otherwise: Judge | None = None) -> None:
        self._match = match
        self._otherwise = otherwise
        self._schemas = SchemaChecks()

    @property
    def name(self) -> str:
        """The comparison and the other judge, for reports."""
        return f"'{self._match}'" + (f", otherwise {self._otherwise.name}" if self._otherwise else "")

    async def judge(self, case: Case, output: str) -> Scored | Unscored:
        """Judge one answer; see the port. Raises what the other judge raises."""
        reference = _comparable(case)
        if reference and self._match is Match.JSON_SCHEMA:
            return await self._schemas.fits(output, reference)
        if reference:
            return _COMPARE[self._match](output, reference)
        if self._otherwise is None:
            return Unscored(reason="there is no reference to compare with, and no judge model is set")
        return await self._otherwise.judge(case, output)

    async def judge_again(self, case: Case, output: str) -> Scored | Unscored | None:
        """Another judgement by the other judge; see `Varying`. A comparison comes out the same every time."""
        if _comparable(case) or not isinstance(self._otherwise, Varying):
            return None
        return await self._otherwise.judge_again(case, output)


def _comparable(case: Case) -> str:
    """The reference, empty when there is none: an empty one would be met by every answer."""
    if case.origin in _FROM_PRODUCTION or isinstance(case.reference, Missing):
        return ""
    return case.reference.strip()


def _contains(output: str, reference: str) -> Scored:
    """Every line of the reference must occur in the answer; case and spacing do not count."""
    said = _plain(output)
    missing = [line.strip() for line in reference.splitlines() if line.strip() and _plain(line) not in said]
    if missing:
        return Scored(value=0.0, reason=f"does not contain “{missing[0]}”")
    return Scored(value=1.0, reason="contains what the reference asks for")


def _exact(output: str, reference: str) -> Scored:
    if output.strip() == reference:
        return Scored(value=1.0, reason="equals the reference")
    return Scored(value=0.0, reason="differs from the reference")


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


_COMPARE: Mapping[Match, Callable[[str, str], Scored | Unscored]] = {
    Match.CONTAINS: _contains,
    Match.EXACT: _exact,
    Match.REGEX: found,
}
