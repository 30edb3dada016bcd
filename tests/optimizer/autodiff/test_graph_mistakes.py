"""Mistakes that are easily made: each says at once, in one sentence, what to do instead."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from descent_samples import VALUE, WARM, Rewrites, criticise, variable
from graph_model import EchoModel, bad, block, prompt, question

from optimizer import (
    TGD,
    BadInput,
    ExaminedLoss,
    JudgedLoss,
    MetricLoss,
    ModelCall,
    TracegradError,
    Variable,
    Verdict,
    correction,
    feedback,
    mean,
    node,
    total,
    use,
)

ANSWER = Variable("Soon.", role="answer", requires_grad=True)
JUDGED = JudgedLoss("Is it good?")


def used(**fields: Any) -> None:
    settings: dict[str, Any] = {"model": EchoModel(), "task_model": "task", "secret": b"secret"} | fields
    with use(**settings):
        pass


def swapped(make: Any) -> Callable[[], object]:
    return lambda: make("It is too long.", ANSWER)


MISTAKES: list[tuple[str, Callable[[], object]]] = [
    ("the model is of type str and answers nothing", lambda: used(model="gpt-5")),
    ("no task model was named", lambda: used(task_model=None)),
    ("the secret of the fences is of type str", lambda: used(secret="abc")),
    ("the secret of the fences is empty", lambda: used(secret=b"")),
    ("what is to be optimized is of type Variable, no list", lambda: TGD(ANSWER)),  # type: ignore[arg-type]
    ("what is to be optimized is of type str, no list", lambda: TGD("x")),  # type: ignore[arg-type]
    ("what is to be optimized is of type str, no variable", lambda: TGD(["x"])),  # type: ignore[list-item]
    ("there is nothing to optimize", lambda: TGD([])),
    ("a variable is given twice", lambda: TGD([ANSWER, ANSWER])),
    ("'q' is no variable that can change", lambda: TGD([Variable("q", role="q")])),
    ("an example is no Revision", lambda: TGD([ANSWER], examples=[("a", "b")])),  # type: ignore[list-item]
    ("what is to be summed is of type str, no variable", lambda: total(["a"])),  # type: ignore[list-item]
    ("what is to be summed is of type Variable, no list", lambda: mean(ANSWER)),  # type: ignore[arg-type]
    ("there are no losses", lambda: total([])),
    ("there are no losses", lambda: mean([])),
    ("the rubric is empty or no text", lambda: JudgedLoss(ANSWER)),  # type: ignore[arg-type]
    ("what is to be judged is of type str, no variable", lambda: JUDGED("text")),  # type: ignore[arg-type]
    ("what is to be judged is of type str, no variable", lambda: ExaminedLoss()("text")),  # type: ignore[arg-type]
    ("what is to be judged is of type str, no variable", lambda: MetricLoss(len)("text")),  # type: ignore[arg-type]
    ("what the words are about is of type str, no variable", swapped(feedback)),
    ("what the words are about is of type str, no variable", swapped(correction)),
    ("the words of the loss are of type Variable", lambda: feedback(ANSWER, ANSWER)),  # type: ignore[arg-type]
    ("the metric is of type int", lambda: MetricLoss(3)),  # type: ignore[arg-type]
    ("what is to be called is of type int", lambda: node(3, purpose="add")),  # type: ignore[arg-type]
    ("an example is no Example", lambda: node(str, purpose="copy", examples=[("a", "b")])),  # type: ignore[list-item]
    ("an example is no Example", lambda: ModelCall("Be kind.", examples=[("a", "b")])),  # type: ignore[list-item]
    ("the system prompt is of type int", lambda: ModelCall(5)),  # type: ignore[arg-type]
    ("the message to the model is of type int", lambda: ModelCall(message=5)),  # type: ignore[arg-type]
    ("a variable in an f-string would be lost", lambda: f"Really? {ANSWER}"),
    ("a variable in an f-string would be lost", lambda: "Really? {:>9}".format(ANSWER)),  # noqa: UP032
]


@pytest.mark.parametrize(("words", "mistake"), MISTAKES)
def test_a_mistake_is_refused_where_it_is_made(words: str, mistake: Callable[[], object]) -> None:
    with pytest.raises(BadInput) as raised:
        mistake()
    assert str(raised.value).startswith(words)
    assert raised.value.fix
    assert isinstance(raised.value, TracegradError)


def test_sums_take_any_iterable_of_losses() -> None:
    assert total(feedback(ANSWER, word) for word in "ab").role == "all of 2 losses"  # type: ignore[arg-type]
    assert mean(feedback(ANSWER, word) for word in "ab").role == "mean of 2 losses"  # type: ignore[arg-type]


def test_what_a_variable_says_and_shows_is_still_there_for_the_asking() -> None:
    assert f"{ANSWER.text}, {ANSWER!r}" == "Soon., Variable(role='answer', requires_grad=True)"


async def test_work_that_nobody_awaited_says_so() -> None:
    work = feedback(ANSWER, "Too short.").backward()
    assert repr(work) == "Work(nothing is done yet: put await before it)"
    await work
    assert repr(work) == "Work(done: see .result)"


@pytest.mark.parametrize(
    ("verdict", "stays"),
    [("pass", True), (Verdict.PASS, True), ("fail", False), ("undecided", False), (Verdict.UNDECIDED, False)],
)
async def test_a_verdict_may_be_given_by_its_value(verdict: Verdict | str, stays: bool) -> None:
    rewrites, about = Rewrites(), variable()
    rewrites(VALUE.split("\n")[0], WARM)
    with use(rewrites.model, task_model="task", secret=b"secret"):
        optimizer = TGD([about])
        await criticise(about)
        assert (await optimizer.step()).changed
        for wrong in ("passed", "PASS", True, None, 1):
            with pytest.raises(BadInput, match="give one of pass, fail, undecided"):
                optimizer.verdict(wrong, "no verdict")  # type: ignore[arg-type]
        assert about.text != VALUE
        optimizer.verdict(verdict, "so it is")
    assert (about.text != VALUE) is stays


# ---- the input of a run is its data ----------------------------------------------------------------------------------


async def input_of(build: Callable[[Variable], Variable]) -> str:
    """The input that the judge sees; the run behind the gradient has the same."""
    model, system = EchoModel(lambda r: '{"score": 0, "reason": "bad"}' if r.purpose == "judge" else None), prompt("S")
    with use(model, task_model="task", secret=b"secret"):
        await JUDGED(build(system)).backward()
    [judged] = [request for request in model.requests if request.purpose == "judge"]
    [gradient] = system.gradients
    found: str = block(judged)["input"]
    assert gradient.loss.trace.generation.input == found
    return found


@pytest.mark.parametrize(
    "build",
    [
        lambda system: ModelCall(system, message="Now answer: {{x}}")(x="When?"),
        lambda system: ModelCall(system, message=Variable("Answer: {{x}}", role="template"))(x="When?"),
        lambda system: ModelCall("Shorten.")(ModelCall(system)("When?")),
        lambda system: ModelCall("Improve.", message="{{q}}: {{a}}")(q="When?", a=ModelCall(system)("When?")),
        lambda system: ModelCall(system, message="{{x}}{{x}}")(x=question("When?")),
    ],
    ids=["template", "template as a variable", "second system prompt", "handed to two calls", "two places"],
)
async def test_the_input_of_a_run_is_the_question_without_any_instructions(
    build: Callable[[Variable], Variable],
) -> None:
    assert await input_of(build) == "When?"


async def test_what_one_call_was_given_twice_stands_twice_and_in_order() -> None:
    def build(system: Variable) -> Variable:
        add = node(lambda *numbers: " ".join(numbers), purpose="add")
        return ModelCall(system, message="{{a}} {{b}} {{c}}")(a="x", b=add("2", "2"), c="2")

    assert [part["text"] for part in json.loads(await input_of(build))] == ["x", "2", "2"]


async def test_a_prompt_that_was_made_from_data_still_leads_to_it() -> None:
    def build(system: Variable) -> Variable:
        return ModelCall(system, message="Q: " + question("When?", source="row-7"))()

    assert [part["text"] for part in json.loads(await input_of(build))] == ["Q: ", "When?"]
    about = prompt("S")
    with use(EchoModel(), task_model="task", secret=b"secret"):
        await bad(build(about)).backward()
    assert [gradient.source_key for gradient in about.gradients] == ["row-7"]
