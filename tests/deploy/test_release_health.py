"""What the doctor says about releases, over the twin house: nothing is pushed, no flag is touched, nothing is sent."""

import re
import socket
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import SetClock
from house_samples import BODY, World

from connectors.memory import Call
from connectors.memory_forge import MemoryForge
from deploy.doctor import SAMPLE, Check, Health
from deploy.ofrep.app import Endpoint
from deploy.ofrep.flags import Flags
from deploy.releases.health import check_notify, check_ofrep, check_release, check_role
from deploy.releases.metrics import metric_of
from deploy.releases.prospects import PROMISES, Traffic, check_metric, check_speed, check_units, newest, stretch
from deploy.settings import Settings
from deploy.store.facade import Store
from deploy.store.ledger import Ledger
from optimizer.errors import BadAnswer, Unreachable
from optimizer.rollouts import Exposure, Split, canary, holdback
from optimizer.types import ScoreKind, Window
from sandbox.serving import serve

METRIC = {"metric": {"score": "helpful", "sampled": True}}
CANARY: dict[str, Any] = {"policy": "canary", "canary": METRIC}
PULLS: dict[str, Any] = {"ask": "pull-request", "path": "prompts/support.txt"}


@pytest.fixture
def world(owned: Store, clock: SetClock) -> World:
    return World(owned, clock, prompt={"release": CANARY})


async def found(world: World, **release: Any) -> list[Check]:
    if release:
        world.prompt = {"release": release}
    house = world.house
    sample = world.traces.all_generations[-SAMPLE:]
    return [check async for check in check_release(house, house.settings.prompt("support"), sample)]


def said(checks: Sequence[Check], health: Health) -> list[str]:
    told = [check.said for check in checks if check.health is health]
    assert health is Health.OK or all(one.endswith(".") and ";" in one for one in told), "it says what to do"
    return told


def users(world: World, number: int, *, named: bool = True, scored: bool = True, **given: Any) -> None:
    """So many users ask once each, and say what they think of it."""
    for n in range(number):
        made = world.answer(n)
        if named:
            world.traces.all_calls[made.id] = Call(user=f"user{n}")
        if scored:
            world.judge_it(n, **{"value": 1.0, **given})


# ---- who decides ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "sentence"),
    [
        ({"policy": "observe"}, "policy `observe`: a pass is reported, and nothing is released"),
        (
            {"policy": "propose"},
            "policy `propose`: a person is asked by `tracegrad approve`, and then `production` moves",
        ),
    ],
)
async def test_what_needs_no_canary_is_not_asked_about_one(world: World, release: Any, sentence: str) -> None:
    (check,) = await found(world, **release)
    assert (check.health, check.said) == (Health.OK, sentence)


# ---- the repository ------------------------------------------------------------------------------------------------


async def test_the_file_is_what_production_reads(world: World) -> None:
    world.forge = MemoryForge({"prompts/support.txt": f"{BODY}\n"})
    policy, forge = await found(world, **PULLS)
    assert "asked by a pull request" in policy.said
    assert (forge.health, world.forge.pulls) == (Health.OK, {})
    assert forge.said.startswith("the forge in memory has prompts/support.txt on main, as `production` is")


async def test_a_file_that_says_something_else(world: World) -> None:
    world.forge = MemoryForge({"prompts/support.txt": "Written by somebody else."})
    (differs,) = said(await found(world, **PULLS), Health.WARNING)
    assert "it is not the text of version 1, which `production` is" in differs
    assert BODY not in differs
    assert "somebody else" not in differs


async def test_a_repository_without_the_file_or_no_repository_at_all(world: World) -> None:
    world.forge = MemoryForge()
    assert said(await found(world, **PULLS), Health.FAILED) == [
        "the forge in memory has no file prompts/support.txt at main, or nobody without rights may see it; put what "
        "production reads at prompts/support.txt there, or correct `release.path` or what `forge` says."
    ]
    world.forge = None
    assert "no forge is named" in said(await found(world, **PULLS), Health.FAILED)[0]


# ---- the flag service ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("served", "sentence"),
    [
        (None, "`ofrep` has nothing for it yet; the first release begins it"),
        (Split(prompt="support", salt="s"), "`ofrep` shows production to everybody"),
        (
            canary("support", "s", version=8, share=0.1),
            "`ofrep` shows version 8 to 10%, production to 90%",
        ),
        (
            holdback("support", "s", version=7, share=0.1),
            "`ofrep` shows production to 90%, version 7 to 10%",
        ),
    ],
)
async def test_what_the_flag_service_serves(world: World, served: Split | None, sentence: str) -> None:
    if served:
        world.flags.by_hand(served)
    assert sentence in said(await found(world), Health.OK)
    assert world.flags.writes == []


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (BadAnswer("the flag is none of ours", "delete it"), "the flag is none of ours; delete it."),
        (Unreachable("the flag service is away"), "the flag service is away; try again in a while."),
    ],
)
async def test_a_flag_service_that_cannot_be_understood_or_reached(
    world: World, error: Exception, sentence: str
) -> None:
    class Away(type(world.flags)):  # type: ignore[misc]
        async def read(self, _prompt: str) -> Split | None:
            raise error

    world.flags = Away()
    assert sentence in said(await found(world), Health.FAILED)


# ---- production ----------------------------------------------------------------------------------------------------


async def test_nobody_asked_anything(world: World) -> None:
    links, metric = said(await found(world), Health.FAILED)
    assert links.startswith("no answer of the last 7 days is linked to it")
    assert metric == (
        "no answer of the last 7 days has a numeric score 'helpful'; "
        "correct `release.canary.metric`, or have it scored."
    )


async def test_few_users_prove_nothing(world: World) -> None:
    users(world, 20)
    checks = await found(world)
    assert said(checks, Health.FAILED) == []
    (slow,) = said(checks, Health.WARNING)
    assert slow.startswith("20 users a week give such a score: with fewer than 300 a canary rarely proves even a gain")
    text = "\n".join(said(checks, Health.OK))
    assert "100% of 20 answers name a user, and only these are counted" in text
    assert "20 answers of the last 7 days were given a numeric score 'helpful', as a hash decides" in text


@pytest.mark.parametrize(
    ("number", "health", "part"),
    [
        (299, Health.WARNING, "rarely proves even a gain of 5 points"),
        (300, Health.WARNING, "with 300 a gain of 3 points is proven in 19% of canaries, and one of 5 in 67%"),
        (1000, Health.OK, "with 1,000 a gain of 3 points is proven in 60% of canaries, and one of 5 in 99%"),
    ],
)
async def test_how_long_a_canary_takes(world: World, number: int, health: Health, part: str) -> None:
    users(world, number)
    assert part in "\n".join(said(await found(world), health))


def test_the_promises_are_those_of_the_page_on_canaries() -> None:
    page = (Path(__file__).parents[2] / "docs" / "canary.md").read_text(encoding="utf-8")
    for promise in PROMISES:
        begins = r"little traffic, 8 weeks \| " if promise.units == 300 else ""
        stake = r" 2% \|" if promise.units == 300 else ""
        for gain, share in (("3", promise.three), ("5", promise.five)):
            row = rf"^\| {begins}{promise.units:,} \| \+{gain} \|{stake} {100 * share:.1f}% .*$"
            (line,) = re.findall(row, page, re.MULTILINE)
        cells = [cell.strip() for cell in line.split("|")]
        assert cells[6] == str(promise.days)


async def test_scores_of_people_who_choose_need_more(world: World) -> None:
    users(world, 1000)
    checks = await found(world, policy="canary", canary={"metric": {"score": "helpful"}})
    assert "by whoever wants to" in "\n".join(said(checks, Health.OK))
    assert "more is needed where people choose whether to score" in said(checks, Health.OK)[-2]


async def test_a_margin_promises_something_else(world: World) -> None:
    users(world, 20)
    checks = await found(world, policy="canary", canary={**METRIC, "margin": 0.03})
    assert said(checks, Health.WARNING) == []
    assert "what a margin asks for is in docs/canary.md" in said(checks, Health.OK)[-2]


async def test_users_are_counted_and_not_their_answers(world: World) -> None:
    users(world, 20)
    for call in list(world.traces.all_calls):
        world.traces.all_calls[call] = Call(user="one and the same")
    (slow,) = said(await found(world), Health.WARNING)
    assert slow.startswith("1 users a week give such a score")


async def test_what_is_older_than_a_week_does_not_count(world: World) -> None:
    users(world, 20)
    world.pass_time(days=8)
    units, metric = said(await found(world), Health.FAILED)
    assert units.startswith("no answer of the last 7 days is linked to it")
    assert metric.startswith("no answer of the last 7 days")


async def test_answers_that_nobody_owns(world: World) -> None:
    users(world, 4, named=False)
    units = said(await found(world), Health.FAILED)[0]
    assert units == (
        "0% of 4 answers name a user, and only these are counted; "
        "set the user id of your traces, or `release.canary.unit: session`."
    )
    world.traces.all_calls["g0"] = Call(user="ada")
    world.judge_it(0, value=1.0)
    assert said(await found(world), Health.WARNING)[0].startswith("25% of 4 answers name a user")


async def test_scores_of_another_kind(world: World) -> None:
    users(world, 3, kind=ScoreKind.CATEGORICAL, value="good")
    assert "(3 of that name are of another kind)" in said(await found(world), Health.FAILED)[0]


async def test_nothing_says_what_a_good_answer_is(world: World) -> None:
    world.prompt = {"release": {"policy": "canary"}, "rules": [{"kind": "correction"}]}
    assert said(await found(world), Health.FAILED) == [
        "nothing says what a good answer of support is worth; set `release.canary.metric` to one of its scores."
    ]


async def test_more_than_anybody_wants_to_read(world: World) -> None:
    users(world, 20)
    window = Window(start=datetime.min.replace(tzinfo=UTC), end=world.clock.now())

    def walk() -> AsyncIterator[Exposure]:
        return world.traces.exposures(window, "support", place=lambda _: 0.0, by="user")

    some, all_of_it = await newest(walk(), 10)
    assert (len(some), all_of_it) == (10, False)
    everything, all_of_it = await newest(walk(), 20)
    assert (len(everything), all_of_it) == (20, True)
    seen = Traffic(since=some[-1].at, answers=some, odd=0, judged=5_000, scored=10, whole=False)
    prompt = world.house.settings.prompt("support")
    assert check_units("x", prompt, seen, world.traces.all_generations).health is Health.OK
    assert check_speed("x", prompt, metric_of(prompt), seen).said.startswith("at least 10 users a week give")
    assert "at least 5,000 answers" in check_metric("x", metric_of(prompt), seen).said


async def test_the_year_s_error_budget_and_no_stake_is_opened(world: World) -> None:
    text = "0.2 of the canaries' error budget of 0.2 a year is left; the next canary stakes 0.02 and promotes at"
    assert said(await found(world), Health.OK)[-1] == f"{text} evidence of 50"
    prompt_id = world.store.ledgers.prompt_id("support")
    assert world.store.ledgers.stakes(prompt_id, Ledger.RELEASE) == ()
    for number in range(3):
        world.store.ledgers.open(
            prompt_id, Ledger.RELEASE, release_id=f"r{number}", candidate="c", budget=0.2, at=world.clock.now()
        )
    assert "0.146 of the canaries' error budget" in said(await found(world), Health.OK)[-1]
    spent = await found(world, policy="canary", canary={**METRIC, "budget": 0.01})
    assert "so no canary can begin; wait" in said(spent, Health.WARNING)[-1]


def test_the_busier_a_prompt_is_the_less_far_back_is_read(world: World) -> None:
    now = world.clock.now()
    quiet = [world.answer(n, ago=timedelta(days=2)) for n in range(SAMPLE)]
    busy = [world.answer(n, ago=timedelta(minutes=n)) for n in range(SAMPLE)]
    assert stretch(quiet, now) == timedelta(days=7)
    assert stretch(busy[:-1], now) == timedelta(days=7), "there are no more than these"
    assert stretch(busy, now) == timedelta(minutes=SAMPLE - 1) * 3_500 / SAMPLE
    assert stretch([world.answer(0, ago=timedelta())] * SAMPLE, now) == timedelta(seconds=3_500 / SAMPLE)


async def test_of_a_busy_prompt_not_all_is_read_and_that_is_said(world: World) -> None:
    users(world, 400)
    assert said(await found(world), Health.WARNING)[-1].startswith("at least 400 users a week give such a score")
    assert "at least 400 answers of the 400 newest were given" in "\n".join(said(await found(world), Health.OK))
    world.traces.all_scores.clear()
    (later,) = said(await found(world), Health.WARNING)
    assert later.startswith("no answer of the 400 newest has a numeric score 'helpful' yet; see that it comes later")


# ---- what is the same for every prompt -----------------------------------------------------------------------------


async def test_a_role_that_holds_too_much() -> None:
    assert (await check_role(Settings())).health is Health.OK
    both = Settings.model_validate({"role": "proposer", "forge": {"token": "t"}})
    check = await check_role(both)
    assert check.health is Health.FAILED
    assert check.said.startswith("the role `proposer` must not hold a forge's token")


@pytest.mark.parametrize("url", ["hooks.example/secret", "ftp://hooks.example/secret", "https://", "http://[secret"])
def test_an_address_that_is_none_is_not_printed(url: str) -> None:
    check = check_notify(Settings.model_validate({"notify": [{"url": "https://hooks.example/x"}, {"url": url}]}))
    assert check.health is Health.FAILED
    assert check.said == "address 2 of `notify` is none; give one that begins with https://."


def test_addresses_that_are_some() -> None:
    assert check_notify(Settings()).said == "nobody is told of releases"
    check = check_notify(Settings.model_validate({"notify": [{"url": "https://hooks.example/secret"}]}))
    assert (check.health, check.said) == (Health.OK, "one address is told of releases")


def asked_at(port: int, **given: Any) -> Settings:
    prompts = [{"name": "support", "release": CANARY}]
    return Settings.model_validate({"prompts": prompts, "ofrep": {"port": port, **given}})


async def test_the_port_is_free_or_somebody_elses_or_not_needed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        listener.close()
        free = await check_ofrep(asked_at(port))
        assert (free.health, free.said) == (Health.OK, f"127.0.0.1:{port} is free; `tracegrad run` answers there")
    assert (await check_ofrep(Settings())).said.startswith("not needed")
    nowhere = await check_ofrep(asked_at(1, host="192.0.2.1", token="t"))
    assert nowhere.health is Health.FAILED
    assert "correct `ofrep.host` or `ofrep.port`." in nowhere.said


@pytest.mark.parametrize(("token", "health"), [("t", Health.OK), ("another", Health.FAILED)])
async def test_the_endpoint_runs_already(token: str, health: Health) -> None:
    with serve(Endpoint(Flags(prompts=frozenset({"support"}), splits={}), "t")) as address:
        port = int(address.rpartition(":")[2])
        check = await check_ofrep(asked_at(port, token=token))
    assert check.health is health
    assert ("answers on" if health is Health.OK else "something else listens on") in check.said
