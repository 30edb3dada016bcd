"""What the answers of a comparison are worth, each judged once, and what is seen of the judge itself on the way.

A failed answer is never shown to a judge: it is worth 0 already. A judge that fails leaves the answer unscored.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeGuard, TypeVar, cast

from connectors.answers import Answer, Answers, Key
from connectors.judges.varying import Varying
from connectors.once import Once
from optimizer.errors import BadReply, Declined, OverBudget, Permanent, Transient
from optimizer.identity import digest
from optimizer.ports import Judge, PairJudge, Preference
from optimizer.types import Arm, Repeat, Scored, Swap, Unscored

T = TypeVar("T")

REPEATS = 20
"""Answers that are judged twice in one comparison: enough to see a noise that matters."""


class Grades:
    """The judgements of one run.

    With a judge of pairs both arms are judged together, and it sees two answers or is not asked. An arm that failed
    scores 0, and an answer is preferred to none. Where infrastructure cost one arm its answer, the other one gets 0.5
    and not a second "unscored": how often each arm is unscored must stay to be seen, and the pair does not count.

    Args:
        repeats: of so many cases one arm's answer is judged a second time, if the judge varies.
    """

    def __init__(self, judge: Judge | PairJudge, answers: Answers, *, repeats: int = REPEATS) -> None:
        self._judge = judge
        self._answers = answers
        self._single: Once[Key, Scored | Unscored] = Once()
        self._pairs: Once[str, Preference] = Once()
        self._twice = _chosen(answers, repeats) if isinstance(judge, Varying) else {}
        self._repeats: dict[str, Repeat] = {}
        self._swaps: dict[str, Swap] = {}

    @property
    def repeats(self) -> tuple[Repeat, ...]:
        """The answers that were judged twice, in case-id order."""
        return tuple(self._repeats[case_id] for case_id in sorted(self._repeats))

    @property
    def swaps(self) -> tuple[Swap, ...]:
        """The pairs that were judged in both orders, in case-id order."""
        return tuple(self._swaps[case_id] for case_id in sorted(self._swaps))

    def made(self, arm: Arm, case_id: str) -> Scored | Unscored | None:
        """The judgement, if it was asked for and made."""
        pair = self._pairs.made(case_id)
        return _side(pair, arm) if pair else self._single.made((arm, case_id))

    async def of(self, arm: Arm, case_id: str) -> Scored | Unscored:
        """What an arm's answer is worth; the answer is made when it is not there yet. Never raises for an answer."""
        judge = self._judge
        if _judges_pairs(judge):
            return _side(await self._pairs.get(case_id, lambda: self._prefer(judge, case_id)), arm)
        return await self._single.get((arm, case_id), lambda: self._grade(cast(Judge, judge), arm, case_id))

    async def close(self) -> Exception | None:
        """Call off what is in flight; see `Once`."""
        failures = [await self._single.close(), await self._pairs.close()]
        return next((failure for failure in failures if failure), None)

    async def _grade(self, judge: Judge, arm: Arm, case_id: str) -> Scored | Unscored:
        answer, case = await self._answers.of(arm, case_id), self._answers.cases[case_id]
        if answer.failure is not None:
            return answer.failure
        first = await self._asked(lambda: judge.judge(case, answer.output))
        if self._twice.get(case_id) is arm and isinstance(judge, Varying) and isinstance(first, Scored):
            second = await self._asked(lambda: judge.judge_again(case, answer.output))
            if isinstance(second, Scored):
                self._repeats[case_id] = Repeat(case_id=case_id, arm=arm, first=first.value, second=second.value)
        return first

    async def _prefer(self, judge: PairJudge, case_id: str) -> Preference:
        baseline, candidate = await asyncio.gather(
            self._answers.of(Arm.BASELINE, case_id), self._answers.of(Arm.CANDIDATE, case_id)
        )
        if baseline.failure is not None or candidate.failure is not None:
            return Preference(baseline=_beside(baseline, candidate), candidate=_beside(candidate, baseline))
        case = self._answers.cases[case_id]
        said = await self._asked(lambda: judge.prefer(case, baseline.output, candidate.output))
        if isinstance(said, Unscored):
            return Preference(baseline=said, candidate=said)
        if said.swap is not None:
            self._swaps[case_id] = said.swap
        return said

    async def _asked(self, judgement: Callable[[], Awaitable[T]]) -> T | Unscored:
        if self._answers.broken:
            return Unscored(reason=self._answers.broken)
        try:
            return await judgement()
        except (BadReply, Transient, Declined) as error:  # of this one answer
            return Unscored(reason=f"the judge gave no judgement: {error}")
        except (Permanent, OverBudget) as error:
            self._answers.stop(str(error))
            return Unscored(reason=self._answers.broken)


def _judges_pairs(judge: Judge | PairJudge) -> TypeGuard[PairJudge]:
    return hasattr(judge, "prefer")


def _side(preference: Preference, arm: Arm) -> Scored | Unscored:
    return preference.baseline if arm is Arm.BASELINE else preference.candidate


def _beside(answer: Answer, other: Answer) -> Scored | Unscored:
    """What an answer is worth when at least one of the two failed."""
    if answer.failure is not None:
        return answer.failure
    if isinstance(other.failure, Unscored):
        return Scored(value=0.5, reason="not judged: the other answer could not be had")
    return Scored(value=1.0, reason="preferred: the other prompt gave no usable answer")


def _chosen(answers: Answers, repeats: int) -> Mapping[str, Arm]:
    """Whose answer is judged twice, by case: the same ones whenever the same cases are judged."""
    marks = {case_id: digest("judged twice", case_id) for case_id in answers.cases}
    first = sorted(marks, key=lambda case_id: marks[case_id])[:repeats]
    return {case_id: list(Arm)[int(marks[case_id], 16) % 2] for case_id in first}
