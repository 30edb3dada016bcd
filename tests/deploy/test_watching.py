"""Production is watched: by hand in memory, and a simulated population over HTTP by the real connector."""

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from exposure_samples import BEGAN, PLAN, after
from house_samples import World

from connectors.langfuse.settings import LangfuseAccess
from connectors.langfuse.traces import LangfuseTraceSource
from connectors.memory import Call
from connectors.source_keys import source_key
from deploy.releases.units import Stage
from deploy.releases.watching import OVERLAP, SETTLE, reach_of, watch
from optimizer.rollouts import Metric, point
from optimizer.types import Arm, Missing, ScoreKind, Window
from sandbox.langfuse.app import create_app
from sandbox.population.asking import Bands
from sandbox.population.living import Population, Service
from sandbox.population.people import Habits
from sandbox.scenario.project import LangfuseProject
from sandbox.serving import serve

RUN = "support@2026-11-02T00:00Z"
STAGES = (Stage(share=0.1, since=BEGAN), Stage(share=0.5, since=after(days=2)))
KEYS = {"public_key": "pk-lf-sandbox", "secret_key": "sk-lf-sandbox"}


class Watched(World):
    """A house with a release that is watched."""

    def __init__(self, store, clock):
        super().__init__(store, clock)
        clock.time = BEGAN
        store.releases.propose(
            RUN, cycle_id=RUN, prompt="support", candidate_id="c", base_version=1, expires_at=BEGAN, at=BEGAN
        )

    def user_asks(self, number, user, *, session="s", version=1):
        """The application answers a user now; returns the place of the user."""
        made = self.answer(number, ago=timedelta(), prompt_version=version)
        self.traces.all_calls[made.id] = Call(user=user, session=session, latency_s=1.0, cost_usd=0.5)
        return point(PLAN.salt, user)

    async def look(self, *, stages=STAGES[:1], plan=PLAN):
        return await watch(self.house, self.store.releases.get(RUN), plan, stages)


@pytest.fixture
def world(store, clock):
    return Watched(store, clock)


def values(watched):
    return [unit.value for unit in watched.units]


# ---- what a look has to read ---------------------------------------------------------------------------------------


def test_the_first_look_reads_from_the_beginning_to_a_minute_ago():
    everything = Window(start=BEGAN, end=after(days=3) - SETTLE)
    assert reach_of(None, BEGAN, PLAN, after(days=3)).answers == everything
    assert reach_of(None, BEGAN, PLAN, after(days=3)).scores == everything


def test_a_second_look_of_a_day_overlaps_a_little():
    reach = reach_of(after(days=9, hours=1), BEGAN, PLAN, after(days=9, hours=2))
    assert (
        reach.answers
        == reach.scores
        == Window(start=after(days=9, hours=1) - OVERLAP, end=after(days=9, hours=2) - SETTLE)
    )


def test_the_first_look_of_a_day_reads_all_scores_that_may_still_count():
    reach = reach_of(after(days=8, hours=20), BEGAN, PLAN, after(days=9, hours=2))
    assert reach.answers.start == after(days=7, hours=20)
    assert reach.scores.start == after(days=7, hours=20) - timedelta(days=PLAN.maturity_days)


def test_nothing_before_the_release_is_read():
    reach = reach_of(after(hours=2), BEGAN, PLAN, after(days=1))
    assert reach.answers.start == reach.scores.start == BEGAN


def test_after_a_clock_was_set_back_everything_is_read_again():
    assert reach_of(after(days=9), BEGAN, PLAN, after(days=3)) == reach_of(None, BEGAN, PLAN, after(days=3))


def test_a_look_before_anything_can_have_been_read_reads_nothing():
    assert reach_of(None, BEGAN, PLAN, BEGAN).answers == Window(start=BEGAN, end=BEGAN)


# ---- bad inputs ----------------------------------------------------------------------------------------------------


async def test_nobody_came_and_nobody_said_anything(world):
    watched = await world.look()
    assert (watched.units, watched.late_scores, watched.models, watched.canary) == ((), 0, frozenset(), None)
    world.pass_time(hours=1)
    world.user_asks(1, "ada")
    world.pass_time(hours=1)
    assert values(await world.look()) == [Missing.NOT_RECORDED]


async def test_one_user_in_the_arm_of_the_hash_whatever_was_served(world):
    world.pass_time(hours=1)
    place = world.user_asks(1, "ada", version=7)
    world.judge_it(1, at=after(hours=2), value=0.75)
    world.pass_time(days=3)
    (unit,) = (await world.look()).units
    assert unit.arm is (Arm.CANDIDATE if place < 0.1 else Arm.BASELINE)
    assert (unit.share, unit.value, unit.matured, unit.latency_s, unit.cost_usd) == (0.1, 0.75, True, 1.0, 0.5)
    assert unit.key == source_key("ada", "", secret=b"in memory")


async def test_a_score_that_comes_a_week_late_is_told_and_not_counted(world):
    world.pass_time(hours=1)
    world.user_asks(1, "ada")
    world.judge_it(1, at=after(hours=2), value=1.0)
    world.pass_time(days=4)
    assert (await world.look()).late_scores == 0
    world.pass_time(days=5)
    world.judge_it(1, id="late", at=after(days=8), value=0.0)
    watched = await world.look()
    assert (values(watched), watched.late_scores) == ([1.0], 1)


async def test_edited_scores_replace_deleted_ones_vanish_and_those_of_another_kind_say_nothing(world):
    world.pass_time(hours=1)
    world.user_asks(1, "ada")
    first = world.judge_it(1, at=after(hours=2), value=1.0)
    world.judge_it(1, id="word", at=after(hours=2), value="bad", kind=ScoreKind.CATEGORICAL)
    second = world.judge_it(1, id="second", at=after(hours=2), value=0.5)
    world.pass_time(hours=5)
    assert values(await world.look()) == [0.75]
    world.pass_time(days=1)
    world.edit(first, value=0.0)
    assert values(await world.look()) == [0.25]
    world.traces.all_scores.remove(second)
    world.pass_time(days=1)
    assert values(await world.look()) == [0.0]


async def test_a_look_that_could_not_read_keeps_nothing(world):
    world.pass_time(hours=1)
    world.user_asks(1, "ada")
    world.pass_time(hours=1)
    broken = replace(PLAN, metric=Metric(score="helpful", kind=ScoreKind.NUMERIC, low=1.0, high=1.0))
    world.judge_it(1, at=after(hours=2) - SETTLE * 2)
    with pytest.raises(ZeroDivisionError):
        await world.look(plan=broken)
    assert world.store.releases.get(RUN).watched_until is None
    assert world.store.exposures.load(RUN) == ()


async def test_a_clock_that_is_set_back_loses_and_doubles_nothing(world):
    for number in range(3):
        world.pass_time(hours=6)
        world.user_asks(number, f"user-{number}")
        world.judge_it(number, at=world.clock.now(), value=number / 2)
    world.pass_time(days=20)
    assert sorted(values(await world.look())) == [0.0, 0.5, 1.0]
    world.clock.time = after(days=1)
    watched = await world.look()
    assert sorted(values(watched)) == [0.0, 0.5, 1.0]
    assert not any(unit.matured for unit in watched.units)
    world.user_asks(9, "new")
    world.pass_time(hours=1)
    assert len((await world.look()).units) == 4


@pytest.mark.parametrize(("unit", "found"), [("user", []), ("session", [source_key("", "s-1", secret=b"in memory")])])
async def test_an_answer_without_a_user_is_of_a_session_or_of_nobody(world, unit, found):
    world.pass_time(hours=1)
    world.user_asks(1, "", session="s-1")
    world.pass_time(hours=1)
    assert [unit.key for unit in (await world.look(plan=replace(PLAN, unit=unit))).units] == found


async def test_the_holdback_is_watched_as_a_phase_of_its_own(world):
    places = {f"user-{n}": point(PLAN.salt, f"user-{n}") for n in range(60)}
    held = Stage(share=0.9, since=after(days=10), holdback=True)
    for day in (3, 11):
        world.clock.time = after(days=day)
        for number, user in enumerate(places):
            world.user_asks(100 * day + number, user)
    world.clock.time = after(days=12)
    watched = await world.look(stages=(*STAGES, held))
    assert len(watched.canary.units) == 60
    keys = {source_key(user, "", secret=b"in memory"): place for user, place in places.items()}
    assert {unit.key for unit in watched.units} == {key for key, place in keys.items() if place >= 0.5}
    assert all((unit.arm is Arm.CANDIDATE) == (keys[unit.key] < 0.9) for unit in watched.units)


# ---- a population over HTTP ----------------------------------------------------------------------------------------

TRUTH = {1: 0.85, 2: 0.5}
HABITS = Habits(
    users=800.0, weekend=1.0, most_answers=3, hostile=0.0, season=0.0, hard=0.0, gap=0.0, drift=0.0, origin=BEGAN
)


def serves(prompt):
    return Service(quality=TRUTH[prompt.version], failing=0.0)


async def test_a_worse_candidate_is_seen_to_be_worse_by_what_it_truly_is(world, tmp_path):
    """Five simulated days under a split, looked at every day."""
    metric = Metric(score="user-feedback", kind=ScoreKind.NUMERIC, sampled=True)
    plan = replace(PLAN, metric=metric, maturity_days=1.0, settle_s=0.0)
    with serve(create_app(tmp_path / "langfuse.db")) as url:
        access = LangfuseAccess(base_url=url, source_secret=b"s", requests_per_minute=0, **KEYS)
        async with LangfuseProject(url, **KEYS) as project, LangfuseTraceSource(access) as traces:
            await project.create_prompt("support", "Version one.", labels=["production"], note="Simulated")
            await project.create_prompt("support", "Version two.", labels=[], note="Simulated")
            split = Bands(plan.salt, [(0.1, 2), (1.0, 0)])
            population = Population(
                project,
                split,
                lambda p: Service(quality=TRUTH[p.version], failing=0.0),
                prompt="support",
                habits=HABITS,
            )
            users = {}
            for day in range(5):
                if day == 2:
                    split.bands = [(0.5, 2), (1.0, 0)]
                await population.live(after(days=day), after(days=day + 1))
                world.clock.time = after(days=day + 1)
                house = replace(world.house, traces=traces)
                watched = await watch(house, world.store.releases.get(RUN), plan, STAGES[: 1 if day < 2 else 2])
                users |= {source_key(user, "", secret=b"s"): user for user in population.everybody}
    assert len(watched.units) == len(users) > 500
    assert [unit.at for unit in watched.units] == sorted(unit.at for unit in watched.units)
    for unit in watched.units:
        assert unit.share == (0.1 if unit.at < STAGES[1].since else 0.5)
        assert unit.arm is (Arm.CANDIDATE if point(plan.salt, users[unit.key]) < unit.share else Arm.BASELINE)
        assert unit.matured is (world.clock.now() - SETTLE >= unit.at + timedelta(days=1))
    assert watched.late_scores > 0
    assert watched.models == {"sim-task"}
    tossed = [
        (unit, unit.share * (1 - unit.share))
        for unit in watched.units
        if unit.matured and not isinstance(unit.value, Missing)
    ]
    weight = math.fsum(v for _, v in tossed)
    gains = (((unit.arm is Arm.CANDIDATE) - unit.share) * (unit.value - plan.prior) for unit, _ in tossed)
    # of values in [0, 1] around the prior: their second moment there is at most that of scores of 0 and 1
    worst = max(q * (1 - plan.prior) ** 2 + (1 - q) * plan.prior**2 for q in TRUTH.values())
    spread = math.sqrt(weight * worst) / weight
    harm = TRUTH[1] - TRUTH[2]
    assert abs(math.fsum(gains) / weight + harm) < 4 * spread < harm
