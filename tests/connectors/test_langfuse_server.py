"""The probe: version, keys, project and clock."""

from datetime import UTC, datetime, timedelta

import pytest
from langfuse_scripted import access_to, answering
from starlette.responses import JSONResponse

from connectors.langfuse.server import probe
from optimizer.errors import BadAnswer, BadCredentials, Unsupported
from sandbox.langfuse.app import create_app
from sandbox.serving import serve


class Behind:
    """A clock that is ten minutes slow."""

    def now(self):
        return datetime.now(UTC) - timedelta(minutes=10)


@pytest.mark.parametrize(
    ("version", "batch"), [("4.16.0", False), ("4.58.9", False), ("4.59.0", True), ("v5.0.0-rc.1", True)]
)
async def test_a_server_that_is_new_enough(tmp_path, version, batch):
    with serve(create_app(tmp_path / "langfuse.db", version=version)) as url:
        server = await probe(access_to(url))
    assert (server.version, server.batch_scores, bool(server.project_id)) == (version, batch, True)
    assert abs(server.clock_ahead_s) < 60


async def test_a_clock_that_differs(tmp_path):
    with serve(create_app(tmp_path / "langfuse.db")) as url:
        server = await probe(access_to(url), clock=Behind())
    assert server.clock_ahead_s == pytest.approx(600, abs=60)


async def refused(url, error, match):
    with pytest.raises(error, match=match):
        await probe(access_to(url))


@pytest.mark.parametrize("version", ["4.15.9", "3.190.0", "2.1"])
async def test_a_server_that_is_too_old(tmp_path, version):
    with serve(create_app(tmp_path / "langfuse.db", version=version)) as url:
        await refused(url, Unsupported, r"upgrade it to 4\.16 or newer")


async def test_a_version_that_is_none():
    with answering(lambda _: JSONResponse({"status": "OK", "version": "main"})) as (url, _):
        await refused(url, BadAnswer, "version is 'main'")


async def test_keys_without_a_project():
    with answering(lambda _: JSONResponse({"version": "4.60.0", "data": []})) as (url, _):
        await refused(url, BadCredentials, "no project")
