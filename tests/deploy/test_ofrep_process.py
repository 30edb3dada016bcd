"""The endpoint's own process: it is started again when it dies, and ends with the daemon, however that ends."""

import asyncio
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from ofrep_samples import FLAGS, PLAIN, RUNNING, TOKEN, put, settings_of
from store_samples import T0

from deploy.ofrep.process import answering
from deploy.store.database import open_database
from deploy.store.splits import Splits
from optimizer.errors import BadSettings
from optimizer.rollouts import Split

pytestmark = pytest.mark.slow

DAEMON = str(Path(__file__).with_name("ofrep_daemon.py"))
ASKED = {"context": {"targetingKey": "u"}}
HEADERS = {"x-api-key": TOKEN}


@pytest.fixture
def folder(tmp_path: Path, migrated: Path) -> Path:
    shutil.copy(migrated, tmp_path / "tracegrad.db")
    return tmp_path


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something that happens in another process."""
    async with asyncio.timeout(20):
        while not await holds():  # noqa: ASYNC110 -- nobody here could set an event
            await asyncio.sleep(0.05)


async def serial(client: httpx.AsyncClient) -> int:
    """What the endpoint answers from."""
    answer = await client.post(f"{FLAGS}/{PLAIN}", json=ASKED, headers=HEADERS)
    found: int = answer.json()["metadata"]["serial"]
    return found


def started(caplog: pytest.LogCaptureFixture) -> list[int]:
    """Ids of the processes, oldest first."""
    said = [record for record in caplog.records if getattr(record, "action", "") == "ofrep-started"]
    return [record.pid for record in said]  # type: ignore[attr-defined]


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_it_is_started_again_when_it_dies_and_ends_with_the_block(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tracegrad")
    async with answering(settings_of(folder)) as address, httpx.AsyncClient(base_url=address) as client:
        assert await serial(client) == 0
        (first,) = started(caplog)
        assert os.getsid(first) == first, "Ctrl-C at the daemon's terminal would end it"
        os.kill(first, signal.SIGKILL)

        async def back() -> bool:
            try:
                return await serial(client) == 0
            except httpx.TransportError:
                return False

        await until(back)
        assert len(started(caplog)) == 2
    assert not any(lives(pid) for pid in started(caplog))


async def test_while_the_database_is_away_the_last_copy_answers(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(folder)
    engine = open_database(settings.database_url)
    splits = Splits(engine)
    put(splits, RUNNING[PLAIN])
    async with answering(settings) as address, httpx.AsyncClient(base_url=address) as client:
        assert await serial(client) == 2
        with engine.begin() as connection:
            connection.execute(sa.text("alter table split rename to away"))

        async def noticed() -> bool:
            return "ofrep-stale" in capfd.readouterr().err

        await until(noticed)
        assert await serial(client) == 2
        with engine.begin() as connection:
            connection.execute(sa.text("alter table away rename to split"))
        assert splits.write(Split(prompt=PLAIN, salt="s"), RUNNING[PLAIN], T0)

        async def followed() -> bool:
            return await serial(client) == 3

        await until(followed)
    engine.dispose()


async def test_an_address_in_use_is_told_in_a_sentence(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BadSettings) as told:
            async with answering(settings_of(folder, port=port)):
                pytest.fail("it must not start")
    assert str(told.value) == (
        f"the evaluation endpoint cannot listen on 127.0.0.1:{port} (Address already in use); "
        "set another `ofrep.port`, or stop whoever uses it."
    )


@pytest.fixture
def daemon(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, DAEMON, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        yield process
        process.kill()


async def test_it_outlives_a_daemon_that_hangs_and_not_one_that_was_killed(
    folder: Path, daemon: "subprocess.Popen[bytes]"
) -> None:
    assert daemon.stdout is not None
    assert daemon.stderr is not None
    pid = json.loads(daemon.stderr.readline())["pid"]
    address = daemon.stdout.readline().decode().strip()
    async with httpx.AsyncClient(base_url=address) as client:
        assert await serial(client) == 0
        daemon.send_signal(signal.SIGSTOP)
        assert await serial(client) == 0
        daemon.kill()

        async def gone() -> bool:
            return not lives(pid)

        await until(gone)
    port = int(address.rpartition(":")[2])
    async with answering(settings_of(folder, port=port)) as again:
        assert again == address
