"""Graphs of known shape: every request and every gradient of a pass, listed.

The model says what it was asked, so a wrong edge, a wrong order or a wrong input shows in the words.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from graph_model import EchoModel, bad, prompt, question, said, shuffled

from optimizer import ModelCall, Variable, mean, node, total, use
from optimizer.autodiff.dataflow import Pass

Graph = tuple[Variable, list[Variable]]


@dataclass(frozen=True)
class Shape:
    """What a graph asks, in the order of a model that answers at once, and what its variables get.

    Words: `task SYSTEM(USER)`; `prompt|chain TEXT | OTHER INPUTS -> OUTPUT | KIND: COMPLAINT`. A gradient is the path
    that it came, the loss's side first, and the critic's `TEXT < COMPLAINT`.
    """

    build: Callable[[], Graph]
    requests: tuple[str, ...]
    gradients: dict[str, tuple[str, ...]]


def one_call() -> Graph:
    system = prompt("S")
    return bad(ModelCall(system)(question("q"))), [system]


def chain() -> Graph:
    first, second = prompt("S1"), prompt("S2")
    return bad(ModelCall(second)(ModelCall(first)(question("q")))), [first, second]


def diamond() -> Graph:
    top, left, right, end = systems = [prompt(name) for name in "TLRE"]
    above = ModelCall(top)(question("q"))
    return bad(ModelCall(end)(ModelCall(left)(above), ModelCall(right)(above))), systems


def batch() -> Graph:
    system = prompt("S")
    m = ModelCall(system)
    return total([bad(m(question(text)), f"bad {text}") for text in "xyz"]), [system]


def stages() -> Graph:
    system = prompt("S")
    m = ModelCall(system)
    return bad(m(m(m(question("q"))))), [system]


def dense() -> Graph:
    first, second, third = systems = [prompt(name) for name in "ABC"]
    asked = question("q")
    one = ModelCall(first)(asked)
    two = ModelCall(second)(asked, one)
    return bad(ModelCall(third)(asked, one, two)), systems


def fan_out() -> Graph:
    system = prompt("S")
    answer = ModelCall(system)(question("q"))
    return total([bad(answer, "too long"), bad(answer, "too cold")]), [system]


def shared_plan() -> Graph:
    planner, system = prompt("P"), prompt("S")
    plan, m = ModelCall(planner)("doc"), ModelCall(system)
    return total([bad(m(plan, question(who, source=who)), f"bad {who}") for who in "xy"]), [planner, system]


def tool() -> Graph:
    writer, reader = prompt("W"), prompt("R")
    search = node(lambda query: f"found {query}", purpose="search", role="passages")
    return bad(ModelCall(reader)(search(ModelCall(writer)(question("q"))))), [writer, reader]


def joined() -> Graph:
    system = prompt("S")
    return bad(ModelCall(system)(question("q")) + "!"), [system]


def averaged() -> Graph:
    system = prompt("S")
    m = ModelCall(system)
    return mean([bad(m("x")), total([bad(m("y")), bad(m("y"), "cold")])]), [system]


def frozen_prompt() -> Graph:
    first = prompt("S1")
    return bad(ModelCall("fixed")(ModelCall(first)(question("q")))), [first]


SHAPES = {
    "one call": Shape(
        one_call,
        (
            "task S(q)",
            "prompt S | q -> S(q) | comment: bad",
        ),
        {
            "S": ("S < bad",),
        },
    ),
    "chain": Shape(
        chain,
        (
            "task S1(q)",
            "task S2(S1(q))",
            "prompt S2 | S1(q) -> S2(S1(q)) | comment: bad",
            "chain S1(q) | S2 -> S2(S1(q)) | comment: bad",
            "prompt S1 | q -> S1(q) | feedback: S1(q) < bad",
        ),
        {
            "S1": ("n5 S1 < S1(q) < bad",),
            "S2": ("S2 < bad",),
        },
    ),
    "diamond": Shape(
        diamond,
        (
            "task T(q)",
            "task L(T(q))",
            "task R(T(q))",
            "task E(L(T(q))+R(T(q)))",
            "prompt E | L(T(q)),R(T(q)) -> E(L(T(q))+R(T(q))) | comment: bad",
            "chain L(T(q)) | E,R(T(q)) -> E(L(T(q))+R(T(q))) | comment: bad",
            "chain R(T(q)) | E,L(T(q)) -> E(L(T(q))+R(T(q))) | comment: bad",
            "prompt L | T(q) -> L(T(q)) | feedback: L(T(q)) < bad",
            "chain T(q) | L -> L(T(q)) | feedback: L(T(q)) < bad",
            "prompt R | T(q) -> R(T(q)) | feedback: R(T(q)) < bad",
            "chain T(q) | R -> R(T(q)) | feedback: R(T(q)) < bad",
            "prompt T | q -> T(q) | feedback: 1. T(q) < L(T(q)) < bad+2. T(q) < R(T(q)) < bad",
        ),
        {
            "T": ("n9>n6 T < 1. T(q) < L(T(q)) < bad+2. T(q) < R(T(q)) < bad",),
            "L": ("n9 L < L(T(q)) < bad",),
            "R": ("n9 R < R(T(q)) < bad",),
            "E": ("E < bad",),
        },
    ),
    "batch": Shape(
        batch,
        (
            "task S(x)",
            "task S(y)",
            "task S(z)",
            "prompt S | x -> S(x) | comment: bad x",
            "prompt S | y -> S(y) | comment: bad y",
            "prompt S | z -> S(z) | comment: bad z",
        ),
        {
            "S": ("S < bad x", "S < bad y", "S < bad z"),
        },
    ),
    "stages": Shape(
        stages,
        (
            "task S(q)",
            "task S(S(q))",
            "task S(S(S(q)))",
            "prompt S | S(S(q)) -> S(S(S(q))) | comment: bad",
            "chain S(S(q)) | S -> S(S(S(q))) | comment: bad",
            "prompt S | S(q) -> S(S(q)) | feedback: S(S(q)) < bad",
            "chain S(q) | S -> S(S(q)) | feedback: S(S(q)) < bad",
            "prompt S | q -> S(q) | feedback: S(q) < S(S(q)) < bad",
        ),
        {
            "S": ("S < bad", "n5 S < S(S(q)) < bad", "n5>n4 S < S(q) < S(S(q)) < bad"),
        },
    ),
    "dense": Shape(
        dense,
        (
            "task A(q)",
            "task B(q+A(q))",
            "task C(q+A(q)+B(q+A(q)))",
            "prompt C | q,A(q),B(q+A(q)) -> C(q+A(q)+B(q+A(q))) | comment: bad",
            "chain A(q) | C,q,B(q+A(q)) -> C(q+A(q)+B(q+A(q))) | comment: bad",
            "chain B(q+A(q)) | C,q,A(q) -> C(q+A(q)+B(q+A(q))) | comment: bad",
            "prompt B | q,A(q) -> B(q+A(q)) | feedback: B(q+A(q)) < bad",
            "chain A(q) | B,q -> B(q+A(q)) | feedback: B(q+A(q)) < bad",
            "prompt A | q -> A(q) | feedback: 1. A(q) < bad+2. A(q) < B(q+A(q)) < bad",
        ),
        {
            "A": ("n7 A < 1. A(q) < bad+2. A(q) < B(q+A(q)) < bad",),
            "B": ("n7 B < B(q+A(q)) < bad",),
            "C": ("C < bad",),
        },
    ),
    "fan out": Shape(
        fan_out,
        (
            "task S(q)",
            "prompt S | q -> S(q) | comment: 1. too long+2. too cold",
        ),
        {
            "S": ("S < 1. too long+2. too cold", "S < 1. too long+2. too cold"),
        },
    ),
    "shared plan": Shape(
        shared_plan,
        (
            "task P(doc)",
            "task S(P(doc)+x)",
            "task S(P(doc)+y)",
            "prompt S | P(doc),x -> S(P(doc)+x) | comment: bad x",
            "chain P(doc) | S,x -> S(P(doc)+x) | comment: bad x",
            "prompt S | P(doc),y -> S(P(doc)+y) | comment: bad y",
            "chain P(doc) | S,y -> S(P(doc)+y) | comment: bad y",
            "prompt P | doc -> P(doc) | feedback: P(doc) < bad x",
            "prompt P | doc -> P(doc) | feedback: P(doc) < bad y",
        ),
        {
            "P": ("n6 P < P(doc) < bad x", "n9 P < P(doc) < bad y"),
            "S": ("S < bad x", "S < bad y"),
        },
    ),
    "tool": Shape(
        tool,
        (
            "task W(q)",
            "task R(found W(q))",
            "prompt R | found W(q) -> R(found W(q)) | comment: bad",
            "chain found W(q) | R -> R(found W(q)) | comment: bad",
            "chain W(q) |  -> found W(q) | feedback: found W(q) < bad",
            "prompt W | q -> W(q) | feedback: W(q) < found W(q) < bad",
        ),
        {
            "W": ("n6>n5 W < W(q) < found W(q) < bad",),
            "R": ("R < bad",),
        },
    ),
    "joined": Shape(
        joined,
        (
            "task S(q)",
            "prompt S | q -> S(q) | comment: bad",
        ),
        {
            "S": ("S < bad",),
        },
    ),
    "averaged": Shape(
        averaged,
        (
            "task S(x)",
            "task S(y)",
            "task S(y)",
            "prompt S | x -> S(x) | comment: bad",
            "prompt S | y -> S(y) | comment: bad",
            "prompt S | y -> S(y) | comment: cold",
        ),
        {
            "S": ("S < bad", "S < bad", "S < cold"),
        },
    ),
    "frozen prompt": Shape(
        frozen_prompt,
        (
            "task S1(q)",
            "task fixed(S1(q))",
            "chain S1(q) | fixed -> fixed(S1(q)) | comment: bad",
            "prompt S1 | q -> S1(q) | feedback: S1(q) < bad",
        ),
        {
            "S1": ("n5 S1 < S1(q) < bad",),
        },
    ),
}


async def passed(shape: Shape, model: EchoModel) -> tuple[Pass, list[Variable]]:
    with use(model, task_model="task", critic_model="critic", secret=b"secret"):
        loss, variables = shape.build()
        return await loss.backward(), variables


@pytest.mark.parametrize("name", SHAPES)
async def test_every_request_and_every_gradient_of_a_known_graph(name: str) -> None:
    model = EchoModel()
    report, variables = await passed(SHAPES[name], model)
    assert tuple(model.asked) == SHAPES[name].requests
    assert {variable.text: tuple(said(variable)) for variable in variables} == SHAPES[name].gradients
    assert report.asked == sum(not words.startswith("task") for words in model.asked)
    assert not report.dropped
    assert not report.failed


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", SHAPES)
async def test_latencies_change_no_byte_of_a_request_and_no_gradient(name: str, seed: int) -> None:
    at_once, late = EchoModel(), EchoModel(latency=shuffled(seed))
    _, expected = await passed(SHAPES[name], at_once)
    _, found = await passed(SHAPES[name], late)
    assert sorted(request.key for request in late.requests) == sorted(request.key for request in at_once.requests)
    assert set(late.requests) == set(at_once.requests)
    assert [variable.gradients for variable in found] == [variable.gradients for variable in expected]


async def test_the_latencies_do_reorder_the_requests() -> None:
    """Or the test above would say nothing."""
    orders = set()
    for seed in range(8):
        model = EchoModel(latency=shuffled(seed))
        await passed(SHAPES["batch"], model)
        orders.add(tuple(model.asked))
    assert len(orders) > 1


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("k", [1, 2, 5])
async def test_a_chain_of_k_calls_costs_one_call_for_every_call_and_every_edge(k: int, samples: int) -> None:
    model, system = EchoModel(), prompt("S")
    with use(model, task_model="task", secret=b"secret"):
        m = ModelCall(system)
        losses = []
        for text in "xyz"[:samples]:
            answer = m(question(text))
            for _ in range(k - 1):
                answer = m(answer)
            losses.append(bad(answer))
        await total(losses).backward()
    assert len(model.requests) == samples * (k + k + k - 1)


@pytest.mark.parametrize("k", [1, 2, 5])
async def test_a_dense_pipeline_costs_one_call_for_every_edge_however_many_ways_lead_back(k: int) -> None:
    model, system = EchoModel(), prompt("S")
    with use(model, task_model="task", secret=b"secret"):
        m, outputs = ModelCall(system), [question("q")]
        for _ in range(k):
            outputs.append(m(*outputs))
        await bad(outputs[-1]).backward()
    edges = k + k * (k - 1) // 2
    assert len(model.requests) == k + edges


async def test_gradients_lead_back_to_the_run_behind_them() -> None:
    _, [system] = await passed(SHAPES["batch"], EchoModel())
    runs = [gradient.loss.trace.generation for gradient in system.gradients]
    assert [(run.input, run.output) for run in runs] == [("x", "S(x)"), ("y", "S(y)"), ("z", "S(z)")]
    assert [gradient.loss.text for gradient in system.gradients] == ["bad x", "bad y", "bad z"]


async def test_a_loss_that_counts_a_part_gives_gradients_of_that_weight() -> None:
    _, [system] = await passed(SHAPES["averaged"], EchoModel())
    assert [gradient.loss.weight for gradient in system.gradients] == [0.5, 0.5, 0.5]
