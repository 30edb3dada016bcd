"""The flag service itself: what it refuses, what a test can switch, and that a run can be repeated."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sandbox.flags.app import create_app
from sandbox.serving import serve

WRITER = {"Authorization": "api-sandbox"}
NEW = {
    "name": "Prompt",
    "key": "prompt",
    "variations": [{"value": "a"}, {"value": "b"}],
    "defaults": {"onVariation": 0, "offVariation": 1},
    "isFlagOn": True,
}
SEMANTIC = {"Content-Type": "application/json; domain-model=launchdarkly.semanticpatch"}
OFF = {"environmentKey": "production", "instructions": [{"kind": "turnFlagOff"}], "comment": "too hot"}


@pytest.fixture
def http(tmp_path: Path) -> Iterator[httpx.Client]:
    with serve(create_app(tmp_path)) as url, httpx.Client(base_url=url, headers=WRITER) as client:
        yield client


def shown(http: httpx.Client, environment: str = "production") -> dict[str, object]:
    polled = http.get("/sdk/latest-all", headers={"Authorization": f"sdk-{environment}"}).json()["flags"]
    return {key: flag["variations"][flag["offVariation"]] for key, flag in polled.items() if not flag["on"]}


def test_a_new_flag_is_on_everywhere_only_if_it_was_asked_for(http: httpx.Client) -> None:
    assert http.post("/api/v2/flags/default", json=NEW).status_code == 201
    assert http.post("/api/v2/flags/default", json=NEW | {"key": "other", "isFlagOn": False}).status_code == 201
    assert shown(http) == shown(http, "test") == {"other": "b"}


def test_one_environment_or_all_are_shown(http: httpx.Client) -> None:
    http.post("/api/v2/flags/default", json=NEW)
    assert set(http.get("/api/v2/flags/default/prompt").json()["environments"]) == {"production", "test"}
    assert set(http.get("/api/v2/flags/default/prompt?env=test").json()["environments"]) == {"test"}
    assert http.get("/api/v2/flags/default/prompt?env=nowhere").json()["environments"] == {}


def test_a_patch_counts_in_its_environment(http: httpx.Client) -> None:
    before = http.post("/api/v2/flags/default", json=NEW).json()
    after = http.patch("/api/v2/flags/default/prompt", json=OFF, headers=SEMANTIC).json()
    assert after["_version"] == before["_version"] + 1
    versions = {name: settings["version"] for name, settings in after["environments"].items()}
    assert versions == {"production": 2, "test": 1}
    assert shown(http) == {"prompt": "b"}
    assert shown(http, "test") == {}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/v2/flags/default", NEW, 409),
        ("/api/v2/flags/default", NEW | {"key": "no key"}, 400),
        ("/api/v2/flags/default", {"key": "nameless"}, 400),
        ("/api/v2/flags/default", [], 400),
        ("/api/v2/flags/default", NEW | {"key": "x", "variations": [{"value": "a"}]}, 400),
        ("/api/v2/flags/default", NEW | {"key": "x", "variations": [{"value": "a"}, {"value": "a"}]}, 400),
        ("/api/v2/flags/default", NEW | {"key": "x", "defaults": {"onVariation": 0, "offVariation": 2}}, 400),
        ("/api/v2/flags/elsewhere", NEW, 404),
    ],
)
def test_what_is_no_new_flag_is_refused(http: httpx.Client, path: str, body: object, status: int) -> None:
    http.post("/api/v2/flags/default", json=NEW)
    assert http.post(path, json=body).status_code == status


def test_what_is_no_semantic_patch_is_refused(http: httpx.Client) -> None:
    http.post("/api/v2/flags/default", json=NEW)
    path = "/api/v2/flags/default/prompt"
    assert http.patch(path, json=OFF).status_code == 400
    assert http.patch(path, content=b"{", headers=SEMANTIC).status_code == 400
    assert http.patch(path, json=[], headers=SEMANTIC).status_code == 400
    assert http.patch(path, json=OFF | {"instructions": []}, headers=SEMANTIC).status_code == 422
    assert http.patch("/api/v2/flags/default/nothing", json=OFF, headers=SEMANTIC).status_code == 404
    assert shown(http) == {}


def test_a_person_acts_by_hand_and_is_not_counted(http: httpx.Client) -> None:
    http.post("/api/v2/flags/default", json=NEW)
    assert http.post("/sandbox/by-hand/prompt", json=OFF).status_code == 200
    assert http.post("/sandbox/by-hand/prompt", json=OFF | {"instructions": [{"kind": "x"}]}).status_code == 422
    assert http.post("/sandbox/by-hand/nothing", json=OFF).status_code == 404
    assert shown(http) == {"prompt": "b"}
    state = http.get("/sandbox/state").json()
    assert (state["writes"], state["done"]) == (1, 1)
    assert [(entry["by"], entry["comment"]) for entry in state["history"]] == [("token", ""), ("person", "too hot")]


def test_switches_are_set_by_name_and_type(http: httpx.Client) -> None:
    assert http.post("/sandbox/faults", json={"rate_limit_next": 1, "retry_after_s": 7}).json()["retry_after_s"] == 7
    refused = http.get("/api/v2/flags/default/prompt")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "7")
    assert http.get("/api/v2/flags/default/prompt").status_code == 404
    for wrong in ({"no_such_switch": 1}, {"at_write": "1"}, {"approval": 1}, []):
        assert http.post("/sandbox/faults", json=wrong).status_code == 400
    assert http.get("/sandbox/faults").json()["at_write"] == 0


def test_salts_are_the_same_in_every_run_and_differ_by_flag_environment_and_seed(tmp_path: Path) -> None:
    def salts(folder: str, seed: str) -> list[str]:
        (tmp_path / folder).mkdir()
        app = create_app(tmp_path / folder, seed=seed)
        with serve(app) as url, httpx.Client(base_url=url, headers=WRITER) as client:
            made = [client.post("/api/v2/flags/default", json=NEW | {"key": key}).json() for key in ("a", "b")]
        return [settings["salt"] for flag in made for settings in flag["environments"].values()]

    assert salts("one", "1") == salts("two", "1")
    assert len(set(salts("three", "1") + salts("four", "2"))) == 8
