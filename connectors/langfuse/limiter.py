"""A token bucket per Langfuse rate-limit bucket, which also remembers the server's own Retry-After.

The window of a daily limit outlives this process: `next_allowed_at` says what to persist and `hold` restores it. It
must never sleep longer than the caller allows and never on a clock of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from optimizer.ports import Clock

_BURST_SHARE = 0.25
"""Of a minute's requests, sent at once: Langfuse counts in fixed minutes, so a full bucket could count twice in one."""


class Bucket(StrEnum):
    """What Langfuse limits separately."""

    GENERAL = "general"
    DATASETS = "datasets"


class UtcClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment."""
        return datetime.now(UTC)


class RateLimiter:
    """Spaces requests. Safe to use from many tasks of one event loop: each reserves its slot before it sleeps.

    Args:
        per_minute: requests per minute and bucket; 0 means no limit of ours, the server's is still obeyed.
        sleep: tests hand in one that moves their clock. Cancelling a sleeper gives its slot up, and no other.
        on_hold: told of every pause that the server asks for, to keep it beyond this process.
    """

    def __init__(
        self,
        per_minute: float,
        *,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_hold: Callable[[Bucket, datetime], None] = lambda _bucket, _until: None,
    ) -> None:
        self._interval = timedelta(minutes=1) / per_minute if per_minute else timedelta(0)
        self._burst = self._interval * max(per_minute * _BURST_SHARE - 1, 0)
        self._clock = clock or UtcClock()
        self._full_at: dict[Bucket, datetime] = {}
        self._held_until: dict[Bucket, datetime] = {}
        self._on_hold = on_hold
        self.sleep = sleep

    def next_allowed_at(self, bucket: Bucket) -> datetime:
        """The earliest moment of the next request."""
        now = self._clock.now()
        return max(now, self._full_at.get(bucket, now) - self._burst, self._held_until.get(bucket, now))

    def hold(self, bucket: Bucket, until: datetime) -> None:
        """No request before `until`: what the server asked for, now or before a restart."""
        self._held_until[bucket] = max(until, self._held_until.get(bucket, until))

    def held_for_s(self, bucket: Bucket) -> float:
        """Seconds until a pause that the server asked for is over; 0 without one."""
        now = self._clock.now()
        return max(0.0, (self._held_until.get(bucket, now) - now).total_seconds())

    def hold_for(self, bucket: Bucket, seconds: float) -> None:
        """No request for so many seconds from now: the server just said so."""
        until = self._clock.now() + timedelta(seconds=seconds)
        self.hold(bucket, until)
        self._on_hold(bucket, until)

    async def acquire(self, bucket: Bucket) -> None:
        """Return when one request may be sent."""
        slot = self.next_allowed_at(bucket)
        now = self._clock.now()
        self._full_at[bucket] = max(self._full_at.get(bucket, now), now) + self._interval
        # the server may ask for a pause while we sleep, hence the loop
        while (until := max(slot, self._held_until.get(bucket, slot))) > (now := self._clock.now()):
            await self.sleep((until - now).total_seconds())
