"""What every TraceSource promises."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

from optimizer.rollouts import Exposure, point
from optimizer.rules import BooleanRule, CategoryRule, CorrectionRule, Direction, EveryScore, NumericRule, ScoreRule
from optimizer.types import Score, Window

ABSENT = "0" * 32


async def found(traces, *rules: ScoreRule, window: Window | None = None) -> list[Score]:
    return [score async for score in traces.source.scores(window or traces.world.window, rules)]


def keys(traces, scores: list[Score]) -> set[str]:
    return {score.id.removesuffix(f"-{traces.world.nonce}") for score in scores}


async def test_each_kind_of_rule_finds_its_complaints(traces):
    name = traces.world.name
    assert keys(traces, await found(traces, NumericRule(name=name("helpful"), threshold=0.5))) == {
        "low",
        "lower",
        "observed",
    }
    above = NumericRule(name=name("latency"), threshold=5, direction=Direction.LOWER_IS_BETTER)
    assert keys(traces, await found(traces, above)) == {"slow"}
    assert keys(traces, await found(traces, BooleanRule(name=name("thumbs")))) == {"down"}
    assert keys(traces, await found(traces, BooleanRule(name=name("thumbs"), bad=True))) == {"up"}
    assert keys(traces, await found(traces, CategoryRule(name=name("tone"), bad=("rude", "sour")))) == {"rude"}
    assert "fixed" in keys(traces, await found(traces, CorrectionRule()))


async def test_every_score_of_a_name_is_found_good_or_bad(traces):
    name = traces.world.name
    assert keys(traces, await found(traces, EveryScore(name=name("helpful")))) == {
        "low",
        "lower",
        "threshold",
        "good",
        "observed",
    }
    assert keys(traces, await found(traces, EveryScore(name=name("thumbs")))) == {"down", "up"}
    assert keys(traces, await found(traces, EveryScore(name=name("style, or tone")))) == {"comma"}
    assert await found(traces, EveryScore(name=name("nothing"))) == []


async def test_every_score_beside_a_rule_is_one_walk(traces):
    name = traces.world.name
    both = await found(traces, EveryScore(name=name("thumbs")), BooleanRule(name=name("thumbs")))
    assert [score.id for score in both] == [f"down-{traces.world.nonce}", f"up-{traces.world.nonce}"]


async def test_names_and_categories_may_hold_commas(traces):
    name = traces.world.name
    assert keys(traces, await found(traces, CategoryRule(name=name("tone"), bad=("cold, curt",)))) == {"listed"}
    assert keys(traces, await found(traces, NumericRule(name=name("style, or tone"), threshold=1))) == {"comma"}


async def test_a_threshold_itself_is_good_in_both_directions(traces):
    name = traces.world.name("helpful")
    below = NumericRule(name=name, threshold=0.2)
    above = NumericRule(name=name, threshold=0.9, direction=Direction.LOWER_IS_BETTER)
    assert keys(traces, await found(traces, below, above)) == {"lower"}


async def test_scores_come_whole(traces):
    rule = NumericRule(name=traces.world.name("helpful"), threshold=0.5)
    expected = {score.id: score for score in traces.world.scores}
    for score in await found(traces, rule):
        assert replace(score, at=expected[score.id].at, updated_at=expected[score.id].updated_at) == expected[score.id]
        assert score.at.tzinfo is not None


async def test_several_rules_are_one_walk_newest_first_without_repeats(traces):
    name = traces.world.name
    scores = await found(
        traces,
        CategoryRule(name=name("tone"), bad=("rude", "cold, curt")),
        NumericRule(name=name("helpful"), threshold=0.5),
        NumericRule(name=name("helpful"), threshold=0.25),
        BooleanRule(name=name("thumbs")),
    )
    assert keys(traces, scores) == {"low", "lower", "observed", "down", "rude", "listed"}
    assert scores == sorted(scores, key=lambda s: (s.at, s.id), reverse=True)
    assert len({s.id for s in scores}) == len(scores)


async def test_scores_outside_the_window_are_left_out(traces):
    early = Window(start=traces.world.window.start - timedelta(days=1), end=traces.world.window.start)
    assert await found(traces, NumericRule(name=traces.world.name("helpful"), threshold=1), window=early) == []


async def test_a_window_is_half_open(traces):
    rule = NumericRule(name=traces.world.name("helpful"), threshold=0.5)
    newest = (await found(traces, rule))[0]
    ending, starting = (
        Window(start=newest.at - timedelta(hours=2), end=newest.at),
        Window(start=newest.at, end=newest.at + timedelta(hours=1)),
    )
    assert newest.id not in {s.id for s in await found(traces, rule, window=ending)}
    assert newest.id in {s.id for s in await found(traces, rule, window=starting)}


async def test_an_edited_score_keeps_its_moment_and_is_read_anew(traces):
    rule = NumericRule(name=traces.world.name("edited"), threshold=0.5)
    first = traces.world.score("edited", "edited", 0.4, 20)
    await traces.edit(first)
    (before,) = await found(traces, rule)
    await traces.edit(replace(first, value=0.1, updated_at=first.updated_at + timedelta(seconds=1)))
    (after,) = await found(traces, rule)
    assert (before.value, after.value) == (0.4, 0.1)
    assert after.at == before.at
    assert after.updated_at >= before.updated_at
    await traces.edit(replace(first, value=0.8, updated_at=first.updated_at + timedelta(seconds=2)))
    assert await found(traces, rule) == []


async def test_without_rules_nobody_complains(traces):
    assert await found(traces) == []


async def test_generations_of_more_than_a_hundred_traces_come_once_and_whole(traces):
    world = traces.world
    ids = [g.trace_id for g in world.linked]
    asked = [*ids, ABSENT, *ids[:5]]
    generations = [g async for g in traces.source.generations(asked, [world.prompt], world.window.start)]
    assert sorted(generations, key=lambda g: g.at, reverse=True) == world.linked
    firsts = [g for g in generations if g.trace_id in set(ids[:100])]
    assert firsts == sorted(firsts, key=lambda g: g.at, reverse=True)


async def test_generations_of_several_prompts_in_one_trace(traces):
    world = traces.world
    prompts = [world.prompt, world.other_prompt]
    generations = [g async for g in traces.source.generations([world.trace(0)], prompts, world.window.start)]
    assert {g.id for g in generations} == {world.generation(0).id, world.routed.id}


async def test_generations_start_at_the_bound_or_later(traces):
    world = traces.world
    ids = [world.trace(number) for number in range(5)]
    generations = [g async for g in traces.source.generations(ids, [world.prompt], world.generation(2).at)]
    assert [g.id for g in generations] == [world.generation(number).id for number in range(3)]


async def test_nothing_asked_is_nothing_found(traces):
    world = traces.world
    assert [g async for g in traces.source.generations([], [world.prompt], world.window.start)] == []
    assert [g async for g in traces.source.generations([world.trace(0)], [], world.window.start)] == []


async def test_recent_generations_are_limited_and_newest_first(traces):
    world = traces.world
    some = [g async for g in traces.source.recent(world.window, limit=7, prompt=world.prompt)]
    assert some == world.linked[:7]
    every = [g async for g in traces.source.recent(world.window, limit=1000, prompt=world.prompt)]
    assert every == world.linked
    assert [g async for g in traces.source.recent(world.window, limit=0)] == []


async def test_recent_generations_of_any_prompt_include_unlinked_but_never_forbidden_ones(traces):
    world = traces.world
    found = {g.id async for g in traces.source.recent(world.window, limit=100_000)}
    assert world.unlinked.id in found
    assert world.routed.id in found
    assert found.isdisjoint({g.id for g in world.forbidden})


async def test_recent_has_a_half_open_window(traces):
    world = traces.world
    window = Window(start=world.generation(5).at, end=world.generation(3).at)
    found = [g async for g in traces.source.recent(window, limit=9, prompt=world.prompt)]
    assert found == [world.generation(4), world.generation(5)]


async def exposures(traces, *, by: str = "user", prompt: str = "", window: Window | None = None) -> list[Exposure]:
    asked = window or traces.world.window, prompt or traces.world.shown_prompt
    return [exposure async for exposure in traces.source.exposures(*asked, place=partial(point, "salt"), by=by)]


async def test_an_exposure_says_who_was_shown_what_and_how_it_went(traces):
    """The first answer of a trace only, nothing of ours, and nothing without the key that counts."""
    world = traces.world
    _, first, sessions_only, users_only, *_ = world.every_shown
    assert await exposures(traces) == [world.exposure(first, "salt"), world.exposure(users_only, "salt")]
    assert await exposures(traces, by="session") == [
        world.exposure(first, "salt", by="session"),
        world.exposure(sessions_only, "salt", by="session"),
    ]


async def test_the_raw_key_goes_to_the_hash_only(traces):
    keys = []
    walk = traces.source.exposures(
        traces.world.window, traces.world.shown_prompt, place=lambda key: keys.append(key) or 0.5, by="user"
    )
    found = [exposure async for exposure in walk]
    assert set(keys) == {"user-ä", "user-b", "user-0"}
    assert not any(key in repr(exposure) for key in keys for exposure in found)


async def test_exposures_of_many_pages_come_once_and_newest_first(traces):
    world = traces.world
    found = await exposures(traces, prompt=world.prompt)
    assert found == [world.exposure(generation, "salt") for generation in world.linked]


async def test_exposures_have_a_half_open_window(traces):
    world = traces.world
    window = Window(start=world.generation(5).at, end=world.generation(3).at)
    found = await exposures(traces, prompt=world.prompt, window=window)
    assert [exposure.trace_id for exposure in found] == [world.trace(4), world.trace(5)]


async def test_nobody_was_shown_a_prompt_that_nobody_linked(traces):
    assert await exposures(traces, prompt="no such prompt") == []


async def test_every_row_was_readable(traces):
    assert [g async for g in traces.source.recent(traces.world.window, limit=10)] != []
    assert traces.source.skipped_rows == 0
