"""Metrics from the store: counters only grow, and what is not known has no sample."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import SetClock
from house_samples import World
from prometheus_client import generate_latest
from release_samples import look, released

from deploy.collecting import collect
from deploy.gating.stage import gate
from deploy.lifecycle import RELEASE_TRANSITIONS, CycleState, ReleaseState, is_final
from deploy.metrics import metrics_of
from deploy.optimizing import find_candidate
from deploy.store.facade import Store
from deploy.store.freezes import EVERY, Freeze
from deploy.store.orders import OrderKind
from deploy.store.pull_requests import Asked
from optimizer.ports import PullRequest, PullState


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
        'tracegrad_frozen{prompt="support"}': 0.0,
        'tracegrad_orders_pending{prompt="support"}': 0.0,
        'tracegrad_pull_requests_open{prompt="support"}': 0.0,
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


# ---- releases ------------------------------------------------------------------------------------------------------


def of_canary(found: dict[str, float]) -> dict[str, float]:
    """The samples of the watched release, by what is left of their names."""
    return {
        name.removeprefix("tracegrad_canary_"): value
        for name, value in found.items()
        if name.startswith("tracegrad_canary")
    }


@pytest.mark.parametrize("state", list(ReleaseState))
def test_a_release_in_every_state_and_two_of_each_are_no_sample_twice(world: World, state: ReleaseState) -> None:
    for slot in ("s1", "s2"):
        released(world.store, state, at=world.pass_time(days=1), slot=slot)
    family = "releases_total" if is_final(RELEASE_TRANSITIONS, state) else "releases_open"
    found = samples(world)
    assert found[f'tracegrad_{family}{{prompt="support",state="{state}"}}'] == 2.0
    assert [name for name in found if name.startswith("tracegrad_releases")] == [
        f'tracegrad_{family}{{prompt="support",state="{state}"}}'
    ]


def test_a_canary_before_and_after_its_first_look(world: World) -> None:
    row = released(world.store, ReleaseState.PROGRESSING, at=world.clock.now())
    assert of_canary(samples(world)) == {'version{prompt="support"}': 4.0, 'share{prompt="support"}': 0.1}

    at = world.pass_time(days=2)
    world.store.looks.keep(row.run_id, look(at, scored=False))
    assert 'effect{prompt="support"}' not in of_canary(samples(world))
    world.store.looks.keep(row.run_id, look(at + timedelta(days=1)))
    found = of_canary(samples(world))
    assert {
        kind: found[f'evidence{{kind="{kind}",prompt="support"}}'] for kind in ("promote", "harm", "futile", "share")
    } == {
        "promote": 12.0,
        "harm": 0.2,
        "futile": 0.4,
        "share": 1.1,
    }
    assert found['evidence_needed{kind="promote",prompt="support"}'] == pytest.approx(50.0)
    assert found['evidence_needed{kind="alarm latency",prompt="support"}'] == 10.0
    assert found['effect{prompt="support"}'] == 0.06
    assert found['units{arm="candidate",kind="matured",prompt="support"}'] == 70.0
    assert found['units{arm="baseline",kind="exposed",prompt="support"}'] == 1200.0
    assert found['last_look_seconds{prompt="support"}'] == (at + timedelta(days=1)).timestamp()


def test_a_holdback_has_looks_of_its_own_and_ends(world: World) -> None:
    row = released(world.store, ReleaseState.PROMOTED, at=world.clock.now())
    world.store.looks.keep(row.run_id, look(row.updated_at - timedelta(minutes=1)))
    assert of_canary(samples(world)) == {'version{prompt="support"}': 4.0, 'share{prompt="support"}': 0.9}
    world.store.looks.keep(row.run_id, replace(look(row.updated_at + timedelta(days=1)), alarms=()))
    evidence = [name for name in of_canary(samples(world)) if name.startswith("evidence{")]
    assert evidence == ['evidence{kind="harm",prompt="support"}']
    ended = row.updated_at + timedelta(days=28)
    world.store.releases.advance(row.run_id, ReleaseState.PROMOTED, at=ended, evidence={"finished": "finish"})
    assert of_canary(samples(world)) == {}


def test_what_waits_for_a_person_and_what_for_a_tick(world: World) -> None:
    row = released(world.store, ReleaseState.PROPOSED, at=world.clock.now())
    request = PullRequest(number=1, url="u", branch="b")
    asked = Asked(run_id=row.run_id, request=request, state=PullState.OPEN, checked_at=world.clock.now())
    world.store.pull_requests.keep(asked)
    world.order(OrderKind.APPROVE, run_id=row.run_id)
    world.store.freezes.freeze(Freeze(prompt=EVERY, actor="ada", why="", at=world.clock.now()))
    found = samples(world)
    for name in ("pull_requests_open", "orders_pending", "frozen"):
        assert found[f'tracegrad_{name}{{prompt="support"}}'] == 1.0
    world.store.pull_requests.keep(replace(asked, state=PullState.CLOSED))
    world.store.freezes.unfreeze(EVERY, actor="ada", why="", at=world.clock.now())
    assert samples(world)['tracegrad_pull_requests_open{prompt="support"}'] == 0.0
    assert samples(world)['tracegrad_frozen{prompt="support"}'] == 0.0


def test_the_page_names_every_metric_and_no_other(world: World) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-it-works.md").read_text(encoding="utf-8")
    table = page.partition("## What can be watched")[2].partition("Worth an alarm")[0]
    named = {
        name
        for row in table.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    text = generate_latest(metrics_of(world.store, world.house.settings, world.clock)).decode()
    assert {f"tracegrad_{name}" for name in named} == set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
