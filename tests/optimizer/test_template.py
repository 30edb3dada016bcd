"""The template language against its oracle, the SDK's own prompt clients."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langfuse.api import Prompt_Chat, Prompt_Text
from langfuse.model import ChatPromptClient, TextPromptClient

from optimizer.prompts import Body, Message, Placeholder
from optimizer.template import (
    Variable,
    composition_tags,
    contents,
    fill,
    pieces,
    placeholders,
    render,
    variable_uses,
    variables,
)
from optimizer.types import CaseInput

COMMON: dict[str, Any] = {"name": "p", "version": 1, "config": {}, "labels": [], "tags": []}

TEMPLATES = [
    "",
    "plain",
    "{{x}}",
    "{{ x }}",
    "{{\tx\n}}",
    "{{x}}{{y}}",
    "{{x}} and {{x}}",
    "{{{x}}}",
    "{{{{x}}}}",
    "{{}}",
    "{{ }}",
    "{{x",
    "x}} {{y}}",
    "}}{{x}}{{",
    "{{a {{x}} b}}",
    "{ {x} }",
    '{"json": {"a": "{{x}}"}}',
    "{{x}}\r\n{{y}}\n",
    "{{üñ}} {{a-b.c}} {{a b}}",
    "{{#if x}} {{/if}} {{> y}}",
    "@@@langfusePrompt:name=a|version=1@@@ {{x}}",
]


def sdk_text(template: str) -> TextPromptClient:
    return TextPromptClient(Prompt_Text(prompt=template, type="text", **COMMON))


def sdk_chat(body: tuple[Message | Placeholder, ...]) -> ChatPromptClient:
    parts = [
        {"type": "placeholder", "name": part.name}
        if isinstance(part, Placeholder)
        else {"type": "chatmessage", "role": part.role, "content": part.content}
        for part in body
    ]
    return ChatPromptClient(Prompt_Chat.model_validate({"prompt": parts, "type": "chat", **COMMON}))


def inputs(values: dict[str, str], slots: dict[str, tuple[Message, ...]] | None = None) -> CaseInput:
    return CaseInput(variables=tuple(sorted(values.items())), placeholders=tuple(sorted((slots or {}).items())))


templates = st.one_of(
    st.sampled_from(TEMPLATES),
    st.lists(st.sampled_from(["{{", "}}", "{", "}", "x", "y", " ", "\n", "{{x}}", "{{ y }}", "text "])).map("".join),
)
values = st.dictionaries(
    st.sampled_from(["x", "y", "", "a {{x", "{x", "üñ", "a b"]),
    st.sampled_from(["", "1", "{{y}}", "{{x}}", "}}", "{{", "long value\n", "@@@langfusePrompt:name=a|version=1@@@"]),
)


@given(templates, values)
def test_a_text_prompt_is_filled_as_the_sdk_fills_it(template: str, data: dict[str, str]) -> None:
    sdk = sdk_text(template)
    assert fill(template, inputs(data)) == (Message(role="system", content=sdk.compile(**data)),)
    assert list(variable_uses(template)) == sdk.variables


messages = st.builds(Message, role=st.sampled_from(["system", "user", "assistant"]), content=templates)


@given(st.lists(messages | st.sampled_from([Placeholder(name="h"), Placeholder(name="g")])), values, st.lists(messages))
def test_a_chat_prompt_is_filled_as_the_sdk_fills_it(
    parts: list[Message | Placeholder], data: dict[str, str], slot: list[Message]
) -> None:
    body, sdk = tuple(parts), sdk_chat(tuple(parts))
    slots: dict[str, tuple[Message, ...]] = {"h": tuple(slot), "g": ()}
    as_dicts = {name: [{"role": m.role, "content": m.content} for m in found] for name, found in slots.items()}
    sent: Any = sdk.compile(**data, **as_dicts)
    compiled = [(m["role"], m["content"]) for m in sent]
    assert [(m.role, m.content) for m in fill(body, inputs(data, slots))] == compiled
    assert list(variable_uses(body)) == sdk.variables


@given(templates)
def test_pieces_add_up_to_the_template(template: str) -> None:
    found = list(pieces(template))
    assert "".join(p.raw if isinstance(p, Variable) else p for p in found) == template
    assert "" not in found


def test_values_are_never_templates() -> None:
    assert render("{{a}} {{b}}", {"a": "{{b}}", "b": "2"}) == "{{b}} 2"


def test_history_follows_and_is_not_filled() -> None:
    history = (Message(role="user", content="what is {{x}}?"),)
    filled = fill("Be {{x}}.", CaseInput(variables=(("x", "kind"),), history=history))
    assert filled == (Message(role="system", content="Be kind."), *history)


def test_a_placeholder_without_messages_expands_to_nothing() -> None:
    body = (Message(role="system", content="a"), Placeholder(name="h"), Message(role="user", content="b"))
    assert [m.content for m in fill(body, CaseInput())] == ["a", "b"]


CHAT = (
    Message(role="system", content="{{a}} @@@langfusePrompt:name=x|label=production@@@ {{a}}"),
    Placeholder(name="two"),
    Message(role="user", content="{{ b }} @@@langfusePrompt:name=y|version=2@@@"),
    Placeholder(name="one"),
)


@pytest.mark.parametrize(
    ("body", "names", "uses", "slots", "tags"),
    [
        ("none", set(), (), (), ()),
        ("{{b}} {{a}} {{b}}", {"a", "b"}, ("b", "a", "b"), (), ()),
        (
            CHAT,
            {"a", "b"},
            ("a", "a", "b"),
            ("two", "one"),
            ("@@@langfusePrompt:name=x|label=production@@@", "@@@langfusePrompt:name=y|version=2@@@"),
        ),
        ("@@@langfusePrompt:name=a\n|version=1@@@ @@@other@@@", set(), (), (), ()),
    ],
)
def test_what_a_body_asks_for(
    body: Body, names: set[str], uses: tuple[str, ...], slots: tuple[str, ...], tags: tuple[str, ...]
) -> None:
    assert variables(body) == names
    assert variable_uses(body) == uses
    assert placeholders(body) == slots
    assert composition_tags(body) == tags
    assert len(contents(body)) == (1 if isinstance(body, str) else 2)
