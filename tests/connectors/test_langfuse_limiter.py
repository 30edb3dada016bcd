"""The rate limiter, on a clock that only moves when somebody sleeps."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from connectors.langfuse.limiter import Bucket, RateLimiter

START = datetime(2026, 11, 1, tzinfo=UTC)
GENERAL, DATASETS = Bucket.GENERAL, Bucket.DATASETS


class Time:
    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    @property
    def passed(self) -> float:
        return (self.at - START).total_seconds()


@pytest.fixture
def time() -> Time:
    return Time()


async def test_a_burst_is_a_quarter_of_a_minutes_requests_and_then_they_are_spaced(time):
    limiter = RateLimiter(20, clock=time, sleep=time.sleep)
    moments = []
    for _ in range(8):
        await limiter.acquire(GENERAL)
        moments.append(time.passed)
    assert moments == [0, 0, 0, 0, 0, 3, 6, 9]


async def test_no_minute_holds_more_than_the_smallest_plan_allows(time):
    limiter = RateLimiter(20, clock=time, sleep=time.sleep)
    moments = []
    for _ in range(200):
        await limiter.acquire(GENERAL)
        moments.append(time.passed)
    assert max(sum(start <= at < start + 60 for at in moments) for start in moments) <= 30


async def test_buckets_do_not_share(time):
    limiter = RateLimiter(4, clock=time, sleep=time.sleep)
    await limiter.acquire(GENERAL)
    await limiter.acquire(DATASETS)
    assert time.passed == 0
    await limiter.acquire(GENERAL)
    assert time.passed == 15


async def test_an_idle_bucket_fills_up_again_but_not_further(time):
    limiter = RateLimiter(8, clock=time, sleep=time.sleep)
    await time.sleep(3600)
    for _ in range(3):
        await limiter.acquire(GENERAL)
    assert time.passed == 3600 + 7.5


async def test_a_hold_is_obeyed_even_without_a_limit_of_ours(time):
    limiter = RateLimiter(0, clock=time, sleep=time.sleep)
    limiter.hold_for(GENERAL, 42)
    assert limiter.next_allowed_at(GENERAL) == START + timedelta(seconds=42)
    assert limiter.next_allowed_at(DATASETS) == START
    await limiter.acquire(GENERAL)
    assert time.passed == 42


async def test_a_hold_outlives_the_process(time):
    kept = {}
    before = RateLimiter(0, clock=time, sleep=time.sleep, on_hold=kept.__setitem__)
    before.hold_for(GENERAL, 86397)
    after = RateLimiter(0, clock=time, sleep=time.sleep)
    after.hold(GENERAL, kept[GENERAL])
    after.hold(GENERAL, START)
    await after.acquire(GENERAL)
    assert time.passed == 86397


async def test_a_hold_reaches_those_who_sleep_already(time):
    limiter = RateLimiter(4, clock=time, sleep=time.sleep)
    await limiter.acquire(GENERAL)

    async def held_meanwhile(seconds: float) -> None:
        await time.sleep(seconds)
        if time.passed == 15:
            limiter.hold_for(GENERAL, 60)

    limiter.sleep = held_meanwhile
    await limiter.acquire(GENERAL)
    assert time.passed == 75


async def test_a_sleeper_can_be_cancelled(time):
    limiter = RateLimiter(1, clock=time)
    limiter.hold_for(GENERAL, 3600)
    sleeper = asyncio.create_task(limiter.acquire(GENERAL))
    await asyncio.sleep(0)
    sleeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeper
