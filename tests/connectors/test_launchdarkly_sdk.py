"""LaunchDarkly's own server SDK reads what the connector wrote, over HTTP."""

import httpx
import pytest
from launchdarkly_desk import FLAG, PROMPT, Desk, first, labels, launchdarkly, promoted, sdk, second
from ldclient import Context

from optimizer.rollouts import Split

USERS = [f"user-{number}" for number in range(5000)]
SHOWN = {"canary": 8, "production": 0, "holdback": 7}


@pytest.fixture
def desk(tmp_path):
    with launchdarkly(tmp_path) as made:
        yield made


def share(shown: dict[str, str], label: str) -> float:
    return sum(one == label for one in shown.values()) / len(shown)


def agrees(flags, split: Split, shown: dict[str, str]) -> bool:
    return all(SHOWN[label] == split.at(flags.place(split, key)) for key, label in shown.items())


async def test_every_user_is_shown_what_the_split_says_through_a_whole_release(desk: Desk):
    async with desk.flags() as flags:
        begin = stands = await flags.start(PROMPT, "ours")
        shown = {"start": labels(desk, USERS)}
        assert set(shown["start"].values()) == {"production"}
        stages = {"10%": first(begin), "50%": second(begin), "promoted": promoted(begin), "finished": begin}
        for name, split in stages.items():
            assert await flags.write(split, expect=stands, why=name)
            shown[name], stands = labels(desk, USERS), split
            assert agrees(flags, split, shown[name]), name
    assert share(shown["10%"], "canary") == pytest.approx(0.1, abs=0.015)
    assert share(shown["50%"], "canary") == pytest.approx(0.5, abs=0.025)
    assert share(shown["promoted"], "holdback") == pytest.approx(0.1, abs=0.015)
    assert set(shown["finished"].values()) == {"production"}
    for key in USERS:
        assert shown["50%"][key] == "canary" or shown["10%"][key] == "production", "a wider canary keeps all it had"
        assert shown["promoted"][key] == "production" or shown["50%"][key] == "production", "held back on what it had"


async def test_after_a_rollback_everybody_is_on_production(desk: Desk):
    async with desk.flags() as flags:
        begin = await flags.start(PROMPT, "ours")
        assert await flags.write(first(begin), expect=begin, why="10%")
        assert share(labels(desk, USERS[:500]), "canary") > 0
        assert await flags.write(begin, expect=first(begin), why="back")
    assert set(labels(desk, USERS[:500]).values()) == {"production"}


async def test_the_same_users_come_first_in_the_next_release(desk: Desk):
    async with desk.flags() as flags:
        begin = await flags.start(PROMPT, "one")
        again = await flags.start(PROMPT, "another")
    assert again == begin, "LaunchDarkly keeps its salt"


async def test_a_context_without_a_user_is_always_shown_the_first_variation(desk: Desk):
    # the documentation warns of it: an application must ask with a context of kind `user`
    async with desk.flags() as flags:
        begin = await flags.start(PROMPT, "ours")
        assert await flags.write(first(begin), expect=begin, why="10%")
    with sdk(desk) as client:
        nobody = Context.builder("an-organization").kind("organization").build()
        assert client.variation(FLAG, nobody, "production") == "canary"


async def test_a_flag_that_was_switched_off_by_hand_shows_production(desk: Desk):
    async with desk.flags() as flags:
        begin = await flags.start(PROMPT, "ours")
        assert await flags.write(second(begin), expect=begin, why="50%")
    desk.by_hand("turnFlagOff")
    assert set(labels(desk, USERS[:200]).values()) == {"production"}


async def test_what_did_not_change_is_not_sent_again(desk: Desk):
    key = {"Authorization": "sdk-production"}
    async with desk.flags() as flags, httpx.AsyncClient(base_url=desk.url) as client:
        begin = await flags.start(PROMPT, "ours")
        tag = (await client.get("/sdk/latest-all", headers=key)).headers["etag"]
        assert (await client.get("/sdk/latest-all", headers=key | {"If-None-Match": tag})).status_code == 304
        assert await flags.write(first(begin), expect=begin, why="10%")
        assert (await client.get("/sdk/latest-all", headers=key | {"If-None-Match": tag})).status_code == 200
        assert (await client.get("/sdk/latest-all", headers={"Authorization": "sdk-nowhere"})).status_code == 401
