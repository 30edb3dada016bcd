"""What every FlagService promises."""

import pytest
from contract_flags import DESKS, PROMPT, Desk

from optimizer.rollouts import Split, canary, holdback


@pytest.fixture(params=DESKS)
async def desk(request, tmp_path):
    async with DESKS[request.param](tmp_path) as made:
        yield made


async def started(desk: Desk, salt: str = "s1") -> Split:
    desk.label("canary", 8)
    desk.label("holdback", 7)
    return await desk.service.start(PROMPT, salt)


def stages(begin: Split) -> list[Split]:
    """A release that was promoted."""
    return [
        canary(PROMPT, begin.salt, version=8, share=0.1),
        canary(PROMPT, begin.salt, version=8, share=0.5),
        holdback(PROMPT, begin.salt, version=7, share=0.1),
        begin,
    ]


async def test_there_is_nothing_before_the_first_release(desk):
    assert await desk.service.read(PROMPT) is None


async def test_a_release_starts_with_everybody_on_production(desk):
    begin = await started(desk)
    assert begin == Split(prompt=PROMPT, salt=begin.salt)
    assert begin.salt
    assert await desk.service.read(PROMPT) == begin


async def test_starting_twice_changes_nothing(desk):
    begin, changes = await started(desk), desk.changes()
    assert await desk.service.start(PROMPT, "s1") == begin
    assert desk.changes() == changes == 1


async def test_the_next_release_starts_with_the_salt_that_comes_back(desk):
    await started(desk)
    begin = await desk.service.start(PROMPT, "s2")
    assert await desk.service.read(PROMPT) == begin
    assert await desk.service.write(stages(begin)[0], expect=begin, why="10%")


async def test_what_is_written_is_read(desk):
    stands = await started(desk)
    for split in stages(stands):
        assert await desk.service.write(split, expect=stands, why="the next stage")
        assert await desk.service.read(PROMPT) == split
        stands = split


async def test_what_is_served_already_counts_as_written_and_is_not_written_again(desk):
    begin = await started(desk)
    first, *_ = stages(begin)
    assert await desk.service.write(first, expect=begin, why="10%")
    changes = desk.changes()
    assert await desk.service.write(first, expect=begin, why="10%")
    assert await desk.service.start(PROMPT, "s3") == first, "a rollout that stands is not ended by a start"
    assert desk.changes() == changes


async def test_what_is_not_expected_stays(desk):
    begin = await started(desk)
    first, second, *_ = stages(begin)
    assert not await desk.service.write(second, expect=first, why="50%")
    assert await desk.service.read(PROMPT) == begin


async def test_nothing_is_served_where_nothing_was_started(desk):
    stray = Split(prompt=PROMPT, salt="s1")
    assert not await desk.service.write(stages(stray)[0], expect=stray, why="10%")
    assert await desk.service.read(PROMPT) is None


async def test_what_a_person_did_meanwhile_stands(desk):
    begin = await started(desk)
    first, second, *_ = stages(begin)
    assert await desk.service.write(first, expect=begin, why="10%")
    theirs = canary(PROMPT, begin.salt, version=8, share=0.25)
    desk.by_hand(theirs)
    assert not await desk.service.write(second, expect=first, why="50%")
    assert not await desk.service.write(begin, expect=first, why="back")
    assert await desk.service.start(PROMPT, "s2") == theirs
    assert await desk.service.read(PROMPT) == theirs


async def test_users_are_spread_evenly_and_stay_where_they_are(desk):
    begin = await started(desk)
    first, second, held, _ = stages(begin)
    places = {f"user-{n}": desk.service.place(begin, f"user-{n}") for n in range(2000)}
    assert all(0 <= place < 1 for place in places.values())
    assert all(abs(sum(place < p for place in places.values()) / 2000 - p) < 0.03 for p in (0.1, 0.5, 0.9))
    for key, place in places.items():
        assert desk.service.place(second, key) == place
        assert second.at(place) == 8 or first.at(place) == 0, "a wider canary keeps all that it had"
        assert held.at(place) == 0 or second.at(place) == 0, "who is held back never had the candidate"


async def test_the_name_is_for_people(desk):
    assert desk.service.name
