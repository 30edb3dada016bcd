"""Prometheus metrics, computed from the store when they are asked for.

The store is the truth and survives a restart; counters in memory would start at zero after every crash.
"""

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from deploy.overview import published, spend_of
from deploy.settings import Settings
from deploy.store.facade import Store
from optimizer.ports import Clock

LATEST = 1000
"""Cycles counted per prompt: years of a nightly schedule."""


class StoreCollector(Collector):
    """Reads the store on every scrape."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store, self._settings, self._clock = store, settings, clock

    def collect(self) -> Iterator[Metric]:
        """Cycles by state and verdict, the published version, spend."""
        cycles = CounterMetricFamily(
            "tracegrad_cycles", "Cycles by state and verdict.", labels=["prompt", "state", "verdict"]
        )
        versions = GaugeMetricFamily("tracegrad_published_version", "Newest version that is ours.", labels=["prompt"])
        spend = GaugeMetricFamily("tracegrad_spend_usd_30d", "Priced model spend over 30 days.", labels=["prompt"])
        last = GaugeMetricFamily(
            "tracegrad_last_cycle_end_seconds", "Unix time at which the last cycle ended.", labels=["prompt"]
        )
        spent = spend_of(self._store, self._clock.now())
        for prompt in self._settings.prompts:
            rows = self._store.cycles.latest(prompt.name, limit=LATEST)
            for (state, verdict), count in sorted(Counter((str(r.state), str(r.verdict or "")) for r in rows).items()):
                cycles.add_metric([prompt.name, state, verdict], count)
            versions.add_metric([prompt.name], published(self._store, prompt.name) or 0)
            spend.add_metric([prompt.name], spent.get(prompt.name, 0.0))
            if ends := [row.ended_at for row in rows if row.ended_at]:
                last.add_metric([prompt.name], max(ends).timestamp())
        yield from (cycles, versions, spend, last)


def metrics_of(store: Store, settings: Settings, clock: Clock) -> CollectorRegistry:
    """A registry of its own: nothing is registered globally."""
    registry = CollectorRegistry()
    registry.register(StoreCollector(store, settings, clock))
    return registry
