"""The collect stage: what is read, what counts as a complaint, and what is chosen."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from conftest import SetClock
from house_samples import State, World, rows

from connectors.memory import MemoryTraceSource
from deploy.collecting import YOUNG, chosen_losses, collect
from deploy.store.facade import Store
from deploy.store.fence import LeaseLost
from optimizer.errors import NotFound
from optimizer.rules import ScoreRule
from optimizer.types import Gradient, Score, ScoreKind, TextLoss, Window


@pytest.fixture
def world(owned: Store, clock: SetClock) -> World:
    return World(owned, clock)


async def collected(world: World, slot: str = "2026-11-21T02:30Z") -> State:
    return await collect(world.house, world.cycle(slot), {})


def losses_of(world: World, state: State) -> tuple[TextLoss, ...]:
    assert "ended" not in state, state
    return chosen_losses(world.store, world.house.settings.prompt("support"), state)


def gradients(losses: Sequence[TextLoss]) -> list[Gradient]:
    return [Gradient(loss=loss, warrants_change=True, text="do better") for loss in losses]


def texts_of(world: World, state: State) -> set[str]:
    return {loss.text for loss in losses_of(world, state)}


async def test_the_first_pull_looks_back_as_far_as_the_owner_says_and_leaves_the_newest_minute(world: World) -> None:
    for number, ago in enumerate((timedelta(days=29), timedelta(days=31), timedelta(seconds=30))):
        world.answer(number, ago=min(ago, timedelta(days=28)))
        world.judge_it(number, ago=ago, comment=str(ago))
    assert texts_of(world, await collected(world)) == {"29 days, 0:00:00"}


async def test_a_late_score_is_found_within_the_overlap_and_later_by_the_daily_sweep(world: World) -> None:
    world.complaint(1)
    await collected(world)
    world.pass_time(hours=1)
    ended = world.clock.now() - timedelta(hours=1, minutes=1)  # of the first window
    world.answer(2, ago=timedelta(hours=3))
    world.answer(3, ago=timedelta(hours=3))
    world.judge_it(2, at=ended - timedelta(minutes=29), comment="backdated a little")
    world.judge_it(3, at=ended - timedelta(minutes=31), comment="backdated a lot")
    assert "backdated a little" in texts_of(world, state := await collected(world, "hour"))
    assert "backdated a lot" not in texts_of(world, state)
    world.answer(4, ago=timedelta(days=8))
    world.judge_it(4, ago=timedelta(days=7, hours=-24), comment="within the sweep")
    world.judge_it(5, ago=timedelta(days=9), trace_id="t4", comment="beyond the sweep")
    world.pass_time(hours=23)  # the date has changed
    swept = texts_of(world, await collected(world, "day"))
    assert {"backdated a lot", "within the sweep"} <= swept
    assert "beyond the sweep" not in swept


async def test_an_edit_changes_the_complaint(world: World) -> None:
    score = world.complaint(1, comment="rude")
    assert texts_of(world, await collected(world)) == {"rude"}
    world.pass_time(days=1)
    world.edit(score, comment="rude, and wrong")
    assert texts_of(world, await collected(world, "next")) == {"rude, and wrong"}
    assert [s.comment for s in world.store.traces.scores(["s1"])] == ["rude, and wrong"]


@pytest.mark.parametrize("how", ["edited for the better", "deleted"])
async def test_a_complaint_that_was_withdrawn_is_one_no_more(world: World, how: str) -> None:
    score = world.complaint(1)
    kept = world.complaint(2, comment="still bad")
    assert len(losses_of(world, await collected(world))) == 2
    world.pass_time(days=1)
    if how == "deleted":
        world.traces.all_scores.remove(score)
    else:
        world.edit(score, value=1.0)
    assert texts_of(world, await collected(world, "next")) == {"still bad"}
    world.edit(kept, value=0.5)
    world.pass_time(days=1)
    ended = await collected(world, "last")
    assert ended["reason"] == f"nothing to do: no complaints about version 1 of support {YOUNG}"


class BusySource(MemoryTraceSource):
    """While it is read, another prompt's cycle stores a score that became visible a moment later."""

    def __init__(self, world: World, late: Score) -> None:
        super().__init__(world.traces.all_scores, world.traces.all_generations)
        self._world, self._late = world, late

    async def scores(self, window: Window, rules: Sequence[ScoreRule]) -> AsyncIterator[Score]:
        async for score in super().scores(window, rules):
            yield score
        self._world.store.traces.save(self.all_generations, [self._late], at=self._world.clock.now())


async def test_what_another_cycle_stores_during_the_walk_is_not_taken_for_withdrawn(world: World) -> None:
    late = world.complaint(2, comment="just visible")
    world.traces.all_scores.clear()
    world.complaint(1, comment="seen")
    world.traces = BusySource(world, late)
    assert texts_of(world, await collected(world)) == {"seen", "just visible"}


async def test_a_score_waits_for_its_trace_and_is_used_when_it_arrives(world: World) -> None:
    world.complaint(1)
    world.judge_it(2, ago=timedelta(minutes=50), comment="early")
    assert "early" not in texts_of(world, await collected(world))
    assert world.store.polls.waiting("p1", "support", world.clock.now()) == ("s2",)
    world.pass_time(minutes=29)  # its own time is before the next window
    world.answer(2)
    assert "early" in texts_of(world, await collected(world, "next"))
    assert world.store.polls.waiting("p1", "support", world.clock.now()) == ()


async def test_a_score_does_not_wait_for_ever(world: World) -> None:
    world.complaint(1)
    world.judge_it(2, ago=timedelta(minutes=50), comment="orphan")
    await collected(world)
    world.pass_time(minutes=31)
    world.answer(2)
    assert "orphan" not in texts_of(world, await collected(world, "next"))
    world.pass_time(days=1)
    assert "orphan" in texts_of(world, await collected(world, "the sweep asks again"))


async def test_a_score_is_about_a_generation_or_about_all_of_its_trace(world: World) -> None:
    for number in (1, 2):
        world.answer(number, trace_id="t1")
        world.answer(number + 2, trace_id="t3")
    world.judge_it(1, observation_id="g2", comment="this answer")
    world.judge_it(3, comment="all of it")
    found = {(loss.trace.generation.id, loss.text): loss.weight for loss in losses_of(world, await collected(world))}
    assert found == {("g2", "this answer"): 1.0, ("g3", "all of it"): 0.5, ("g4", "all of it"): 0.5}


async def test_weights_do_not_depend_on_which_complaints_were_chosen(world: World) -> None:
    world.prompt = {"max_complaints": 1}
    world.answer(1, trace_id="t1")
    world.answer(2, trace_id="t1")
    world.judge_it(1)
    assert [loss.weight for loss in losses_of(world, await collected(world))] == [0.5]


async def test_two_registered_prompts_in_one_trace_share_the_blame(world: World) -> None:
    world.others = ("router",)
    world.complaint(1)
    world.answer(2, trace_id="t1", prompt_name="router", prompt_version=7)
    world.answer(3, trace_id="t1", prompt_name="nobody registered this one")
    found = losses_of(world, await collected(world))
    assert [(loss.trace.generation.id, loss.weight) for loss in found] == [("g1", 0.5)]


async def test_complaints_about_an_older_version_are_not_about_the_present_one(world: World) -> None:
    world.complaint(1)
    world.registry.add("support", "Something new.", labels=["production"])
    state = await collected(world)
    assert state == {"ended": "skipped", "reason": f"nothing to do: no complaints about version 2 of support {YOUNG}"}
    assert world.store.traces.scores(["s1"]), "it was stored all the same"


async def test_nothing_new(world: World) -> None:
    world.complaint(1)
    state = await collected(world)
    world.store.lineage.save(
        "support@2026-11-21T02:30Z",
        gradients=gradients(losses_of(world, state)),
        causes=(),
        candidate=None,
        at=world.clock.now(),
    )
    world.pass_time(days=1)
    reason = "nothing new: all 1 complaints about version 1 were looked at before"
    assert await collected(world, "next") == {"ended": "skipped", "reason": reason}


async def test_nothing_is_linked_to_the_prompt(world: World) -> None:
    world.answer(1, prompt_name="", prompt_version=0)
    world.judge_it(1)
    state = await collected(world)
    assert state["ended"] == "failed"
    assert state["reason"] == (
        "no generation in the last 30 days is linked to support; pass `prompt=` to the generation in your application, "
        "then run `tracegrad doctor`."
    )


async def test_no_rule_says_what_a_complaint_is(world: World) -> None:
    world.prompt = {"rules": ()}
    world.complaint(1)
    state = await collected(world)
    assert state["ended"] == "failed"
    assert str(state["reason"]).endswith("add `rules` to it in tracegrad.yaml.")


@pytest.mark.parametrize(
    "changed",
    [{"rules": ({"kind": "numeric", "score": "helpful", "below": 0.9},)}, {"lookback_days": 60.0}],
)
async def test_an_owner_who_asks_for_something_else_gets_it_from_the_beginning(
    world: World, changed: dict[str, Any]
) -> None:
    world.answer(1, ago=timedelta(days=25))
    world.judge_it(1, ago=timedelta(days=20), value=0.7, comment="so so")
    world.answer(2, ago=timedelta(days=50))
    world.judge_it(2, ago=timedelta(days=45), value=0.1, comment="long ago")
    assert "nothing to do" in str((await collected(world))["reason"])
    world.pass_time(minutes=5)
    world.prompt = changed
    assert texts_of(world, await collected(world, "next")) == {"so so" if "rules" in changed else "long ago"}


async def test_new_complaints_come_first_and_every_source_has_its_turn(world: World) -> None:
    world.prompt = {"max_complaints": 3}
    for number in (1, 2):
        world.complaint(number)
    old = losses_of(world, await collected(world))
    world.store.lineage.save(
        "support@2026-11-21T02:30Z", gradients=gradients(old), causes=(), candidate=None, at=world.clock.now()
    )
    world.pass_time(days=1)
    for number in range(3, 9):
        world.answer(number, ago=timedelta(minutes=60 - number), source_key="one loud user")
        world.judge_it(number, ago=timedelta(minutes=5), comment=f"loud {number}")
    world.answer(9, ago=timedelta(hours=9), source_key="a quiet user")
    world.judge_it(9, comment="quiet")
    found = [loss.text for loss in losses_of(world, await collected(world, "next"))]
    assert found == ["loud 8", "quiet", "loud 7"]
    world.prompt = {"max_complaints": 8}
    world.pass_time(minutes=1)
    found = [loss.text for loss in losses_of(world, await collected(world, "roomy"))]
    assert found[:2] == ["loud 8", "quiet"]
    assert found[-1].endswith("customer 2"), "room that is left goes to what is known"


async def test_a_stage_that_is_repeated_finds_the_same_and_writes_the_same(world: World) -> None:
    for number in range(4):
        world.complaint(number)
    world.judge_it(5, comment="no trace yet")
    run = world.cycle()
    first = await collect(world.house, run, {})
    kept = rows(world.store)
    assert await collect(world.house, run, {}) == first
    assert rows(world.store) == kept
    assert {name for name, found in kept.items() if found} >= {"score", "generation", "waiting_score", "poll"}


async def test_an_edit_after_the_choice_drops_that_complaint_alone(world: World) -> None:
    score = world.complaint(1)
    world.complaint(2, comment="stays")
    state = await collected(world)
    world.store.traces.save(
        (), [replace(score, comment="other words", updated_at=world.clock.now())], at=world.clock.now()
    )
    assert texts_of(world, state) == {"stays"}


async def test_inputs_for_replay_are_recent_and_of_any_version(world: World) -> None:
    world.prompt = {"gate": {"replayed": 1, "sealed": 0}}
    world.complaint(1)
    for number in range(2, 6):
        world.answer(number, ago=timedelta(minutes=number), prompt_version=9)
    assert (await collected(world))["replay"] == ["g2", "g3", "g4"]
    assert len(world.store.traces.generations(["g2", "g3", "g4"])) == 3
    world.prompt = {"gate": {"replayed": 0, "sealed": 0}}
    assert (await collected(world, "none"))["replay"] == []
    world.prompt = {"gate": {"replayed": 0, "sealed": 1}}
    assert len((await collected(world, "for a claim"))["replay"]) == 3
    world.prompt = {"gate": {"replayed": 0, "sealed": 1, "claim": False}, "release": {"policy": "observe"}}
    assert (await collected(world, "without one"))["replay"] == []


async def test_a_correction_is_a_complaint_and_the_same_text_confirms(world: World) -> None:
    for number, text in ((1, "Ask for the number."), (2, "No idea 2.")):
        world.answer(number)
        world.judge_it(number, name="output", kind=ScoreKind.CORRECTION, value=text, comment="")
    assert texts_of(world, await collected(world)) == {"Ask for the number."}


async def test_a_prompt_that_nobody_made(world: World) -> None:
    world.prompt = {"label": "staging"}
    with pytest.raises(NotFound, match="staging"):
        await collected(world)


async def test_a_run_that_lost_its_cycle_reads_nothing(world: World) -> None:
    world.complaint(1)
    with pytest.raises(LeaseLost):
        await collect(world.house, replace(world.cycle(), token="another's"), {})
    assert world.store.traces.scores(["s1"]) == ()
