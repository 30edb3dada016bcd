"""Rebuilding cases from recorded inputs: never a wrong one, ambiguity is refused."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.prompts import Body, Message, Placeholder
from optimizer.template import fill, placeholders, render, variables
from optimizer.traces.replay import NotReplayable, Reason, rebuild
from optimizer.types import CaseInput


def system(content: str) -> Message:
    return Message(role="system", content=content)


def user(content: str) -> Message:
    return Message(role="user", content=content)


def assistant(content: str) -> Message:
    return Message(role="assistant", content=content)


def slot(name: str) -> Placeholder:
    return Placeholder(name=name)


def chat(*messages: Message) -> str:
    return json.dumps([{"role": m.role, "content": m.content} for m in messages])


def case(*history: Message, slots: dict[str, tuple[Message, ...]] | None = None, **values: str) -> CaseInput:
    return CaseInput(
        variables=tuple(sorted(values.items())), placeholders=tuple(sorted((slots or {}).items())), history=history
    )


QA = (system("Help users of {{company}}."), user("{{question}}"))
SLOTTED = (system("Be brief."), slot("past"), user("Question: {{q}}"))

SHAPES: dict[str, tuple[Body, str, CaseInput | Reason]] = {
    # text prompts
    "text without variables": ("Be kind.", "Be kind.", case()),
    "text, plain": ("Be {{tone}}.", "Be kind.", case(tone="kind")),
    "text as system message": ("Be {{tone}}.", chat(system("Be kind."), user("hi")), case(user("hi"), tone="kind")),
    "text as developer message": (
        "Be {{tone}}.",
        chat(Message(role="developer", content="Be kind.")),
        case(tone="kind"),
    ),
    "text as the only user message": ("Say {{x}}!", chat(user("Say yes!")), case(x="yes")),
    "text as one user message of several": ("Say {{x}}!", chat(user("Say yes!"), assistant("yes")), Reason.NO_MATCH),
    "text as a later message": ("Say {{x}}!", chat(system("other"), user("Say yes!")), Reason.NO_MATCH),
    "text that a later message also follows": (
        "{{x}}",
        chat(system("You are kind."), user("hi")),
        Reason.AMBIGUOUS_FORM,
    ),
    "prompt quoted by the user": (
        "Be {{tone}}.",
        chat(system("Be kind."), user("Be rude.")),
        Reason.AMBIGUOUS_MESSAGES,
    ),
    "whole text is a variable": ("{{x}}", "hello", case(x="hello")),
    "JSON string that follows twice": ("{{x}}", '"hello"', Reason.AMBIGUOUS_FORM),
    "JSON string that follows once": ("Be {{x}}.", '"Be \\"so\\"."', case(x='"so"')),
    "instruction format of a completion model": ("[INST] {{q}} [/INST]", "[INST] why? [/INST]", case(q="why?")),
    "chat in a text": ("{{x}}", '[{"role": "system", "content": "hi"}]', Reason.AMBIGUOUS_FORM),
    "text made of chat JSON": ("[{{x}}]", '[{"role": "system", "content": "hi"}]', Reason.NO_MATCH),
    "two variables": ("{{a}} and {{b}}", "salt and pepper", case(a="salt", b="pepper")),
    "separator in a value": ("{{a}} and {{b}}", "rock and roll and blues", Reason.AMBIGUOUS_VARIABLES),
    "overlapping separators": ("{{a}}--{{b}}", "x---y", Reason.AMBIGUOUS_VARIABLES),
    "adjacent variables": ("{{a}}{{b}}", "xy", Reason.ADJACENT_VARIABLES),
    "adjacent variables, both empty": ("<{{a}}{{b}}>", "<>", case(a="", b="")),
    "empty value": ("Name: {{n}}, age: {{a}}", "Name: , age: 3", case(n="", a="3")),
    "repeated variable": ("{{n}}, hello {{n}}", "Bo, hello Bo", case(n="Bo")),
    "repeated variable, other spelling": ("{{n}}, hello {{ n }}", "Bo, hello Bo", case(n="Bo")),
    "repeated variable with two values": ("{{n}}, hello {{n}}", "Bo, hello Al", Reason.REPEATED_DIFFERS),
    "variable left unfilled": ("Be {{tone}}.", "Be {{tone}}.", Reason.UNFILLED),
    "value is another spelling of the tag": ("Be {{tone}}.", "Be {{ tone }}.", case(tone="{{ tone }}")),
    "value is another variable's tag": ("{{a}} or {{b}}", "{{b}} or 1", case(a="{{b}}", b="1")),
    "value holds template text": ("Be {{a}}. End.", "Be Be {{a}}. End. End.", case(a="Be {{a}}. End")),
    "triple braces": ("{{{x}}}", "{{{x}}}", Reason.UNFILLED),
    "unclosed tag": ("{{x", "{{x", case()),
    "CRLF and trailing newline": ("A: {{a}}\r\nB: {{b}}\n", "A: 1\nB: x\r\nB: 2\n", case(a="1\nB: x", b="2")),
    "JSON template": ('{"a": {{a}}}', '{"a": {}}', Reason.NOT_CHAT),
    "prefix and suffix overlap": ("aba{{x}}ba", "aba", Reason.NO_MATCH),
    "other text": ("Be {{tone}}.", "Do not.", Reason.NO_MATCH),
    "composed": ("@@@langfusePrompt:name=a|version=1@@@ {{x}}", "A 1", Reason.COMPOSED),
    "composition tag in a value": (
        "Be {{x}}.",
        "Be @@@langfusePrompt:name=a|version=1@@@.",
        case(x="@@@langfusePrompt:name=a|version=1@@@"),
    ),
    # chat prompts
    "chat": (QA, chat(system("Help users of ACME."), user("why?")), case(company="ACME", question="why?")),
    "chat with history": (
        QA,
        chat(system("Help users of ACME."), user("a"), assistant("b"), user("c")),
        case(assistant("b"), user("c"), company="ACME", question="a"),
    ),
    "chat of system only": (
        (system("Help {{x}}."),),
        chat(system("Help me."), user("q"), assistant("a")),
        case(user("q"), assistant("a"), x="me"),
    ),
    "chat recorded as text": (QA, "Help users of ACME.", Reason.NOT_CHAT),
    "chat with another role": (QA, chat(user("Help users of ACME."), user("why?")), Reason.NO_MATCH),
    "chat with a message missing": (QA, chat(system("Help users of ACME.")), Reason.NO_MATCH),
    "variable in two messages": (
        (system("For {{n}}: {{a}}, {{b}}"), user("I am {{n}}, {{a}}")),
        chat(system("For Bo: 1, 2"), user("I am Bo, 1")),
        case(n="Bo", a="1", b="2"),
    ),
    "one message decides another": (
        (system("{{a}}, {{b}}"), user("Say {{a}}")),
        chat(system("x, y, z"), user("Say x, y")),
        case(a="x, y", b="z"),
    ),
    "variable in two messages with two values": (
        (system("For {{n}}"), user("I am {{n}}")),
        chat(system("For Bo"), user("I am Al")),
        Reason.REPEATED_DIFFERS,
    ),
    "messages before the prompt": (
        (user("{{q}}"),),
        chat(user("a"), assistant("b"), user("c")),
        Reason.AMBIGUOUS_MESSAGES,
    ),
    # placeholders
    "placeholder without messages": (
        SLOTTED,
        chat(system("Be brief."), user("Question: 1")),
        case(q="1", slots={"past": ()}),
    ),
    "placeholder with messages": (
        SLOTTED,
        chat(system("Be brief."), user("hi"), assistant("yes?"), user("Question: 1")),
        case(q="1", slots={"past": (user("hi"), assistant("yes?"))}),
    ),
    "placeholder or history": (
        SLOTTED,
        chat(system("Be brief."), user("Question: 1"), assistant("2"), user("Question: 3")),
        Reason.AMBIGUOUS_MESSAGES,
    ),
    "placeholder at the end, nothing after": (
        (system("s"), slot("past")),
        chat(system("s")),
        case(slots={"past": ()}),
    ),
    "placeholder at the end": ((system("s"), slot("past")), chat(system("s"), user("q")), Reason.AMBIGUOUS_MESSAGES),
    "two adjacent placeholders": (
        (system("s"), slot("a"), slot("b"), user("end")),
        chat(system("s"), user("x"), user("end")),
        Reason.AMBIGUOUS_MESSAGES,
    ),
    "two placeholders apart": (
        (slot("a"), system("mid"), slot("b"), user("end")),
        chat(user("x"), system("mid"), user("y"), user("end")),
        case(slots={"a": (user("x"),), "b": (user("y"),)}),
    ),
    "placeholder twice": (
        (slot("a"), system("mid"), slot("a"), user("end")),
        chat(user("x"), system("mid"), user("x"), user("end")),
        case(slots={"a": (user("x"),)}),
    ),
    "placeholder twice, differing": (
        (slot("a"), system("mid"), slot("a"), user("end")),
        chat(user("x"), system("mid"), user("y"), user("end")),
        Reason.REPEATED_DIFFERS,
    ),
    "tag of a known variable in a placeholder": (
        (system("I am {{n}}"), slot("a"), user("end")),
        chat(system("I am Bo"), user("who is {{n}}?"), user("end")),
        Reason.TEMPLATE_IN_MESSAGES,
    ),
    "tag of an unknown variable in a placeholder": (
        (system("I am {{n}}"), slot("a"), user("end")),
        chat(system("I am Bo"), user("who is {{m}}?"), user("end")),
        case(n="Bo", slots={"a": (user("who is {{m}}?"),)}),
    ),
    "tag in the history": (
        (system("I am {{n}}"),),
        chat(system("I am Bo"), user("who is {{n}}?")),
        case(user("who is {{n}}?"), n="Bo"),
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_shape(shape: str) -> None:
    body, recorded, expected = SHAPES[shape]
    found = rebuild(body, recorded)
    assert (found.reason if isinstance(found, NotReplayable) else found) == expected


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"z": 1, "a": 2}}}
Q = {"role": "user", "content": "q"}
S = {"role": "system", "content": "s"}

RECORDINGS: dict[str, tuple[Any, CaseInput | Reason]] = {
    "messages in an object": ({"messages": [S, Q]}, case(user("q"))),
    "empty tools": ({"messages": [S, Q], "tools": []}, case(user("q"))),
    "sampling parameters": ({"messages": [S, Q], "model": "m", "temperature": 1, "tools": None}, case(user("q"))),
    "tool choice by the model": ({"messages": [S, Q], "tool_choice": "auto"}, case(user("q"))),
    "one text part": ([S, {"role": "user", "content": [{"type": "text", "text": "q"}]}], case(user("q"))),
    "null fields": ([S, {**Q, "tool_calls": None, "name": None, "annotations": []}], case(user("q"))),
    "typed messages": ([{**S, "type": "message"}, {**Q, "type": "chatmessage"}], case(user("q"))),
    "forced tool": ({"messages": [S, Q], "tool_choice": "required"}, Reason.TOOLS),
    "old functions": ({"messages": [S, Q], "functions": [{"name": "f"}]}, Reason.TOOLS),
    "tools of no shape": ({"messages": [S, Q], "tools": "f"}, Reason.NOT_CHAT),
    "response format": ({"messages": [S, Q], "response_format": {"type": "json_object"}}, Reason.UNKNOWN_FIELD),
    "tool call": ([S, {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}], Reason.TOOLS),
    "tool result": ([S, Q, {"role": "tool", "content": "3", "tool_call_id": "1"}], Reason.TOOLS),
    "function result": ([S, Q, {"role": "function", "name": "f", "content": "3"}], Reason.TOOLS),
    "two text parts": (
        [S, {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
        Reason.SEVERAL_PARTS,
    ),
    "image": (
        [S, {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}]}],
        Reason.MEDIA,
    ),
    "audio": ([S, {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}], Reason.MEDIA),
    "audio answer": ([S, Q, {"role": "assistant", "content": "x", "audio": {"id": "1"}}], Reason.MEDIA),
    "uploaded media": (
        [S, {"role": "user", "content": "@@@langfuseMedia:type=image/png|id=1|source=bytes@@@"}],
        Reason.MEDIA,
    ),
    "named user": ([S, {**Q, "name": "bo"}], Reason.UNKNOWN_FIELD),
    "unresolved placeholder": ([S, {"type": "placeholder", "name": "h"}], Reason.NOT_CHAT),
    "vendor role": ([S, {"role": "human", "content": "q"}], Reason.UNKNOWN_ROLE),
    "content null": ([S, {"role": "user", "content": None}], Reason.NOT_CHAT),
    "content number": ([S, {"role": "user", "content": 3}], Reason.NOT_CHAT),
    "content parts of no shape": ([S, {"role": "user", "content": ["q"]}], Reason.NOT_CHAT),
    "content part without text": ([S, {"role": "user", "content": [{"type": "text"}]}], Reason.NOT_CHAT),
    "strings for messages": (["s", "q"], Reason.NOT_CHAT),
    "batched messages": ([[S, Q]], Reason.NOT_CHAT),
    "no messages": ([], Reason.EMPTY),
    "empty messages": ({"messages": []}, Reason.EMPTY),
    "arguments of a function": ({"question": "q"}, Reason.NOT_CHAT),
    "null": (None, Reason.NOT_CHAT),
    "number": (3, Reason.NOT_CHAT),
    "lone surrogate": ([S, {"role": "user", "content": "\ud800"}], Reason.NOT_CHAT),
}


@pytest.mark.parametrize("body", ["s", (system("s"),)], ids=["text", "chat"])
@pytest.mark.parametrize("recording", RECORDINGS)
def test_recording(recording: str, body: Body) -> None:
    value, expected = RECORDINGS[recording]
    found = rebuild(body, json.dumps(value))
    assert (found.reason if isinstance(found, NotReplayable) else found) == expected


def test_tool_definitions_are_recovered_in_their_order() -> None:
    found = rebuild("s", json.dumps({"tools": [TOOL], "messages": [S, Q]}))
    assert isinstance(found, CaseInput)
    assert json.loads(found.tools_json) == [TOOL]
    assert found.tools_json.index('"z"') < found.tools_json.index('"a"')


@pytest.mark.parametrize("text", ["", " \n", "\t"])
def test_nothing_recorded(text: str) -> None:
    assert rebuild("{{x}}", text) == NotReplayable(reason=Reason.EMPTY)


def test_no_cut_of_recorded_messages_passes_for_a_prompt() -> None:
    """A text that begins with a variable takes any plain text; JSON that was cut off must not be one."""
    whole = ' [\n{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]'
    for end in range(1, len(whole)):
        for text in (whole[:end], '{"messages": ' + whole[:end], json.dumps("some text")[:end]):
            assert isinstance(rebuild("{{x}}", text), NotReplayable)


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, "9" * 10_000, '"\\ud800"', '[{"role":NaN}]'])
def test_hostile_json_is_refused(text: str) -> None:
    assert isinstance(rebuild(QA, text), NotReplayable)


def test_a_reason_holds_no_recorded_text() -> None:
    found = rebuild("{{a}} and {{b}}", "SECRET and SECRET and SECRET")
    assert found == NotReplayable(reason=Reason.AMBIGUOUS_VARIABLES, detail="a")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{x}}" + "a" * 500 + "b{{y}}", "a" * 1_000_000),
        ("{{x}}b" + "a" * 500 + "{{y}}", "a" * 1_000_000),
        ("{{x}}" + "ab" * 300 + "{{y}}", "ab" * 500_000),
        ("a".join(f"{{{{v{i}}}}}" for i in range(40)), "a" * 1_000_000),
        ("{{x}} end {{x}}", "a " * 500_000 + " end " + "a " * 500_000),
    ],
)
def test_megabytes_of_near_misses_come_to_an_end(template: str, text: str) -> None:
    assert isinstance(rebuild(template, chat(system(text))), NotReplayable | CaseInput)


# ---- properties ------------------------------------------------------------------------------------------------------


def every_assignment(template: str, text: str) -> Iterator[dict[str, str]]:
    """All values that make `text` of `template`, by trying; a variable that is missing was left unfilled."""
    names = sorted(variables(template))
    options = sorted({text[i:j] for i in range(len(text) + 1) for j in range(i, len(text) + 1)})
    for chosen in itertools.product([None, *options], repeat=len(names)):
        values = {name: value for name, value in zip(names, chosen, strict=True) if value is not None}
        if render(template, values) == text:
            yield values


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "ab", "{{x}}", "{{y}}", "{{ x }}"]), max_size=5).map("".join),
    st.text("ab", min_size=1, max_size=6),
)
def test_a_case_exists_only_if_trying_everything_finds_one(template: str, text: str) -> None:
    ways = list(itertools.islice(every_assignment(template, text), 2))
    found = rebuild(template, chat(system(text)))
    if isinstance(found, CaseInput):
        assert [dict(found.variables)] == ways
    elif template.count("{{x}}") + template.count("{{ x }}") <= 1 and template.count("{{y}}") <= 1:
        # without repeats nothing that could be proven is refused, but where the JSON itself would fit
        assert len(ways) != 1 or found.reason is Reason.AMBIGUOUS_FORM


fragments = st.sampled_from(
    ["", "a", "b", "a b", "{{x}}", "{{ x }}", "{{y}}", "{{z}}", "{{", "}}", "\n", '"', "[", "é"]
)
texts = st.lists(fragments, max_size=4).map("".join)
messages = st.builds(Message, role=st.sampled_from(["system", "user", "assistant"]), content=texts)
bodies = texts | st.lists(messages | st.builds(Placeholder, name=st.sampled_from(["h", "g"])), max_size=4).map(tuple)
case_values = st.fixed_dictionaries({name: texts for name in ("x", "y", "z", "")})
slot_values = st.fixed_dictionaries({name: st.lists(messages, max_size=2).map(tuple) for name in ("h", "g")})


def as_sent(body: Body, given_case: CaseInput) -> CaseInput:
    """The part of a case that reached the model: used variables and placeholders, messages with their tags filled."""
    values = dict(given_case.variables)
    return CaseInput(
        variables=tuple(item for item in given_case.variables if item[0] in variables(body)),
        placeholders=tuple(
            (name, tuple(Message(role=m.role, content=render(m.content, values)) for m in slot_messages))
            for name, slot_messages in given_case.placeholders
            if name in placeholders(body)
        ),
        history=given_case.history,
    )


def is_never_wrong(body: Body, given_case: CaseInput, recorded: str) -> None:
    found = rebuild(body, recorded)
    if isinstance(found, CaseInput):
        assert found == as_sent(body, given_case)


@settings(max_examples=500, deadline=None)
@given(bodies, case_values, slot_values, st.lists(messages, max_size=3).map(tuple))
def test_a_rebuilt_case_is_the_original(
    body: Body,
    values: dict[str, str],
    slots: dict[str, tuple[Message, ...]],
    history: tuple[Message, ...],
) -> None:
    given_case = CaseInput(
        variables=tuple(sorted(values.items())), placeholders=tuple(sorted(slots.items())), history=history
    )
    is_never_wrong(body, given_case, chat(*fill(body, given_case)))


@settings(max_examples=250, deadline=None)
@given(texts | st.just("{{x}}"), case_values, st.sampled_from(["plain", "json", "user"]))
def test_a_rebuilt_text_is_the_original_in_every_form(template: str, values: dict[str, str], form: str) -> None:
    given_case = CaseInput(variables=tuple(sorted(values.items())))
    text = render(template, values)
    recorded = {"plain": text, "json": json.dumps(text), "user": chat(user(text))}[form]
    is_never_wrong(template, given_case, recorded)


@settings(max_examples=300, deadline=None)
@given(texts, st.dictionaries(st.sampled_from(["x", "y", "z"]), texts))
def test_a_variable_that_was_not_given_is_never_invented(template: str, values: dict[str, str]) -> None:
    given_case = CaseInput(variables=tuple(sorted(values.items())))
    is_never_wrong(template, given_case, chat(*fill(template, given_case)))


@settings(max_examples=60, deadline=None)
@given(
    texts,
    st.recursive(st.none() | st.booleans() | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner)),
)
def test_a_value_that_looks_like_json_is_never_parsed(template: str, value: Any) -> None:
    """The recorded text is the prompt; part of it happens to be JSON."""
    data = json.dumps(value)
    body = template + "{{x}}"
    given_case = CaseInput(variables=(("x", data), ("y", data), ("z", "")))
    is_never_wrong(body, given_case, render(body, dict(given_case.variables)))
