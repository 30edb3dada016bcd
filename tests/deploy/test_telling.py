"""Every address is told of every event once, a failure is tried again and given up, and no release is stopped by it."""

import json
import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from conftest import SetClock
from house_samples import World
from release_samples import R, released
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deploy.lifecycle import ReleaseState
from deploy.releases.telling import NEWS, PAUSES, WANTED, tell, to_tell
from deploy.settings import Settings
from deploy.store.deliveries import Deliveries
from deploy.store.facade import Store
from deploy.store.fence import LeaseLost, Run
from deploy.wiring import House
from sandbox.serving import serve

ID = "support@s1"


class Receiver:
    """Answers as a test says, and keeps what arrived."""

    def __init__(self) -> None:
        self.status = 200
        self.url = ""
        self.told: list[dict[str, str]] = []
        self.deliveries: list[str] = []

    async def receive(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.told.append(body)
        self.deliveries.append(request.headers["x-tracegrad-delivery"])
        return Response(status_code=self.status)

    @property
    def states(self) -> list[str]:
        return [body["state"] for body in self.told]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    with serve(Starlette(routes=[Route("/hook", made.receive, methods=["POST"])])) as url:
        made.url = f"{url}/hook"
        yield made


@pytest.fixture
def run(owned: Store) -> Run:
    """A tick that owns its prompt."""
    with owned.engine.begin() as connection:
        connection.execute(sa.text("insert into workflow_status values ('tick', 'mine')"))
    return Run(cycle_id=ID, prompt="support", workflow_id="tick", token="mine")


def house(owned: Store, clock: SetClock, *urls: str) -> House:
    world = World(owned, clock)
    notify = [{"url": url, "kind": "signed", "secret": "s"} for url in urls]
    made = world.house
    settings = Settings(prompts=made.settings.prompts, notify=notify, state_dir=made.settings.state_dir)
    return House(
        **{name: getattr(made, name) for name in House.__dataclass_fields__ if name != "settings"}, settings=settings
    )


@pytest.mark.parametrize("state", [R.PROPOSED, R.PROMOTED, R.ROLLED_BACK, R.HALTED, R.REJECTED, R.RETIRED, R.EXPIRED])
async def test_people_are_told_of_what_they_want_to_know_and_once(
    owned: Store, clock: SetClock, run: Run, receiver: Receiver, state: ReleaseState
) -> None:
    released(owned, state, at=clock.now(), actor="ada")
    here = house(owned, clock, receiver.url)
    for _ in range(3):
        await tell(here, run, owned.releases.get(ID))
    wanted = [str(event.state) for event in owned.releases.events(ID) if event.state in WANTED]
    assert receiver.states == wanted
    assert receiver.states[0] == "proposed"
    assert (state in WANTED) == (receiver.states[-1] == state)
    assert len(set(receiver.deliveries)) == len(wanted)


async def test_every_address_is_told_by_a_delivery_of_its_own(
    owned: Store, clock: SetClock, run: Run, receiver: Receiver
) -> None:
    released(owned, R.PROPOSED, at=clock.now())
    await tell(house(owned, clock, receiver.url, f"{receiver.url}?b", receiver.url), run, owned.releases.get(ID))
    assert receiver.states == ["proposed", "proposed"]
    assert len(set(receiver.deliveries)) == 2
    assert receiver.told[0] == receiver.told[1]


async def test_a_failure_is_tried_again_later_and_then_given_up(
    owned: Store, clock: SetClock, run: Run, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 503
    release, here = released(owned, R.PROPOSED, at=clock.now()), house(owned, clock, receiver.url)
    for tries, pause in enumerate(PAUSES, start=1):
        await tell(here, run, release)
        assert len(receiver.told) == tries
        clock.time += pause - timedelta(seconds=1)
        await tell(here, run, release)
        assert len(receiver.told) == tries, "not before its time"
        assert to_tell(owned, here.settings, "support", clock.now())
        clock.time += timedelta(seconds=1)
    assert not caplog.records
    await tell(here, run, release)
    assert len(receiver.told) == len(PAUSES) + 1
    [said] = [record for record in caplog.records if record.name == "tracegrad"]
    assert said.levelno == logging.WARNING
    assert said.getMessage() == (
        "nobody could be told that support@s1 is proposed: an address under `notify` failed with status 503"
    )
    assert receiver.url not in caplog.text
    clock.time += timedelta(hours=1)
    await tell(here, run, release)
    assert len(receiver.told) == len(PAUSES) + 1, "given up"
    assert not to_tell(owned, here.settings, "support", clock.now())
    assert len(set(receiver.deliveries)) == 1, "one delivery, however often it was tried"


async def test_after_a_failure_the_next_try_may_succeed(
    owned: Store, clock: SetClock, run: Run, receiver: Receiver
) -> None:
    receiver.status = 500
    release, here = released(owned, R.PROPOSED, at=clock.now()), house(owned, clock, receiver.url)
    await tell(here, run, release)
    receiver.status, clock.time = 200, clock.time + PAUSES[0]
    for _ in range(3):
        await tell(here, run, release)
    assert len(receiver.told) == 2
    assert not to_tell(owned, here.settings, "support", clock.now())


async def test_a_refusal_is_given_up_at_once_and_one_bad_address_does_not_stop_another(
    owned: Store, clock: SetClock, run: Run, receiver: Receiver
) -> None:
    release = released(owned, R.PROPOSED, at=clock.now())
    here = house(owned, clock, f"{receiver.url}/nowhere", "no address", "http://127.0.0.1:9", receiver.url)
    for _ in range(2):
        await tell(here, run, release)
    assert receiver.states == ["proposed"]
    kept = Deliveries(owned.engine).of(ID)
    assert sorted("/failed/" in key for key in kept) == [False, False, False, True]
    assert all(key.startswith("notify/0/") for key in kept)


async def test_what_is_old_is_told_to_nobody(owned: Store, clock: SetClock, run: Run, receiver: Receiver) -> None:
    """An address that is added to the settings is not told the past."""
    release, here = released(owned, R.PROMOTED, at=clock.now()), house(owned, clock, receiver.url)
    clock.time = owned.releases.events(ID)[-1].at + NEWS
    assert to_tell(owned, here.settings, "support", clock.now())
    await tell(here, run, release)
    assert receiver.states == ["promoted"]
    clock.time += timedelta(seconds=1)
    assert not to_tell(owned, here.settings, "support", clock.now())


async def test_the_end_of_a_holdback_is_no_second_promotion(
    owned: Store, clock: SetClock, run: Run, receiver: Receiver
) -> None:
    released(owned, R.PROMOTED, at=clock.now())
    at = clock.now() + timedelta(hours=9)
    release = owned.releases.advance(
        ID, R.PROMOTED, at=at, reason="the holdback is over", evidence={"finished": "finish"}
    )
    assert len(owned.releases.events(ID)) == 6
    await tell(house(owned, clock, receiver.url), run, release)
    assert receiver.states == ["proposed", "promoted"]


async def test_without_addresses_nobody_is_told(owned: Store, clock: SetClock, run: Run) -> None:
    release, here = released(owned, R.PROPOSED, at=clock.now()), house(owned, clock)
    await tell(here, run, release)
    assert not to_tell(owned, here.settings, "support", clock.now())
    assert Deliveries(owned.engine).of(ID) == {}


async def test_a_tick_that_lost_its_prompt_tells_nothing(
    owned: Store, clock: SetClock, run: Run, receiver: Receiver
) -> None:
    release = released(owned, R.PROPOSED, at=clock.now())
    with owned.engine.begin() as connection:
        connection.execute(sa.text("update workflow_status set owner_xid = 'theirs' where workflow_uuid = 'tick'"))
    with pytest.raises(LeaseLost):
        await tell(house(owned, clock, receiver.url), run, release)
    assert receiver.told == []
