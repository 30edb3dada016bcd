"""What people and other programs do to a release while it is on its way, over HTTP against the sandbox."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance.release_world import PATH, PROMPT, TEXT, People, World, opened_world, requests_of

pytestmark = pytest.mark.slow

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
LINE, OTHER = "Say what to do next.", "Name a day on which it will be done."
CANARY = {"maturity_days": 1, "least_days": 3, "first_units": 20}


@dataclass(frozen=True)
class Moments:
    """A world, and copies of it: a candidate was proposed; a tenth of the users are shown it."""

    world: World
    proposed: Path
    shown: Path


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moments]:
    release = {"resolver": "launchdarkly", "canary": CANARY}
    with opened_world(tmp_path_factory.mktemp("world"), release=release, now=MONDAY) as world:
        with People(world, LINE, (0.5, 0.5)) as people:
            people.live(1)
        world.cycle("first", LINE)
        proposed = world.copy("proposed")
        world.tick()
        world.person("merge", number=1)
        world.tick()
        yield Moments(world=world, proposed=proposed, shown=world.copy("shown"))


@pytest.fixture
def proposed(moments: Moments) -> World:
    moments.world.back_to(moments.proposed)
    return moments.world


@pytest.fixture
def shown(moments: Moments) -> World:
    moments.world.back_to(moments.shown)
    assert moments.world.moves()[-1] == "progressing 0.1"
    return moments.world


# ---- before it is published ------------------------------------------------------------------------------------------


def test_two_daemons_do_everything_once(proposed: World) -> None:
    assert proposed.tick(beside=1) == [0, 0]
    asked = requests_of(proposed.writes.done)
    assert len(set(asked)) == len(asked) == 8
    proposed.person("merge", number=1)
    proposed.pass_time(minutes=5)
    assert proposed.tick(beside=1) == [0, 0]
    asked = requests_of(proposed.writes.done)
    assert len(set(asked)) == len(asked) == 4
    assert proposed.moves() == ["proposed", "approved", "published", "progressing 0.1"]
    assert proposed.labels() == {1: ["production"], 2: ["canary", "latest"]}
    assert proposed.served() == (0.1, 2)
    assert len(proposed.deliveries()) == 1


def test_a_merge_of_what_a_newer_proposal_has_overtaken_publishes_nothing(proposed: World) -> None:
    proposed.tick()
    proposed.pass_time(hours=1)
    proposed.cycle("second", OTHER)
    proposed.person("merge", number=1)
    proposed.tick()
    assert proposed.moves("first") == ["proposed", "superseded"]
    assert proposed.labels() == {1: ["latest", "production"]}
    first, second = proposed.at_forge()["pulls"]
    assert (first["merged"], second["state"]) == (True, "open")
    proposed.person("merge", number=second["number"])
    proposed.tick()
    assert proposed.moves("second")[-1] == "progressing 0.1"
    assert proposed.versions()[2]["text"] == f"{TEXT}\n{OTHER}"


def test_a_branch_that_is_protected_against_us_is_told_and_tried_again(proposed: World) -> None:
    proposed.person("protect", pattern="tracegrad/*")
    proposed.tick()
    assert proposed.moves() == ["proposed"]
    assert "protect" in proposed.reason()
    assert proposed.at_forge()["pulls"] == []
    proposed.person("protect", pattern="tracegrad/*", on=False)
    proposed.pass_time(minutes=5)
    proposed.tick()
    assert len(proposed.at_forge()["pulls"]) == 1


def test_a_secondary_rate_limit_is_waited_out(proposed: World) -> None:
    proposed.person("faults", secondary_limit_next=1, retry_after_s=1)
    proposed.tick()
    assert len(proposed.at_forge()["pulls"]) == 1


def test_a_pull_request_that_breaks_the_prompt_is_rejected_with_the_reason(proposed: World) -> None:
    proposed.tick()
    (pull,) = proposed.at_forge()["pulls"]
    broken = "<<<<<<< ours\nBe brief.\n=======\nBe kind.\n>>>>>>> theirs\n"
    proposed.person("commit", branch=pull["head"]["ref"], files={PATH: broken}, by="grace")
    proposed.person("merge", number=1, by="grace")
    proposed.tick()
    assert proposed.moves() == ["proposed", "rejected"]
    assert "merge conflict" in proposed.reason()
    assert proposed.labels() == {1: ["latest", "production"]}


# ---- while production decides ----------------------------------------------------------------------------------------


def test_a_version_that_was_deleted_in_mid_stage_ends_it(shown: World) -> None:
    shown.delete_version(2)
    shown.tick()
    assert shown.moves()[-1] == "superseded"
    assert shown.reason() == "version 2 was deleted"
    assert shown.served()[0] == 1.0
    assert shown.labels() == {1: ["latest", "production"]}


def test_a_label_that_was_moved_by_hand_stays_where_it_is(shown: World) -> None:
    shown.move_label("production", 2)
    shown.tick()
    assert (shown.moves()[-1], shown.reason()) == ("superseded", "`production` was moved by hand to version 2")
    assert shown.served()[0] == 1.0
    assert shown.labels() == {1: [], 2: ["canary", "latest", "production"]}


def test_a_flag_that_was_changed_by_hand_stays_as_it_is(shown: World) -> None:
    shown.flag_by_hand({"kind": "turnFlagOff"})
    shown.tick()
    assert shown.moves()[-1] == "superseded"
    assert shown.reason().startswith(f"the flag of {PROMPT} was changed by hand")
    assert shown.writes.done == []


def test_scores_that_arrive_late_are_told_and_decide_nothing(shown: World) -> None:
    began = shown.now
    with People(shown, LINE, (0.5, 0.05), delay_days=30.0) as people:
        people.live(10)
    shown.tick()
    with shown.store() as store:
        look = store.looks.of(f"{PROMPT}@first")[-1]
    assert look.late_scores == shown.late_scores(began, timedelta(days=1)) > 100
    assert shown.moves()[-1] != "rolled_back"
