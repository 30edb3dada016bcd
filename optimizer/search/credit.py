"""Credit: which edit fixed which of the cases that it was made for. It costs no call, the rows are run anyway.

A cause's cases are the rows whose bad answers it was found in. An edit that leaves all of them bad has not helped,
whatever the prompt as a whole came to.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from optimizer.types import Edit, RootCause, Scored, Trial

_TRIED = 2
"""Cases of its cause on which an edit is tried before it counts as useless: one bad answer may be bad luck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """What one edit came to: of `tried` cases of its cause, so many are answered well with it."""

    edit: Edit
    fixed: int
    tried: int

    @property
    def useless(self) -> bool:
        return self.tried >= _TRIED and self.fixed == 0

    @property
    def share(self) -> float:
        """The share of its cases that it fixed, 0 when it was tried on none."""
        return self.fixed / self.tried if self.tried else 0.0


def cases_of(cause: RootCause) -> tuple[str, ...]:
    """The ids of the cases that the cause was found in, each once."""
    return tuple(dict.fromkeys(gradient.loss.trace.generation.id for gradient in cause.gradients))


def credited(edits: Iterable[Edit], trials: Mapping[str, Trial], *, passing: float) -> tuple[Credit, ...]:
    """The credit of every edit by the trials of a prompt that holds it, in the order of the edits."""
    return tuple(_credit(edit, trials, passing) for edit in edits)


def _credit(edit: Edit, trials: Mapping[str, Trial], passing: float) -> Credit:
    results = [trials[case].result for case in cases_of(edit.cause) if case in trials]
    scores = [result.value for result in results if isinstance(result, Scored)]
    return Credit(edit=edit, fixed=sum(value >= passing for value in scores), tried=len(scores))
