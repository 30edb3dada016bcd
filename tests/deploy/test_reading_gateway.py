"""The reading gateway between our real connectors and a simulated Langfuse: all reads pass, and nothing else does."""

import asyncio
import gzip
import json
import socket
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from deploy.collecting import collect
from deploy.gateway_settings import GatewaySettings
from deploy.settings import LangfuseSettings, Settings
from deploy.store.fence import Run
from deploy.web.reading_gateway import ONLY_READS, ReadingGateway, passing, serving
from deploy.wiring import opened
from optimizer.errors import BadCredentials, BadSettings, Transient
from optimizer.prompts import Head
from sandbox.langfuse.app import create_app
from sandbox.scenario.otlp import Generated
from sandbox.scenario.project import LangfuseProject
from sandbox.serving import serve

PUBLIC, SECRET = "pk-lf-sandbox", "sk-lf-sandbox"
NAME = "shop/support ä"
OWN = GatewaySettings(public_key="reader", secret_key="only-reads")
TRACEGRAD = Path(sys.executable).parent / "tracegrad"
KEYS = b"authorization: Basic " + b64encode(b"reader:only-reads") + b"\r\n"
PROMPT = "/api/public/v2/prompts/support"


class Recorder:
    """An ASGI layer that notes what reached Langfuse."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.lines: list[str] = []
        self.headers: list[dict[bytes, bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.lines.append(f"{scope['method']} {scope['raw_path'].decode()}")
            self.headers.append(dict(scope["headers"]))
        await self.app(scope, receive, send)


class Langfuse:
    """The simulated Langfuse, and what reached it."""

    def __init__(self, url: str, recorder: Recorder) -> None:
        self.url, self.seen = url, recorder

    @property
    def settings(self) -> LangfuseSettings:
        return LangfuseSettings(host=self.url, public_key=PUBLIC, secret_key=SECRET)  # type: ignore[arg-type]

    def forget(self) -> None:
        self.seen.lines.clear()
        self.seen.headers.clear()


@pytest.fixture(scope="module")
def langfuse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Langfuse]:
    recorder = Recorder(create_app(tmp_path_factory.mktemp("gateway") / "langfuse.db"))
    with serve(recorder) as url:
        asyncio.run(seed(url))
        recorder.lines.clear()
        yield Langfuse(url, recorder)


async def seed(url: str) -> None:
    """A prompt in a folder, three answers, two complaints with comments, and a dataset."""
    now = datetime.now(UTC)
    async with LangfuseProject(url, public_key=PUBLIC, secret_key=SECRET) as project:
        await project.create_prompt(NAME, "You help.\nBe brief.", labels=["production"], note="first")
        await project.create_dataset("sets/first", description="a set")
        item = {"id": "i1", "datasetName": "sets/first", "input": {"messages": []}, "expectedOutput": "x"}
        await project.put_dataset_item(item)
        await project.record(answer(number, now) for number in range(3))
        said = [
            {
                "id": f"s{number}",
                "traceId": f"{number:032x}",
                "name": "helpful",
                "value": 0.0,
                "dataType": "NUMERIC",
                "comment": f"It never asked for my number {number}",
                "environment": "production",
                "timestamp": (now - timedelta(hours=1)).isoformat(),
            }
            for number in range(2)
        ]
        await project.score(said)


def answer(number: int, now: datetime) -> Generated:
    question = f"Where is parcel {number}?"
    messages = [{"role": "system", "content": "You help.\nBe brief."}, {"role": "user", "content": question}]
    return Generated(
        trace_id=f"{number:032x}",
        observation_id=f"{number:016x}",
        at=now - timedelta(hours=2),
        duration=timedelta(seconds=1),
        user=f"user{number}",
        session="",
        environment="production",
        prompt_name=NAME,
        prompt_version=1,
        messages_json=json.dumps(messages),
        question=question,
        output="No idea.",
        model="m",
        input_tokens=1,
        output_tokens=1,
    )


@asynccontextmanager
async def gateway_to(settings: LangfuseSettings) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    async with ReadingGateway(settings, OWN) as gateway, serving(gateway, listener) as address:
        yield address


@pytest.fixture
async def address(langfuse: Langfuse) -> AsyncIterator[str]:
    langfuse.forget()
    async with gateway_to(langfuse.settings) as address:
        yield address


def proposer(address: str, folder: Path) -> Settings:
    return Settings(
        langfuse={"host": address, "public_key": "reader", "secret_key": "only-reads", "requests_per_minute": 0},
        model={"task": "t", "critic": "c", "judge": "j", "base_url": "http://127.0.0.1:9/v1", "api_key": "k"},
        prompts=[{"name": NAME, "rules": [{"kind": "numeric", "score": "helpful", "below": 0.5}]}],
        state_dir=folder,
        role="proposer",
    )


# ---- what passes -----------------------------------------------------------------------------------------------------


async def test_a_whole_collection_works_through_it(langfuse: Langfuse, address: str, tmp_path: Path) -> None:
    async with opened(proposer(address, tmp_path)) as house:
        row = house.store.cycles.open(NAME, "s1", at=house.clock.now())
        with house.store.engine.begin() as connection:
            connection.execute(sa.text("create table workflow_status (workflow_uuid text, owner_xid text)"))
            connection.execute(sa.text("insert into workflow_status values (:id, 'mine')"), {"id": row.id})
        run = Run(cycle_id=row.id, prompt=NAME, workflow_id=row.id, token="mine")
        state = await collect(house, run, {})
        assert state["base_version"] == 1
        assert len(state["losses"]) == 2  # type: ignore[arg-type]
        assert [case.id async for case in house.cases.cases("sets/first")] == ["i1"]
        assert abs(house.server.clock_ahead_s) < 5
    paths = {line.split()[1] for line in langfuse.seen.lines}
    assert paths >= {
        "/api/public/health",
        "/api/public/projects",
        "/api/public/v3/scores",
        "/api/public/v2/observations",
        "/api/public/v2/prompts",
        "/api/public/v2/prompts/shop%2Fsupport%20%C3%A4",
        "/api/public/v2/datasets/sets%2Ffirst",
        "/api/public/dataset-items",
    }
    assert {line.split()[0] for line in langfuse.seen.lines} == {"GET"}


async def test_langfuse_is_told_nothing_of_the_asker(langfuse: Langfuse, address: str) -> None:
    sent = {"x-forwarded-for": "10.0.0.1", "cookie": "a=b", "x-langfuse-sdk-name": "python", "accept-encoding": "gzip"}
    async with httpx.AsyncClient(auth=("reader", "only-reads"), headers=sent) as asker:
        answer = await asker.get(f"{address}/api/public/projects")
    assert answer.status_code == 200
    [headers] = langfuse.seen.headers
    assert headers[b"authorization"] == b"Basic " + b64encode(f"{PUBLIC}:{SECRET}".encode())
    assert set(headers) == {b"host", b"authorization", b"accept", b"accept-encoding", b"connection", b"user-agent"}
    assert headers[b"accept-encoding"] == b"gzip"
    assert "set-cookie" not in answer.headers
    assert len(answer.headers.get_list("date")) == 1


async def test_a_name_arrives_as_it_was_judged(langfuse: Langfuse, address: str) -> None:
    async with httpx.AsyncClient(auth=("reader", "only-reads")) as asker:
        for sent, arrived in (("a;b@c", "a%3Bb%40c"), ("v1%2e5", "v1.5"), ("%61%2F%62", "a%2Fb")):
            assert (await asker.get(f"{address}/api/public/v2/prompts/{sent}?version=1")).status_code == 404
            assert langfuse.seen.lines[-1] == f"GET /api/public/v2/prompts/{arrived}"


# ---- what does not ---------------------------------------------------------------------------------------------------


async def test_every_write_of_the_connectors_is_refused(langfuse: Langfuse, address: str, tmp_path: Path) -> None:
    async with opened(proposer(address, tmp_path)) as house:
        head = await house.registry.head(NAME)
        langfuse.forget()
        with pytest.raises(BadCredentials):
            await house.registry.publish(NAME, "Mine.", base=head, run_id="r", note="")
        with pytest.raises(BadCredentials):
            await house.registry.move_label(NAME, "canary", to=1, expect=0)
        with pytest.raises(BadCredentials):
            await house.cases.keep("new", ())
        assert isinstance(head, Head)
    assert not [line for line in langfuse.seen.lines if not line.startswith("GET ")]


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "get", "X"]
)
async def test_only_one_method_passes(langfuse: Langfuse, address: str, method: str) -> None:
    answer = await said(address, f"{method} {PROMPT} HTTP/1.1\r\n")
    assert status(answer) == 403
    assert langfuse.seen.lines == []


async def test_a_refusal_waits_for_the_body(langfuse: Langfuse, address: str) -> None:
    """A connection that is closed over unread bytes is reset, and the answer may be lost with it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
    writer.write(b"POST /api/public/scores HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n" + KEYS + b"\r\n")
    answer = asyncio.create_task(reader.read())
    answered, _ = await asyncio.wait({answer}, timeout=0.2)
    assert not answered
    writer.write(b"{}")
    assert status(await answer) == 403
    writer.close()
    assert langfuse.seen.lines == []


TRICKS = [
    "/api/public/v2/prompts/..",
    "/api/public/v2/prompts/%2e%2e",
    "/api/public/v2/prompts/%2E%2e%2Fscores",
    "/api/public/v2/prompts/a%2F..%2F..%2Fscores",
    "/api/public/v2/prompts/a%2F%2e",
    "/api/public/v2/prompts/%252e%252e",
    "/api/public/v2/prompts/..%5Cscores",
    "/api/public/v2/prompts/a%2F%2Fb",
    "/api/public/v2/prompts/%2Fa",
    "/api/public/v2/prompts/a%2F",
    "/api/public/v2/prompts/a.",
    "/api/public/v2/prompts/a...",
    "/api/public/v2/prompts/a%00",
    "/api/public/v2/prompts/a%0d%0aHost:%20x",
    "/api/public/v2/prompts/a%3Fb",
    "/api/public/v2/prompts/a%23b",
    "/api/public/v2/prompts/%ff%fe",
    "/api/public/v2/prompts/a%2",
    "/api/public/v2/prompts/a/versions/1",
    "/api/public/v2/prompts/",
    "/api/public/v2/prompts/a\\b",
    "//api/public/projects",
    "/api//public/projects",
    "/api/public/./projects",
    "/api/public/x/../projects",
    "/api/public/%70rojects",
    "/api/public/projects/",
    "/api/public/projects.",
    "/api/public/projects%20",
    "/api/public/projects;x",
    "/API/public/projects",
    "/api/public/ingestion",
    "/api/public/v2/datasets",
    "/api/public/dataset-items/i1",
    "/api/public/organizations/apiKeys",
    "/api/trpc/projects.all",
    "/",
    "*",
    "http://127.0.0.1:9/api/public/projects",
    "http://evil.example/api/public/projects",
    "/api/public/projects?_method=DELETE",
    "/api/public/projects?a=1&%5Fmethod=PATCH",
    "/api/public/projects?a=b#c",
    "/api/public/projects?a=<b>",
]


async def test_no_way_around_the_list(langfuse: Langfuse, address: str) -> None:
    for target in TRICKS:
        answer = await said(address, f"GET {target} HTTP/1.1\r\n")
        assert status(answer) == 403, target
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"] == ONLY_READS
    assert langfuse.seen.lines == []


MORE = [
    ("x-http-method-override: DELETE\r\n", 403),
    ("X-HTTP-Method: PATCH\r\n", 403),
    ("x-method-override: PUT\r\n", 403),
    ("upgrade: websocket\r\nconnection: upgrade\r\n", 403),
    ("content-length: 2\r\n\r\n{}", 403),
    ("transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 403),
    ("content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 403),
    ("authorization: Basic eDp5\r\n", 401),
    ("accept : */*\r\n", 400),
    ("content-length: 2\r\ncontent-length: 3\r\n", 400),
]


async def test_a_request_that_means_more_than_it_says(langfuse: Langfuse, address: str) -> None:
    for headers, expected in MORE:
        answer = await said(address, f"GET {PROMPT} HTTP/1.1\r\n{headers}", ended="\r\n\r\n" in headers)
        assert status(answer) == expected, headers
    assert langfuse.seen.lines == []


async def test_only_its_own_keys_are_taken(langfuse: Langfuse, address: str) -> None:
    langfuses = f"Basic {b64encode(f'{PUBLIC}:{SECRET}'.encode()).decode()}"
    for keys in ("", langfuses, "Bearer only-reads", "Basic ä", "reader"):
        answer = await said(address, f"GET {PROMPT} HTTP/1.1\r\nauthorization: {keys}\r\n", keys=b"")
        assert status(answer) == 401, keys
    assert langfuse.seen.lines == []


async def test_one_connection_is_not_two_requests(langfuse: Langfuse, address: str) -> None:
    """What comes after a refused request is not read as another."""
    second = f"\r\nGET /api/public/projects HTTP/1.1\r\nhost: x\r\n{KEYS.decode()}\r\n"
    answer = await said(address, f"GET {PROMPT} HTTP/1.1\r\ncontent-length: {len(second)}\r\n", after=second.encode())
    assert status(answer) == 403
    assert answer.count(b"HTTP/1.1 ") == 1
    assert langfuse.seen.lines == []


async def said(address: str, request: str, *, keys: bytes = KEYS, ended: bool = False, after: bytes = b"") -> bytes:
    """The whole answer to bytes that no client would send."""
    first, _, rest = request.encode("latin-1").partition(b"\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
    writer.write(first + b"\r\nhost: x\r\n" + keys + rest + (b"" if ended else b"\r\n") + after)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def status(answer: bytes) -> int:
    return int(answer.split(maxsplit=2)[1])


async def test_a_large_answer_is_passed_on_as_it_comes() -> None:
    whole = b"".join(sha256(str(number).encode()).digest() for number in range(100_000))
    packed = gzip.compress(whole)

    async def large(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 -- ASGI's signature
        headers = [(b"content-encoding", b"gzip"), (b"x-ratelimit-remaining", b"7"), (b"set-cookie", b"a=b")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for start in range(0, len(packed), 50_000):
            chunk = packed[start : start + 50_000]
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async with in_front_of(large) as (address, asker):
        answer = await asker.get(f"{address}/api/public/v2/observations")
    assert answer.content == whole
    assert answer.headers["x-ratelimit-remaining"] == "7"
    assert "set-cookie" not in answer.headers


async def test_an_answer_that_breaks_off_is_not_passed_on_as_whole() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 -- ASGI's signature
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
        raise ConnectionError("gone")

    async with in_front_of(broken) as (address, asker):
        with pytest.raises(httpx.RemoteProtocolError):
            await asker.get(f"{address}/api/public/v2/observations")


@asynccontextmanager
async def in_front_of(app: ASGIApp) -> AsyncIterator[tuple[str, httpx.AsyncClient]]:
    """A gateway before something that is not quite Langfuse, and somebody who may ask."""
    with serve(app) as url:
        settings = LangfuseSettings(host=url, public_key=PUBLIC, secret_key=SECRET)  # type: ignore[arg-type]
        async with gateway_to(settings) as address, httpx.AsyncClient(auth=("reader", "only-reads")) as asker:
            yield address, asker


# ---- what it makes of Langfuse's troubles ----------------------------------------------------------------------------


async def test_an_answer_that_points_elsewhere_is_not_followed() -> None:
    hits: list[str] = []

    async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 -- ASGI's signature
        if scope["type"] != "http":
            return
        hits.append(scope["path"])
        headers = [(b"location", b"/api/public/ingestion"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 307, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    with serve(elsewhere) as url:
        settings = LangfuseSettings(host=f"{url}/base/", public_key=PUBLIC, secret_key=SECRET)  # type: ignore[arg-type]
        async with gateway_to(settings) as address, httpx.AsyncClient(auth=("reader", "only-reads")) as asker:
            answer = await asker.get(f"{address}/api/public/projects")
    assert (answer.status_code, hits) == (502, ["/base/api/public/projects"])
    assert "correct `langfuse.host`" in answer.json()["message"]


async def test_a_langfuse_that_is_away_is_a_reason_to_wait(tmp_path: Path) -> None:
    settings = LangfuseSettings(host="http://127.0.0.1:9", public_key=PUBLIC, secret_key=SECRET)  # type: ignore[arg-type]
    async with gateway_to(settings) as address:
        with pytest.raises(Transient, match="status 502"):
            async with opened(proposer(address, tmp_path)):
                pass


async def test_the_command_serves_until_it_is_told_to_stop(langfuse: Langfuse, tmp_path: Path) -> None:
    settings = {
        "langfuse": {"host": langfuse.url, "public_key": PUBLIC, "secret_key": SECRET},
        "gateway": {"public_key": "reader", "secret_key": "only-reads", "port": 0},
    }
    (tmp_path / "tracegrad.yaml").write_text(json.dumps(settings))
    command = await asyncio.create_subprocess_exec(
        TRACEGRAD, "--json", "reading-gateway", cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    assert command.stdout
    said_ = b"".join([await command.stdout.readline() for _ in range(3)])
    address = json.loads(said_)["address"]
    async with httpx.AsyncClient(auth=("reader", "only-reads")) as asker:
        assert (await asker.get(f"{address}/api/public/projects")).status_code == 200
        assert (await asker.post(f"{address}/api/public/scores", json={})).status_code == 403
    command.terminate()
    assert await command.wait() == 0


def test_it_does_not_start_without_keys_of_its_own() -> None:
    langfuse = LangfuseSettings(public_key=PUBLIC, secret_key=SECRET)  # type: ignore[arg-type]
    for wrong, said_ in (
        (GatewaySettings(), "has no keys"),
        (GatewaySettings(public_key="x", secret_key=SECRET), "is Langfuse's own"),  # type: ignore[arg-type]
    ):
        with pytest.raises(BadSettings, match=said_):
            ReadingGateway(langfuse, wrong)
    with pytest.raises(BadSettings, match="Langfuse keys are missing"):
        ReadingGateway(LangfuseSettings(), OWN)


def test_the_default_address_is_this_machine() -> None:
    assert Settings().gateway.host == "127.0.0.1"


def test_what_passes_is_a_list() -> None:
    none = Headers({})
    assert passing("GET", b"/api/public/projects", b"", none) == b"/api/public/projects"
    assert passing("GET", b"/api/public/projects", b"", Headers({"content-length": "0"})) is not None
