"""The key of a request stands for everything that shapes its answer, and for nothing else."""

from dataclasses import fields, replace

import pytest

from optimizer.images import Image
from optimizer.ports import ModelRequest
from optimizer.prompts import Message

PNG = b"\x89PNG\r\n\x1a\n"
REQUEST = ModelRequest(purpose="task", model="small", messages=(Message(role="user", content="ab"),))
OTHERS = {
    "purpose": "judge",
    "model": "large",
    "messages": (Message(role="user", content="ab"), Message(role="user", content="")),
    "reply_schema": "{}",
    "reply_name": "edits",
    "temperature": 1.0,
    "max_tokens": 1,
    "tools_json": "[]",
    "attempt": 1,
}


def test_every_field_has_another_value_here() -> None:
    assert set(OTHERS) == {field.name for field in fields(ModelRequest)}


@pytest.mark.parametrize("name", OTHERS)
def test_every_field_is_in_the_key(name: str) -> None:
    assert replace(REQUEST, **{name: OTHERS[name]}).key != REQUEST.key  # type: ignore[arg-type]


def test_equal_requests_have_one_key() -> None:
    assert replace(REQUEST).key == REQUEST.key


def said(*contents: str) -> str:
    return replace(REQUEST, messages=tuple(Message(role="user", content=content) for content in contents)).key


def test_texts_do_not_run_into_each_other() -> None:
    assert len({said("ab", "c"), said("a", "bc"), said("abc"), said("abc", ""), said("", "abc")}) == 5


def test_images_are_in_the_key() -> None:
    def shown(*tails: bytes) -> str:
        parts: tuple[str | Image, ...] = ("look", *(Image(PNG + tail) for tail in tails))
        return replace(REQUEST, messages=(Message(role="user", content="look", parts=parts),)).key

    assert len({shown(b"1"), shown(b"2"), shown(b"1", b"2"), shown(b"2", b"1"), said("look")}) == 5


def test_the_order_of_texts_and_images_is_in_the_key() -> None:
    def shown(*parts: str | Image) -> str:
        return replace(REQUEST, messages=(Message(role="user", content="a\nb", parts=parts),)).key

    image = Image(PNG)
    assert len({shown("a", image, "b"), shown("a", "b", image), shown(image, "a", "b")}) == 3
