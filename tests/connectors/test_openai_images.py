"""Messages with images, as a real server gets them."""

from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from scripted_chat import Script, ScriptedChat, ask, completion, failure, in_turn

from connectors.openai import OpenAIModel
from optimizer.errors import Declined
from optimizer.images import Image
from optimizer.prompts import Message
from sandbox.serving import serve

PNG = Image(b"\x89PNG\r\n\x1a\n" + bytes(range(64)))
JPEG = Image(b"\xff\xd8\xff" + bytes(40))
SCHEMA = '{"type":"object","properties":{"score":{"type":"number"}},"required":["score"]}'


def seen(*parts: str | Image, role: str = "user") -> Message:
    return Message(role=role, content="\n".join(part for part in parts if isinstance(part, str)), parts=parts)


@contextmanager
def served(script: Script) -> Iterator[tuple[OpenAIModel, ScriptedChat]]:
    chat = ScriptedChat(script)
    with serve(chat.app) as base_url:
        yield OpenAIModel(f"{base_url}/v1", "sk"), chat


async def test_texts_and_images_arrive_in_their_order() -> None:
    message = seen("What is wrong here?", PNG, "", "And here?", JPEG)
    with served(in_turn(completion())) as (model, chat):
        async with model:
            await model.complete(ask(messages=(Message(role="system", content="Look."), message)))
    system, user = chat.bodies[0]["messages"]
    assert system == {"role": "system", "content": "Look."}
    assert [part["type"] for part in user["content"]] == ["text", "image_url", "text", "image_url"]
    assert [part["text"] for part in user["content"] if part["type"] == "text"] == ["What is wrong here?", "And here?"]
    urls = [part["image_url"]["url"] for part in user["content"] if part["type"] == "image_url"]
    assert [url.partition(",")[0] for url in urls] == ["data:image/png;base64", "data:image/jpeg;base64"]
    assert [b64decode(url.partition(",")[2]) for url in urls] == [PNG.data, JPEG.data]


async def test_a_schema_in_words_joins_a_first_message_with_images() -> None:
    request = ask(messages=(seen("Look.", PNG, role="system"),), reply_schema=SCHEMA, reply_name="judgement")
    refused = failure(400, "'response_format' is not supported with this model")
    with served(in_turn(refused, completion('{"score": 1}'))) as (model, chat):
        async with model:
            await model.complete(request)
    first, second = (body["messages"][0]["content"] for body in chat.bodies)
    assert second[:-1] == first
    assert "judgement" in second[-1]["text"]


async def test_an_error_that_repeats_an_image_is_not_quoted() -> None:
    whole = "iVBORw0KGgoAAQIDBAUGBwgJCgsMDQ4P"
    request = replace(ask(), messages=(seen("Look.", PNG),))
    with served(in_turn(failure(400, f"cannot read {whole}"))) as (model, _):
        async with model:
            with pytest.raises(Declined) as caught:
                await model.complete(request)
    assert whole[:24] not in str(caught.value)
    assert "left out" in str(caught.value)
