"""What an arm says to a case: made once, and who is to blame when there is nothing to judge."""

import asyncio

import pytest
from promptfoo_cases import a_case, arms

from connectors.answers import Answer, Answers
from connectors.memory import ScriptedModel
from optimizer.errors import (
    BadAnswer,
    BadCredentials,
    CutOff,
    Declined,
    EmptyReply,
    Garbled,
    NotFound,
    OverBudget,
    RateLimited,
    Refused,
    ServerFault,
    Unreachable,
)
from optimizer.ports import ModelReply, ModelRequest
from optimizer.types import Arm, Missing, Scored, Unscored, Usage

CASES = [a_case(1, "hi"), a_case(2, "ho")]
PAID = Usage(calls=1, input_tokens=10, output_tokens=5, cost_usd=0.001)


def answers(model: ScriptedModel, **options: float) -> Answers:
    return Answers(arms(), CASES, model=model, task_model="sim-task", **options)  # type: ignore[arg-type]


def fails(error: Exception) -> ScriptedModel:
    return ScriptedModel(lambda _: error)


async def test_an_answer_is_made_once_however_many_ask_and_whenever() -> None:
    model = ScriptedModel(lambda request: ModelReply(text=request.messages[-1].content, model="m", usage=PAID))
    made = answers(model)
    assert made.made(Arm.CANDIDATE, "case-001") is None
    together = await asyncio.gather(*(made.of(Arm.CANDIDATE, "case-001") for _ in range(5)))
    later = await made.of(Arm.CANDIDATE, "case-001")
    assert len(model.requests) == 1
    assert {id(answer) for answer in (*together, later, made.made(Arm.CANDIDATE, "case-001"))} == {id(later)}
    assert (later.output, later.failure, later.usage) == ("hi", None, PAID)
    assert isinstance(later.latency_s, float)
    assert made.made(Arm.BASELINE, "case-001") is None


async def test_the_request_is_the_filled_prompt_with_the_owners_settings() -> None:
    model = ScriptedModel(lambda _: "yes")
    await answers(model, temperature=0.7, max_tokens=99, sample=3).of(Arm.CANDIDATE, "case-002")
    request = model.requests[0]
    assert [(m.role, m.content) for m in request.messages] == [("system", "Answer well."), ("user", "ho")]
    assert (request.purpose, request.model, request.temperature) == ("task", "sim-task", 0.7)
    assert (request.max_tokens, request.attempt) == (99, 3)


@pytest.mark.parametrize("kind", [Refused, CutOff, EmptyReply, Garbled])
async def test_an_arm_is_to_blame_for_a_reply_that_cannot_be_used(kind: type[Refused]) -> None:
    answer = await answers(fails(kind("it says no", usage=PAID))).of(Arm.BASELINE, "case-001")
    assert answer == Answer(failure=Scored(value=0.0, reason="no usable answer: it says no"), usage=PAID)


async def test_an_arm_that_says_nothing_scores_nothing_whatever_the_model_promises() -> None:
    answer = await answers(ScriptedModel(lambda _: " \n")).of(Arm.BASELINE, "case-001")
    assert answer.failure == Scored(value=0.0, reason="no usable answer: the reply holds no text")


@pytest.mark.parametrize(
    "error", [Unreachable("down"), RateLimited("slow"), ServerFault("500"), Declined("not this one", "leave it out")]
)
async def test_nobody_is_to_blame_for_a_provider_that_fails_and_the_others_go_on(error: Exception) -> None:
    model = ScriptedModel(lambda request: error if request.messages[-1].content == "hi" else "fine")
    made = answers(model)
    assert (await made.of(Arm.BASELINE, "case-001")).failure == Unscored(reason=str(error))
    assert (await made.of(Arm.BASELINE, "case-002")).output == "fine"
    assert made.broken == ""


@pytest.mark.parametrize(
    "error",
    [
        BadCredentials("the key was refused", "check the key"),
        NotFound("there is no such model", "correct the name"),
        BadAnswer("HTML came back", "check the address"),
        OverBudget("the budget is spent"),
    ],
)
async def test_what_no_further_call_can_survive_ends_all_of_them(error: Exception) -> None:
    model = fails(error)
    made = answers(model)
    for case in CASES:
        answer = await made.of(Arm.BASELINE, case.id)
        assert answer.failure == Unscored(reason=str(error))
    assert made.broken == str(error)
    assert len(model.requests) == 1


async def test_an_answer_out_of_a_journal_has_no_latency() -> None:
    model = ScriptedModel(lambda _: ModelReply(text="yes", model="m", replayed=True))
    assert (await answers(model).of(Arm.BASELINE, "case-001")).latency_s is Missing.NOT_RECORDED


async def test_half_a_character_is_replaced() -> None:
    assert (await answers(ScriptedModel(lambda _: "a\ud83d")).of(Arm.BASELINE, "case-001")).output == "a?"


async def test_progress_counts_failures_too() -> None:
    seen: list[tuple[int, int]] = []
    made = Answers(
        arms(),
        CASES,
        model=fails(Unreachable("down")),
        task_model="m",
        progress=lambda done, total: seen.append((done, total)),
    )
    for case in CASES:
        await made.of(Arm.CANDIDATE, case.id)
    assert seen == [(1, 4), (2, 4)]


async def test_who_hangs_up_takes_the_answer_from_nobody_and_closing_calls_it_off() -> None:
    go, called_off = asyncio.Event(), asyncio.Event()

    async def script(request: ModelRequest) -> str:
        try:
            await go.wait()
        except asyncio.CancelledError:
            called_off.set()
            raise
        return request.messages[-1].content

    made = answers(ScriptedModel(lambda request: script(request)))
    impatient = asyncio.ensure_future(made.of(Arm.BASELINE, "case-001"))
    patient = asyncio.ensure_future(made.of(Arm.BASELINE, "case-001"))
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    go.set()
    assert (await patient).output == "hi"
    go.clear()
    never = asyncio.ensure_future(made.of(Arm.BASELINE, "case-002"))
    await asyncio.sleep(0.01)
    assert await made.close() is None
    assert called_off.is_set()
    with pytest.raises(asyncio.CancelledError):
        await never


async def test_a_bug_is_raised_to_everybody_and_told_at_the_end() -> None:
    made = answers(fails(ZeroDivisionError("a bug")))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await made.of(Arm.BASELINE, "case-001")
    assert isinstance(await made.close(), ZeroDivisionError)
