"""Graphs to look at: what is shown, and that no text of a stranger breaks it."""

import json
import re

import pytest
from graph_model import EchoModel, bad, prompt, question

from optimizer import ModelCall, Variable, as_json, as_mermaid, node, total, use
from optimizer.errors import BadInput
from optimizer.images import Image

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 20
HOSTILE = (
    '"] --> evil["x',
    "<script>alert(1)</script>",
    "end\nclick n1 call alert()",
    "`**x**`; %% comment",
    "1. list",
    "- list",
    "#quot; &quot; #35;",
    "{{x}} %%{init: {}}%%",
    "\u202e\u2028\x00\ud800",
    "x" * 50_000,
)
BOX = re.compile(r'    n\d+(?:\["[^"\]]*"\]|\(\["[^"\]]*"\]\))')
LABEL = re.compile(r"(?:[A-Za-z0-9 ,]|#\d+;|<br/>)*")


def fan_out(system: Variable) -> Variable:
    answer = ModelCall(system)(question("q"))
    return total([bad(answer, "long"), bad(answer, "cold")])


async def test_a_graph_is_json_for_a_dashboard() -> None:
    with use(EchoModel(), task_model="task", secret=b"secret"):
        loss = fan_out(prompt("S"))
        before = json.loads(as_json(loss))
        await loss.backward()
    after = json.loads(as_json(loss))
    assert [(one["id"], one["kind"], one["state"]) for one in before["nodes"]] == [
        ("n1", "input", "computed"),
        ("n2", "input", "computed"),
        ("n3", "a language model answers", "pending"),
        ("n4", "hold what a person said", "pending"),
        ("n5", "hold what a person said", "pending"),
        ("n6", "put losses together", "pending"),
    ]
    assert after["nodes"][0] == {
        "id": "n1",
        "role": "prompt S",
        "kind": "input",
        "state": "computed",
        "requires_grad": True,
        "value": "S",
        "gradients": 2,
    }
    assert [one["gradients"] for one in after["nodes"]] == [2, 0, 2, 0, 0, 0]
    assert after["edges"] == before["edges"]
    assert [(edge["from"], edge["to"]) for edge in after["edges"]] == [
        ("n1", "n3"),
        ("n2", "n3"),
        ("n3", "n4"),
        ("n3", "n5"),
        ("n4", "n6"),
        ("n5", "n6"),
    ]


async def test_a_graph_is_a_mermaid_flowchart() -> None:
    with use(EchoModel(), task_model="task", secret=b"secret"):
        loss = bad(ModelCall(prompt("S"))(question("q")))
        await loss.backward()
    assert as_mermaid(loss).split("\n") == [
        "flowchart TD",
        '    n1(["n1#58; prompt S<br/>S<br/>gradients#58; 1"])',
        '    n2(["n2#58; question<br/>q"])',
        '    n3["n3#58; answer of a language model<br/>S#40;q#41;<br/>gradients#58; 1"]',
        '    n4["n4#58; what was said about answer of a language model<br/>bad"]',
        "    n1 --> n3",
        "    n2 --> n3",
        "    n3 --> n4",
        "    classDef changing stroke-width:3px",
        "    class n1,n3,n4 changing",
        "",
    ]


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_no_text_breaks_the_picture_or_gets_into_its_markup(hostile: str) -> None:
    with use(EchoModel(), task_model="task", secret=b"secret"):
        loss = bad(ModelCall(prompt(hostile))(Variable(hostile, role=f"role {hostile}")), hostile)
        await loss
    drawn = as_mermaid(loss).split("\n")
    boxes, arrows = drawn[1:5], drawn[5:8]
    assert len(drawn) == 11
    for box in boxes:
        assert BOX.fullmatch(box)
        assert LABEL.fullmatch(box.partition('"')[2].rpartition('"')[0])
        assert len(box) < 2_500
    assert [arrow.split() for arrow in arrows] == [["n1", "-->", "n3"], ["n2", "-->", "n3"], ["n3", "-->", "n4"]]
    told = as_json(loss)
    assert told.isascii()
    assert len(told) < 10_000
    assert len(json.loads(told)["nodes"]) == 4


async def test_failures_and_images_are_named_and_their_words_are_not() -> None:
    def broken(_: object) -> str:
        raise ValueError("secret words")

    whole = node(broken, purpose="fail")(Variable(PNG, role="photo")) + ""
    await whole
    told = json.loads(as_json(whole))["nodes"]
    assert [(one["state"], one["value"]) for one in told] == [
        ("computed", f"image/png, {len(Image(PNG).data)} bytes"),
        ("failed", ""),
        ("computed", ""),
        ("failed", ""),
    ]
    assert "secret" not in as_json(whole) + as_mermaid(whole)
    assert as_mermaid(whole).count("<br/>failed") == 2


def test_looking_computes_nothing() -> None:
    model = EchoModel()
    with use(model, task_model="task", secret=b"secret"):
        loss = bad(ModelCall(prompt("S"))(question("q")))
        as_json(loss)
        as_mermaid(loss)
    assert model.requests == []


def test_the_same_graph_gives_the_same_picture_and_depth_is_no_limit() -> None:
    def deep() -> Variable:
        one = question("q")
        for _ in range(1_000):
            one = one + "x"
        return one

    assert as_json(deep()) == as_json(deep())
    assert as_mermaid(deep()).count("-->") == 2_000


def test_a_label_is_the_beginning_of_a_long_value() -> None:
    long = "word " * 50
    assert as_mermaid(Variable(long, role="r")).split("\n")[1] == (f'    n1(["n1#58; r<br/>{"word " * 11}word#8230;"])')
    assert as_mermaid(Variable("x" * 60, role="r")).count("#8230;") == 0


def test_a_cycle_has_no_picture() -> None:
    one = ModelCall("a")("q")
    one.parents = (*one.parents, one)
    for draw in (as_json, as_mermaid):
        with pytest.raises(BadInput, match="cycle through"):
            draw(one)
