"""The clock: cron lines that fire, and remember nothing. Every replica may run one.

A slot is named by the moment that its cron line planned, never by the moment at which the clock fired: then all
replicas mean the same slot, jitter or not, and a slot that is asked for again is the same cycle. The planned moment is
found by asking which one was due last, so a clock that was late by several slots asks for the newest only.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from optimizer.errors import BadSettings
from optimizer.ports import Clock

LOOK_BACK = (timedelta(hours=1), timedelta(days=1), timedelta(days=7), timedelta(days=32), timedelta(days=366))
"""How far back the last due slot is looked for; the first interval that holds one is enough."""

MISFIRE_GRACE_S = 300

WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")


class SystemClock:
    """The time of this machine."""

    def now(self) -> datetime:
        """See Clock."""
        return datetime.now(UTC)


class CycleClock:
    """Asks for each prompt's cycle when it is due.

    Args:
        schedules: cron lines (five fields, UTC) by prompt.
        enqueue: takes prompt and slot; asking twice for the same slot must be harmless.
        jitter_s: up to so many seconds are added to each firing, to spread the load; not to the slot.
    """

    def __init__(
        self,
        schedules: Mapping[str, str],
        enqueue: Callable[[str, str], Awaitable[object]],
        *,
        clock: Clock,
        jitter_s: float = 30.0,
    ) -> None:
        self._schedules = dict(schedules)
        self._enqueue = enqueue
        self._clock = clock
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        for prompt, cron in self._schedules.items():
            self._scheduler.add_job(
                self.tick,
                trigger_of(cron, jitter_s=jitter_s),
                args=[prompt],
                id=f"cycle:{prompt}",
                coalesce=True,
                max_instances=1,
                misfire_grace_time=MISFIRE_GRACE_S,
            )

    async def start(self, *, catch_up: bool = True) -> None:
        """Run from now on.

        Args:
            catch_up: first ask for the last due slot of each prompt; a clock that was switched off knows of none.
        """
        if catch_up:
            for prompt in self._schedules:
                await self.tick(prompt)
        self._scheduler.start()

    def stop(self) -> None:
        """Fire no more."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    @property
    def running(self) -> bool:
        """True between start and stop."""
        return bool(self._scheduler.running)

    async def tick(self, prompt: str) -> None:
        """Ask for the slot of a prompt that was due last."""
        due = last_due(self._schedules[prompt], self._clock.now())
        if due is not None:
            await self._enqueue(prompt, slot_text(due))


def last_due(cron: str, now: datetime) -> datetime | None:
    """The newest moment, now or earlier, for which a cron line planned; None when there was none within a year."""
    for back in LOOK_BACK:
        found: datetime | None = None
        fires = _fires_after(cron, now - back)
        while fires is not None and fires <= now:
            found = fires
            fires = _fires_after(cron, fires)
        if found is not None:
            return found
    return None


def slot_text(moment: datetime) -> str:
    """A planned moment as the name of its slot: "2026-11-21T02:30Z"."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


def trigger_of(cron: str, *, jitter_s: float = 0.0) -> CronTrigger:
    """APScheduler's trigger for a cron line in UTC. Raises BadSettings."""
    try:
        minute, hour, day, month, weekday = cron.split()
        return CronTrigger(
            minute=minute,
            hour=hour,
            day=day,
            month=month,
            day_of_week=_weekdays(weekday),
            timezone=UTC,
            jitter=jitter_s or None,
        )
    except ValueError as error:
        raise BadSettings(f"'{cron}' is not a cron line", "write five fields, as in '30 2 * * *'") from error


def _weekdays(field: str) -> str:
    """Cron counts weekdays from Sunday (0 and 7), APScheduler from Monday: numbers become names, one by one."""
    if not any(letter.isdigit() for letter in field):
        return field
    names = []
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = ("0-6" if span == "*" else span).partition("-")
        if not first.isdigit():
            names.append(part)
            continue
        end = int(last or ("6" if step else first))
        names += [WEEKDAYS[day] for day in range(int(first), end + 1, int(step or 1)) if day < len(WEEKDAYS)]
    if not names:
        raise ValueError(f"no weekday in '{field}'")
    return ",".join(names)


def _fires_after(cron: str, moment: datetime) -> datetime | None:
    fires: datetime | None = trigger_of(cron).get_next_fire_time(None, moment + timedelta(microseconds=1))
    return fires
