"""Flags that a person made or changed, writes that somebody crosses, answers that get lost, and refusals."""

import asyncio

import httpx
import pytest
from langfuse_scripted import answering
from launchdarkly_desk import FLAG, PROMPT, TOKEN, Desk, first, launchdarkly, promoted, second
from starlette.responses import HTMLResponse, JSONResponse

from connectors.flags.launchdarkly import LaunchDarkly, LaunchDarklyAccess
from connectors.memory import MemoryRegistry
from optimizer.errors import (
    BadAnswer,
    BadCredentials,
    BadInput,
    BadSettings,
    Declined,
    RateLimited,
    ServerFault,
    Transient,
    Unreachable,
    Unsupported,
)
from optimizer.rollouts import Band, Split, canary

CLAUSE = {"attribute": "country", "op": "in", "values": ["ch"], "contextKind": "user", "negate": False}
DONE_BY_HAND = {
    "switched off": lambda desk: desk.by_hand("turnFlagOff"),
    "targeting rules": lambda desk: desk.by_hand("addRule", clauses=[CLAUSE], variationId=desk.id(0)),
    "individual targets": lambda desk: desk.by_hand("addTargets", values=["user-1"], variationId=desk.id(0)),
    "prerequisites": lambda desk: desk.by_hand("addPrerequisite", key="other", variationId="v"),
    "three variations": lambda desk: desk.by_hand("addVariation", value="fourth"),
    "our three": lambda desk: desk.by_hand("updateVariation", variationId=desk.id(1), value="prod"),
    "archived": lambda desk: desk.by_hand("archiveFlag"),
    "first users": lambda desk: desk.shares_by_hand(10_000, 80_000, 10_000),
    "something else than the key": lambda desk: desk.by_hand(
        "updateFallthroughVariationOrRollout",
        rolloutWeights={desk.id(0): 10_000, desk.id(1): 90_000},
        rolloutBucketBy="country",
    ),
    "an experiment": lambda desk: desk.settings["fallthrough"].update(
        rollout={"variations": [{"variation": 0, "weight": 10_000}, {"variation": 1, "weight": 90_000}], "seed": 61}
    ),
}


@pytest.fixture
def desk(tmp_path):
    with launchdarkly(tmp_path) as made:
        yield made


@pytest.fixture
async def flags(desk: Desk):
    async with desk.flags() as made:
        yield made


async def at_ten_percent(flags: LaunchDarkly) -> Split:
    begin = await flags.start(PROMPT, "ours")
    assert await flags.write(first(begin), expect=begin, why="10%")
    return begin


@pytest.mark.parametrize("trouble", DONE_BY_HAND)
async def test_a_flag_that_a_person_changed_is_told_and_left_alone(desk: Desk, flags: LaunchDarkly, trouble: str):
    begin = await at_ten_percent(flags)
    DONE_BY_HAND[trouble](desk)
    left = repr(desk.flag)
    with pytest.raises(BadAnswer, match=trouble) as told:
        await flags.read(PROMPT)
    assert told.value.fix
    with pytest.raises(BadAnswer):
        await flags.start(PROMPT, "ours")
    assert not await flags.write(second(begin), expect=first(begin), why="50%")
    assert not await flags.write(begin, expect=first(begin), why="back")
    assert repr(desk.flag) == left


async def test_shares_that_a_person_changed_in_mid_stage_stay(desk: Desk, flags: LaunchDarkly):
    begin = await at_ten_percent(flags)
    desk.shares_by_hand(25_000, 75_000)
    assert not await flags.write(second(begin), expect=first(begin), why="50%")
    assert await flags.read(PROMPT) == canary(PROMPT, begin.salt, version=8, share=0.25)


@pytest.mark.parametrize(
    "dealt", [[(1, 90_000), (0, 10_000)], [(0, 5_000), (0, 95_000)], [(0, 10_000)], [(3, 100_000)], []]
)
async def test_users_who_are_dealt_in_another_order_are_told(desk: Desk, flags: LaunchDarkly, dealt):
    begin = await at_ten_percent(flags)
    weighted = [{"variation": index, "weight": weight} for index, weight in dealt]
    desk.settings["fallthrough"] = {"rollout": {"variations": weighted}}
    with pytest.raises(BadAnswer, match="does not show `canary` to the first users"):
        await flags.read(PROMPT)
    assert not await flags.write(begin, expect=first(begin), why="back")


@pytest.mark.parametrize(("index", "share"), [(0, {"canary": 100_000}), (2, {"holdback": 100_000})])
async def test_a_flag_that_shows_everybody_a_part_is_no_start_of_a_release(desk: Desk, flags, index: int, share):
    begin = await flags.start(PROMPT, "ours")
    desk.by_hand("updateFallthroughVariationOrRollout", variationId=desk.id(index))
    version = 8 if "canary" in share else 7
    stands = await flags.start(PROMPT, "ours")
    assert {stands.at(place) for place in (0.0, 0.5, 0.999)} == {version}
    assert not await flags.write(first(begin), expect=begin, why="10%")


async def test_a_label_that_a_person_moved_shows_in_what_is_served(desk: Desk, flags: LaunchDarkly):
    begin = await at_ten_percent(flags)
    desk.registry.label(PROMPT, "canary", 9)
    assert await flags.read(PROMPT) == canary(PROMPT, begin.salt, version=9, share=0.1)
    assert not await flags.write(second(begin), expect=first(begin), why="50%")


async def test_a_release_whose_version_was_deleted_can_be_taken_back(desk: Desk, flags: LaunchDarkly):
    begin = await at_ten_percent(flags)
    emptied = MemoryRegistry()
    emptied.add(PROMPT, "Answer.", labels=["production"])
    async with LaunchDarkly(LaunchDarklyAccess(base_url=desk.url, token=TOKEN), {PROMPT: FLAG}, emptied) as after:
        with pytest.raises(BadAnswer, match="the label 'canary', which prompt 'support/answer' has not"):
            await after.read(PROMPT)
        with pytest.raises(BadInput, match="is on version 0, not on version 8"):
            await after.write(second(begin), expect=first(begin), why="50%")
        assert await after.write(begin, expect=first(begin), why="back")
        assert await after.read(PROMPT) == begin


async def test_users_are_not_sent_to_a_label_before_it_is_on_their_version(desk: Desk, flags: LaunchDarkly):
    begin = await flags.start(PROMPT, "ours")
    desk.registry.label(PROMPT, "canary", 7)
    with pytest.raises(BadInput, match=r"label 'canary' .* is on version 7, not on version 8; move the label"):
        await flags.write(first(begin), expect=begin, why="10%")
    desk.registry.label(PROMPT, "holdback", 9)
    with pytest.raises(BadInput, match="label 'holdback'"):
        await flags.write(promoted(begin), expect=begin, why="promoted")
    assert await flags.read(PROMPT) == begin


async def test_a_flag_that_was_deleted_is_nothing(desk: Desk, flags: LaunchDarkly):
    begin = await at_ten_percent(flags)
    desk.store.flags.clear()
    assert await flags.read(PROMPT) is None
    assert not await flags.write(second(begin), expect=first(begin), why="50%")


async def test_an_environment_that_does_not_exist_is_named(desk: Desk, flags: LaunchDarkly):
    await flags.start(PROMPT, "ours")
    async with desk.flags(environment="staging") as elsewhere:
        with pytest.raises(BadAnswer, match=r"has no environment 'staging'; correct `launchdarkly.environment`"):
            await elsewhere.read(PROMPT)


async def test_a_prompt_without_a_flag_says_which_setting_is_missing(flags: LaunchDarkly):
    with pytest.raises(BadSettings, match=r"'another'; set `release.flag`"):
        await flags.read("another")


async def test_prompts_may_read_another_label_than_production(desk: Desk):
    access = LaunchDarklyAccess(base_url=desk.url, token=TOKEN)
    async with LaunchDarkly(access, {PROMPT: FLAG}, desk.registry, production={PROMPT: "live"}) as flags:
        await flags.start(PROMPT, "ours")
    assert [item["value"] for item in desk.flag["variations"]] == ["canary", "live", "holdback"]


# ---- somebody in the same moment -----------------------------------------------------------------------------------


async def test_a_change_that_ours_overwrote_is_told(desk: Desk, flags: LaunchDarkly):
    begin = await at_ten_percent(flags)
    desk.meanwhile.before = lambda: desk.shares_by_hand(0, 100_000)
    with pytest.raises(BadAnswer, match="by somebody else in the same moment as by us; look at its history"):
        await flags.write(second(begin), expect=first(begin), why="50%")


async def test_a_change_right_after_ours_stands(desk: Desk, flags: LaunchDarkly):
    begin = await at_ten_percent(flags)
    desk.meanwhile.after = lambda: desk.shares_by_hand(0, 100_000)
    assert not await flags.write(second(begin), expect=first(begin), why="50%")
    assert await flags.read(PROMPT) == begin


async def test_a_rule_that_was_added_in_the_same_moment_stands(desk: Desk, flags: LaunchDarkly):
    begin = await at_ten_percent(flags)
    desk.meanwhile.before = lambda: DONE_BY_HAND["targeting rules"](desk)
    assert not await flags.write(second(begin), expect=first(begin), why="50%")
    assert len(desk.settings["rules"]) == 1


async def test_a_change_of_another_environment_is_nobodys_business(desk: Desk, flags: LaunchDarkly):
    begin = await at_ten_percent(flags)
    desk.meanwhile.before = lambda: desk.by_hand("turnFlagOff", environment="test")
    assert await flags.write(second(begin), expect=first(begin), why="50%")


# ---- answers that get lost -----------------------------------------------------------------------------------------


async def test_a_change_whose_answer_was_lost_counts_and_stands_once(desk: Desk, flags: LaunchDarkly):
    begin = await at_ten_percent(flags)
    desk.store.faults.update({"at_write": 3, "moment": "after"})
    assert await flags.write(second(begin), expect=first(begin), why="50%")
    assert (desk.store.writes, desk.store.done) == (3, 3)


async def test_a_change_that_never_arrived_is_tried_again_by_the_caller(desk: Desk, flags: LaunchDarkly):
    begin = await at_ten_percent(flags)
    desk.store.faults.update({"at_write": 3, "moment": "before"})
    with pytest.raises(Unreachable):
        await flags.write(second(begin), expect=first(begin), why="50%")
    assert await flags.read(PROMPT) == first(begin)
    assert await flags.write(second(begin), expect=first(begin), why="50%")
    assert desk.store.done == 3


async def test_a_lost_change_does_not_count_when_somebody_else_changed_the_flag(desk: Desk, flags: LaunchDarkly):
    begin = await at_ten_percent(flags)
    desk.store.faults.update({"at_write": 3, "moment": "before"})
    desk.meanwhile.before = lambda: desk.shares_by_hand(0, 100_000)
    assert not await flags.write(second(begin), expect=first(begin), why="50%")
    assert await flags.read(PROMPT) == begin


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_flag_is_made_once_whatever_becomes_of_the_answer(desk: Desk, flags: LaunchDarkly, moment: str):
    desk.store.faults.update({"at_write": 1, "moment": moment})
    if moment == "before":
        with pytest.raises(Unreachable):
            await flags.start(PROMPT, "ours")
    begin = await flags.start(PROMPT, "ours")
    assert begin == Split(prompt=PROMPT, salt=f"{FLAG}.{desk.settings['salt']}")
    assert [entry["kind"] for entry in desk.store.history] == ["createFlag"]


@pytest.mark.parametrize(("moment", "done"), [("before", 2), ("after", 3)])
async def test_a_caller_who_dies_while_its_change_is_held_leaves_it_done_once_or_not(desk: Desk, moment, done):
    async with desk.flags() as dying:
        begin = await at_ten_percent(dying)
        desk.store.faults.update({"at_write": 3, "moment": moment, "how": "hold"})
        task = asyncio.create_task(dying.write(second(begin), expect=first(begin), why="50%"))
        while desk.store.writes < 3 or desk.store.done < done:  # noqa: ASYNC110  # the service has a thread of its own
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with desk.flags() as flags:
        assert desk.store.done == done
        assert await flags.write(second(begin), expect=first(begin), why="50%")
    assert desk.store.done == 3


async def test_a_reason_is_in_the_flags_history(desk: Desk, flags: LaunchDarkly):
    await at_ten_percent(flags)
    assert desk.store.history[-1]["comment"] == "10%"


async def test_the_service_comes_back_as_it_was(desk: Desk, tmp_path):
    async with desk.flags() as flags:
        begin = await at_ten_percent(flags)
    with launchdarkly(tmp_path) as restarted:
        assert restarted.flag == desk.flag
        assert restarted.store.done == 2
        async with restarted.flags() as flags:
            assert await flags.read(PROMPT) == first(begin)


# ---- refusals ------------------------------------------------------------------------------------------------------

REFUSALS = {
    "rate limit": ({"rate_limit_next": 9, "retry_after_s": 7}, RateLimited, "asks us to wait"),
    "another write": ({"conflict_next": 1}, Transient, "busy with another change"),
    "failure": ({"fail_next": 1}, ServerFault, "status 503"),
    "approval": ({"approval": True}, Unsupported, "allow the token's role to bypass required approvals"),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refused_change_changes_nothing(desk: Desk, flags: LaunchDarkly, name: str):
    begin = await at_ten_percent(flags)
    fault, kind, words = REFUSALS[name]
    desk.store.faults.update(fault)
    with pytest.raises(kind, match=words) as told:
        await flags.write(second(begin), expect=first(begin), why="50%")
    assert TOKEN not in str(told.value)
    if isinstance(told.value, RateLimited):
        assert told.value.retry_after_s == 7
    assert desk.store.done == 2


async def test_a_token_that_may_only_read_is_told_what_it_lacks(desk: Desk, flags: LaunchDarkly):
    async with desk.flags("api-sandbox-reader") as reader:
        with pytest.raises(BadCredentials, match="make it with the string variations `canary`, `production`"):
            await reader.start(PROMPT, "ours")
        begin = await flags.start(PROMPT, "ours")
        assert await reader.read(PROMPT) == begin
        with pytest.raises(BadCredentials, match="give it a role with updateFallthrough"):
            await reader.write(first(begin), expect=begin, why="10%")


async def test_a_wrong_token_is_refused_and_never_repeated(desk: Desk):
    async with desk.flags("api-secret") as flags:
        with pytest.raises(BadCredentials, match=r"set `launchdarkly.token`") as told:
            await flags.read(PROMPT)
    assert "api-secret" not in str(told.value)
    assert "api-secret" not in repr(LaunchDarklyAccess(base_url=desk.url, token="api-secret"))


async def read_from(answer) -> Split | None:
    with answering(lambda _: answer) as (url, _):
        access = LaunchDarklyAccess(base_url=url, token=TOKEN)
        async with LaunchDarkly(access, {PROMPT: FLAG}, MemoryRegistry()) as flags:
            return await flags.read(PROMPT)


@pytest.mark.parametrize(
    ("headers", "wait_s"), [({}, 10), ({"Retry-After": "3"}, 3), ({"X-Ratelimit-Reset": "1000"}, 1)]
)
async def test_the_wait_is_what_the_server_asks_for(headers, wait_s):
    with pytest.raises(RateLimited) as told:
        await read_from(JSONResponse({"message": "Rate limit exceeded"}, 429, headers))
    assert told.value.retry_after_s == wait_s, "a window that has ended is waited out for a second"


async def test_a_reset_is_waited_for_by_the_servers_own_clock():
    in_2100 = "4102444800000"
    with pytest.raises(RateLimited) as told:
        await read_from(JSONResponse({"message": "Rate limit exceeded"}, 429, {"X-Ratelimit-Reset": in_2100}))
    assert told.value.retry_after_s > 1e6


async def test_what_is_not_launchdarkly_is_told():
    with pytest.raises(BadAnswer, match="something that is no flag"):
        await read_from(HTMLResponse("<html>"))
    with pytest.raises(BadAnswer, match="says 302"):
        await read_from(HTMLResponse("<html>", 302, {"Location": "/login"}))
    with pytest.raises(Declined, match="scheduled change"):
        await read_from(JSONResponse({"code": "invalid_request", "message": "a scheduled change would fail"}, 400))


async def test_nobody_at_the_address_is_unreachable():
    access = LaunchDarklyAccess(base_url="http://127.0.0.1:9", token=TOKEN)
    async with LaunchDarkly(access, {PROMPT: FLAG}, MemoryRegistry()) as flags:
        with pytest.raises(Unreachable, match="cannot be reached"):
            await flags.read(PROMPT)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"base_url": "app.launchdarkly.com"}, "base_url"),
        ({"token": ""}, "launchdarkly.token"),
        ({"token": "api-\n"}, "launchdarkly.token"),
        ({"project": "a/b"}, "launchdarkly.project"),
        ({"environment": ""}, "launchdarkly.environment"),
    ],
)
def test_settings_that_cannot_be_are_named(fields, words):
    with pytest.raises(BadSettings, match=words):
        LaunchDarklyAccess(**{"base_url": "http://127.0.0.1", "token": TOKEN, **fields})


@pytest.mark.parametrize("flag", ["", "..", "a/b", "a b", "../../members"])
def test_a_key_that_is_none_reaches_no_address(flag: str):
    access = LaunchDarklyAccess(base_url="http://127.0.0.1", token=TOKEN)
    with pytest.raises(BadSettings, match=r"`release.flag` of prompt 'support/answer' is no key"):
        LaunchDarkly(access, {PROMPT: flag}, MemoryRegistry())


def test_two_prompts_do_not_share_a_flag():
    access = LaunchDarklyAccess(base_url="http://127.0.0.1", token=TOKEN)
    with pytest.raises(BadSettings, match="the same LaunchDarkly flag"):
        LaunchDarkly(access, {PROMPT: FLAG, "other": FLAG}, MemoryRegistry())


# ---- what a flag can show ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.000001, 1e-9])
async def test_a_share_that_a_flag_cannot_show_is_refused(flags: LaunchDarkly, share: float):
    begin = await flags.start(PROMPT, "ours")
    with pytest.raises(BadInput, match="smaller than LaunchDarkly's thousandth of a percent"):
        await flags.write(canary(PROMPT, begin.salt, version=8, share=share), expect=begin, why="too little")


async def test_bands_that_are_no_release_are_refused(flags: LaunchDarkly):
    begin = await flags.start(PROMPT, "ours")
    thirds = tuple(Band(below=n / 3, version=version) for n, version in ((1, 8), (2, 0), (3, 7)))
    with pytest.raises(BadInput, match="start the release again"):
        await flags.write(Split(prompt=PROMPT, salt=begin.salt, bands=thirds), expect=begin, why="odd")


async def test_another_salt_is_another_flag(flags: LaunchDarkly):
    begin = await flags.start(PROMPT, "ours")
    other = canary(PROMPT, "prompt-answer.other", version=8, share=0.1)
    assert not await flags.write(other, expect=Split(prompt=PROMPT, salt=other.salt), why="10%")
    assert not await flags.write(other, expect=begin, why="10%")


# ---- what the sandbox refuses, as the service does -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"rolloutWeights": {"0": 50_000, "1": 40_000}}, 422),
        ({"rolloutWeights": {"0": 0.5, "1": 99_999.5}}, 422),
        ({"rolloutWeights": {"nobody": 100_000}}, 422),
        ({"rolloutWeights": {"1": 100_000}, "variationId": "1"}, 422),
        ({}, 422),
        ({"kind": "updateEverything"}, 422),
        ({"environmentKey": None}, 400),
        ({"environmentKey": "nowhere"}, 404),
    ],
)
async def test_the_sandbox_takes_no_patch_that_the_service_would_not_take(desk: Desk, flags, told, status):
    await flags.start(PROMPT, "ours")
    environment = told.pop("environmentKey", "production")
    if "rolloutWeights" in told:
        names = {"0": desk.id(0), "1": desk.id(1), "nobody": "nobody"}
        told["rolloutWeights"] = {names[name]: weight for name, weight in told["rolloutWeights"].items()}
    instruction = {"kind": "updateFallthroughVariationOrRollout"} | told
    headers = {"Authorization": TOKEN, "Content-Type": "application/json; domain-model=launchdarkly.semanticpatch"}
    body = {"environmentKey": environment, "instructions": [{"kind": "turnFlagOff"}, instruction]}
    left = repr(desk.flag)
    async with httpx.AsyncClient(base_url=desk.url, headers=headers) as client:
        answer = await client.patch(f"/api/v2/flags/default/{FLAG}", json=body)
    assert answer.status_code == status
    assert repr(desk.flag) == left
