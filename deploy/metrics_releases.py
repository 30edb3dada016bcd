"""Prometheus metrics of releases: where they stand, who is shown what, and how far production has made up its mind.

Read from the store, as all metrics. A prompt has one release at most that is watched, so a prompt is label enough.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from deploy.lifecycle import RELEASE_TRANSITIONS, ReleaseState, is_final
from deploy.overview_releases import share
from deploy.settings import Settings
from deploy.store.facade import Store
from deploy.store.pull_requests import OPEN
from deploy.store.releases import ReleaseEvent, ReleaseRow
from optimizer.rollouts import CanaryPlan, Look
from optimizer.types import Missing


def release_metrics(store: Store, settings: Settings) -> Iterator[Metric]:
    """Everything about the releases of every registered prompt."""
    names = [prompt.name for prompt in settings.prompts]
    rows = {name: store.releases.in_state(name, *ReleaseState) for name in names}
    yield from _states(rows)
    yield from _waiting(store, names)
    yield from _watched(store, rows)


def _states(rows: dict[str, tuple[ReleaseRow, ...]]) -> Iterator[Metric]:
    """Ended releases only grow in number, so they are a counter; the others come and go."""
    ended = CounterMetricFamily("tracegrad_releases", "Ended releases by state.", labels=["prompt", "state"])
    standing = GaugeMetricFamily(
        "tracegrad_releases_open", "Releases that can still move, by state.", labels=["prompt", "state"]
    )
    for prompt, mine in rows.items():
        for state, count in sorted(Counter(row.state for row in mine).items()):
            family = ended if is_final(RELEASE_TRANSITIONS, state) else standing
            family.add_metric([prompt, str(state)], count)
    yield from (ended, standing)


def _waiting(store: Store, prompts: Sequence[str]) -> Iterator[Metric]:
    """What waits for a person, and what waits for a tick."""
    pulls = GaugeMetricFamily("tracegrad_pull_requests_open", "Pull requests that nobody answered.", labels=["prompt"])
    orders = GaugeMetricFamily("tracegrad_orders_pending", "Orders that no tick has carried out.", labels=["prompt"])
    frozen = GaugeMetricFamily(
        "tracegrad_frozen", "1 while a freeze stands, of the prompt or of all.", labels=["prompt"]
    )
    for prompt in prompts:
        pulls.add_metric([prompt], len(store.pull_requests.in_state(prompt, OPEN)))
        orders.add_metric([prompt], len(store.orders.pending(prompt)))
        frozen.add_metric([prompt], float(store.freezes.standing(prompt) is not None))
    yield from (pulls, orders, frozen)


def _watched(store: Store, rows: dict[str, tuple[ReleaseRow, ...]]) -> Iterator[Metric]:
    """The release that production is deciding about, while there is one."""
    version = GaugeMetricFamily("tracegrad_canary_version", "Version that is watched.", labels=["prompt"])
    shown = GaugeMetricFamily(
        "tracegrad_canary_share", "Part of the users that is shown the watched version.", labels=["prompt"]
    )
    looks = LookFamilies()
    for prompt, mine in rows.items():
        for row in reversed(mine):
            events = store.releases.events(row.run_id)
            if row.plan is None or not is_watched(row, events):
                continue
            version.add_metric([prompt], row.version)
            shown.add_metric([prompt], share(row, events))
            last, since = store.looks.last(row.run_id), began(row, events)
            if last is not None and last.at > since.at:
                looks.add(prompt, last, row.plan, held=row.state is ReleaseState.PROMOTED)
            break
    yield from (version, shown, *looks.families)


def is_watched(row: ReleaseRow, events: Sequence[ReleaseEvent]) -> bool:
    """Whether a part of the users is shown one version and the others another, for the sake of this release."""
    return row.state is ReleaseState.PROGRESSING or (
        row.state is ReleaseState.PROMOTED and "holdback" in events[-1].evidence
    )


def began(row: ReleaseRow, events: Sequence[ReleaseEvent]) -> ReleaseEvent:
    """The move by which it came to where it stands."""
    return next(event for event in events if event.state is row.state)


class LookFamilies:
    """What the last look at production found."""

    def __init__(self) -> None:
        kinds = ["prompt", "kind"]
        self._evidence = GaugeMetricFamily("tracegrad_canary_evidence", "E-value at the last look.", labels=kinds)
        self._needed = GaugeMetricFamily(
            "tracegrad_canary_evidence_needed", "E-value at which something follows.", labels=kinds
        )
        self._effect = GaugeMetricFamily(
            "tracegrad_canary_effect", "New version minus old one, in parts of the scale.", labels=["prompt"]
        )
        self._units = GaugeMetricFamily(
            "tracegrad_canary_units", "Users or sessions by arm and how far they are.", labels=["prompt", "arm", "kind"]
        )
        self._at = GaugeMetricFamily(
            "tracegrad_canary_last_look_seconds", "Unix time of the last look.", labels=["prompt"]
        )

    @property
    def families(self) -> tuple[Metric, ...]:
        """All of them, in a fixed order."""
        return (self._evidence, self._needed, self._effect, self._units, self._at)

    def add(self, prompt: str, last: Look, plan: CanaryPlan, *, held: bool) -> None:
        """One prompt's look; in a holdback nothing but harm is asked about."""
        rules = plan.rules
        found = {"harm": (last.harm, rules.harm)}
        if not held:
            found |= {
                "promote": (last.promote, 1 / rules.stake),
                "futile": (last.futile, rules.futile),
                "share": (last.share, rules.share_alarm),
            }
        found |= {f"alarm {alarm.name}": (alarm.e_value, alarm.limit) for alarm in last.alarms}
        for kind, (evidence, needed) in found.items():
            self._evidence.add_metric([prompt, kind], evidence)
            self._needed.add_metric([prompt, kind], needed)
        if not isinstance(last.effect, Missing):
            self._effect.add_metric([prompt], last.effect)
        for arm in (last.candidate, last.control):
            for kind, count in (("exposed", arm.exposed), ("scored", arm.scored), ("matured", arm.matured)):
                self._units.add_metric([prompt, str(arm.arm), kind], count)
        self._at.add_metric([prompt], last.at.timestamp())
