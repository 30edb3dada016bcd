"""A proposal that is asked about by a pull request: merged, changed, broken, closed, overtaken."""

import pytest
from conftest import SetClock
from house_samples import BODY, FIXED, World
from test_releases_straight import labels, moves, proposed, state

from connectors.memory_forge import MemoryForge
from deploy.gating.stage import gate
from deploy.lifecycle import CycleState, ReleaseState
from deploy.releases.regating import take
from deploy.store.facade import Store
from deploy.store.fence import Run
from deploy.store.orders import OrderKind
from optimizer.ports import PullRequest, PullState
from optimizer.types import Arm

PATH = "prompts/support.txt"


@pytest.fixture
def world(owned: Store, clock: SetClock) -> World:
    found = World(owned, clock, prompt={"release": {"ask": "pull-request", "path": PATH}})
    found.forge = MemoryForge({PATH: f"{BODY}\n"})
    found.complaint(1)
    found.complaint(2)
    return found


def forge_of(world: World) -> MemoryForge:
    assert world.forge is not None
    return world.forge


async def asked(world: World) -> tuple[Run, PullRequest]:
    """A proposal with its pull request."""
    run = await proposed(world)
    await world.tick()
    known = world.store.pull_requests.of(run.cycle_id)
    assert known is not None, state(world, run)
    return run, known.request


async def gated(world: World) -> None:
    """The cycles that a tick asks for are run, as the daemon does."""
    gates = (await world.tick())["gates"]
    assert isinstance(gates, list)
    for slot in gates:
        run = world.cycle(str(slot))
        found = await world.walk(run, take, gate)
        world.store.cycles.advance(run, CycleState.DONE, at=world.clock.now(), reason=str(found.get("reason", "")))


async def test_one_pull_request_however_often_it_is_tended(world: World) -> None:
    run, request = await asked(world)
    await world.tick()
    assert moves(world, run) == ["proposed"]
    assert state(world, run)[1] == f"waits for {request.url}"
    (pull,) = forge_of(world).pulls.values()
    assert pull.files[PATH] == f"{BODY}\n{FIXED}\n"
    assert pull.status is True
    assert "tracegrad rollback support" in pull.change.body


async def test_a_merge_is_an_approval(world: World) -> None:
    run, request = await asked(world)
    revision = forge_of(world).merge(request, "grace")
    await world.tick()
    assert moves(world, run) == ["proposed", "approved", "published", "promoted"]
    event = world.store.releases.events(run.cycle_id)[1]
    assert (event.actor, event.evidence) == ("grace", {"revision": revision})
    assert (await world.registry.get("support", 2)).body == f"{BODY}\n{FIXED}"
    known = world.store.pull_requests.of(run.cycle_id)
    assert known is not None
    assert known.state is PullState.MERGED


async def test_a_person_changes_the_text_and_it_goes_through_the_gate(world: World) -> None:
    run, request = await asked(world)
    forge_of(world).edit(request, PATH, f"{BODY}\nAsk for the order number, kindly.\n")
    revision = forge_of(world).merge(request, "grace")
    await gated(world)
    assert state(world, run)[0] == "proposed"
    await world.tick()
    assert moves(world, run) == ["proposed", "approved", "published", "promoted"]
    assert (await world.registry.get("support", 2)).body == f"{BODY}\nAsk for the order number, kindly."
    event = world.store.releases.events(run.cycle_id)[1]
    assert (event.actor, event.evidence) == ("grace", {"revision": revision, "gate": f"support@merged-{revision}"})


async def test_a_persons_text_that_is_worse_is_not_released(world: World) -> None:
    run, request = await asked(world)
    forge_of(world).edit(request, PATH, f"{BODY}\nAnswer with one word.\n")
    forge_of(world).merge(request, "grace")
    world.judge.scores = {Arm.BASELINE: 0.9, Arm.CANDIDATE: 0.1}
    await gated(world)
    await world.tick()
    ended, reason = state(world, run)
    assert ended == "rejected"
    assert reason.startswith("the text that grace merged did not pass the gate (fail): ")
    assert await labels(world) == {1: {"latest", "production"}}


async def test_a_merge_that_lost_the_file_releases_nothing(world: World) -> None:
    run, request = await asked(world)
    forge_of(world).edit(request, PATH, None)
    forge_of(world).merge(request, "grace")
    await world.tick()
    ended, reason = state(world, run)
    assert ended == "rejected"
    assert reason.startswith("it was merged, and what was merged cannot be released: ")
    assert await labels(world) == {1: {"latest", "production"}}


async def test_closed_is_rejected_and_the_words_are_remembered(world: World) -> None:
    run, request = await asked(world)
    forge_of(world).say(request, "The number is on the page.")
    forge_of(world).turn_down(request, "grace")
    await world.tick()
    assert state(world, run) == ("rejected", "grace closed the pull request")
    (refused,) = world.store.refused_edits.of(world.store.ledgers.prompt_id("support"))
    assert (refused.words, refused.actor, refused.because) == (
        "The number is on the page.",
        "grace",
        ReleaseState.REJECTED,
    )


async def test_what_nobody_answers_expires_and_its_pull_request_is_closed(world: World) -> None:
    run, request = await asked(world)
    world.pass_time(days=15)
    await world.tick()
    assert state(world, run)[0] == "expired"
    pull = forge_of(world).pulls[request.branch]
    assert pull.reading.state is PullState.CLOSED
    assert pull.told["closed"].startswith("Its evidence is too old to act on")


async def test_merged_after_something_newer_took_its_place(world: World) -> None:
    first, request = await asked(world)
    world.pass_time(days=1)
    for number in (3, 4):
        world.complaint(number)
    second = await proposed(world, "second")
    forge_of(world).merge(request, "grace")
    await world.tick()
    assert state(world, first)[0] == "superseded"
    assert state(world, second)[0] == "proposed"
    known = world.store.pull_requests.of(first.cycle_id)
    assert known is not None
    assert known.state is PullState.MERGED
    assert "merging this publishes nothing" in forge_of(world).pulls[request.branch].told["ended"]
    assert await labels(world) == {1: {"latest", "production"}}


async def test_an_approval_by_command_closes_the_pull_request(world: World) -> None:
    run, request = await asked(world)
    world.order(OrderKind.APPROVE)
    await world.tick()
    assert state(world, run)[0] == "promoted"
    assert forge_of(world).pulls[request.branch].reading.state is PullState.CLOSED


async def test_a_gate_that_could_not_run_is_run_again(world: World) -> None:
    run, request = await asked(world)
    forge_of(world).edit(request, PATH, f"{BODY}\nAsk for the order number, kindly.\n")
    revision = forge_of(world).merge(request, "grace")
    (slot,) = (await world.tick())["gates"]  # type: ignore[misc]
    failed = world.cycle(str(slot))
    world.store.cycles.advance(failed, CycleState.FAILED, at=world.clock.now(), reason="the model is away")
    assert (await world.tick())["gates"] == [f"merged-{revision}~2"]
    await gated(world)
    await world.tick()
    assert moves(world, run) == ["proposed", "approved", "published", "promoted"]
