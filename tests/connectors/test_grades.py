"""What answers are worth: who is judged, who is not, and what is seen of the judge on the way."""

import asyncio
from collections.abc import Callable

import pytest
from promptfoo_cases import a_case, arms

from connectors.answers import Answers
from connectors.grades import Grades
from connectors.memory import ScriptedJudge, ScriptedModel
from optimizer.errors import BadCredentials, Declined, EmptyReply, OverBudget, Refused, Unreachable
from optimizer.ports import ModelRequest, Preference
from optimizer.types import Arm, Case, Repeat, Scored, Shown, Swap, Unscored

CASES = [a_case(number, f"question {number}") for number in range(6)]
BOTH = (Arm.BASELINE, Arm.CANDIDATE)
GOOD = Scored(value=1.0, reason="good")


def answers(script: Callable[[ModelRequest], str | Exception] = lambda _: "fine") -> Answers:
    return Answers(arms(), CASES, model=ScriptedModel(script), task_model="sim-task")


def of_candidate(request: ModelRequest) -> bool:
    return request.messages[0].content == "Answer well."


class Wavering(ScriptedJudge):
    """Says something else the second time."""

    def __init__(self, again: Scored | Unscored | None) -> None:
        super().__init__(lambda *_: GOOD)
        self.again = again
        self.asked: list[str] = []

    async def judge_again(self, case: Case, output: str) -> Scored | Unscored | None:
        assert output == "fine"
        self.asked.append(case.id)
        return self.again


class Preferring:
    """A judge of pairs that follows a script."""

    name = "preferring"

    def __init__(self, said: Preference | Exception) -> None:
        self.said = said
        self.asked: list[tuple[str, str, str]] = []

    async def prefer(self, case: Case, baseline: str, candidate: str) -> Preference:
        self.asked.append((case.id, baseline, candidate))
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


SWAP = Swap(case_id="case-001", forward=Shown.SECOND, backward=Shown.FIRST)
CANDIDATE = Preference(
    baseline=Scored(value=0.0, reason="worse"), candidate=Scored(value=1.0, reason="better"), swap=SWAP
)


# ---- one answer at a time ------------------------------------------------------------------------------------------


async def test_an_answer_is_judged_once_however_many_ask() -> None:
    judged: list[tuple[str, str]] = []

    def script(case: Case, output: str) -> Scored:
        judged.append((case.id, output))
        return GOOD

    grades = Grades(ScriptedJudge(script), answers())
    assert grades.made(Arm.BASELINE, "case-001") is None
    assert await asyncio.gather(*(grades.of(Arm.BASELINE, "case-001") for _ in range(4))) == [GOOD] * 4
    assert judged == [("case-001", "fine")]
    assert grades.made(Arm.BASELINE, "case-001") == GOOD


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (Refused("no"), Scored(value=0.0, reason="no usable answer: no")),
        (EmptyReply("nothing"), Scored(value=0.0, reason="no usable answer: nothing")),
        (Unreachable("down"), Unscored(reason="down")),
    ],
)
async def test_a_failed_answer_is_never_judged(error: Exception, result: Scored | Unscored) -> None:
    def script(_: Case, __: str) -> Scored:
        raise AssertionError("nobody should be asked")

    grades = Grades(ScriptedJudge(script), answers(lambda _: error))
    assert await grades.of(Arm.CANDIDATE, "case-001") == result


@pytest.mark.parametrize("error", [Unreachable("down"), Declined("no", "ask less"), Refused("no")])
async def test_a_judge_that_fails_leaves_the_answer_unscored_and_the_others_alone(error: Exception) -> None:
    def script(case: Case, _: str) -> Scored:
        if case.id == "case-001":
            raise error
        return GOOD

    made = answers()
    grades = Grades(ScriptedJudge(script), made)
    assert await grades.of(Arm.BASELINE, "case-001") == Unscored(reason=f"the judge gave no judgement: {error}")
    assert await grades.of(Arm.BASELINE, "case-002") == GOOD
    assert made.broken == ""


@pytest.mark.parametrize("error", [BadCredentials("refused", "check the key"), OverBudget("spent")])
async def test_a_judge_that_can_judge_nothing_ends_the_run(error: Exception) -> None:
    asked: list[str] = []

    def script(case: Case, _: str) -> Scored:
        asked.append(case.id)
        raise error

    made = answers()
    grades = Grades(ScriptedJudge(script), made)
    assert await grades.of(Arm.BASELINE, "case-001") == Unscored(reason=str(error))
    assert await grades.of(Arm.BASELINE, "case-002") == Unscored(reason=str(error))
    assert made.broken == str(error)
    assert asked == ["case-001"]


# ---- judged twice --------------------------------------------------------------------------------------------------


async def all_of(grades: Grades, cases: list[Case] = CASES) -> list[Scored | Unscored]:
    return [await grades.of(arm, case.id) for case in reversed(cases) for arm in BOTH]


async def test_some_answers_are_judged_twice_the_same_ones_every_time() -> None:
    judge, again = Wavering(Scored(value=0.5, reason="")), Wavering(Scored(value=0.5, reason=""))
    grades, same = Grades(judge, answers(), repeats=4), Grades(again, answers(), repeats=4)
    assert await all_of(grades) == [GOOD] * 12
    await asyncio.gather(*(same.of(arm, case.id) for case in CASES for arm in BOTH))
    assert len(grades.repeats) == 4
    assert grades.repeats == same.repeats
    assert [repeat.case_id for repeat in grades.repeats] == sorted(judge.asked)
    assert {repeat.arm for repeat in grades.repeats} == set(BOTH)
    assert grades.repeats[0] == Repeat(
        case_id=grades.repeats[0].case_id, arm=grades.repeats[0].arm, first=1.0, second=0.5
    )


@pytest.mark.parametrize("again", [None, Unscored(reason="down")])
async def test_a_second_judgement_that_is_none_is_not_counted(again: Unscored | None) -> None:
    judge = Wavering(again)
    grades = Grades(judge, answers())
    assert await all_of(grades) == [GOOD] * 12
    assert len(judge.asked) == 6
    assert grades.repeats == ()


async def test_a_failed_answer_is_not_judged_twice_either() -> None:
    judge = Wavering(GOOD)
    await all_of(Grades(judge, answers(lambda _: Refused("no"))))
    assert judge.asked == []


async def test_a_judge_without_noise_is_asked_once() -> None:
    grades = Grades(ScriptedJudge(lambda *_: GOOD), answers())
    await all_of(grades)
    assert grades.repeats == ()


# ---- pairs ---------------------------------------------------------------------------------------------------------


async def test_a_pair_is_judged_once_for_both_arms() -> None:
    judge = Preferring(CANDIDATE)
    grades = Grades(judge, answers(lambda request: "new" if of_candidate(request) else "old"))
    assert await asyncio.gather(*(grades.of(arm, "case-001") for arm in BOTH)) == [
        CANDIDATE.baseline,
        CANDIDATE.candidate,
    ]
    assert judge.asked == [("case-001", "old", "new")]
    assert grades.swaps == (SWAP,)
    assert grades.made(Arm.CANDIDATE, "case-001") == CANDIDATE.candidate


async def test_an_answer_is_preferred_to_none() -> None:
    judge = Preferring(CANDIDATE)
    grades = Grades(judge, answers(lambda request: Refused("no") if of_candidate(request) else "old"))
    assert await grades.of(Arm.CANDIDATE, "case-001") == Scored(value=0.0, reason="no usable answer: no")
    assert await grades.of(Arm.BASELINE, "case-001") == Scored(
        value=1.0, reason="preferred: the other prompt gave no usable answer"
    )
    assert judge.asked == []
    assert grades.swaps == ()


async def test_two_failures_are_worth_nothing() -> None:
    grades = Grades(Preferring(CANDIDATE), answers(lambda _: Refused("no")))
    zero = Scored(value=0.0, reason="no usable answer: no")
    assert [await grades.of(arm, "case-001") for arm in BOTH] == [zero, zero]


async def test_which_arm_lost_its_answer_to_infrastructure_stays_to_be_seen() -> None:
    grades = Grades(
        Preferring(CANDIDATE), answers(lambda request: Unreachable("down") if of_candidate(request) else "old")
    )
    assert await grades.of(Arm.CANDIDATE, "case-001") == Unscored(reason="down")
    assert await grades.of(Arm.BASELINE, "case-001") == Scored(
        value=0.5, reason="not judged: the other answer could not be had"
    )


async def test_a_judge_of_pairs_that_fails_leaves_both_unscored() -> None:
    grades = Grades(Preferring(Unreachable("down")), answers())
    expected = Unscored(reason="the judge gave no judgement: down")
    assert [await grades.of(arm, "case-001") for arm in BOTH] == [expected, expected]


async def test_a_judge_of_pairs_that_can_judge_nothing_ends_the_run() -> None:
    made, judge = answers(), Preferring(BadCredentials("refused", "check the key"))
    grades = Grades(judge, made)
    assert await grades.of(Arm.BASELINE, "case-001") == Unscored(reason="refused; check the key.")
    await grades.of(Arm.CANDIDATE, "case-002")
    assert made.broken == "refused; check the key."
    assert len(judge.asked) == 1


async def test_closing_tells_of_a_bug() -> None:
    grades = Grades(Preferring(ZeroDivisionError()), answers())
    with pytest.raises(ZeroDivisionError):
        await grades.of(Arm.BASELINE, "case-001")
    assert isinstance(await grades.close(), ZeroDivisionError)
