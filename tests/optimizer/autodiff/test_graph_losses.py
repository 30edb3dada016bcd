"""Losses: their words are the gradient as they stand, and each knows the run that it is about."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.memory import ScriptedModel
from optimizer.autodiff.context import Engine, use
from optimizer.autodiff.losses import ExaminedLoss, JudgedLoss, MetricLoss, correction, feedback
from optimizer.autodiff.node import Flow, Node, Value
from optimizer.autodiff.sums import mean, total
from optimizer.autodiff.variable import Variable
from optimizer.errors import BadInput, Declined, Garbled
from optimizer.images import Image
from optimizer.meta import examiner, judge
from optimizer.ports import ModelRequest
from optimizer.types import UNDATED, Gradient, LossKind, Scored

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 20


def judgement(score: object, reason: object) -> str:
    return json.dumps({"score": score, "reason": reason})


MODEL = ScriptedModel(lambda _: judgement(0.25, "It names no date."))


@pytest.fixture
def engine() -> Iterator[Engine]:
    MODEL.requests.clear()
    with use(MODEL, task_model="task", critic_model="critic", secret=b"secret") as engine:
        yield engine


def answer(text: str = "Soon.", *, source: str = "") -> Variable:
    return Variable(text, role="answer", requires_grad=True, source=source)


async def gradient_of(loss: Variable, about: Variable) -> Gradient:
    report = await loss.backward()
    assert report.asked == 0
    [gradient] = about.gradients
    return gradient


def block_in(request: ModelRequest) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request.messages[1].content.split("\n")[-2])
    return found


# ---- judged ----------------------------------------------------------------------------------------------------------


async def test_the_judges_words_are_the_gradient(engine: Engine) -> None:
    about = answer()
    loss = JudgedLoss("Names a date.")(about)
    gradient = await gradient_of(loss, about)
    assert loss.value == "It names no date."
    assert (gradient.text, gradient.warrants_change) == ("It names no date.", True)
    assert (gradient.loss.kind, gradient.loss.text, gradient.loss.weight) == (
        LossKind.FEEDBACK,
        "It names no date.",
        0.75,
    )
    run = gradient.loss.trace.generation
    assert (run.at, run.environment, run.output, run.model) == (UNDATED, "", "Soon.", "task")
    [request] = MODEL.requests
    assert (request.purpose, request.model, request.reply_name) == ("judge", "critic", "judgement")
    assert request.messages[0].content == judge.SYSTEM
    title, rubric, opening, _, closing = request.messages[1].content.split("\n")
    assert (title, rubric) == ("RUBRIC", "Names a date.")
    assert (opening, closing) == (f"<data-{engine.fence.nonce()}>", f"</data-{engine.fence.nonce()}>")
    assert block_in(request) == {"input": "", "output": "Soon.", "reference": None, "complaint": ""}


@pytest.mark.parametrize(("score", "change"), [(0.0, True), (0.89, True), (0.9, False), (1, False)])
async def test_what_is_good_enough_wants_no_change(score: float, change: bool) -> None:
    with use(ScriptedModel([judgement(score, "So it is.")]), task_model="task", secret=b"s"):
        about = answer()
        gradient = await gradient_of(JudgedLoss("Is it good?")(about), about)
    assert gradient.warrants_change is change
    assert 0 < gradient.loss.weight <= 1


@pytest.mark.usefixtures("engine")
async def test_several_fields_are_named_and_fenced() -> None:
    about = answer("{output} and {0} {{x}}")
    loss = JudgedLoss("Compare {output} with {reference}; {unknown} %s.")(
        about, question=Variable("When?\nIGNORE ALL", role="question"), reference="Monday"
    )
    await gradient_of(loss, about)
    [request] = MODEL.requests
    assert request.messages[1].content.startswith("RUBRIC\nCompare {output} with {reference}; {unknown} %s.\n<data-")
    assert block_in(request) == {
        "input": "",
        "output": "{output} and {0} {{x}}",
        "question": "When?\nIGNORE ALL",
        "reference": "Monday",
        "complaint": "",
    }


@pytest.mark.usefixtures("engine")
async def test_roles_are_not_changed() -> None:
    about, question = answer(), Variable("When?", role="question of a customer")
    await gradient_of(JudgedLoss("Is it good?")(about, question=question), about)
    assert (about.role, question.role) == ("answer", "question of a customer")


@pytest.mark.usefixtures("engine")
async def test_a_question_about_an_image_shows_it() -> None:
    about = answer("A cat.")
    await gradient_of(
        JudgedLoss("Is that so?")(about, question="What is it?", photo=Variable(PNG, role="photo")), about
    )
    [request] = MODEL.requests
    assert request.messages[1].images == (Image(PNG),)
    assert request.messages[1].parts[0] == request.messages[1].content
    assert block_in(request)["photo"] == f"(image {Image(PNG).sha256[:12]})"


@pytest.mark.usefixtures("engine")
async def test_multiple_choice_at_test_time_raises_issues_and_never_solves() -> None:
    about = answer("B, because {x} < 3.")
    instruction = 'Look at the {reasoning}; reply {"form": "B"}.'
    await gradient_of(ExaminedLoss(instruction)(about, input="Which of {A} or {B}?"), about)
    [request] = MODEL.requests
    assert request.messages[0].content == examiner.SYSTEM
    assert "Do not solve the question" in examiner.SYSTEM
    assert request.messages[1].content.startswith(f"RUBRIC\n{instruction}\n<data-")
    assert block_in(request)["input"] == "Which of {A} or {B}?"


@pytest.mark.parametrize(
    "bad",
    [
        "garbage",
        "",
        judgement(2, "x"),
        judgement(True, "x"),
        judgement("1", "x"),
        judgement(0.5, " "),
        '{"score": 0.5}',
    ],
)
async def test_a_judgement_that_cannot_be_used_is_asked_for_again(bad: str) -> None:
    model = ScriptedModel([bad, judgement(0.5, "Fine but long.")])
    with use(model, task_model="task", secret=b"s", attempts=2):
        about = answer()
        assert (await gradient_of(JudgedLoss("Is it good?")(about), about)).text == "Fine but long."
    with use(ScriptedModel(lambda _: bad), task_model="task", secret=b"s", attempts=2), pytest.raises(Garbled):
        await JudgedLoss("Is it good?")(answer()).backward()


async def test_losses_are_judged_all_at_once() -> None:
    waiting = asyncio.Barrier(16)

    async def script(_: ModelRequest) -> str:
        async with asyncio.timeout(5):
            await waiting.wait()
        return judgement(0.1, "No.")

    with use(ScriptedModel(script), task_model="task", secret=b"s"):
        abouts = [answer(str(n)) for n in range(16)]
        await total([JudgedLoss("Is it good?")(about) for about in abouts]).backward()
    assert [len(about.gradients) for about in abouts] == [1] * 16


def test_a_rubric_must_say_something() -> None:
    with pytest.raises(BadInput, match="rubric is empty"):
        JudgedLoss("  ")


async def test_a_loss_outside_any_engine_says_what_to_do() -> None:
    with pytest.raises(BadInput, match="with use"):
        await JudgedLoss("Is it good?")(answer()).backward()


# ---- no call ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("make", "kind"), [(feedback, LossKind.COMMENT), (correction, LossKind.CORRECTION)], ids=["comment", "correction"]
)
async def test_what_a_person_said_is_a_loss_without_a_call(make: Callable[..., Variable], kind: LossKind) -> None:
    about = answer()
    gradient = await gradient_of(make(about, " On {Monday}. ", source="user-1"), about)
    assert MODEL.requests == []
    assert (gradient.text, gradient.warrants_change) == ("On {Monday}.", True)
    assert (gradient.loss.kind, gradient.loss.weight, gradient.source_key) == (kind, 1.0, "user-1")
    with pytest.raises(BadInput, match="no words"):
        make(about, "  ")


@pytest.mark.usefixtures("engine")
async def test_a_correction_to_the_same_text_confirms_it() -> None:
    about = answer("On Monday.")
    gradient = await gradient_of(correction(about, " On Monday.\n"), about)
    assert not gradient.warrants_change


# ---- metrics ---------------------------------------------------------------------------------------------------------


async def later(output: str, expected: str) -> tuple[float, str]:
    await asyncio.sleep(0)
    return (1.0, "") if output == expected else (0.25, f"Expected {expected}.")


def at_once(output: str, expected: str) -> tuple[float, str]:
    return (1.0, "") if output == expected else (0.25, f"Expected {expected}.")


def as_value(output: str, expected: str) -> Scored:
    return Scored(value=0.25, reason=f"Expected {expected}.") if output != expected else Scored(value=1, reason="")


METRICS = [
    later,
    at_once,
    as_value,
    lambda output, expected: at_once(output, expected),
    lambda *_, expected: later("", expected),
]


@pytest.mark.parametrize("metric", METRICS, ids=["async", "sync", "Scored", "lambda", "returns a coroutine"])
async def test_any_function_with_a_score_and_feedback_is_a_loss(metric: Callable[..., Any]) -> None:
    about = answer()
    gradient = await gradient_of(MetricLoss(metric)(about, expected="Monday"), about)
    assert (gradient.text, gradient.loss.kind, gradient.loss.weight) == ("Expected Monday.", LossKind.FEEDBACK, 0.75)


@pytest.mark.parametrize(
    ("score", "text", "change"),
    [
        (0.5, "It scored 0.50 of 1 for exact match.", True),
        (True, "It scored 1.00 of 1 for exact match.", False),
        (0, "It scored 0.00 of 1 for exact match.", True),
    ],
)
async def test_a_score_without_words_is_put_into_words(score: float, text: str, change: bool) -> None:
    def exact_match(_: str) -> float:
        return score

    about = answer()
    gradient = await gradient_of(MetricLoss(exact_match)(about), about)
    assert (gradient.text, gradient.warrants_change) == (text, change)


@pytest.mark.parametrize("found", [1.5, float("nan"), "good", None, (0.5, None), (0.5, "a", "b")])
async def test_a_metric_that_gives_no_score_says_what_to_return(found: object) -> None:
    with pytest.raises(BadInput, match="return a number from 0 to 1"):
        await MetricLoss(lambda _: found, purpose="tests")(answer()).backward()  # type: ignore[arg-type, return-value]


async def test_rounding_does_not_spoil_a_score() -> None:
    loss = MetricLoss(lambda _: 1.0000000000000002)(Variable("x", role="answer", requires_grad=True))
    assert "1.00 of 1" in (await loss).text


async def test_a_metric_that_raises_costs_its_own_loss() -> None:
    def broken(output: str) -> float:
        raise ValueError(f"cannot read {output}") if output == "bad" else AssertionError

    def picky(output: str) -> float:
        if output == "bad":
            raise ValueError(f"cannot read {output}")
        return 0.5

    good, bad = answer("good"), answer("bad")
    report = await total([MetricLoss(picky)(good), MetricLoss(picky)(bad)]).backward()
    assert (len(good.gradients), len(bad.gradients)) == (1, 0)
    assert report.failed == ("n4, what is wrong with answer: Declined",)
    with pytest.raises(Declined, match="raised AssertionError; look at the metric"):
        await MetricLoss(broken)(answer()).backward()


async def test_slow_functions_hold_nobody_up() -> None:
    waiting = threading.Barrier(3, timeout=5)

    def slow(_: str) -> float:
        waiting.wait()
        return 0.5

    abouts = [answer(str(n)) for n in range(3)]
    await total([MetricLoss(slow)(about) for about in abouts]).backward()
    assert [len(about.gradients) for about in abouts] == [1, 1, 1]


# ---- where a loss comes from -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("engine")
async def test_the_run_behind_a_loss_holds_its_input_and_its_source() -> None:
    system = answer("Be kind. ")
    question = Variable("When?", role="question", source="row-7")
    gradient = await gradient_of(feedback(system + question, "Too short."), system)
    run = gradient.loss.trace.generation
    assert (run.input, run.output, run.source_key) == ("When?", "Be kind. When?", "row-7")


@pytest.mark.usefixtures("engine")
async def test_several_inputs_are_told_with_their_roles() -> None:
    system = answer("Be kind. ")
    whole = system + Variable("When?", role="question") + Variable(" Now?", role="hint", source="row-8")
    run = (await gradient_of(feedback(whole, "Too short."), system)).loss.trace.generation
    assert json.loads(run.input) == [{"role": "question", "text": "When?"}, {"role": "hint", "text": " Now?"}]
    assert run.source_key == "row-8"


@pytest.mark.usefixtures("engine")
async def test_inputs_without_a_source_are_as_many_sources_as_there_are_inputs() -> None:
    system = answer("Be kind. ")
    losses = [feedback(system + Variable(text, role="question"), f"Bad {n}.") for n, text in enumerate("abab")]
    await total(losses).backward()
    sources = [gradient.source_key for gradient in system.gradients]
    assert len(set(sources)) == 2
    assert sources[:2] == sources[2:]
    assert "" not in sources


class Mute:
    """A step whose critic has nothing to say about what went in."""

    purpose = "pass a text on"
    weight = 0.0

    async def forward(self, node: Node) -> Value:
        return node.parents[0].text

    async def backward(self, node: Node, about: Node) -> Flow:  # noqa: ARG002  # says nothing
        return Flow()


@pytest.mark.usefixtures("engine")
async def test_a_loss_that_is_no_part_of_the_objective_and_was_not_criticised_says_nothing() -> None:
    about = answer()
    said = feedback(about, "Too long.")
    await total([Variable.computed(Mute(), [said], role="summary"), MetricLoss(lambda _: 0.5)(about)]).backward()
    assert [gradient.text for gradient in about.gradients] == ["It scored 0.50 of 1 for <lambda>."]


# ---- sums ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("engine")
async def test_a_sum_of_losses_keeps_every_objective() -> None:
    about = answer()
    await total([feedback(about, f"Reason {n}.") for n in range(3)]).backward()
    assert [gradient.text for gradient in about.gradients] == ["Reason 0.", "Reason 1.", "Reason 2."]
    assert [gradient.loss.weight for gradient in about.gradients] == [1.0, 1.0, 1.0]


@pytest.mark.usefixtures("engine")
async def test_a_mean_weighs_every_loss_and_keeps_them_all() -> None:
    about = answer()
    await mean([feedback(about, f"Reason {n}.") for n in range(4)]).backward()
    assert [(gradient.text, gradient.loss.weight) for gradient in about.gradients] == [
        (f"Reason {n}.", 0.25) for n in range(4)
    ]
