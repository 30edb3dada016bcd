"""The four lines with and without an event loop, over real HTTP; tenants, threads, and a hand on Ctrl-C."""

import asyncio
import json
import signal
import threading
from contextlib import AbstractContextManager
from typing import Any

import pytest
from graph_model import EchoModel, bad, prompt, question, said
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.openai import CallRules, OpenAIModel
from optimizer import TGD, ModelCall, Variable, no_grad, node, total, use
from optimizer.autodiff.context import Engine
from optimizer.errors import BadInput, Unreachable
from optimizer.ports import ModelRequest
from sandbox.serving import serve


def engine(model: EchoModel, **fields: Any) -> AbstractContextManager[Engine]:
    return use(model, **{"task_model": "task", "secret": b"secret", **fields})


class Chat:
    """A server that speaks for all three roles, and remembers what it was asked as which model."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.app = Starlette(routes=[Route("/v1/chat/completions", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        body = await request.json()
        self.bodies.append(body)
        name = body.get("response_format", {}).get("json_schema", {}).get("name", "")
        said = {
            "gradient": {"change": True, "gradient": "The prompt asks for no date."},
            "edits": {"edits": [{"op": "add", "line": "1", "text": "Name a date.", "cause": "c1", "reason": "asked"}]},
        }.get(name)
        content = json.dumps(said) if said else f"{body['model']}: {body['messages'][0]['content']}"
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
        return JSONResponse({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})


# ---- without an event loop -------------------------------------------------------------------------------------------


def test_the_four_lines_run_without_an_event_loop_over_http() -> None:
    chat = Chat()
    with serve(chat.app) as url:
        model = OpenAIModel(f"{url}/v1", "sk", rules=CallRules(concurrency=2))
        with use(model, task_model="task", critic_model="critic", secret=b"secret"):
            system = Variable("Be kind.", role="system prompt of an assistant", requires_grad=True)
            m, optimizer = ModelCall(system), TGD([system])
            for _ in range(3):
                optimizer.zero_grad()
                loss = total([bad(m(question(text)), "It names no date.") for text in "abcde"])
                loss.backward()
                optimizer.step()
            assert system.value == "Be kind.\nName a date."
            assert m(question("f")).value == "task: Be kind.\nName a date."
    per_step = [body["model"] for body in chat.bodies[:11]]
    assert sorted(per_step) == ["critic"] * 6 + ["task"] * 5


def test_work_is_done_when_the_call_returns_and_says_what_it_came_to() -> None:
    system = prompt("S")
    with engine(EchoModel()):
        report = bad(ModelCall(system)(question("q"))).backward().result
    assert report.asked == 1
    assert said(system) == ["S < bad"]


async def test_inside_a_loop_the_same_lines_are_awaited() -> None:
    system = prompt("S")
    with engine(EchoModel()):
        work = bad(ModelCall(system)(question("q"))).backward()
        with pytest.raises(BadInput, match="not done yet"):
            _ = work.result
        assert (await work).asked == 1
        assert work.result is await work
    assert said(system) == ["S < bad"]


async def test_a_value_that_is_missing_inside_a_loop_says_what_to_do() -> None:
    with engine(EchoModel()):
        answer = ModelCall(prompt("S"))(question("q"))
        with pytest.raises(BadInput, match="await the variable first"):
            _ = answer.value
        assert (await answer).value == "S(q)"


def test_a_block_that_has_ended_computes_nothing_more() -> None:
    with engine(EchoModel()):
        early, late = (ModelCall(prompt("S"))(question("q")) for _ in range(2))
        assert early.value == "S(q)"
    assert early.value == "S(q)"
    with pytest.raises(BadInput, match="block of this variable has ended"):
        _ = late.value


def test_errors_come_through_as_they_are_and_the_block_goes_on() -> None:
    replies: list[Exception | None] = [Unreachable("nobody there"), None, None]
    system = prompt("S")
    with engine(EchoModel(lambda _: replies.pop(0))):
        with pytest.raises(Unreachable):
            bad(ModelCall(system)(question("q"))).backward()
        bad(ModelCall(system)(question("q"))).backward()
    assert len(system.gradients) == 1


def test_ctrl_c_ends_a_pass_and_nothing_else() -> None:
    presses = [True]

    def reply(request: ModelRequest) -> None:
        if request.purpose == "backward" and presses:
            presses.pop()
            signal.raise_signal(signal.SIGINT)

    system = prompt("S")
    with engine(EchoModel(reply)):
        loss = bad(ModelCall(system)(question("q")))
        with pytest.raises(KeyboardInterrupt):
            loss.backward()
        assert system.gradients == []
        loss.backward()
    assert said(system) == ["S < bad"]


def test_ctrl_c_while_a_model_answers_leaves_a_graph_that_can_be_computed() -> None:
    presses = [True]

    async def reply(_: ModelRequest) -> None:
        if presses:
            presses.pop()
            signal.raise_signal(signal.SIGINT)
            await asyncio.Event().wait()

    with engine(EchoModel(reply)):
        answer = ModelCall(prompt("S"))(question("q"))
        with pytest.raises(KeyboardInterrupt):
            _ = answer.value
        assert answer.value == "S(q)"


class Connection(EchoModel):
    """A model with a connection, which belongs to the loop that it was opened in."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = self.closed = 0

    async def __aenter__(self) -> "Connection":
        self.opened += 1
        self.loop = asyncio.get_running_loop()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert asyncio.get_running_loop() is self.loop
        self.closed += 1


def test_connections_are_opened_once_and_closed_with_the_outermost_block() -> None:
    model, other, idle = Connection(), Connection(), Connection()
    with engine(model):
        assert ModelCall("A")("q").value == "A(q)"
        with engine(other), engine(model, critic_model="critic"), engine(idle):
            pass
        assert ModelCall("B")("q").value == "B(q)"
        assert (model.opened, model.closed, other.opened) == (1, 0, 1)
    assert [(one.opened, one.closed) for one in (model, other, idle)] == [(1, 1)] * 3


def test_a_block_that_did_nothing_opens_nothing() -> None:
    model = Connection()
    with engine(model):
        ModelCall("A")("q")
    assert model.opened == 0


async def test_inside_a_loop_the_connection_is_its_owners() -> None:
    model = Connection()
    with engine(model):
        await ModelCall("A")("q")
    assert (model.opened, model.closed) == (0, 0)


# ---- tenants ---------------------------------------------------------------------------------------------------------


async def test_two_tenants_in_one_process_never_meet() -> None:
    models = {name: EchoModel(latency=lambda request: len(request.key) % 3) for name in ("red", "blue")}
    turn = asyncio.Barrier(2)

    async def tenant(name: str) -> Variable:
        system = prompt(name)
        with engine(models[name], task_model=name):
            for number in range(5):
                m = ModelCall(system)
                await turn.wait()
                loss = total([bad(m(question(f"{name} {number} {n}"))) for n in range(3)])
                await turn.wait()
                await loss.backward()
        return system

    found = dict(zip(models, await asyncio.gather(*map(tenant, models)), strict=True))
    for name, model in models.items():
        assert {request.model for request in model.requests} == {name}
        assert len(model.requests) == 30
        assert all(name in words for words in model.asked)
        assert len(found[name].gradients) == 15


def test_two_tenants_in_two_threads_never_meet() -> None:
    models = {name: EchoModel() for name in ("red", "blue")}
    turn = threading.Barrier(2, timeout=60)
    found: dict[str, Variable] = {}

    def tenant(name: str) -> None:
        system = prompt(name)
        with engine(models[name], task_model=name):
            for number in range(5):
                turn.wait()
                loss = bad(ModelCall(system)(question(f"{name} {number}")))
                turn.wait()
                loss.backward()
        found[name] = system

    threads = [threading.Thread(target=tenant, args=(name,)) for name in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, model in models.items():
        assert {request.model for request in model.requests} == {name}
        assert all(name in words for words in model.asked)
        assert len(found[name].gradients) == 5


def test_the_innermost_block_counts_and_a_node_keeps_the_model_that_it_was_made_under() -> None:
    outer, inner = EchoModel(), EchoModel()
    system = prompt("S")
    with engine(outer, task_model="outer"):
        with engine(inner, task_model="inner"):
            first = ModelCall(system)(question("q"))
        second = ModelCall(system)(first)
        bad(second).backward()
    assert inner.asked == ["task S(q)", "prompt S | q -> S(q) | feedback: S(q) < bad"]
    assert {request.model for request in inner.requests} == {"inner"}
    assert {request.model for request in outer.requests} == {"outer"}


async def test_tasks_of_a_group_inherit_the_block_they_were_started_in() -> None:
    model = EchoModel()

    async def one(text: str) -> str:
        return (await ModelCall("S")(text)).text

    with engine(model):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(text)) for text in "xy"]
            with engine(EchoModel(lambda _: "another")):
                tasks.append(group.create_task(one("z")))
    assert [task.result() for task in tasks] == ["S(x)", "S(y)", "another"]


async def test_no_grad_ends_with_its_block_and_stays_in_its_task() -> None:
    inside = asyncio.Event()
    done = asyncio.Event()

    async def without() -> None:
        with no_grad():
            inside.set()
            await done.wait()

    task = asyncio.create_task(without())
    await inside.wait()
    assert ModelCall(prompt("S"))(question("q")).requires_grad
    done.set()
    await task


def test_a_function_in_a_thread_asks_through_the_loop_that_waits_for_it() -> None:
    model = Connection()

    def ask_again(text: str) -> str:
        assert threading.current_thread() is not threading.main_thread()
        answer = ModelCall("Inner.")(text)
        with engine(EchoModel(lambda _: "from another model")):
            return f"{answer.value}, {ModelCall('x')('y').value}"

    with engine(model):
        asked = node(ask_again, purpose="ask again")
        assert [asked(str(n)).value for n in range(3)] == [f"Inner.({n}), from another model" for n in range(3)]
    assert (model.opened, model.closed) == (1, 1)


async def test_a_thread_of_the_owners_has_the_private_loop_and_the_block_closes_it() -> None:
    model = Connection()
    with engine(model):
        values = await asyncio.gather(
            *(asyncio.to_thread(lambda text=text: ModelCall("S")(text).value) for text in "xyz")
        )
    assert values == ["S(x)", "S(y)", "S(z)"]
    assert (model.opened, model.closed) == (1, 1)


async def test_functions_still_run_when_they_are_awaited_after_the_block() -> None:
    with engine(EchoModel()):
        before, after = (node(str.upper, purpose="shout")("x") for _ in range(2))
        await before
    assert (await after).text == "X"


# ---- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"task_model": " "}, "no task model"),
        ({"secret": b""}, "secret of the fences is empty"),
        ({"samples": 0}, "are counts"),
        ({"attempts": 0}, "are counts"),
        ({"max_tokens": 0}, "are counts"),
        ({"min_share": 0.0}, "is a share"),
        ({"min_share": 1.1}, "is a share"),
    ],
)
def test_what_cannot_do_anything_is_refused_before_anything_is_spent(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words), engine(EchoModel(), **fields):
        pass


def test_a_node_that_two_loops_wait_for_is_computed_in_both() -> None:
    both = threading.Barrier(2, timeout=60)

    def meet(text: str) -> str:
        both.wait()  # passes only when each loop has started the function
        return text.upper()

    node_of_both = node(meet, purpose="shout")(Variable("x", role="word"))

    async def wait() -> None:
        await node_of_both

    threads = [threading.Thread(target=asyncio.run, args=(wait(),), daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert node_of_both.text == "X"
