"""Splits in the database: compare and set, serials, and the flag service over them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest
from conftest import SetClock
from store_samples import T0

from deploy.flags import StoreFlags
from deploy.store.facade import Store
from deploy.store.splits import KeptSplit, Splits
from optimizer.ports import FlagService
from optimizer.rollouts import Band, Split, canary, holdback, point

NOBODY = Split(prompt="support", salt="s1")
SOME = canary("support", "s1", version=8, share=0.1)
HALF = canary("support", "s1", version=8, share=0.5)


@pytest.fixture
def splits(store: Store) -> Splits:
    return Splits(store.engine)


def test_before_the_first_release_there_is_none(splits: Splits) -> None:
    assert splits.read("support") is None
    assert splits.all() == {}
    assert not splits.write(SOME, NOBODY, T0)
    assert splits.read("support") is None


def test_a_split_is_read_as_it_was_written_and_every_change_counts(splits: Splits) -> None:
    thirds = Split(
        prompt="support", salt="\u00e9 \U0001f600", bands=(Band(below=1 / 3, version=8), Band(below=1.0, version=0))
    )
    assert splits.start("support", "s1", T0) == NOBODY
    assert splits.read("support") == (NOBODY, 1)
    assert splits.write(thirds, NOBODY, T0)
    assert splits.read("support") == (thirds, 2)
    assert splits.write(thirds, NOBODY, T0), "what stands already counts as written"
    assert splits.read("support") == (thirds, 2)
    other = splits.start("other", "s2", T0)
    assert splits.all() == {
        "support": KeptSplit(split=thirds, serial=2),
        "other": KeptSplit(split=other, serial=1),
    }


@pytest.mark.parametrize(
    "expected",
    [NOBODY, HALF, canary("support", "s2", version=8, share=0.1), canary("support", "s1", version=9, share=0.1)],
    ids=["nobody", "another share", "another salt", "another version"],
)
def test_what_somebody_else_wrote_stays(splits: Splits, expected: Split) -> None:
    splits.start("support", "s1", T0)
    splits.write(SOME, NOBODY, T0)
    assert not splits.write(holdback("support", "s1", version=7, share=0.1), expected, T0)
    assert splits.read("support") == (SOME, 2)


def test_a_start_gives_a_closed_split_a_new_salt_and_leaves_an_open_one_alone(splits: Splits) -> None:
    splits.start("support", "s1", T0)
    renewed = splits.start("support", "s2", T0)
    assert renewed == Split(prompt="support", salt="s2")
    assert splits.start("support", "s2", T0) == renewed
    assert splits.read("support") == (renewed, 2)
    standing = canary("support", "s2", version=8, share=0.1)
    assert splits.write(standing, renewed, T0)
    assert splits.start("support", "s3", T0) == standing
    assert splits.read("support") == (standing, 3)


def test_of_many_writers_at_once_one_wins(splits: Splits) -> None:
    splits.start("support", "s1", T0)
    wanted = [canary("support", "s1", version=version, share=0.1) for version in range(1, 9)]
    ready = Barrier(len(wanted))

    def write(split: Split) -> bool:
        ready.wait()
        return splits.write(split, NOBODY, T0)

    with ThreadPoolExecutor(len(wanted)) as pool:
        won = list(pool.map(write, wanted))
    assert won.count(True) == 1
    assert splits.read("support") == (wanted[won.index(True)], 2)


async def test_the_flag_service_reads_writes_and_places(splits: Splits, clock: SetClock) -> None:
    flags: FlagService = StoreFlags(splits, clock)
    assert await flags.read("support") is None
    started = await flags.start("support", "s1")
    assert started == NOBODY
    assert await flags.write(SOME, expect=started, why="first stage")
    assert await flags.read("support") == SOME
    clock.time = datetime(2026, 12, 1, tzinfo=UTC)
    assert not await flags.write(NOBODY, expect=started, why="somebody else was here")
    assert await flags.write(HALF, expect=SOME, why="second stage")
    assert await flags.read("support") == HALF
    assert flags.place(HALF, "Zo\u00eb") == point("s1", "Zo\u00eb")
