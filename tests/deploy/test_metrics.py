"""Metrics from the store: counters only grow, and what is not known has no sample."""

import pytest
from conftest import SetClock
from house_samples import World
from prometheus_client import generate_latest

from deploy.collecting import collect
from deploy.gating.stage import gate
from deploy.lifecycle import CycleState
from deploy.metrics import metrics_of
from deploy.optimizing import find_candidate
from deploy.store.facade import Store


@pytest.fixture
def world(owned: Store, clock: SetClock) -> World:
    return World(owned, clock)


def samples(world: World) -> dict[str, float]:
    text = generate_latest(metrics_of(world.store, world.house.settings, world.clock)).decode()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(lines) == len({line.rpartition(" ")[0] for line in lines}), "no sample twice"
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_nothing_has_happened(world: World) -> None:
    assert samples(world) == {
        'tracegrad_spend_usd_30d{prompt="support"}': 0.0,
        'tracegrad_unpriced_calls_30d{prompt="support"}': 0.0,
    }


async def test_a_cycle_from_start_to_end(world: World) -> None:
    world.complaint(1)
    world.complaint(2)
    run = world.cycle()
    world.store.cycles.open("support", "waits", at=world.clock.now())
    state = await world.walk(run, collect, find_candidate, gate)
    open_now = 'tracegrad_cycles_open{prompt="support",state="gating"}'
    assert samples(world)[open_now] == 1.0
    assert samples(world)['tracegrad_cycles_open{prompt="support",state="idle"}'] == 1.0
    assert not any("cycles_total" in name or "published" in name for name in samples(world))

    await world.release(run, state)
    ended_at = world.pass_time(minutes=10)
    world.store.cycles.advance(run, CycleState.DONE, at=ended_at)
    found = samples(world)
    assert open_now not in found
    assert found['tracegrad_cycles_total{prompt="support",state="done",verdict="pass"}'] == 1.0
    assert found['tracegrad_published_version{prompt="support"}'] == 2.0
    assert found['tracegrad_last_cycle_end_seconds{prompt="support"}'] == ended_at.timestamp()
    assert found['tracegrad_spend_usd_30d{prompt="support"}'] == pytest.approx(0.003)
    world.pass_time(days=31)
    assert samples(world)['tracegrad_spend_usd_30d{prompt="support"}'] == 0.0


def test_a_counter_never_falls_however_many_cycles_there_were(world: World) -> None:
    def ended() -> float:
        return samples(world).get('tracegrad_cycles_total{prompt="support",state="skipped",verdict=""}', 0.0)

    counts = []
    for number in range(25):
        row = world.store.cycles.open("support", f"slot {number}", at=world.pass_time(hours=1))
        world.store.cycles.advance(row.id, CycleState.SKIPPED, at=world.clock.now())
        counts.append(ended())
    assert counts == list(range(1, 26))
