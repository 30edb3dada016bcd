"""What is loaded equals what was saved, however hostile the text, and saving twice changes nothing."""

import math
import shutil
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from conftest import SetClock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import HOSTILE, T0, candidate, generation, generations, gradient, report, run, score, scores
from test_store_texts import cells

from deploy.lifecycle import CycleState, ReleaseState
from deploy.store.database import open_database
from deploy.store.facade import Store
from deploy.store.fence import LeaseLost
from optimizer.errors import IllegalMove, NotFound
from optimizer.types import Generation, Missing, Score, Verdict

CYCLE = "support@2026-11-21T02:30Z"


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(generations, max_size=5, unique_by=lambda g: g.id), st.lists(scores, max_size=5, unique_by=lambda s: s.id)
)
def test_generations_and_scores_come_back_as_they_were(
    migrated: Path, found: list[Generation], judged: list[Score]
) -> None:
    with TemporaryDirectory() as folder:
        shutil.copy(migrated, folder)
        store = Store(open_database(f"sqlite:///{folder}/{migrated.name}"), SetClock())
        store.traces.save(found, judged, at=T0)
        store.traces.save(found, judged, at=T0)
        assert set(store.traces.generations(g.id for g in found)) == set(found)
        assert set(store.traces.scores(s.id for s in judged)) == set(judged)
        for trace_id, of_trace in groupby(sorted(judged, key=lambda s: s.trace_id), key=lambda s: s.trace_id):
            assert set(store.traces.scores_of([trace_id])) == set(of_trace)
        store.close()


def test_of_an_edited_score_the_newest_row_stays_whatever_the_order(store: Store) -> None:
    newer = score(1, comment="edited", at=T0 + timedelta(hours=1))
    store.traces.save(scores=[newer, score(1, comment="first")], at=T0)
    store.traces.save(scores=[score(1, comment="late page")], at=T0)
    assert store.traces.scores(["s1"]) == (newer,)


def test_generations_are_found_by_version_and_time_newest_first(store: Store) -> None:
    old, new, newest = (generation(n, at=T0 + timedelta(hours=n)) for n in (1, 2, 3))
    store.traces.save([new, old, newest], at=T0)
    assert store.traces.of_version("support", 3, T0 + timedelta(hours=2)) == (newest, new)
    assert store.traces.of_version("support", 4, T0) == ()
    assert store.traces.generations_of(["t1", "nowhere"]) == (old,)


def test_what_gates_said_about_earlier_candidates_is_remembered_oldest_first(store: Store) -> None:
    made = []
    for day, verdict in ((21, Verdict.FAIL), (22, Verdict.PASS), (23, None), (24, Verdict.UNDECIDED)):
        opened = store.cycles.open("support", f"2026-11-{day}T02:30Z", at=T0 + timedelta(days=day))
        gradients = [gradient(day * 10 + n) for n in range(3)]
        made.append(candidate(*gradients))
        store.lineage.save(opened.id, gradients=gradients, causes=(), candidate=made[-1], at=T0)
        store.cycles.note(opened.id, candidate_id=made[-1].id, verdict=verdict)
    last = "support@2026-11-24T02:30Z"
    assert store.lineage.judged("support", before=last, limit=8) == ((made[0], Verdict.FAIL), (made[1], Verdict.PASS))
    assert store.lineage.judged("support", before=last, limit=1) == ((made[1], Verdict.PASS),)
    assert store.lineage.judged("support", before="support@2026-11-21T02:30Z", limit=8) == ()
    assert store.lineage.judged("other", before=last, limit=8) == ()


def test_a_candidate_comes_back_with_everything_behind_it(store: Store) -> None:
    store.cycles.open("support", "2026-11-21T02:30Z", at=T0)
    store.cycles.note(CYCLE, parent_version=3)
    gradients = [gradient(n, said=HOSTILE) for n in (1, 2, 3)]
    unused = gradient(4, change=False)
    made = candidate(*gradients)
    causes = tuple(edit.cause for edit in made.edits)
    store.lineage.save(CYCLE, gradients=[unused, *gradients], causes=causes, candidate=made, at=T0)
    once = cells(store)
    store.lineage.save(CYCLE, gradients=[unused, *gradients], causes=causes, candidate=made, at=T0)
    assert cells(store) == once
    loaded = store.lineage.load_candidate(made.id)
    assert loaded == made
    assert loaded.id == made.id
    assert store.lineage.load_candidate(made.id, CYCLE) == made
    assert store.lineage.gradients(CYCLE) == (unused, *gradients)
    assert store.lineage.causes(CYCLE) == causes
    assert store.lineage.losses_used("support", 3) == {g.loss.id for g in (unused, *gradients)}
    assert store.lineage.losses_used("support", 4) == frozenset()
    with pytest.raises(NotFound):
        store.lineage.load_candidate(made.id, "another@cycle")


@pytest.mark.parametrize("cost", [0.25, Missing.NOT_PRICED])
def test_a_report_comes_back_with_its_pairs(store: Store, cost: float | Missing) -> None:
    assert store.reports.load(CYCLE) is None
    saved = report(said=HOSTILE, cost=cost)
    store.reports.save(CYCLE, "candidate", saved, at=T0)
    once = cells(store)
    store.reports.save(CYCLE, "candidate", saved, at=T0)
    assert cells(store) == once
    loaded = store.reports.load(CYCLE)
    assert loaded == saved
    assert math.isinf(loaded.claim.e_value)


def test_a_cycle_is_opened_once_and_keeps_its_secret(store: Store) -> None:
    first = store.cycles.open("folder/a@b", "2026-11-21T02:30Z", at=T0)
    again = store.cycles.open("folder/a@b", "2026-11-21T02:30Z", at=T0 + timedelta(hours=1))
    assert again == first
    assert first.id == "folder/a@b@2026-11-21T02:30Z"
    assert len(first.secret) == 32
    assert first.secret != store.cycles.open("b", "2026-11-21T02:30Z", at=T0).secret


def test_a_cycle_moves_by_its_table_and_writes_down_how(owned: Store) -> None:
    owned.cycles.open("support", "2026-11-21T02:30Z", at=T0)
    for hours, state in enumerate((CycleState.COLLECTING, CycleState.OPTIMIZING, CycleState.COLLECTING)):
        owned.cycles.advance(run(), state, at=T0 + timedelta(hours=hours))
    with pytest.raises(IllegalMove):
        owned.cycles.advance(run(), CycleState.DONE, at=T0)
    owned.cycles.note(CYCLE, parent_version=3, candidate_id="c", verdict=Verdict.FAIL)
    owned.cycles.note(CYCLE, verdict=Verdict.UNDECIDED)
    row = owned.cycles.advance(CYCLE, CycleState.SKIPPED, at=T0 + timedelta(hours=9), reason=HOSTILE)
    assert (row.state, row.reason, row.ended_at) == (CycleState.SKIPPED, HOSTILE, T0 + timedelta(hours=9))
    assert (row.parent_version, row.candidate_id, row.verdict) == (3, "c", Verdict.UNDECIDED)
    assert [event.state for event in owned.cycles.events(CYCLE)] == ["idle", "collecting", "optimizing", "skipped"]
    assert owned.cycles.latest("support") == owned.cycles.latest() == (row,)
    with pytest.raises(NotFound):
        owned.cycles.get("nobody@never")


def test_a_run_that_lost_its_lease_moves_nothing(owned: Store) -> None:
    before = owned.cycles.open("support", "2026-11-21T02:30Z", at=T0)
    with pytest.raises(LeaseLost):
        owned.cycles.advance(run(token="the sleeper's"), CycleState.COLLECTING, at=T0)
    assert owned.cycles.get(CYCLE) == before


def test_a_release_repeats_moves_without_harm_and_refuses_illegal_ones(store: Store) -> None:
    for _ in range(2):
        store.releases.propose(
            CYCLE, cycle_id=CYCLE, prompt="support", candidate_id="c", base_version=3, expires_at=T0, at=T0
        )
    with pytest.raises(IllegalMove):
        store.releases.advance(CYCLE, ReleaseState.PUBLISHED, at=T0)
    for state in (ReleaseState.APPROVED, ReleaseState.PUBLISHED, ReleaseState.PUBLISHED, ReleaseState.PROMOTED):
        store.releases.advance(CYCLE, state, at=T0, version=4 if state is ReleaseState.PUBLISHED else None)
    with pytest.raises(IllegalMove):
        store.releases.advance(CYCLE, ReleaseState.PUBLISHED, at=T0)
    row = store.releases.get(CYCLE)
    assert (row.state, row.version) == (ReleaseState.PROMOTED, 4)
    assert store.releases.of_prompt("support") == (row,)
    moves = [event.state for event in store.releases.events(CYCLE)]
    assert moves == ["proposed", "approved", "published", "promoted"]


def test_a_watermark_never_moves_back_and_waiting_scores_keep_their_first_deadline(store: Store) -> None:
    here, soon = ("project", "support"), T0 + timedelta(minutes=30)
    assert store.polls.watermark(*here) is None
    for moment in (T0, soon, T0):
        store.polls.advance(*here, moment)
    assert store.polls.watermark(*here) == soon
    store.polls.wait(*here, ["b", "a", "c"], soon)
    store.polls.wait(*here, ["a", "d"], soon + timedelta(hours=1))
    store.polls.arrived(*here, ["c", "unknown"])
    assert store.polls.waiting(*here, T0) == ("a", "b", "d")
    assert store.polls.waiting("other", "support", T0) == ()
    assert store.polls.expire(*here, soon) == ("a", "b")
    assert store.polls.waiting(*here, soon) == ("d",)


def test_a_pause_that_was_asked_for_is_remembered_and_only_grows(store: Store) -> None:
    assert store.limits.held("b") is None
    store.limits.hold("b", T0 + timedelta(minutes=1))
    store.limits.hold("b", T0)
    assert store.limits.held("b") == T0 + timedelta(minutes=1)
    assert store.limits.held("another") is None


def test_a_moment_without_a_zone_is_refused(store: Store) -> None:
    with pytest.raises(Exception, match="needs its time zone"):
        store.polls.advance("p", "q", T0.replace(tzinfo=None))
