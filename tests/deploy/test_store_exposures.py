"""What production showed, as it is kept: read again, edited, deleted, forgotten."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from exposure_samples import BEGAN, after, all_given, answer, costing

from deploy.store.exposures import Answered, Exposures, Given
from deploy.store.forgotten import Forgotten, alias_of
from deploy.store.schema_releases import exposure_score
from optimizer.types import Missing, Window

ALL = Window(start=BEGAN, end=after(days=60))
RUN = "support@2026-11-02T02:30Z"
ANSWERS = (
    costing(answer("u", 0.25, after(hours=1), (1.0, after(hours=2)), (0.5, after(days=3))), 0.125, 0.5),
    costing(answer("v", 0.75, after(hours=2), failed=True), Missing.NOT_RECORDED, Missing.NOT_RECORDED),
)


@pytest.fixture
def exposures(store):
    store.releases.propose(
        RUN, cycle_id=RUN, prompt="support", candidate_id="c", base_version=1, expires_at=BEGAN, at=BEGAN
    )
    return Exposures(store.engine)


def save(exposures, seen, *, given=None, scored=ALL, until=BEGAN, run=RUN):
    said = all_given(seen) if given is None else given
    exposures.save(run, [one.exposure for one in seen], said, scored=scored, until=until)


def test_what_is_kept_comes_back_oldest_first(exposures):
    save(exposures, ANSWERS[::-1])
    assert exposures.load(RUN) == ANSWERS
    assert exposures.load("another") == ()


def test_read_twice_is_kept_once(exposures):
    for _ in range(2):
        save(exposures, ANSWERS)
    assert exposures.load(RUN) == ANSWERS


def test_how_far_was_read_is_kept_with_it(exposures, store):
    save(exposures, ANSWERS, until=after(days=3))
    assert store.releases.get(RUN).watched_until == after(days=3)


def test_an_answer_of_two_releases_is_in_both(exposures):
    save(exposures, ANSWERS)
    save(exposures, ANSWERS, run="another")
    save(exposures, ANSWERS, given=[], run="another")
    assert exposures.load(RUN) == ANSWERS
    assert [one.scores for one in exposures.load("another")] == [(), ()]


def test_the_earliest_answer_of_a_trace_stays_and_may_get_its_cost_later(exposures):
    first, _ = ANSWERS
    later = replace(first.exposure, at=after(hours=5), failed=True)
    priced = replace(first.exposure, cost_usd=0.75)
    for read in (first.exposure, later, priced, later):
        save(exposures, [Answered(exposure=read)], given=[])
    assert exposures.load(RUN) == (Answered(exposure=priced),)
    save(exposures, [Answered(exposure=replace(priced, at=after(minutes=50)))], given=[])
    assert exposures.load(RUN)[0].exposure.at == after(minutes=50)


def test_edited_scores_replace_and_deleted_ones_vanish(exposures):
    save(exposures, ANSWERS)
    early, late = ANSWERS[0].scores
    save(exposures, (), given=[replace(early, worth=0.25)])
    assert exposures.load(RUN)[0].scores == (replace(early, worth=0.25),)
    save(exposures, (), given=[late], scored=Window(start=after(days=2), end=after(days=4)))
    assert exposures.load(RUN)[0].scores == (replace(early, worth=0.25), late)
    save(exposures, (), given=[])
    assert exposures.load(RUN)[0].scores == ()


def test_scores_of_what_was_never_shown_are_not_kept(exposures, store):
    stray = Given(score_id="s", trace_id="elsewhere", worth=1.0, at=after(hours=1))
    save(exposures, ANSWERS, given=[stray])
    with store.engine.begin() as connection:
        assert connection.execute(sa.select(exposure_score)).all() == []


def test_a_score_that_came_before_its_answer_was_readable_is_kept_when_it_is_read_again(exposures):
    save(exposures, (), given=all_given(ANSWERS))
    assert exposures.load(RUN) == ()
    save(exposures, ANSWERS)
    assert exposures.load(RUN) == ANSWERS


def test_a_forgotten_unit_stays_one_unit_under_an_alias(exposures, store):
    """Langfuse may hold their traces still, and they may come back."""
    Forgotten(store.engine).begin(["u"], at=BEGAN)
    save(exposures, ANSWERS)
    save(exposures, [answer("u", 0.25, after(hours=9))], given=[], scored=Window(start=BEGAN, end=BEGAN))
    assert [one.exposure.unit for one in exposures.load(RUN)] == [alias_of("u"), "v", alias_of("u")]
    assert exposures.load(RUN)[0].scores == ANSWERS[0].scores


def test_many_answers_are_two_queries(exposures, store):
    many = [answer(f"u{n % 300}", 0.5, BEGAN + timedelta(seconds=n), trace=f"t{n:06}") for n in range(2_000)]
    save(exposures, many)
    asked = []
    sa.event.listen(store.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    assert len(exposures.load(RUN)) == len(many)
    assert len([statement for statement in asked if statement != "begin"]) == 2
