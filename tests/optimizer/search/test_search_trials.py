"""Trials: what is paid for, what is kept, and what a failed call does."""

import pytest
from toy import PLAN, SEED, ToyJudge, ToyModel, case, rows

from optimizer.errors import BadCredentials, CutOff, Declined, TracegradError, Unreachable
from optimizer.ports import ModelRequest
from optimizer.search.budget import Budget, Purse
from optimizer.search.trials import Trials
from optimizer.types import Case, Scored, Trial, Unscored

GOOD = "You help.\nSpeak of apples."
CASES = rows("t", 6, ["apples"])


def purse(calls: int = 100) -> Purse:
    return Budget.of(calls).grant(calls)


async def test_an_answer_is_run_judged_and_kept() -> None:
    model, judge = ToyModel(), ToyJudge()
    trials = Trials(CASES, model, judge, PLAN)
    done = await trials.run(GOOD, CASES, purse())
    again = await trials.run(GOOD, CASES, purse(0))
    assert [trial.result for trial in done.values()] == [Scored(value=1.0, reason="As expected.")] * 6
    assert (again, trials.known(GOOD)) == (done, done)
    assert (len(model.requests), len(judge.judged), trials.calls) == (6, 6, 6)


async def test_another_prompt_is_another_trial() -> None:
    model = ToyModel()
    trials = Trials(CASES, model, ToyJudge(), PLAN)
    await trials.run(GOOD, CASES, purse())
    assert trials.unpaid(SEED.body, CASES) == 6
    done = await trials.run(SEED.body, CASES, purse())
    assert {trial.result.value for trial in done.values() if isinstance(trial.result, Scored)} == {0.0}


async def test_no_split_knows_what_another_one_does() -> None:
    model = ToyModel()
    train, validation = Trials(CASES, model, ToyJudge(), PLAN), Trials(CASES, model, ToyJudge(), PLAN)
    await train.run(GOOD, CASES, purse())
    assert validation.known(GOOD) == {}
    assert validation.unpaid(GOOD, CASES) == 6
    with pytest.raises(ValueError, match="another split"):
        await train.run(GOOD, [case("v-00", "apples")], purse())


async def test_the_purse_reaches_as_far_as_it_reaches_in_the_order_of_the_cases() -> None:
    model = ToyModel()
    trials = Trials(CASES, model, ToyJudge(), PLAN)
    small = purse(2)
    done = await trials.run(GOOD, [CASES[4], CASES[1], CASES[0]], small)
    assert list(done) == ["t-04", "t-01"]
    assert (small.left, len(model.requests)) == (0, 2)


async def test_a_call_that_failed_is_tried_once_more_and_paid_for() -> None:
    failed: list[str] = []

    def faults(request: ModelRequest) -> Unreachable | None:
        first = request.key not in failed
        failed.append(request.key)
        return Unreachable("no answer") if first else None

    model, bag = ToyModel(faults=faults), purse(10)
    done = await Trials(CASES, model, ToyJudge(), PLAN).run(GOOD, CASES, bag)
    assert sum(isinstance(trial.result, Scored) for trial in done.values()) == 4  # 6 + 4 calls were to be had
    assert (bag.left, len(model.requests)) == (0, 10)
    assert {str(t.result) for t in done.values() if isinstance(t.result, Unscored)} == {
        str(Unscored(reason="Unreachable: no answer"))
    }


async def test_a_judgement_that_failed_is_asked_for_again_without_another_answer() -> None:
    said: list[str] = []

    def faults(found: Case, _output: str) -> Unscored | None:
        said.append(found.id)
        return Unscored(reason="down") if said.count(found.id) == 1 else None

    model, judge = ToyModel(), ToyJudge(faults=faults)
    done = await Trials(CASES, model, judge, PLAN).run(GOOD, CASES, purse(6))
    assert all(isinstance(trial.result, Scored) for trial in done.values())
    assert (len(model.requests), len(judge.judged)) == (6, 12)


@pytest.mark.parametrize("error", [Unreachable("gone"), Declined("no", "leave it out"), CutOff("too long")])
async def test_a_judge_that_fails_leaves_a_trial_unscored(error: TracegradError) -> None:
    done = await Trials(CASES, ToyModel(), ToyJudge(faults=lambda *_: error), PLAN).run(GOOD, CASES, purse())
    assert all(isinstance(trial.result, Unscored) for trial in done.values())


async def test_an_answer_that_cannot_be_used_is_worth_nothing() -> None:
    model = ToyModel(faults=lambda _: CutOff("the reply hit the limit"))
    done = await Trials(CASES, model, ToyJudge(), PLAN).run(GOOD, CASES, purse())
    assert {trial.result for trial in done.values()} == {
        Scored(value=0.0, reason="There is no usable answer: the reply hit the limit.")
    }
    assert len(model.requests) == 6


async def test_what_would_fail_for_every_case_is_raised() -> None:
    model = ToyModel(faults=lambda _: BadCredentials("the key was refused", "set another"))
    with pytest.raises(BadCredentials):
        await Trials(CASES, model, ToyJudge(), PLAN).run(GOOD, CASES, purse())


async def test_what_follows_a_trial_does_not_wait_for_the_others() -> None:
    order: list[str] = []
    asked: list[ModelRequest] = []

    def then(found: Case, _trial: Trial) -> None:
        order.append(found.id)

    model = ToyModel(pace=lambda _: 50 if len(asked) == 1 else 0, requests=asked)
    await Trials(CASES, model, ToyJudge(), PLAN).run(GOOD, CASES, purse(), then)
    assert order == ["t-01", "t-02", "t-03", "t-04", "t-05", "t-00"]


def test_a_budget_is_never_exceeded() -> None:
    budget = Budget.of(10)
    first, second = budget.grant(7), budget.grant(7)
    assert (first.left, second.left, budget.left) == (7, 3, 0)
    assert (first.take(5), first.take(5), first.take(1)) == (5, 2, 0)
    second.take(1)
    second.close()
    second.close()
    assert budget.left == 2
    assert budget.grant(-3).left == 0
