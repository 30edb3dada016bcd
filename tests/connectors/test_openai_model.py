"""OpenAIModel over real HTTP: answers, errors, waits, dialects, concurrency."""

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from scripted_chat import Script, ScriptedChat, ask, completion, failure, in_turn
from starlette.responses import Response, StreamingResponse

from connectors.openai import CallRules, OpenAIModel, retry_after_s
from connectors.pricing import Prices
from optimizer.errors import (
    BadAnswer,
    BadCredentials,
    BadReply,
    BadSettings,
    CutOff,
    Declined,
    EmptyReply,
    Garbled,
    NotFound,
    Permanent,
    RateLimited,
    Refused,
    ServerFault,
    TracegradError,
    Transient,
    Unreachable,
)
from optimizer.prompts import Message
from optimizer.steps.sampling import sampled
from optimizer.types import Missing, Usage
from sandbox.serving import serve

SCHEMA = '{"type":"object","properties":{"score":{"type":"number"}},"required":["score"],"additionalProperties":false}'
SCHEMA_LINE = "Reply with one JSON object that follows this JSON schema:\n"
KEY = "sk-secret-of-the-test"


class Setup:
    """A served script, a model that talks to it, and the waits that the model would have made."""

    def __init__(self, base_url: str, chat: ScriptedChat, **rules: Any) -> None:
        self.chat = chat
        self.waits: list[float] = []
        self.model = OpenAIModel(
            f"{base_url}/v1",
            KEY,
            prices=Prices(base_url, {"tiny": (2.0, 10.0)}),
            rules=CallRules(**rules),
            sleep=self._sleep,
            jitter=lambda _request, _attempt: 0.5,
        )

    async def _sleep(self, wait_s: float) -> None:
        self.waits.append(wait_s)


@contextmanager
def scripted(script: Script, **rules: Any) -> Iterator[Setup]:
    chat = ScriptedChat(script)
    with serve(chat.app) as base_url:
        yield Setup(base_url, chat, **rules)


async def raised(script: Script, **rules: Any) -> tuple[TracegradError, Setup]:
    """The error of one call."""
    with scripted(script, **rules) as setup:
        async with setup.model as model:
            with pytest.raises(TracegradError) as caught:
                await model.complete(ask())
    return caught.value, setup


async def test_a_reply_carries_text_model_tokens_and_dollars() -> None:
    with scripted(in_turn(completion())) as setup:
        async with setup.model as model:
            reply = await model.complete(ask(temperature=0.3, max_tokens=77))
    assert reply.text == "Good day."
    assert reply.model == "tiny-2026-01-01"
    assert reply.usage == Usage(calls=1, input_tokens=1000, output_tokens=100, cost_usd=0.003)
    assert setup.chat.bodies == [
        {
            "model": "tiny",
            "messages": [
                {"role": "system", "content": "Answer customers kindly."},
                {"role": "user", "content": "Where is my parcel, the one with the green ribbon?"},
            ],
            "temperature": 0.3,
            "max_tokens": 77,
        }
    ]
    assert setup.chat.headers[0]["authorization"] == f"Bearer {KEY}"


async def test_content_in_parts_is_one_text_and_lone_surrogates_do_not_survive() -> None:
    parts = [{"type": "text", "text": "Good "}, {"type": "text", "text": "day\ud800."}]
    with scripted(in_turn(completion(parts))) as setup:
        async with setup.model as model:
            assert (await model.complete(ask())).text == "Good day?."


async def test_without_usage_the_cost_is_not_recorded() -> None:
    bare = Response('{"choices":[{"message":{"content":"Hm."}}]}', media_type="application/json")
    with scripted(in_turn(bare)) as setup:
        async with setup.model as model:
            reply = await model.complete(ask())
    assert (reply.model, reply.usage) == ("tiny", Usage(calls=1, cost_usd=Missing.NOT_RECORDED))


async def test_tool_definitions_are_passed_through() -> None:
    tools = [{"type": "function", "function": {"name": "track", "parameters": {"type": "object"}}}]
    with scripted(in_turn(completion())) as setup:
        async with setup.model as model:
            await model.complete(ask(tools_json=json.dumps(tools)))
            with pytest.raises(Permanent, match="not a JSON list; leave this case out"):
                await model.complete(ask(tools_json="{broken"))
    assert [body.get("tools") for body in setup.chat.bodies] == [tools]


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (completion("Half of", finish="length"), CutOff, "2048 tokens"),
        (completion(None, finish="length"), CutOff, "2048 tokens"),
        (completion("", finish="content_filter"), Refused, "content filter"),
        (completion(None, refusal="I will not."), Refused, "declined"),
        (completion(None), EmptyReply, "no text"),
        (completion(" \n\t"), EmptyReply, "no text"),
        (completion("x" * 200_000), Garbled, "far longer than"),
        (completion(None, finish="tool_calls", tool_calls=[{"id": "1"}]), EmptyReply, "called a tool"),
    ],
)
async def test_unusable_replies_are_raised_once_with_what_they_cost(
    answer: Response, kind: type[BadReply], words: str
) -> None:
    error, setup = await raised(in_turn(answer))
    assert isinstance(error, kind)
    assert words in str(error)
    assert error.usage == Usage(calls=1, input_tokens=1000, output_tokens=100, cost_usd=0.003)
    assert len(setup.chat.bodies) == 1


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (failure(401, f"Incorrect key {KEY}"), BadCredentials, "Incorrect key ***; check the model's API key."),
        (failure(403), BadCredentials, "403"),
        (failure(404, "no such model"), NotFound, "knows no model 'tiny': no such model; check the name"),
        (failure(400, "too long " * 100), Declined, "refused the task request (400): too long"),
        (failure(429, "pay", code="insufficient_quota"), BadCredentials, "quota is used up: pay; add credit"),
        (Response("<html>hello</html>", media_type="text/html"), BadAnswer, "answered HTML"),
        (Response("<html>no</html>", 404, media_type="text/html"), NotFound, "knows no model 'tiny'; check"),
        (Response(b'{"choices": "\xff\xfe"}', media_type="application/json"), BadAnswer, "not JSON"),
        (Response("[" * 100_000, media_type="application/json"), BadAnswer, "not JSON"),
        (Response("[1]", media_type="application/json"), BadAnswer, "not an object"),
        (Response('{"choices":[{"message":{"content":7}}]}'), BadAnswer, "bad field: choices.0.message.content"),
        (Response('{"ok":true}'), BadAnswer, "bad field: choices"),
        (Response('{"choices":[],"usage":{"prompt_tokens":-1}}'), BadAnswer, "bad field: usage.prompt_tokens"),
        (Response(f'{{"choices":[],"usage":{{"completion_tokens":{10**30}}}}}'), BadAnswer, "usage.completion_tokens"),
        (Response("", 308, {"location": "/elsewhere"}), BadAnswer, "redirects"),
    ],
)
async def test_permanent_errors_are_raised_at_once_in_one_sentence(
    answer: Response, kind: type[Permanent], words: str
) -> None:
    error, setup = await raised(in_turn(answer))
    assert type(error) is kind
    assert words in str(error)
    assert str(error).endswith(".")
    assert len(str(error)) < 450
    assert KEY not in str(error)
    assert (len(setup.chat.bodies), setup.waits) == (1, [])


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 529])
async def test_faults_are_tried_again_with_growing_waits_then_raised(status: int) -> None:
    error, setup = await raised(in_turn(failure(status)), attempts=4, backoff_s=1.0, backoff_limit_s=3.0)
    assert isinstance(error, ServerFault)
    assert setup.waits == [0.75, 1.5, 2.25]
    assert len(setup.chat.bodies) == 4


async def test_a_fault_that_passes_is_not_seen() -> None:
    html = Response("<html>Bad gateway</html>", 502, media_type="text/html")
    with scripted(in_turn(html, failure(500), completion())) as setup:
        async with setup.model as model:
            assert (await model.complete(ask())).text == "Good day."
    assert len(setup.waits) == 2


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "9", "retry-after-ms": "1500"}, 1.5),
    ],
)
async def test_retry_after_is_obeyed(headers: dict[str, str], wait_s: float) -> None:
    with scripted(in_turn(failure(429, headers=headers), completion()), backoff_s=0.1) as setup:
        async with setup.model as model:
            await model.complete(ask())
    assert setup.waits == [pytest.approx(wait_s + 0.05)]


@pytest.mark.parametrize(
    ("until", "wait_s"),
    [("10:00:11 GMT", 11.0), ("09:59:00 GMT", 0.0), ("12:00:11 +0200", 11.0), ("10:00:11 -0000", 0.0)],
)
def test_a_date_to_retry_at_counts_from_the_servers_own_clock(until: str, wait_s: float) -> None:
    headers = {"retry-after": f"Sat, 21 Nov 2026 {until}", "date": "Sat, 21 Nov 2026 10:00:00 GMT"}
    assert retry_after_s(headers) == wait_s
    assert retry_after_s({"retry-after": headers["retry-after"]}) == 0.0


@pytest.mark.parametrize("value", ["soon", "-3", "nan", "inf", ""])
async def test_a_senseless_retry_after_leaves_the_backoff(value: str) -> None:
    with scripted(in_turn(failure(429, headers={"retry-after": value}), completion()), backoff_s=1.0) as setup:
        async with setup.model as model:
            await model.complete(ask())
    assert setup.waits == [0.75]


async def test_a_wait_beyond_the_limit_is_the_callers() -> None:
    error, setup = await raised(in_turn(failure(429, headers={"retry-after": "3600"})), retry_after_limit_s=60.0)
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == 3600.0
    assert (len(setup.chat.bodies), setup.waits) == (1, [])


async def test_an_error_under_status_200_counts_as_its_code() -> None:
    gateway = Response('{"error": {"code": 503, "message": "upstream is down"}}', media_type="application/json")
    with scripted(in_turn(gateway, completion())) as setup:
        async with setup.model as model:
            await model.complete(ask())
    assert len(setup.waits) == 1
    error, _ = await raised(in_turn(Response('{"error": {"code": "odd"}}')), attempts=1)
    assert isinstance(error, ServerFault)


async def test_a_server_that_never_ends_its_answer_times_out() -> None:
    async def trickle(_body: Any, _call: int) -> Response:
        async def drops() -> Any:
            while True:
                yield b" "
                await asyncio.sleep(0.01)

        return StreamingResponse(drops(), media_type="application/json")

    error, setup = await raised(trickle, attempts=2, timeout_s=0.2)
    assert isinstance(error, Unreachable)
    assert "no answer within 0.2 s" in str(error)
    assert len(setup.chat.bodies) == 2


async def test_nobody_listens() -> None:
    with scripted(in_turn(completion()), attempts=3) as setup:
        pass
    async with setup.model as model:
        with pytest.raises(Unreachable, match="cannot be reached"):
            await model.complete(ask())
    assert len(setup.waits) == 2


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nshort", b"nonsense\r\n\r\n"])
async def test_a_broken_connection_is_unreachable(answer: bytes) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, OpenAIModel(f"http://127.0.0.1:{port}/v1", KEY, rules=CallRules(attempts=1)) as model:
        with pytest.raises(Transient):
            await model.complete(ask())


async def test_structured_replies_are_asked_for_strictly() -> None:
    with scripted(in_turn(completion('{"score": 1}'))) as setup:
        async with setup.model as model:
            await model.complete(ask(reply_schema=SCHEMA, reply_name="judgement"))
    assert setup.chat.bodies[0]["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "judgement", "strict": True, "schema": json.loads(SCHEMA)},
    }
    assert SCHEMA_LINE not in setup.chat.bodies[0]["messages"][0]["content"]


@pytest.mark.parametrize("status", [400, 422])
async def test_a_server_without_structured_replies_gets_the_schema_in_words_from_then_on(status: int) -> None:
    def script(body: dict[str, Any], _call: int) -> Response:
        return failure(status, "response_format?") if "response_format" in body else completion('{"score": 1}')

    with scripted(script) as setup:
        async with setup.model as model:
            for model_name in ("tiny", "tiny", "other"):
                await model.complete(ask(model=model_name, reply_schema=SCHEMA, reply_name="judgement"))
            user = (Message(role="user", content="Hi"),)
            await model.complete(ask(reply_schema=SCHEMA, messages=user))
    bodies = setup.chat.bodies
    assert ["response_format" in body for body in bodies] == [True, False, False, True, False, False]
    titled = json.dumps({**json.loads(SCHEMA), "title": "judgement"}, sort_keys=True, separators=(",", ":"))
    system = {"role": "system", "content": f"Answer customers kindly.\n\n{SCHEMA_LINE}{titled}"}
    assert [body["messages"][0] for body in bodies[1:3]] == [system, system]
    assert [message["role"] for message in bodies[5]["messages"]] == ["system", "user"]
    assert bodies[5]["messages"][0]["content"].startswith(SCHEMA_LINE)


async def test_a_refusal_for_another_reason_teaches_nothing() -> None:
    with scripted(in_turn(failure(400, "context is full"), failure(400, "context is full"), completion("{}"))) as setup:
        async with setup.model as model:
            with pytest.raises(Permanent, match="context is full"):
                await model.complete(ask(reply_schema=SCHEMA))
            await model.complete(ask(reply_schema=SCHEMA))
    assert ["response_format" in body for body in setup.chat.bodies] == [True, False, True]


@pytest.mark.parametrize("understood", ["max_tokens", "max_completion_tokens"])
async def test_each_model_gets_the_token_limit_under_the_name_it_knows(understood: str) -> None:
    def script(body: dict[str, Any], _call: int) -> Response:
        wrong = {"max_tokens", "max_completion_tokens"} & body.keys() - {understood}
        return failure(400, f"'{wrong.pop()}' is not supported.") if wrong else completion()

    with scripted(script) as setup:
        async with setup.model as model:
            await model.complete(ask())
            await model.complete(ask())
    first = [] if understood == "max_tokens" else [False]
    assert [understood in body for body in setup.chat.bodies] == [*first, True, True]


async def test_a_token_limit_that_is_too_large_keeps_its_name_and_no_refusal_goes_in_a_circle() -> None:
    error, setup = await raised(in_turn(failure(400, "max_tokens is too large")))
    assert "too large" in str(error)
    assert len(setup.chat.bodies) == 1
    both = "max_tokens and max_completion_tokens and temperature are not supported"
    error, setup = await raised(in_turn(failure(400, both)))
    assert type(error) is Declined
    assert len(setup.chat.bodies) == 3


async def test_a_model_that_refuses_temperature_is_asked_without_it() -> None:
    def script(body: dict[str, Any], _call: int) -> Response:
        if "max_tokens" in body:
            return failure(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return failure(400, "'temperature' does not support 0.0") if "temperature" in body else completion()

    with scripted(script) as setup:
        async with setup.model as model:
            await model.complete(ask())
            await model.complete(ask())
    assert ["temperature" in body for body in setup.chat.bodies] == [True, True, False, False]


async def test_independent_samples_of_one_request_are_different_bytes_and_every_try_of_one_is_the_same() -> None:
    def script(body: dict[str, Any], call: int) -> Response:
        return failure(503) if call == 1 else completion(f"sample {body.get('seed')}")

    with scripted(script) as setup:
        async with setup.model as model:
            said = [(await model.complete(sampled(ask(), number))).text for number in (0, 1, 2, 2)]
    assert said == ["sample None", "sample 100", "sample 200", "sample 200"]
    first, failed, second, third, again = setup.chat.bodies
    assert (failed, third) == (second, again)
    assert {**first, "temperature": 0.7, "seed": 100} == second
    assert {**second, "seed": 200} == third


@pytest.mark.parametrize("status", [400, 422])
async def test_a_server_that_refuses_a_seed_is_asked_without_it(status: int) -> None:
    words = [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "input": 1}]

    def script(body: dict[str, Any], _call: int) -> Response:
        refused = Response(json.dumps({"detail": words}), status, media_type="application/json")
        return refused if "seed" in body else completion("{}")

    with scripted(script) as setup:
        async with setup.model as model:
            await model.complete(sampled(ask(reply_schema=SCHEMA), 1))
            await model.complete(sampled(ask(reply_schema=SCHEMA), 2))
    assert ["seed" in body for body in setup.chat.bodies] == [True, False, False]
    assert all("response_format" in body and body["temperature"] == 0.7 for body in setup.chat.bodies)


async def test_a_refusal_that_names_a_seed_nobody_sent_teaches_nothing() -> None:
    error, setup = await raised(in_turn(failure(400, "no seed is sown")))
    assert type(error) is Declined
    assert len(setup.chat.bodies) == 1


@pytest.mark.parametrize(
    "error_body",
    [
        {"error": {"message": "bad: Where is my parcel, the one with the green ribbon?"}},
        {"detail": [{"loc": ["body", "x"], "msg": "field required", "input": "the one with the green ribbon?"}]},
        {"detail": "input_value='Where is my parcel, the one"},
    ],
)
async def test_no_message_text_in_errors_or_logs(error_body: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error, _ = await raised(in_turn(Response(json.dumps(error_body), 400, media_type="application/json")))
    assert isinstance(error, Permanent)
    for place in (str(error), caplog.text):
        assert "green ribbon" not in place
        assert "my parcel" not in place
        assert "customers kindly" not in place
    assert KEY not in caplog.text


async def test_concurrency_is_bounded_and_every_one_of_300_calls_is_answered() -> None:
    full = asyncio.Event()

    async def echo(body: dict[str, Any], call: int) -> Response:
        if setup.chat.in_flight == 8:
            full.set()
        await full.wait()  # the first eight answers wait for one another
        await asyncio.sleep(0.005)
        return failure(503) if call % 7 == 0 else completion(f"re: {body['messages'][-1]['content']}")

    requests = [ask(messages=(Message(role="user", content=f"question {n}"),)) for n in range(300)]
    with scripted(echo, concurrency=8) as setup:
        async with setup.model as model:
            replies = await asyncio.gather(*(model.complete(request) for request in requests))
    assert [reply.text for reply in replies] == [f"re: question {n}" for n in range(300)]
    assert setup.chat.most_in_flight == 8


async def test_a_call_that_waits_keeps_its_place() -> None:
    seconds: list[asyncio.Task[Any]] = []

    async def sleep(_wait_s: float) -> None:
        seconds.append(asyncio.create_task(model.complete(ask(model="second"))))
        await asyncio.wait(seconds, timeout=0.3)

    chat = ScriptedChat(in_turn(failure(503), completion()))
    with serve(chat.app) as base_url:
        async with OpenAIModel(f"{base_url}/v1", KEY, rules=CallRules(concurrency=1), sleep=sleep) as model:
            await model.complete(ask(model="first"))
            await seconds[0]
    assert [body["model"] for body in chat.bodies] == ["first", "first", "second"]


async def test_cancelled_calls_leave_nothing_behind_and_give_their_place_back() -> None:
    reached = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def slow(_body: dict[str, Any], call: int) -> Response:
        if call < 2:
            loop.call_soon_threadsafe(reached.set)
            await asyncio.sleep(0.3)
        return completion()

    with scripted(slow, concurrency=2) as setup:
        async with setup.model as model:
            calls = [asyncio.create_task(model.complete(ask())) for _ in range(5)]
            await reached.wait()
            for call in calls:
                call.cancel()
            ends = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError) for end in ends)
            assert (await model.complete(ask())).text == "Good day."


@pytest.mark.parametrize(("base_url", "key"), [("ftp://x", "k"), ("nonsense", "k"), ("http://x/v1", "k\n")])
def test_senseless_settings_are_refused_when_the_model_is_made(base_url: str, key: str) -> None:
    with pytest.raises(BadSettings):
        OpenAIModel(base_url, key)
