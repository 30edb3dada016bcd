"""The switches: what goes wrong on demand, over HTTP and from Python, and only as often as it was asked for."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.faults import Faults
from sandbox.langfuse.app import create_app
from sandbox.serving import serve

KEYS = ("pk-lf-sandbox", "sk-lf-sandbox")
SCORE = {"id": "s1", "traceId": "t1", "name": "helpful", "value": 0.1}


@pytest.fixture
def http(tmp_path: Path) -> Iterator[httpx.Client]:
    with serve(create_app(tmp_path / "langfuse.sqlite")) as url, httpx.Client(base_url=url, auth=KEYS) as client:
        yield client


def break_it(http: httpx.Client, **faults: Any) -> None:
    http.post("/sandbox/faults", json=faults).raise_for_status()


def values(http: httpx.Client) -> list[float]:
    return [score["value"] for score in http.get("/api/public/v3/scores").json()["data"]]


def wait_for(http: httpx.Client, expected: list[float]) -> None:
    for _ in range(500):
        if values(http) == expected:
            return
        time.sleep(0.02)
    raise AssertionError(f"{expected} never became readable; {values(http)} is")


def test_scores_become_readable_after_the_delay_and_edits_hide_nothing(http: httpx.Client) -> None:
    break_it(http, visibility_delay_s=3600)
    http.post("/api/public/scores", json=[SCORE]).raise_for_status()
    assert values(http) == []
    break_it(http, visibility_delay_s=0.2)
    http.post("/api/public/scores", json=[SCORE | {"id": "s2", "value": 0.2}]).raise_for_status()
    wait_for(http, [0.2])
    break_it(http, visibility_delay_s=3600)
    http.post("/api/public/scores", json=[SCORE | {"id": "s2", "value": 0.3}]).raise_for_status()
    assert values(http) == [0.2]


def test_each_bucket_has_its_own_limit(http: httpx.Client) -> None:
    break_it(http, rate_limit_next={"general": 2}, retry_after_s=7)
    assert http.get("/api/public/v2/prompts").status_code == 200
    refused = [http.get("/api/public/v3/scores") for _ in range(2)]
    assert [(answer.status_code, answer.headers["retry-after"]) for answer in refused] == [(429, "7")] * 2
    assert refused[0].json()["details"]["retryAfterSeconds"] == 7
    assert http.get("/api/public/v3/scores").status_code == 200


def test_an_old_server_knows_single_scores_only(http: httpx.Client) -> None:
    break_it(http, version="4.16.0")
    assert http.get("/api/public/health").json()["version"] == "4.16.0"
    assert http.post("/api/public/scores", json=[SCORE]).status_code == 400
    assert http.post("/api/public/scores", json=SCORE).json() == {"id": "s1"}
    assert values(http) == [0.1]


@pytest.mark.parametrize("body", [{"nope": 1}, {"rate_limit_next": {"nope": 1}}, {"retry_after_s": "soon"}, [], "x"])
def test_a_misspelt_fault_is_refused_and_sets_nothing(http: httpx.Client, body: Any) -> None:
    before = http.get("/sandbox/faults").json()
    changed = {"retry_after_s": 99} | body if isinstance(body, dict) and "retry_after_s" not in body else body
    assert http.post("/sandbox/faults", json=changed).status_code == 400
    assert http.get("/sandbox/faults").json() == before


def test_the_same_object_is_set_from_python(tmp_path: Path) -> None:
    faults = Faults(rate_limit_next={"metrics": 1})
    with serve(create_app(tmp_path / "l.sqlite", faults=faults)) as url, httpx.Client(base_url=url, auth=KEYS) as http:
        assert http.get("/api/public/v2/metrics").status_code == 429
        faults.version = "4.20.0"
        assert http.get("/api/public/health").json()["version"] == "4.20.0"


def test_rows_survive_a_restart_with_those_that_were_not_readable_yet(tmp_path: Path) -> None:
    file = tmp_path / "langfuse.sqlite"
    slow = create_app(file, faults=Faults(visibility_delay_s=0.2))
    with serve(slow) as url, httpx.Client(base_url=url, auth=KEYS) as http:
        http.post("/api/public/scores", json=SCORE).raise_for_status()
    with serve(create_app(file)) as url, httpx.Client(base_url=url, auth=KEYS) as http:
        wait_for(http, [0.1])
