"""A reply is read strictly or asked for again, with the reason."""

import pytest
from scripted import ScriptedModel, in_order

from optimizer.errors import BadCredentials, CutOff, EmptyReply, Garbled, Refused
from optimizer.ports import ModelRequest
from optimizer.prompts import Message
from optimizer.replies import REPLY_CHARS, JsonObject, ask, flag_in, json_object, objects_in, text_in

REQUEST = ModelRequest(purpose="backward", model="m", messages=(Message(role="user", content="question"),))


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        '  {"a": 1}\n',
        '```json\n{"a": 1}\n```',
        'Sure! I kept {{shop}} and {braces}:\n{"a": 1}\nAnything else?',
        '{"a": 1} and once more {"a": 1}',
    ],
)
def test_the_object_is_found_whatever_stands_around_it(text: str) -> None:
    assert json_object(text) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no JSON here", "no complete JSON object"),
        ("", "no complete JSON object"),
        ("[1, 2]", "no complete JSON object"),
        ('{"change": true, "gradient": "cut o', "no complete JSON object"),
        ('Example: {"a": 1}. Mine: {"a": 2}', "2 different JSON objects"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "a name stands twice"),
        ('{"a": NaN}', "not JSON"),
        ('{"a":' * 5_000, "nested too deeply"),
        ("{" * 50_000, "only braces"),
        ("x" * (REPLY_CHARS + 1), "longer than"),
    ],
)
def test_what_cannot_be_read_is_garbled_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(Garbled, match=reason):
        json_object(text)


def test_fields_are_checked() -> None:
    fields: JsonObject = {"text": " kept ", "flag": True, "one": 1, "list": [{}], "mixed": [{}, 1], "half": "\ud800"}
    assert text_in(fields, "text") == " kept "
    assert flag_in(fields, "flag") is True
    assert objects_in(fields, "list") == [{}]
    for read, name in [(text_in, "one"), (text_in, "gone"), (text_in, "half"), (flag_in, "one"), (objects_in, "mixed")]:
        with pytest.raises(Garbled, match=name):
            read(fields, name)


def number(fields: JsonObject) -> int:
    if not isinstance(fields.get("n"), int):
        raise Garbled('"n" must be a number.')
    return int(fields["n"])


async def test_a_bad_reply_is_asked_for_again_with_the_reason() -> None:
    model = ScriptedModel(in_order("nonsense", '{"n": "x"}', '{"n": 7}'))
    answer = await ask(model, REQUEST, number, attempts=3)
    assert (answer.value, answer.text) == (7, '{"n": 7}')
    first, second, third = model.requests
    assert first is REQUEST
    assert [request.attempt for request in model.requests] == [0, 1, 2]
    assert len({request.key for request in model.requests}) == 3
    assert second.messages[:2] == (*REQUEST.messages, Message(role="assistant", content="nonsense"))
    assert "cannot be used: there is no complete JSON object in it." in second.messages[2].content
    assert third.messages[:3] == second.messages
    assert 'cannot be used: "n" must be a number.\n' in third.messages[4].content
    assert answer.request == third


@pytest.mark.parametrize("error", [CutOff("it was cut off"), EmptyReply("it is empty"), Refused("it is a refusal")])
async def test_replies_that_the_connector_refuses_are_repaired_too(error: CutOff | EmptyReply | Refused) -> None:
    model = ScriptedModel(in_order(error, '{"n": 1}'))
    assert (await ask(model, REQUEST, number, attempts=2)).value == 1
    assert [message.content for message in model.requests[1].messages[1:2]] == ["(no usable reply)"]
    assert str(error) in model.requests[1].messages[2].content


async def test_the_last_reason_is_raised_when_no_reply_can_be_used() -> None:
    model = ScriptedModel(lambda _: '{"n": "never"}')
    with pytest.raises(Garbled, match='"n" must be a number'):
        await ask(model, REQUEST, number, attempts=3)
    assert len(model.requests) == 3


async def test_other_errors_pass_through_at_once() -> None:
    model = ScriptedModel(lambda _: BadCredentials("the key was refused", "set another"))
    with pytest.raises(BadCredentials):
        await ask(model, REQUEST, number, attempts=3)
    assert len(model.requests) == 1


async def test_a_long_bad_reply_is_shown_to_its_author_in_part() -> None:
    model = ScriptedModel(in_order("x" * 50_000, '{"n": 1}'))
    await ask(model, REQUEST, number, attempts=2)
    assert len(model.requests[1].messages[1].content) < 5_000
