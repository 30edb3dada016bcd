"""A real process is killed in the middle of a stage, or asked to leave; the next one goes on from there."""

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from workflow_samples import PATIENCE_S, status, until

from deploy.store.facade import Store

SCRIPT = Path(__file__).with_name("crashing_worker.py")
CALLS, AT_ONCE = 24, 4
ID = "support@2026-11-21T02:30Z"


@pytest.fixture
def folder(tmp_path: Path, store: Store) -> Path:
    assert store.engine.url.database == str(tmp_path / "tracegrad.db")
    return tmp_path


def start(folder: Path, *, pause_s: float) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, str(SCRIPT), str(folder), str(pause_s)], cwd=SCRIPT.parents[2])


def lines(folder: Path, name: str) -> list[str]:
    path = folder / name
    return path.read_text().splitlines() if path.exists() else []


async def ended(process: "subprocess.Popen[bytes]") -> int:
    return await asyncio.to_thread(process.wait, PATIENCE_S)


@pytest.mark.slow
async def test_after_kill_9_only_calls_in_flight_are_repeated_and_the_effect_happens_once(
    store: Store, folder: Path
) -> None:
    first = start(folder, pause_s=1.0)
    await until(lambda: len(lines(folder, "calls")) >= 6)
    first.send_signal(signal.SIGKILL)
    await ended(first)
    settled = store.journal.spent(ID).calls
    begun = len(lines(folder, "calls"))
    assert status(store, ID) == "PENDING"
    assert begun - settled <= AT_ONCE

    assert await ended(start(folder, pause_s=0.01)) == 0
    calls = Counter(lines(folder, "calls"))
    assert set(calls) == {f"call {number}" for number in range(CALLS)}
    assert sum(calls.values()) == CALLS + (begun - settled)
    assert max(calls.values()) <= 2
    assert lines(folder, "effects") == [f"{ID}/publish"]
    assert lines(folder, "stages") == ["collect", "optimize", "optimize"]
    assert store.journal.spent(ID).calls == CALLS
    assert (status(store, ID), store.cycles.get(ID).reason) == ("SUCCESS", "the end")


@pytest.mark.slow
async def test_sigterm_parks_and_the_next_process_repeats_no_call(store: Store, folder: Path) -> None:
    first = start(folder, pause_s=0.1)
    await until(lambda: len(lines(folder, "calls")) >= 6)
    first.send_signal(signal.SIGTERM)
    assert await ended(first) == 0
    assert status(store, ID) == "PENDING"
    assert lines(folder, "effects") == []

    assert await ended(start(folder, pause_s=0.01)) == 0
    assert Counter(lines(folder, "calls")) == Counter(f"call {number}" for number in range(CALLS))
    assert lines(folder, "effects") == [f"{ID}/publish"]
    assert lines(folder, "stages") == ["collect", "optimize"]
