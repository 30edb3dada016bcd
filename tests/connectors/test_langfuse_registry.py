"""Publishing when answers get lost and people are quick; everything over HTTP against the sandbox."""

import httpx
import pytest
from langfuse_scripted import access_to, answering
from starlette.responses import JSONResponse, PlainTextResponse

from connectors.langfuse.registry import MESSAGE_CHARS, LangfuseRegistry
from optimizer.errors import BadAnswer, ServerFault, Unsupported
from optimizer.prompts import Published, Superseded
from sandbox.faults import Faults
from sandbox.langfuse.app import create_app
from sandbox.serving import serve

NAME = "support/system prompt"
AUTH = ("pk-lf-sandbox", "sk-lf-sandbox")


class Person:
    """An ASGI layer in which a person acts the moment our POST arrives, and just before it counts."""

    def __init__(self, app):
        self.app = app
        self.edit = None
        self.posts = 0

    async def __call__(self, scope, receive, send):
        ours = scope["type"] == "http" and scope["method"] == "POST" and dict(scope["headers"]).get(b"x-person") is None
        if ours and scope["path"].endswith("/v2/prompts"):
            self.posts += 1
            if self.edit:
                edit, self.edit = self.edit, None
                transport = httpx.ASGITransport(self.app)
                person = httpx.AsyncClient(
                    transport=transport, base_url="http://p", auth=AUTH, headers={"x-person": "1"}
                )
                async with person as http:
                    await edit(http)
        await self.app(scope, receive, send)


class Desk:
    """The sandbox with one prompt in it."""

    def __init__(self, url, faults, person):
        self.url, self.faults, self.person = url, faults, person
        self.http = httpx.Client(base_url=url, auth=AUTH, headers={"x-person": "1"})

    def create(self, prompt="Answer.", **fields):
        body = {"name": NAME, "prompt": prompt, **fields}
        return self.http.post("/api/public/v2/prompts", json=body).raise_for_status().json()

    def versions(self):
        return self.http.get("/api/public/v2/prompts", params={"name": NAME}).json()["data"][0]["versions"]


@pytest.fixture
def desk(tmp_path):
    faults = Faults()
    person = Person(create_app(tmp_path / "langfuse.db", faults=faults))
    with serve(person) as url:
        made = Desk(url, faults, person)
        made.create(labels=["production"], tags=["shop"], config={"temperature": 0.5})
        yield made
        made.http.close()


@pytest.fixture
async def registry(desk):
    async with LangfuseRegistry(access_to(desk.url)) as made:
        yield made


def publish(registry, base, note="Because of c1."):
    return registry.publish(NAME, "Answer better.", base=base, run_id="run-1", note=note)


async def test_an_answer_that_was_lost_after_the_commit_leaves_one_new_version(desk, registry):
    desk.faults.drop_answer_after_commit = 1
    published = await publish(registry, await registry.head(NAME))
    assert isinstance(published, Published)
    assert published.version.version == 2
    assert desk.versions() == [1, 2]
    assert desk.person.posts == 1


async def test_a_lost_answer_and_a_restart_leave_one_new_version(desk, registry):
    base = await registry.head(NAME)
    await publish(registry, base)
    async with LangfuseRegistry(access_to(desk.url)) as restarted:
        again = await publish(restarted, base)
    assert (again.version.version, desk.versions(), desk.person.posts) == (2, [1, 2], 1)


async def test_a_create_that_failed_is_not_repeated_blindly():
    def answer(request):
        if request.method == "POST":
            return PlainTextResponse("oops", 503)
        if request.url.path.endswith("/v2/prompts"):
            return JSONResponse({"data": [meta], "meta": {"page": 1, "limit": 100, "totalItems": 1, "totalPages": 1}})
        return JSONResponse(prompt)

    prompt = {"name": NAME, "version": 1, "type": "text", "prompt": "Answer.", "config": {}, "labels": [], "tags": []}
    meta = {"name": NAME, "type": "text", "versions": [1], "labels": [], "tags": [], "lastConfig": {}}
    meta["lastUpdatedAt"] = "2026-11-01T00:00:00Z"
    with answering(answer) as (url, asked):
        async with LangfuseRegistry(access_to(url)) as registry:
            with pytest.raises(ServerFault):
                await publish(registry, await registry.head(NAME))
    assert [request.method for request in asked].count("POST") == 1


async def test_a_person_who_edits_in_the_race_wins_and_our_version_is_a_stray(desk, registry):
    async def edit(http):
        body = {"name": NAME, "prompt": "A person's.", "labels": ["production"]}
        (await http.post("/api/public/v2/prompts", json=body)).raise_for_status()

    base = await registry.head(NAME)
    desk.person.edit = edit
    refused = await publish(registry, base)
    assert isinstance(refused, Superseded)
    assert (refused.stray, refused.latest_is_stray) == (3, True)
    assert refused.head.production.body == "A person's."
    assert (await registry.get(NAME, 3)).labels == ("latest",)
    desk.create("A person's second.")
    again = await publish(registry, base)
    assert isinstance(again, Superseded)
    assert (again.stray, again.latest_is_stray) == (3, False)
    assert desk.versions() == [1, 2, 3, 4]


async def test_a_person_who_moves_the_label_in_the_race_wins(desk, registry):
    async def edit(http):
        path = "/api/public/v2/prompts/support%2Fsystem%20prompt/versions/2"
        (await http.patch(path, json={"newLabels": ["production"]})).raise_for_status()

    desk.create("A draft.")
    base = await registry.head(NAME)
    desk.person.edit = edit
    refused = await publish(registry, base)
    assert isinstance(refused, Superseded)
    assert (refused.stray, refused.head.production.version) == (3, 2)


async def test_a_create_that_lost_the_race_to_another_is_superseded_without_a_stray(desk, registry):
    async def edit(http):
        (await http.post("/api/public/v2/prompts", json={"name": NAME, "prompt": "A person's."})).raise_for_status()
        desk.faults.prompt_conflict_next = 1

    base = await registry.head(NAME)
    desk.person.edit = edit
    refused = await publish(registry, base)
    assert isinstance(refused, Superseded)
    assert (refused.stray, refused.head.newest, desk.versions()) == (0, 2, [1, 2])


async def test_a_create_that_is_refused_for_another_reason_is_an_error(desk, registry):
    base = await registry.head(NAME)
    with pytest.raises(BadAnswer, match="400"):
        await registry.publish(NAME, (), base=base, run_id="run-1", note="A chat body for a text prompt.")
    assert desk.versions() == [1]


async def test_tags_are_carried_over_and_the_message_fits(desk, registry):
    base = await registry.head(NAME)
    published = await publish(registry, base, note="because " * 200)
    path = "/api/public/v2/prompts/support%2Fsystem%20prompt"
    wire = desk.http.get(path, params={"version": 2, "resolve": "false"}).json()
    assert (wire["tags"], wire["config"], wire["labels"]) == (["shop"], {"temperature": 0.5}, ["latest"])
    assert len(wire["commitMessage"]) == MESSAGE_CHARS
    assert wire["commitMessage"].endswith("[run run-1]")
    assert f"base v1 {base.production.sha256[:12]}" in wire["commitMessage"]
    assert published.version.commit_message == wire["commitMessage"]


async def test_a_version_that_does_not_hold_what_was_sent_is_an_error(desk, registry):
    base = await registry.head(NAME)
    await publish(registry, base)
    with pytest.raises(BadAnswer, match="does not hold what was published"):
        await registry.publish(NAME, "Something else.", base=base, run_id="run-1", note="")
    assert desk.versions() == [1, 2]


async def test_messages_that_would_lose_a_part_are_refused(desk, registry):
    body = [{"role": "assistant", "content": "", "tool_calls": [{"id": "t"}]}]
    made = {"name": "tools", "type": "chat", "prompt": body, "labels": ["production"]}
    desk.http.post("/api/public/v2/prompts", json=made).raise_for_status()
    with pytest.raises(Unsupported, match="tool_calls"):
        await registry.head("tools")
