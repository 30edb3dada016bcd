"""The daemon as a process: cron slots unattended, kill -9 in mid-cycle, an orderly stop."""

import os
import re
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.harness import sandbox, start, tracegrad, until, write_settings

pytestmark = pytest.mark.slow

NEW_YEAR = "0 0 1 1 *"
"""Due once a year: at start the daemon catches up with that one slot, and no other comes due during a test."""


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    """What the daemon's database says; empty while there is no such table yet."""
    path = folder / "state" / "tracegrad.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise


def address(log: Path) -> str:
    """Where the daemon's web application listens, from its log."""
    found = re.search(r'"address": "([^"]+)"', log.read_text())
    return found[1] if found else ""


def stop(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=60)


def test_two_cron_slots_unattended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with sandbox(tmp_path / "sandbox") as world:
        config = write_settings(tmp_path, world, schedule="* * * * *")
        daemon = start("run", config=config, log=log)
        try:
            finished = (
                "select slot, state, verdict, cast(reason as text) from cycle where ended_at is not null order by slot"
            )
            until("a proposal", lambda: rows(tmp_path, "select 1 from release where state = 'proposed'"), log)
            approved = tracegrad("approve", "support-assistant", "--why", "reads well", config=config)
            assert approved.returncode == 0, approved.stderr
            version_2 = "select 1 from cycle where parent_version = 2 and ended_at is not null"
            until("a slot after the release", lambda: rows(tmp_path, version_2), log)
            url = until("an address in the log", lambda: address(log), log)
            assert httpx.get(f"{url}/healthz").json() == {"status": "ok", "clock": True, "worker": True, "ticker": True}
            page = httpx.get(url)
            assert "support-assistant" in page.text
            assert "version 2" in page.text
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert httpx.get(f"{url}/cycles/support-assistant@never").status_code == 404
            assert httpx.get(url, headers={"host": "evil.example"}).status_code == 400
            metrics = httpx.get(f"{url}/metrics").text
            assert 'tracegrad_published_version{prompt="support-assistant"} 2.0' in metrics
        finally:
            code = stop(daemon)
        assert code == 0, log.read_text()[-3000:]
        first, *_, last = rows(tmp_path, finished)
        assert first[1:3] == ("done", "pass")
        assert last[1] == "skipped"
        assert "no complaints about version 2" in last[3]
        assert rows(tmp_path, "select state, approver != '' from release") == [("promoted", 1)]
        assert world.versions() == [1, 2]
        slots = [slot for slot, *_ in rows(tmp_path, finished)]
        assert len(set(slots)) == len(slots)


@pytest.mark.parametrize("stage", ["backward", "task"])
def test_kill_in_mid_cycle_pays_once_and_publishes_once(tmp_path: Path, stage: str) -> None:
    log = tmp_path / "log"
    with sandbox(tmp_path / "sandbox", "--latency", "0.15") as world:
        config = write_settings(tmp_path, world, schedule=NEW_YEAR, concurrency=8)
        before = world.calls()["total"]
        daemon = start("run", config=config, log=log)
        answered = f"select count(*) from journal where purpose = '{stage}' and outcome != ''"
        until(f"a few {stage} calls", lambda: (rows(tmp_path, answered) or [(0,)])[0][0] >= 12, log)
        os.kill(daemon.pid, signal.SIGKILL)
        daemon.wait()
        in_flight = rows(tmp_path, "select count(*) from journal where outcome = ''")[0][0]
        assert rows(tmp_path, "select count(*) from cycle where ended_at is not null") == [(0,)], "killed too late"

        daemon = start("run", config=config, log=log)
        try:
            done = "select state, verdict, cast(reason as text) from cycle where ended_at is not null"
            [(state, verdict, reason)] = until("the resumed cycle's end", lambda: rows(tmp_path, done), log)
        finally:
            assert stop(daemon) == 0
        assert (state, verdict) == ("done", "pass"), reason
        assert tracegrad("approve", "support-assistant", config=config).returncode == 0
        attempts, distinct = rows(tmp_path, "select sum(attempt), count(*) from journal")[0]
        assert 0 <= attempts - distinct <= in_flight <= 8
        asked = world.calls()["total"] - before
        # a call that was reserved when the process was killed may never have left it
        assert attempts - in_flight <= asked <= attempts, "the journal knows every call that the server was asked"
        assert asked - distinct <= in_flight
        assert world.versions() == [1, 2]
        assert rows(tmp_path, "select count(*), sum(stake) from stake") == [(1, 0.05)], "one claim, one stake"
        anchors = world.get("/api/public/dataset-items", datasetName="tracegrad-anchors-support-assistant")["data"]
        assert len({item["id"] for item in anchors}) == len(anchors) > 0
        assert tracegrad("status", config=config).returncode == 0
