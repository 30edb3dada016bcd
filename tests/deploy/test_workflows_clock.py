"""Slots are named by the plan, not by the moment of firing, and the last one that was missed is asked for once."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from conftest import SetClock

from deploy.clock import CycleClock, SystemClock, last_due, slot_text
from optimizer.errors import BadSettings

SATURDAY = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "due"),
    [
        ("* * * * *", "2026-11-21T02:30Z"),
        ("31 * * * *", "2026-11-21T01:31Z"),
        ("*/20 * * * *", "2026-11-21T02:20Z"),
        ("0 3 * * *", "2026-11-20T03:00Z"),
        ("0 3 * * 0", "2026-11-15T03:00Z"),  # Sunday, as cron counts
        ("0 3 * * 7", "2026-11-15T03:00Z"),
        ("0 3 * * 1-5", "2026-11-20T03:00Z"),
        ("0 3 * * 5-7", "2026-11-20T03:00Z"),
        ("0 3 * * 1,thu", "2026-11-19T03:00Z"),
        ("0 3 * * 1/3", "2026-11-19T03:00Z"),
        ("0 3 * * */4", "2026-11-19T03:00Z"),
        ("0 3 * * mon-wed", "2026-11-18T03:00Z"),
        ("30 2 29 2 *", None),
        ("0 0 1 1 *", "2026-01-01T00:00Z"),
    ],
)
def test_the_last_due_moment(cron: str, due: str | None) -> None:
    found = last_due(cron, SATURDAY + timedelta(seconds=59))
    assert (found and slot_text(found)) == due


@pytest.mark.parametrize("cron", ["", "every day", "61 * * * *", "* * * *", "0 3 * * 9"])
def test_a_bad_cron_line_is_named(cron: str) -> None:
    with pytest.raises(BadSettings, match="is not a cron line"):
        last_due(cron, SATURDAY)


async def test_a_start_asks_for_the_last_due_slot_of_every_prompt_once(clock: SetClock) -> None:
    asked = []

    async def enqueue(prompt: str, slot: str) -> None:
        asked.append((prompt, slot))

    schedules = {"a": "0 3 * * *", "b": "0 2 * * *", "never": "30 2 29 2 *"}
    cycles = CycleClock(schedules, enqueue, clock=clock)
    await cycles.start(catch_up=True)
    cycles.stop()
    assert asked == [("a", "2026-11-20T03:00Z"), ("b", "2026-11-21T02:00Z")]
    await CycleClock(schedules, enqueue, clock=clock).start(catch_up=False)
    assert len(asked) == 2


async def test_a_late_tick_asks_for_the_slot_that_was_planned(clock: SetClock) -> None:
    asked: asyncio.Queue[str] = asyncio.Queue()

    async def enqueue(_prompt: str, slot: str) -> None:
        await asked.put(slot)

    cycles = CycleClock({"a": "*/30 * * * *"}, enqueue, clock=clock, jitter_s=0)
    clock.time = SATURDAY + timedelta(minutes=29)
    await cycles.tick("a")
    clock.time = SATURDAY + timedelta(hours=5, minutes=1)
    await cycles.tick("a")
    assert [await asked.get(), await asked.get()] == ["2026-11-21T02:30Z", "2026-11-21T07:30Z"]


def test_the_systems_clock_is_aware_and_in_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)
