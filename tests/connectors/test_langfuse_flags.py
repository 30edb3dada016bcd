"""Rollouts as versioned JSON prompts: interruptions, people, and what is no rollout. Over HTTP against the sandbox."""

import json
from collections.abc import Callable

import httpx
import pytest
from langfuse_scripted import access_to

from connectors.flags.langfuse import FOLDER, LangfuseFlags, text_of
from connectors.langfuse.registry import LangfuseRegistry
from optimizer.errors import BadAnswer, RateLimited, ServerFault
from optimizer.rollouts import Split, canary, holdback
from sandbox.faults import Faults
from sandbox.langfuse.app import create_app
from sandbox.serving import serve

PROMPT = "support/answer"
NAME = FOLDER + PROMPT
PATH = "/api/public/v2/prompts/rollouts%2Fsupport%2Fanswer"
BEGIN = Split(prompt=PROMPT, salt="s1")
FIRST = canary(PROMPT, "s1", version=8, share=0.1)
HELD = holdback(PROMPT, "s1", version=7, share=0.1)


class Desk:
    """The sandbox, and a person at its interface."""

    def __init__(self, url: str, faults: Faults) -> None:
        self.url, self.faults = url, faults
        self.http = httpx.Client(base_url=url, auth=("pk-lf-sandbox", "sk-lf-sandbox"))

    def person(self, prompt: object, *, labels: tuple[str, ...] = ("production",), **fields: object) -> None:
        made = {"name": NAME, "prompt": prompt, "labels": list(labels), **fields}
        self.http.post("/api/public/v2/prompts", json=made).raise_for_status()

    def label(self, version: int) -> None:
        self.http.patch(f"{PATH}/versions/{version}", json={"newLabels": ["production"]}).raise_for_status()

    def delete(self, **which: int) -> None:
        self.http.delete(PATH, params=which).raise_for_status()

    @property
    def versions(self) -> list[int]:
        listed = self.http.get("/api/public/v2/prompts", params={"name": NAME}).json()["data"]
        return listed[0]["versions"] if listed else []


class Cut(Exception):
    """The process died."""


class Dying(LangfuseRegistry):
    """A registry whose process dies right before it moves a label."""

    async def move_label(self, *_: object, **__: object) -> bool:
        raise Cut


@pytest.fixture
def desk(tmp_path):
    faults = Faults()
    with serve(create_app(tmp_path / "langfuse.db", faults=faults)) as url:
        made = Desk(url, faults)
        yield made
        made.http.close()


@pytest.fixture
async def flags(desk: Desk):
    async with LangfuseRegistry(access_to(desk.url)) as registry:
        yield LangfuseFlags(registry)


async def dies(desk: Desk, act: Callable[[LangfuseFlags], object]) -> None:
    async with Dying(access_to(desk.url)) as registry:
        with pytest.raises(Cut):
            await act(LangfuseFlags(registry))


async def test_the_text_is_what_the_resolvers_read(desk: Desk, flags: LangfuseFlags):
    await flags.start(PROMPT, "s1")
    assert await flags.write(FIRST, expect=BEGIN, why="10% of the users")
    read = desk.http.get(PATH, params={"resolve": "false"}).json()
    bands = [{"below": 0.1, "version": 8}, {"below": 1, "version": 0}]
    assert json.loads(read["prompt"]) == {"format": 1, "salt": "s1", "bands": bands}
    assert (read["type"], read["version"], "production" in read["labels"]) == ("text", 2, True)
    assert read["commitMessage"].startswith("10% of the users")


async def test_every_change_is_a_version_and_nothing_else_is(desk: Desk, flags: LangfuseFlags):
    await flags.start(PROMPT, "s1")
    for _ in range(2):
        assert await flags.write(FIRST, expect=BEGIN, why="10%")
    assert await flags.write(HELD, expect=FIRST, why="promoted")
    assert await flags.write(BEGIN, expect=HELD, why="finished")
    assert desk.versions == [1, 2, 3, 4]


async def test_the_same_change_of_a_later_release_is_a_new_version(desk: Desk, flags: LangfuseFlags):
    await flags.start(PROMPT, "s1")
    for split, stands in ((FIRST, BEGIN), (BEGIN, FIRST), (FIRST, BEGIN)):
        assert await flags.write(split, expect=stands, why="again")
    assert await flags.read(PROMPT) == FIRST
    assert desk.versions == [1, 2, 3, 4]


async def test_a_start_that_died_before_the_label_is_taken_up(desk: Desk, flags: LangfuseFlags):
    await dies(desk, lambda dying: dying.start(PROMPT, "s1"))
    assert await flags.read(PROMPT) is None
    assert await flags.start(PROMPT, "s1") == BEGIN
    assert desk.versions == [1]


async def test_a_start_that_died_under_another_salt_is_taken_up(desk: Desk, flags: LangfuseFlags):
    await dies(desk, lambda dying: dying.start(PROMPT, "s0"))
    assert await flags.start(PROMPT, "s1") == BEGIN
    assert await flags.read(PROMPT) == BEGIN
    assert desk.versions == [1, 2]


async def test_a_change_that_died_before_the_label_is_made_once(desk: Desk, flags: LangfuseFlags):
    await flags.start(PROMPT, "s1")
    await dies(desk, lambda dying: dying.write(FIRST, expect=BEGIN, why="10%"))
    assert await flags.read(PROMPT) == BEGIN
    assert await flags.write(FIRST, expect=BEGIN, why="10%")
    assert await flags.read(PROMPT) == FIRST
    assert desk.versions == [1, 2]


async def test_a_first_version_whose_answer_was_lost_is_made_once(desk: Desk, flags: LangfuseFlags):
    desk.faults.drop_answer_after_commit = 1
    assert await flags.start(PROMPT, "s1") == BEGIN
    assert desk.versions == [1]


async def test_a_change_whose_answer_was_lost_is_made_once(desk: Desk, flags: LangfuseFlags):
    await flags.start(PROMPT, "s1")
    desk.faults.drop_answer_after_commit = 1
    assert await flags.write(FIRST, expect=BEGIN, why="10%")
    assert desk.versions == [1, 2]


async def test_a_label_that_a_person_moved_back_stands(desk: Desk, flags: LangfuseFlags):
    await flags.start(PROMPT, "s1")
    assert await flags.write(FIRST, expect=BEGIN, why="10%")
    desk.label(1)
    assert await flags.read(PROMPT) == BEGIN
    assert not await flags.write(HELD, expect=FIRST, why="promoted")
    assert desk.versions == [1, 2]


async def test_a_change_that_a_person_took_back_can_be_made_again(desk: Desk, flags: LangfuseFlags):
    await flags.start(PROMPT, "s1")
    assert await flags.write(FIRST, expect=BEGIN, why="10%")
    assert await flags.write(HELD, expect=FIRST, why="promoted")
    desk.label(1)
    assert await flags.write(FIRST, expect=BEGIN, why="10%")
    assert await flags.read(PROMPT) == FIRST
    assert desk.versions == [1, 2, 3, 4]


async def test_a_persons_draft_without_the_label_is_not_in_the_way(desk: Desk, flags: LangfuseFlags):
    await flags.start(PROMPT, "s1")
    desk.person("a draft", labels=())
    assert await flags.write(FIRST, expect=BEGIN, why="10%")
    assert await flags.read(PROMPT) == FIRST


async def test_versions_that_a_person_deleted_are_nothing(desk: Desk, flags: LangfuseFlags):
    await flags.start(PROMPT, "s1")
    assert await flags.write(FIRST, expect=BEGIN, why="10%")
    desk.delete()
    assert await flags.read(PROMPT) is None
    assert not await flags.write(HELD, expect=FIRST, why="promoted")
    assert await flags.start(PROMPT, "s1") == BEGIN


async def test_the_labelled_version_deleted_leaves_no_label_and_is_told(desk: Desk, flags: LangfuseFlags):
    await flags.start(PROMPT, "s1")
    assert await flags.write(FIRST, expect=BEGIN, why="10%")
    assert await flags.write(HELD, expect=FIRST, why="promoted")
    desk.delete(version=3)
    with pytest.raises(BadAnswer, match="no version with the label 'production'; label the one"):
        await flags.start(PROMPT, "s2")
    assert desk.versions == [1, 2]


async def test_a_persons_own_rollout_is_read(desk: Desk, flags: LangfuseFlags):
    desk.person('{"bands": [{"below": 0.25, "version": 9}, {"below": 1, "version": 0}], "format": 1, "salt": "s1"}')
    assert await flags.read(PROMPT) == canary(PROMPT, "s1", version=9, share=0.25)
    assert await flags.start(PROMPT, "s2") == canary(PROMPT, "s1", version=9, share=0.25)


def rollout(*bands: tuple[float, int]) -> str:
    dealt = [{"below": below, "version": version} for below, version in bands]
    return json.dumps({"format": 1, "salt": "s1", "bands": dealt})


NO_ROLLOUTS = {
    "no JSON": "10% please",
    "another format": '{"format":2,"salt":"s1","bands":[{"below":1,"version":0}]}',
    "a key too many": '{"format":1,"salt":"s1","bands":[{"below":1,"version":0}],"note":"x"}',
    "no bands": '{"format":1,"salt":"s1","bands":[]}',
    "bands that go back": rollout((0.5, 8), (0.1, 7), (1, 0)),
    "two bands with one end": rollout((0.5, 8), (0.5, 7), (1, 0)),
    "an open end": rollout((0.5, 8)),
    "a share as text": '{"format":1,"salt":"s1","bands":[{"below":"1","version":0}]}',
    "a version that is none": rollout((1, -1)),
}


@pytest.mark.parametrize("what", NO_ROLLOUTS)
async def test_what_is_no_rollout_is_told_and_left_alone(desk: Desk, flags: LangfuseFlags, what: str):
    await flags.start(PROMPT, "s1")
    desk.person(NO_ROLLOUTS[what])
    with pytest.raises(BadAnswer, match="version 2 of prompt 'rollouts/support/answer' is no rollout; move its label"):
        await flags.read(PROMPT)
    with pytest.raises(BadAnswer, match="is no rollout"):
        await flags.start(PROMPT, "s2")
    assert not await flags.write(FIRST, expect=BEGIN, why="10%")
    assert desk.versions == [1, 2]


async def test_a_chat_prompt_in_the_place_is_told(desk: Desk, flags: LangfuseFlags):
    desk.person([{"role": "system", "content": text_of(BEGIN)}], type="chat")
    with pytest.raises(BadAnswer, match="is no rollout"):
        await flags.read(PROMPT)


async def test_a_server_that_fails_is_not_mistaken_for_a_person(desk: Desk, flags: LangfuseFlags):
    await flags.start(PROMPT, "s1")
    desk.faults.rate_limit_next = {"prompts": 1}
    with pytest.raises((RateLimited, ServerFault)):
        await flags.write(FIRST, expect=BEGIN, why="10%")
    assert await flags.write(FIRST, expect=BEGIN, why="10%")
