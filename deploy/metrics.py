"""Prometheus metrics, computed from the store when they are asked for.

The store is the truth and survives a restart; counters in memory would start at zero after every crash. What is not
known has no sample: a zero would be a number.
"""

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from deploy.lifecycle import CYCLE_TRANSITIONS, is_final
from deploy.metrics_releases import release_metrics
from deploy.overview import published, spend_of
from deploy.settings import Settings
from deploy.store.facade import Store
from optimizer.ports import Clock

LATEST = 20
"""Cycles looked at for the last end: those that have not ended yet wait in one queue per prompt."""


class StoreCollector(Collector):
    """Reads the store on every scrape."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store, self._settings, self._clock = store, settings, clock

    def collect(self) -> Iterator[Metric]:
        """Cycles, then what is known of every registered prompt, then its releases."""
        yield from self._cycles()
        yield from self._prompts()
        yield from release_metrics(self._store, self._settings)

    def _cycles(self) -> Iterator[Metric]:
        """Ended cycles only grow in number, so they are a counter; the others come and go."""
        ended = CounterMetricFamily(
            "tracegrad_cycles", "Ended cycles by state and verdict.", labels=["prompt", "state", "verdict"]
        )
        waiting = GaugeMetricFamily("tracegrad_cycles_open", "Cycles not ended yet.", labels=["prompt", "state"])
        open_now: Counter[tuple[str, str]] = Counter()
        for (prompt, state, verdict), count in sorted(self._store.cycles.counts().items()):
            if is_final(CYCLE_TRANSITIONS, state):
                ended.add_metric([prompt, str(state), verdict], count)
            else:
                open_now[prompt, str(state)] += count
        for labels, count in open_now.items():
            waiting.add_metric(labels, count)
        yield from (ended, waiting)

    def _prompts(self) -> Iterator[Metric]:
        versions = GaugeMetricFamily(
            "tracegrad_published_version", "Newest version that is ours and in use.", labels=["prompt"]
        )
        spend = GaugeMetricFamily("tracegrad_spend_usd_30d", "Priced model spend over 30 days.", labels=["prompt"])
        unpriced = GaugeMetricFamily(
            "tracegrad_unpriced_calls_30d", "Model calls over 30 days whose price is unknown.", labels=["prompt"]
        )
        last = GaugeMetricFamily(
            "tracegrad_last_cycle_end_seconds", "Unix time at which the last cycle ended.", labels=["prompt"]
        )
        spent = spend_of(self._store, self._clock.now())
        for prompt in self._settings.prompts:
            usd, calls = spent.get(prompt.name, (0.0, 0))
            spend.add_metric([prompt.name], usd)
            unpriced.add_metric([prompt.name], calls)
            if version := published(self._store, prompt.name):
                versions.add_metric([prompt.name], version)
            rows = self._store.cycles.latest(prompt.name, limit=LATEST)
            if ends := [row.ended_at for row in rows if row.ended_at]:
                last.add_metric([prompt.name], max(ends).timestamp())
        yield from (versions, spend, unpriced, last)


def metrics_of(store: Store, settings: Settings, clock: Clock) -> CollectorRegistry:
    """A registry of its own: nothing is registered globally."""
    registry = CollectorRegistry()
    registry.register(StoreCollector(store, settings, clock))
    return registry
