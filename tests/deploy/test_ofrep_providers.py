"""The stock OpenFeature providers for Python and JavaScript understand the endpoint as it stands."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from ofrep_samples import KEYS, LATE, PATHS, PLAIN, RUNNING, SALT, STRANGE, TOKEN, Served, served
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode

from optimizer.rollouts import point
from tests.node_packages import LOCK, ran

pytestmark = pytest.mark.slow

OFREP_SCRIPT = Path(__file__).parents[1] / "node" / "ofrep.mjs"
NAMES = {8: "candidate", 3: "candidate", 6: "holdback", 0: "production"}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("ofrep"), migrated) as one:
        yield one


@pytest.fixture
def closed() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def expected(prompt: str, key: str) -> tuple[int, str, str, int]:
    """Value, reason, variant and serial."""
    version = RUNNING[prompt].at(point(SALT, key))
    return version, "SPLIT", NAMES[version], 2


def python_client(url: str, token: str = TOKEN) -> Iterator[OpenFeatureClient]:
    provider = OFREPProvider(url, headers_factory=lambda: {"Authorization": f"Bearer {token}"}, timeout=5)
    domain = f"{url} {token}"
    api.set_provider(provider, domain)
    yield api.get_client(domain)
    api.shutdown()
    provider.session.close()


@pytest.fixture
def client(endpoint: Served) -> Iterator[OpenFeatureClient]:
    yield from python_client(endpoint.address)


@pytest.fixture
def stranger(endpoint: Served) -> Iterator[OpenFeatureClient]:
    yield from python_client(endpoint.address, token="guessed")


@pytest.fixture
def lonely(closed: str) -> Iterator[OpenFeatureClient]:
    yield from python_client(closed)


@pytest.mark.parametrize("prompt", [PLAIN, PATHS, LATE])
def test_python_gets_what_the_hash_says(client: OpenFeatureClient, prompt: str) -> None:
    for key in KEYS:
        context = EvaluationContext(key, {"plan": "gold"})
        got = client.get_integer_details(quote(prompt, safe=""), -1, context)
        assert (got.value, got.reason, got.variant, got.flag_metadata["serial"]) == expected(prompt, key)
        assert got.error_code is None


def test_python_gets_production_without_a_rollout(client: OpenFeatureClient) -> None:
    got = client.get_integer_details(quote(STRANGE, safe=""), -1)
    assert (got.value, got.reason, got.variant) == (0, "STATIC", "production")


@pytest.mark.parametrize(
    ("flag", "key", "code"),
    [(PLAIN, None, ErrorCode.TARGETING_KEY_MISSING), ("nobody's", "u", ErrorCode.FLAG_NOT_FOUND)],
)
def test_python_says_what_is_wrong_and_gives_the_default(
    client: OpenFeatureClient, flag: str, key: str | None, code: ErrorCode
) -> None:
    got = client.get_integer_details(flag, 0, EvaluationContext(key))
    assert (got.value, got.reason, got.error_code) == (0, "ERROR", code)


def test_python_gives_the_default_to_strangers_and_when_the_endpoint_is_away(
    stranger: OpenFeatureClient, lonely: OpenFeatureClient
) -> None:
    for one in (stranger, lonely):
        got = one.get_integer_details(PLAIN, 0, EvaluationContext("u"))
        assert (got.value, got.error_code) == (0, ErrorCode.GENERAL)


def test_javascript_gets_the_same(endpoint: Served, closed: str, tmp_path: Path) -> None:
    rolled_out = [(prompt, key) for prompt in (PLAIN, PATHS, LATE) for key in KEYS]
    first = next(key for key in KEYS if expected(PLAIN, key)[0] == 8)
    second = next(key for key in KEYS if expected(PLAIN, key)[0] == 0)
    ends = [(PLAIN, first), (PLAIN, second)]
    asked = [*ends, *rolled_out, (STRANGE, None), (PLAIN, None), ("nobody's", "u")]
    given = {"url": endpoint.address, "closed": closed, "token": TOKEN, "questions": asked}
    got = json.loads(ran(tmp_path / "node", OFREP_SCRIPT, given=json.dumps(given)))

    *known, static, nobody, missing = got["server"]
    assert [told(one) for one in known] == [expected(prompt, key) for prompt, key in [*ends, *rolled_out]]
    assert told(static) == (0, "STATIC", "production", 0)
    assert (nobody["value"], nobody["errorCode"]) == (-1, "TARGETING_KEY_MISSING")
    assert (missing["value"], missing["errorCode"]) == (-1, "FLAG_NOT_FOUND")
    for (one,) in (got["stranger"], got["away"]):
        assert (one["value"], one["reason"], one["errorCode"]) == (-1, "ERROR", "GENERAL")

    web = got["web"]
    assert web["polled"] == [200, 304, 304, 304]
    assert told(web["before"]) == told(web["unchanged"]) == expected(PLAIN, first)
    assert told(web["after"]) == expected(PLAIN, second)


def told(details: dict[str, Any]) -> tuple[int, str, str, int]:
    return details["value"], details["reason"], details["variant"], details["flagMetadata"]["serial"]


def test_the_javascript_packages_are_pinned_by_hash_and_come_from_wherever_npm_is_configured() -> None:
    packages = json.loads(LOCK.read_text())["packages"]
    wanted = packages.pop("")["dependencies"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert all("integrity" in package and "resolved" not in package for package in packages.values())
