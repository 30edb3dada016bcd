"""Judges that may say something else about the same answer when they are asked once more."""

from typing import Protocol, runtime_checkable

from optimizer.types import Case, Scored, Unscored


@runtime_checkable
class Varying(Protocol):
    """A judge that may have noise of its own. Judges that compare always say the same, and are none."""

    async def judge_again(self, case: Case, output: str) -> Scored | Unscored | None:
        """A second, independent judgement of an answer; None where it could only be the first one again."""
        ...
