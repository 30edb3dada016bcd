"""Who is told of a release: every address of the settings, once for every event that people want to know of.

A message that cannot be delivered is tried again by later ticks, at growing intervals, and given up in the end. It must
never stop a release, and never be sent again when it arrived.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from connectors.notify import Address, Notice, Notifier
from deploy.lifecycle import ReleaseState
from deploy.overview_releases import pull_request_of
from deploy.settings import Settings
from deploy.store.deliveries import TOLD, Deliveries
from deploy.store.facade import Store
from deploy.store.fence import Run
from deploy.store.releases import ReleaseEvent, ReleaseRow
from deploy.wiring import House
from optimizer.errors import Permanent, TracegradError
from optimizer.identity import Json, digest

WANTED = frozenset({ReleaseState.PROPOSED, ReleaseState.PROMOTED, ReleaseState.ROLLED_BACK, ReleaseState.HALTED})
"""The events that people want to know of."""

PAUSES = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 60, 240, 720))
"""Before the second attempt and those after it; when they are used up, it is given up."""

NEWS = timedelta(days=2)
"""What is older is told to nobody: not to an address that was added since, nor after a long silence of our own."""

RECENT = 10
"""Releases of a prompt that may still have something to tell."""

log = logging.getLogger("tracegrad")


def to_tell(store: Store, settings: Settings, prompt: str, now: datetime) -> bool:
    """Whether somebody was not told yet of something new about a prompt's releases. Blocks."""
    addresses = addresses_of(settings)
    for release in store.releases.of_prompt(prompt, limit=RECENT) if addresses else ():
        if release.updated_at < now - NEWS:
            continue
        known = Deliveries(store.engine).of(release.run_id)
        news = wanted_of(store.releases.events(release.run_id), now)
        if any(key_of(number, address) not in known for number, _ in news for address in addresses):
            return True
    return False


async def tell(house: House, run: Run, release: ReleaseRow) -> None:
    """Tell every address what it was not told yet of this release.

    Args:
        run: its `cycle_id` is the release's id, under which what was sent is recorded.
    """
    addresses = addresses_of(house.settings)
    if not addresses:
        return
    wanted = wanted_of(await asyncio.to_thread(house.store.releases.events, release.run_id), house.clock.now())
    if not wanted:
        return
    known = await asyncio.to_thread(Deliveries(house.store.engine).of, release.run_id)
    link = await asyncio.to_thread(pull_request_of, house.store, release.run_id)
    async with Notifier() as notifier:
        for number, event in wanted:
            notice = notice_of(release, number, event, link)
            for address in addresses:
                await deliver(house, run, notifier, address, notice, key_of(number, address), known)


async def deliver(
    house: House,
    run: Run,
    notifier: Notifier,
    address: Address,
    notice: Notice,
    key: str,
    known: Mapping[str, Json],
) -> None:
    """One event to one address, unless it was told, was given up, or was tried a moment ago."""
    tries = sum(name.startswith(f"{key}/failed/") for name in known)
    if key in known or not due(known.get(f"{key}/failed/{tries - 1}"), tries, house.clock.now()):
        return

    async def send(whole_key: str) -> Json:
        at = house.clock.now()
        await notifier.tell(address, notice, delivery=digest(whole_key), at=at)
        return {"told": at.isoformat()}

    try:
        await house.store.effects.once(run, key, send)
    except TracegradError as error:
        last = isinstance(error, Permanent) or tries >= len(PAUSES)
        said = house.clock.now().isoformat()
        await house.store.effects.once(run, key if last else f"{key}/failed/{tries}", lambda _: _kept(said, last))
        if last:
            log.warning(
                f"nobody could be told that {notice.release} is {notice.state}: {error}",
                extra={"action": "notify-given-up", "release": notice.release},
            )


def due(failed_at: Json, tries: int, now: datetime) -> bool:
    """Whether an address may be tried now, after so many failures and the last of them then."""
    if not isinstance(failed_at, str):
        return True
    return now >= datetime.fromisoformat(failed_at) + PAUSES[min(tries, len(PAUSES)) - 1]


def wanted_of(events: Sequence[ReleaseEvent], now: datetime) -> list[tuple[int, ReleaseEvent]]:
    """The events that people want to know of and that are news, with their numbers.

    A release that enters its state once more, as at the end of a holdback, is no news.
    """
    before = (None, *(event.state for event in events))
    return [
        (number, event)
        for number, event in enumerate(events)
        if event.state in WANTED and event.state is not before[number] and event.at >= now - NEWS
    ]


def notice_of(release: ReleaseRow, number: int, event: ReleaseEvent, link: str) -> Notice:
    """What is told of an event."""
    share = event.evidence.get("share")
    return Notice(
        id=f"{release.run_id}/{number}",
        release=release.run_id,
        prompt=release.prompt,
        state=str(event.state),
        reason=event.reason,
        actor=event.actor,
        at=event.at,
        share=share if isinstance(share, float) else None,
        links=(("pull request", link),) if link else (),
    )


def addresses_of(settings: Settings) -> tuple[Address, ...]:
    """The owner's addresses, each once."""
    found = [
        Address(url=each.url.get_secret_value(), secret=each.secret.get_secret_value() if each.kind == "signed" else "")
        for each in settings.notify
    ]
    return tuple(dict.fromkeys(found))


def key_of(number: int, address: Address) -> str:
    """The key of one event at one address."""
    return f"{TOLD}{number}/{digest(address.url)[:16]}"


async def _kept(said: str, last: bool) -> Json:
    """What is recorded of a failure."""
    return {"gave_up": said} if last else said
