"""Dataflow, proven without a clock; deep graphs; what fails, and what that costs the others."""

import asyncio
from collections.abc import Callable

import pytest
from graph_model import EchoModel, bad, block, criticism, in_words, prompt, question, said

from optimizer import ModelCall, Variable, mean, no_grad, total, use
from optimizer.autodiff.node import Flow, Node
from optimizer.errors import BadCredentials, BadInput, CutOff, Declined, Garbled, OverBudget, ServerFault, Unreachable
from optimizer.images import Image
from optimizer.ports import ModelRequest

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 20


class Gates:
    """Answers that wait until the test opens them, by the words of the request."""

    def __init__(self, *held: str) -> None:
        self.arrived = {words: asyncio.Event() for words in held}
        self.opened = {words: asyncio.Event() for words in held}

    async def __call__(self, request: ModelRequest) -> None:
        for words in self.arrived:
            if in_words(request).startswith(words):
                self.arrived[words].set()
                await self.opened[words].wait()


def failing(words: str, error: Exception) -> Callable[[ModelRequest], Exception | None]:
    return lambda request: error if in_words(request).startswith(words) else None


# ---- at once ---------------------------------------------------------------------------------------------------------


async def test_a_fast_sample_is_criticised_while_a_slow_one_is_still_computed() -> None:
    gates = Gates("task S(slow)", "prompt S | fast")
    system = prompt("S")
    with use(EchoModel(gates), task_model="task", secret=b"secret"):
        m = ModelCall(system)
        work = asyncio.create_task(backward_of(total([bad(m(question("slow"))), bad(m(question("fast")))])))
        await gates.arrived["task S(slow)"].wait()
        await gates.arrived["prompt S | fast"].wait()  # or this waits for ever
        gates.opened["prompt S | fast"].set()
        gates.opened["task S(slow)"].set()
        await work
    assert len(system.gradients) == 2


async def test_the_second_stage_of_one_sample_starts_while_the_first_of_another_runs() -> None:
    gates = Gates("task A(slow)", "task B(A(fast))")
    first, second = prompt("A"), prompt("B")
    with use(EchoModel(gates), task_model="task", secret=b"secret"):
        stages = [ModelCall(second)(ModelCall(first)(question(text))) for text in ("slow", "fast")]
        work = asyncio.create_task(backward_of(total([bad(stage) for stage in stages])))
        await gates.arrived["task A(slow)"].wait()
        await gates.arrived["task B(A(fast))"].wait()
        for opened in gates.opened.values():
            opened.set()
        await work


async def test_an_edge_starts_when_its_own_output_has_its_gradients_and_waits_for_no_neighbour() -> None:
    gates = Gates("prompt B | A(slow)", "prompt A | fast")
    first, second = prompt("A"), prompt("B")
    with use(EchoModel(gates), task_model="task", secret=b"secret"):
        stages = [ModelCall(second)(ModelCall(first)(question(text))) for text in ("slow", "fast")]
        work = asyncio.create_task(backward_of(total([bad(stage) for stage in stages])))
        await gates.arrived["prompt B | A(slow)"].wait()
        await gates.arrived["prompt A | fast"].wait()
        for opened in gates.opened.values():
            opened.set()
        await work


async def test_a_whole_batch_is_in_flight_at_once() -> None:
    arrived, everybody = 0, asyncio.Event()

    async def together(request: ModelRequest) -> None:
        nonlocal arrived
        if request.purpose == "task":
            arrived += 1
            if arrived == 64:
                everybody.set()
            await everybody.wait()

    system = prompt("S")
    with use(EchoModel(together), task_model="task", secret=b"secret"):
        m = ModelCall(system)
        await total([bad(m(question(str(number)))) for number in range(64)]).backward()
    assert [run.loss.trace.generation.input for run in system.gradients] == [str(number) for number in range(64)]


async def test_what_is_computed_is_not_computed_again() -> None:
    model = EchoModel()
    with use(model, task_model="task", secret=b"secret"):
        answer = ModelCall(prompt("S"))(question("q"))
        await asyncio.gather(forward_of(answer), forward_of(answer))
        await bad(answer).backward()
        assert (await answer).text == "S(q)"
    assert model.asked.count("task S(q)") == 1


async def test_another_pass_takes_over_what_a_cancelled_one_was_computing() -> None:
    gates = Gates("task S(q)")
    model = EchoModel(gates)
    with use(model, task_model="task", secret=b"secret"):
        answer = ModelCall(prompt("S"))(question("q"))
        first = asyncio.create_task(forward_of(answer))
        await gates.arrived["task S(q)"].wait()
        second = asyncio.create_task(forward_of(answer))
        await asyncio.sleep(0)
        first.cancel()
        gates.opened["task S(q)"].set()
        await second
        assert answer.text == "S(q)"
    assert first.cancelled()
    assert model.asked == ["task S(q)"] * 2


# ---- deep and wide ---------------------------------------------------------------------------------------------------


async def test_five_thousand_nested_sums_give_one_gradient_and_no_call() -> None:
    model, about = EchoModel(), Variable("x", role="answer", requires_grad=True)
    loss = bad(about)
    with use(model, task_model="task", secret=b"secret"):
        for number in range(5_000):
            loss = (total([loss]), mean([loss]), loss + "")[number % 3]
        report = await loss.backward()
    assert said(about) == ["bad"]
    assert report.asked == 0
    assert model.requests == []
    assert len(loss.role) <= 250


async def test_a_loss_that_is_added_to_itself_again_and_again_stays_one_loss() -> None:
    about = Variable("x", role="answer", requires_grad=True)
    loss = once = bad(about)
    for _ in range(16):
        loss = total([loss, loss])
    await loss.backward()
    assert once.share == 1.0
    assert said(about) == ["bad"]
    assert about.gradients[0].loss.weight == 1.0


@pytest.mark.parametrize("put_together", [total, mean])
async def test_sums_of_sums_do_not_double_their_text(put_together: Callable[[list[Variable]], Variable]) -> None:
    loss, other = (bad(Variable(text, role="answer", requires_grad=True), words=text) for text in ("x", "y"))
    for _ in range(60):
        loss = put_together([loss, loss, other])
    await loss.backward()
    assert len(loss.text) < 100_000


async def test_a_chain_of_1100_calls_goes_all_the_way_back() -> None:
    model, system = EchoModel(lambda r: "x" if r.purpose == "task" else criticism("worse")), prompt("S")
    with use(model, task_model="task", secret=b"secret"):
        m, answer = ModelCall(system), question("q")
        for _ in range(1_100):
            answer = m(answer)
        await bad(answer).backward()
    assert len(model.requests) == 1_100 + 1_100 + 1_099
    assert len(system.gradients) == 1  # the same words about the same run, once


# ---- nobody is asked in vain -----------------------------------------------------------------------------------------


async def test_without_a_gradient_from_downstream_nobody_is_asked() -> None:
    model, system, other = EchoModel(), prompt("S"), prompt("O")
    with use(model, task_model="task", secret=b"secret"):
        unused = ModelCall(other)(question("q"))
        answer = ModelCall(system)(question("q"))
        await total([bad(answer), unused]).backward()
    assert other.gradients == []
    assert not [words for words in model.asked if words.startswith("prompt O")]


async def test_an_answer_that_wants_no_change_is_passed_on_without_a_call() -> None:
    first, second = prompt("A"), prompt("B")
    model = EchoModel(lambda r: criticism("fine", change=False) if in_words(r).startswith("chain") else None)
    with use(model, task_model="task", secret=b"secret"):
        report = await bad(ModelCall(second)(ModelCall(first)(question("q")))).backward()
    assert [(g.warrants_change, g.text, g.loss.text) for g in first.gradients] == [(False, "fine", "bad")]
    assert second.gradients[0].warrants_change
    assert report.asked == 2
    assert not [words for words in model.asked if words.startswith("prompt A")]


async def test_what_needs_no_gradient_is_not_criticised() -> None:
    model, system = EchoModel(), prompt("S")
    with use(model, task_model="task", secret=b"secret"):
        with no_grad():
            context = ModelCall(prompt("C"))(question("q"))
        assert not context.requires_grad
        await bad(ModelCall(system)(context)).backward()
    assert [words for words in model.asked if words.startswith(("chain", "prompt C"))] == []


async def test_several_samples_of_an_edge_are_independent_gradients() -> None:
    def varied(request: ModelRequest) -> str | None:
        return None if request.purpose == "task" else criticism(f"words {request.attempt}")

    model, system = EchoModel(varied), prompt("S")
    with use(model, task_model="task", secret=b"secret", samples=3):
        await bad(ModelCall(system)(question("q"))).backward()
    assert said(system) == ["words 0", "words 100", "words 200"]
    assert len({request.key for request in model.requests}) == 4


async def test_many_gradients_of_one_output_are_counted_under_a_budget_in_one_question() -> None:
    model, system = EchoModel(), prompt("S")
    with use(model, task_model="task", secret=b"secret"):
        answer = ModelCall(system)(question("q"))
        words = [f"the answer has no {'word' * 40} {number}" for number in range(300)]
        await total([bad(answer, text) for text in words]).backward()
    [edge] = [request for request in model.requests if request.purpose == "backward"]
    complaint = block(edge)["complaint"]
    assert len(complaint) <= 6_000
    assert "times)" in complaint or "more)" in complaint
    assert len(system.gradients) == 300  # one for every loss: none is lost, each is counted


async def test_a_stranger_lends_no_words_to_other_peoples_gradients() -> None:
    model, planner = EchoModel(), prompt("P")
    with use(model, task_model="task", secret=b"secret"):
        plan, m = ModelCall(planner)("doc"), ModelCall("answer")
        losses = [bad(m(plan, question("q", source=who)), f"words of {who}") for who in ("ann", "mallory")]
        await total(losses).backward()
    by_source = {gradient.source_key: gradient.text for gradient in planner.gradients}
    assert sorted(by_source) == ["ann", "mallory"]
    assert "mallory" not in by_source["ann"]


# ---- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [CutOff("cut off"), Unreachable("nobody there"), Declined("no", "leave it out")])
async def test_one_failed_edge_drops_its_gradient_and_is_reported(error: Exception) -> None:
    system = prompt("S")
    with use(EchoModel(failing("prompt S | y", error)), task_model="task", secret=b"secret", attempts=1):
        m = ModelCall(system)
        report = await total([bad(m(question(text))) for text in "xyz"]).backward()
    assert [gradient.loss.trace.generation.input for gradient in system.gradients] == ["x", "z"]
    assert report.asked == 3
    assert len(report.dropped) == 1
    assert report.dropped[0].startswith(type(error).__name__)


async def test_below_the_quorum_the_pass_fails_and_changes_no_variable() -> None:
    system = prompt("S")
    with use(EchoModel(failing("prompt S", Unreachable("nobody there"))), task_model="task", secret=b"secret"):
        m = ModelCall(system)
        first = total([bad(m(question(text))) for text in "xyz"])
        with pytest.raises(Unreachable):
            await first.backward()
    assert system.gradients == []


@pytest.mark.parametrize("least", [0.6, 0.7])
async def test_the_quorum_is_the_owners(least: float) -> None:
    system = prompt("S")
    model = EchoModel(failing("prompt S | y", Unreachable("nobody there")))
    with use(model, task_model="task", secret=b"secret", min_share=least):
        m = ModelCall(system)
        loss = total([bad(m(question(text))) for text in "xyz"])
        if least < 2 / 3:
            assert len((await loss.backward()).dropped) == 1
        else:
            with pytest.raises(Unreachable):
                await loss.backward()


@pytest.mark.parametrize("error", [BadCredentials("wrong key", "check it"), OverBudget("no money left")])
async def test_what_would_fail_every_call_ends_the_pass_at_once(error: Exception) -> None:
    system = prompt("S")
    gates = Gates("task S(x)")

    async def reply(request: ModelRequest) -> Exception | None:
        await gates(request)
        return error if in_words(request) == "task S(y)" else None

    with use(EchoModel(reply), task_model="task", secret=b"secret"):
        m = ModelCall(system)
        with pytest.raises(type(error)):  # though the call about x is never answered
            await total([bad(m(question(text))) for text in "xyz"]).backward()
    assert system.gradients == []


async def test_a_sample_that_cannot_be_computed_leaves_the_others_alone() -> None:
    system = prompt("S")
    with use(EchoModel(failing("task S(y)", ServerFault("down"))), task_model="task", secret=b"secret"):
        m = ModelCall(system)
        answers = [m(question(text)) for text in "xyz"]
        loss = total([bad(answer) for answer in answers])
        report = await loss.backward()
    assert [gradient.loss.trace.generation.input for gradient in system.gradients] == ["x", "z"]
    assert report.failed == (
        "n6, answer of a language model: ServerFault",
        "n7, what was said about answer of a language model: ServerFault",
    )
    assert loss.text == "bad\nbad"
    with pytest.raises(ServerFault):
        _ = answers[1].value


async def test_when_most_samples_cannot_be_computed_the_pass_fails() -> None:
    model = EchoModel(lambda r: ServerFault("down") if in_words(r) in ("task S(y)", "task S(z)") else None)
    with use(model, task_model="task", secret=b"secret"):
        m = ModelCall(prompt("S"))
        with pytest.raises(ServerFault):
            await total([bad(m(question(text))) for text in "xyz"]).backward()


async def test_a_critic_that_never_keeps_to_the_structure_is_asked_again_and_then_dropped() -> None:
    model = EchoModel(lambda r: "it is bad" if in_words(r).startswith("prompt S | y") else None)
    system = prompt("S")
    with use(model, task_model="task", secret=b"secret", attempts=3):
        m = ModelCall(system)
        report = await total([bad(m(question(text))) for text in "xyz"]).backward()
    assert report.dropped[0].startswith(Garbled.__name__)
    assert len([words for words in model.asked if words.startswith("prompt S | y")]) == 3
    assert len(system.gradients) == 2


# ---- graphs that cannot be worked with -------------------------------------------------------------------------------


def cycle() -> Variable:
    one = ModelCall("a")(prompt("q"))
    other = ModelCall("b")(one)
    one.parents = (*one.parents, other)
    return other


async def test_a_cycle_is_refused_before_anything_is_spent() -> None:
    model = EchoModel()
    with use(model, task_model="task", secret=b"secret"):
        for work in (bad(cycle()).backward, lambda: forward_of(cycle())):
            with pytest.raises(BadInput, match="cycle through"):
                await work()
    assert model.requests == []


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda: bad(question("q")), "nothing in this graph requires a gradient"),
        (lambda: ModelCall(prompt("S"))(question("q")), "no loss says anything"),
        (lambda: bad(ModelCall(prompt("S"))(Variable(PNG, role="photo") + "x")), "is an image where text is needed"),
    ],
)
async def test_what_cannot_go_back_says_why(loss: Callable[[], Variable], words: str) -> None:
    with use(EchoModel(), task_model="task", secret=b"secret"), pytest.raises(BadInput, match=words):
        await loss().backward()


async def test_a_graph_without_a_model_says_so() -> None:
    with pytest.raises(BadInput, match="no model to call"):
        await bad(ModelCall(prompt("S"))(question("q"))).backward()


async def test_two_passes_at_once_through_one_variable_are_refused() -> None:
    gates = Gates("task S(x)")
    system = prompt("S")
    with use(EchoModel(gates), task_model="task", secret=b"secret"):
        m = ModelCall(system)
        first = asyncio.create_task(backward_of(bad(m(question("x")))))
        await gates.arrived["task S(x)"].wait()
        with pytest.raises(BadInput, match="another backward pass"):
            await bad(m(question("y"))).backward()
        gates.opened["task S(x)"].set()
        await first
        await bad(m(question("y"))).backward()
    assert len(system.gradients) == 2


async def test_gradients_add_up_over_passes_and_are_forgotten_on_demand() -> None:
    system = prompt("S")
    with use(EchoModel(), task_model="task", secret=b"secret"):
        m = ModelCall(system)
        loss = bad(m(question("x")))
        await loss.backward()
        await loss.backward()
        assert said(system) == ["S < bad"]
        await bad(m(question("y")), "cold").backward()
        assert said(system) == ["S < bad", "S < cold"]
        system.zero_grad()
    assert system.gradients == []


async def test_a_second_loss_on_an_output_is_not_told_what_the_first_said() -> None:
    model, system = EchoModel(), prompt("S")
    with use(model, task_model="task", secret=b"secret"):
        answer = ModelCall(system)(question("q"))
        await bad(answer, "long").backward()
        await bad(answer, "cold").backward()
    assert said(system) == ["S < long", "S < cold"]


async def test_a_function_that_breaks_its_contract_is_no_failed_sample() -> None:
    """A bug of ours is raised, not counted."""

    class Broken:
        purpose, weight = "break", 0.0

        async def forward(self, node: Node) -> str:
            raise AssertionError(node.role)

        async def backward(self, node: Node, about: Node) -> Flow:
            raise AssertionError(node.role, about.role)

    with pytest.raises(AssertionError):
        await bad(Variable.computed(Broken(), [prompt("S")], role="broken")).backward()


def test_values_are_texts_numbers_and_images_and_nothing_else() -> None:
    assert Variable(3, role="count").value == "3"
    assert Variable(0.25, role="score").value == "0.25"
    assert Variable(PNG, role="photo").value == Image(PNG)
    for value in (True, None, [], {}, object()):
        with pytest.raises(BadInput, match="a variable cannot hold"):
            Variable(value, role="x")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="are no image"):
        Variable(b"GIF8 it is not", role="photo")
    with pytest.raises(BadInput, match="no role"):
        Variable("x", role="  ")


async def backward_of(loss: Variable) -> None:
    await loss.backward()


async def forward_of(variable: Variable) -> None:
    await variable
