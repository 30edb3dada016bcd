"""What is fixed before a canary begins, from the old version's past."""

from dataclasses import replace
from datetime import timedelta

import pytest
from house_samples import World

from connectors.memory import Call
from deploy.releases.planning import past
from gates.canary.maturity import UNKNOWN_DAYS
from optimizer.errors import NotFound
from optimizer.rollouts import Metric
from optimizer.types import Missing, ScoreKind

METRIC = Metric(score="helpful", kind=ScoreKind.NUMERIC)


@pytest.fixture
def world(store, clock):
    return World(store, clock)


def asked(world, count, *, days_ago, waited_days=0.5, value=0.75, version=1, latency_s=1.0, cost_usd=0.5, first=0):
    """That many users asked once each, and said something so many days later."""
    for number in range(first, first + count):
        made = world.answer(number, ago=timedelta(days=days_ago), prompt_version=version)
        world.traces.all_calls[made.id] = Call(user=f"u{number}", latency_s=latency_s, cost_usd=cost_usd)
        if value is not None:
            world.judge_it(number, ago=timedelta(days=days_ago - waited_days), value=value)


async def read(world, **canary):
    world.prompt = {"release": {"canary": canary}}
    house = world.house
    return await past(house, house.settings.prompt("support"), METRIC)


async def test_a_prompt_without_a_past_is_planned_by_guesses(world):
    found = await read(world)
    assert (found.units, found.prior, found.healthy, found.maturity_days) == (0, 0.5, 0.0, UNKNOWN_DAYS)
    assert (found.guards.latency_s, found.guards.cost_usd) == (Missing.NOT_RECORDED, Missing.NOT_RECORDED)


async def test_the_old_version_is_expected_to_go_on_as_it_was(world):
    asked(world, 30, days_ago=5, value=0.75)
    asked(world, 30, days_ago=5, value=0.0, version=7, first=100)
    found = await read(world, unhealthy_drop=0.25)
    assert (found.units, found.prior, found.healthy) == (30, 0.75, 0.5)


async def test_one_loud_user_is_one_unit(world):
    asked(world, 30, days_ago=5, value=1.0)
    for number in range(500, 600):
        made = world.answer(number, ago=timedelta(days=5))
        world.traces.all_calls[made.id] = Call(user="loud")
        world.judge_it(number, ago=timedelta(days=4), value=0.0)
    assert (await read(world)).prior == pytest.approx(30 / 31)


async def test_a_few_users_make_no_floor_and_no_scale(world):
    asked(world, 19, days_ago=5)
    found = await read(world)
    assert (found.prior, found.healthy) == (0.75, 0.0)
    assert found.guards.latency_s is Missing.NOT_RECORDED


@pytest.mark.parametrize(("waited_days", "days"), [(0.1, 1.0), (2.5, 3.0), (13.5, 14.0)])
async def test_scores_count_for_as_long_as_they_take_to_come(world, waited_days, days):
    asked(world, 40, days_ago=20, waited_days=waited_days)
    asked(world, 1000, days_ago=2, waited_days=0.1, first=100)  # too young for their late scores to be there
    assert (await read(world)).maturity_days == days


async def test_the_slower_version_decides_and_the_owner_before_it(world):
    asked(world, 40, days_ago=20, waited_days=0.5)
    asked(world, 40, days_ago=20, waited_days=5.5, version=2, first=100)
    assert (await read(world)).maturity_days == 6.0
    assert (await read(world, maturity_days=1.5)).maturity_days == 1.5


async def test_the_worst_latency_and_cost_are_twice_what_nearly_all_stay_below(world):
    asked(world, 95, days_ago=5, latency_s=1.5, cost_usd=0.0)
    asked(world, 5, days_ago=5, latency_s=60.0, cost_usd=0.0, first=200)
    found = await read(world, failed_margin=0.25, latency_margin=0.5, cost_margin=0.75)
    assert found.guards.latency_s == 3.0
    assert found.guards.cost_usd is Missing.NOT_RECORDED, "nothing can be told from worse on a scale without a length"
    assert (found.guards.failed_margin, found.guards.latency_margin, found.guards.cost_margin) == (0.25, 0.5, 0.75)


async def test_scores_of_another_kind_say_nothing(world):
    asked(world, 30, days_ago=5, value=None)
    for number in range(30):
        world.judge_it(number, value="bad", kind=ScoreKind.CATEGORICAL)
    assert (await read(world)).units == 0


async def test_without_a_labelled_version_there_is_no_past_to_speak_of(world):
    house = replace(world.house, registry=type(world.registry)())
    with pytest.raises(NotFound):
        await past(house, house.settings.prompt("support"), METRIC)
