"""Whole cycles over the real worker and the real store, with twins for everything outside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import pytest
from conftest import SetClock
from house_samples import BODY, FIXED, World

from deploy import overview
from deploy.collecting import YOUNG
from deploy.cycle import DRY_PLAN, PLAN, stages
from deploy.lifecycle import CycleState, ReleaseState
from deploy.releases.tending import tend
from deploy.store.facade import Store
from deploy.store.orders import OrderKind
from deploy.workflows import Worker


@pytest.fixture
def world(store: Store, clock: SetClock) -> World:
    return World(store, clock)


@asynccontextmanager
async def working(world: World, url: str, plan: tuple[str, ...] = PLAN) -> AsyncIterator[Worker]:
    tick = partial(tend, world.house)
    worker = Worker(world.store, url, stages=stages(world.house), plan=plan, tick=tick, clock=world.clock, poll_s=0.1)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop(grace_s=0)


async def test_two_slots_the_first_publishes_and_the_second_has_nothing_to_do(world: World, url: str) -> None:
    for number in range(4):
        world.complaint(number)
    async with working(world, url) as worker:
        first = await worker.enqueue("support", "first")
        assert (await worker.wait(first))["reason"] == (
            "proposed: it waits for `tracegrad approve support`, or `tracegrad reject support --why ...`"
        )
        world.order(OrderKind.APPROVE)
        told = await worker.wait(await worker.enqueue_tick("support", "now"))
        assert list(told["told"].values()) == ["approved: approved"]  # type: ignore[union-attr]
        assert world.store.releases.get(first).state is ReleaseState.PROMOTED
        world.pass_time(days=1)
        world.answer(10, ago=timedelta(hours=1), prompt_version=2)
        second = await worker.enqueue("support", "second")
        assert (await worker.wait(second))["ended"] == "skipped"
    ends = [world.store.cycles.get(id_) for id_ in (first, second)]
    assert [row.state for row in ends] == [CycleState.DONE, CycleState.SKIPPED]
    assert ends[1].reason == f"nothing to do: no complaints about version 2 of support {YOUNG}"
    head = await world.registry.head("support")
    assert (head.production.version, head.newest, head.production.body) == (2, 2, f"{BODY}\n{FIXED}")
    shown = overview.cycle(world.store, world.house.settings, first)
    assert shown["changes"][0]["complaints"] == 4
    assert [event["state"] for event in shown["events"]][-2:] == ["proposing", "done"]


async def test_a_dry_run_publishes_nothing(world: World, url: str) -> None:
    for number in range(2):
        world.complaint(number)
    async with working(world, url, DRY_PLAN) as worker:
        id_ = await worker.enqueue("support", "dry")
        state = await worker.wait(id_)
    row = world.store.cycles.get(id_)
    assert (row.state, row.verdict, "ended" in state) == (CycleState.DONE, "pass", False)
    assert (await world.registry.head("support")).newest == 1
    assert world.store.releases.of_prompt("support") == ()


async def test_what_a_dry_run_found_is_still_there_to_be_published(
    world: World, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tracegrad")
    for number in range(2):
        world.complaint(number)
    async with working(world, url, DRY_PLAN) as worker:
        await worker.wait(await worker.enqueue("support", "dry"))
    async with working(world, url) as worker:
        real = await worker.enqueue("support", "real")
        assert (await worker.wait(real))["reason"] == (
            "proposed: it waits for `tracegrad approve support`, or `tracegrad reject support --why ...`"
        )
    ended = [record.__dict__ for record in caplog.records if record.message == "cycle ended"]
    assert [(line["cycle"], line["state"], line["verdict"]) for line in ended] == [
        ("support@dry", "done", "pass"),
        ("support@real", "done", "pass"),
    ]


async def test_a_missing_dataset_ends_the_cycle_with_what_to_do(world: World, url: str) -> None:
    world.prompt = {"gate": {"datasets": ["gone"]}}
    for number in range(2):
        world.complaint(number)
    async with working(world, url) as worker:
        id_ = await worker.enqueue("support", "first")
        await worker.wait(id_)
    row = world.store.cycles.get(id_)
    assert row.state is CycleState.FAILED
    assert row.reason.endswith("create it in Langfuse or take it out of `gate.datasets` of support.")
    assert (await world.registry.head("support")).newest == 1
