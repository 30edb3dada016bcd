"""The registry's rules: versions, labels, types, names, composition, races."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.faults import Faults
from sandbox.langfuse.app import create_app
from sandbox.serving import serve

KEYS = ("pk-lf-sandbox", "sk-lf-sandbox")
PROMPTS = "/api/public/v2/prompts"


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def http(tmp_path: Path, faults: Faults) -> Iterator[httpx.Client]:
    app = create_app(tmp_path / "langfuse.sqlite", faults=faults)
    with serve(app) as url, httpx.Client(base_url=url, auth=KEYS) as client:
        yield client


def create(http: httpx.Client, name: str = "p", prompt: Any = "hello", **fields: Any) -> httpx.Response:
    return http.post(PROMPTS, json={"name": name, "prompt": prompt} | fields)


def labels(http: httpx.Client, name: str = "p") -> dict[int, list[str]]:
    """The labels of every version."""
    (meta,) = http.get(PROMPTS, params={"name": name}).json()["data"]
    return {
        version: http.get(f"{PROMPTS}/{name}", params={"version": version}).json()["labels"]
        for version in meta["versions"]
    }


def move(http: httpx.Client, version: int, *wanted: str) -> httpx.Response:
    return http.patch(f"{PROMPTS}/p/versions/{version}", json={"newLabels": wanted})


def test_latest_and_given_labels_move_to_a_new_version(http: httpx.Client) -> None:
    create(http, labels=["production", "canary"])
    assert create(http, labels=["canary"]).json()["version"] == 2
    assert labels(http) == {1: ["production"], 2: ["canary", "latest"]}


def test_moving_a_label_adds_and_takes_it_from_the_other_version_only(http: httpx.Client) -> None:
    create(http, labels=["production"])
    create(http, labels=["candidate"])
    assert move(http, 2, "production").json()["labels"] == ["production", "candidate", "latest"]
    assert labels(http)[1] == []
    assert move(http, 1, "production").status_code == 200
    assert labels(http) == {1: ["production"], 2: ["candidate", "latest"]}


def test_no_labels_change_nothing_and_nothing_takes_a_label_off(http: httpx.Client) -> None:
    create(http, labels=["production"])
    assert move(http, 1).json()["labels"] == ["production", "latest"]


def test_a_version_never_changes_its_text(http: httpx.Client) -> None:
    create(http, prompt="one", config={"a": 1}, commitMessage="first")
    create(http, prompt="two")
    first = http.get(f"{PROMPTS}/p", params={"version": 1}).json()
    assert (first["prompt"], first["config"], first["commitMessage"]) == ("one", {"a": 1}, "first")


def test_tags_belong_to_the_prompt_and_are_inherited(http: httpx.Client) -> None:
    create(http, tags=["a"])
    assert create(http).json()["tags"] == ["a"]
    create(http, tags=["b"])
    assert http.get(f"{PROMPTS}/p", params={"version": 1}).json()["tags"] == ["b"]


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "a|b"},
        {"name": "new"},
        {"name": "x" * 256},
        {"name": ""},
        {"labels": ["x" * 37]},
        {"labels": ["Upper"]},
        {"labels": "production"},
        {"commitMessage": "x" * 501},
        {"prompt": 7},
        {"prompt": ["no message"], "type": "chat"},
        {"prompt": [{"role": "system"}], "type": "chat"},
        {"prompt": [{"role": "system", "content": "{{ x }}"}, {"type": "placeholder", "name": "x"}], "type": "chat"},
        {"prompt": "@@@langfusePrompt:name=nowhere|label=production@@@"},
    ],
)
def test_what_breaks_a_rule_is_refused_and_not_stored(http: httpx.Client, fields: dict[str, Any]) -> None:
    assert http.post(PROMPTS, json={"name": "p", "prompt": "x"} | fields).status_code == 400
    assert http.get(PROMPTS).json()["data"] == []


def test_the_type_is_locked_by_the_first_version(http: httpx.Client) -> None:
    create(http)
    assert create(http, prompt=[{"role": "system", "content": "x"}], type="chat").status_code == 400
    assert list(labels(http)) == [1]


def test_references_are_replaced_on_read_unless_asked_not_to(http: httpx.Client) -> None:
    create(http, "inner", "world", labels=["production"])
    create(http, "middle", "big @@@langfusePrompt:name=inner|version=1@@@", labels=["production"])
    create(http, "outer", "hello @@@langfusePrompt:name=middle|label=production@@@!", labels=["production"])
    read = http.get(f"{PROMPTS}/outer").json()
    assert read["prompt"] == "hello big world!"
    graph = read["resolutionGraph"]
    assert [[entry["name"] for entry in graph["dependencies"][key]] for key in (read["id"],)] == [["middle"]]
    raw = http.get(f"{PROMPTS}/outer", params={"resolve": "false"}).json()
    assert "@@@langfusePrompt:name=middle|label=production@@@" in raw["prompt"]


def test_a_reference_in_a_circle_is_refused(http: httpx.Client) -> None:
    create(http, "a", "plain", labels=["production"])
    create(http, "b", "@@@langfusePrompt:name=a|label=production@@@", labels=["production"])
    circle = create(http, "a", "@@@langfusePrompt:name=b|label=production@@@", labels=["production"])
    assert (circle.status_code, "Circular" in circle.json()["message"]) == (400, True)


def test_a_prompt_that_others_include_cannot_be_deleted(http: httpx.Client) -> None:
    create(http, "a", "plain", labels=["production"])
    create(http, "b", "@@@langfusePrompt:name=a|label=production@@@")
    assert http.delete(f"{PROMPTS}/a").status_code == 400
    assert http.delete(f"{PROMPTS}/b").status_code == 204
    assert http.delete(f"{PROMPTS}/a").status_code == 204
    assert http.delete(f"{PROMPTS}/a").status_code == 404


def test_latest_stays_on_the_highest_version_that_is_left(http: httpx.Client) -> None:
    create(http)
    create(http)
    http.delete(f"{PROMPTS}/p", params={"version": 2}).raise_for_status()
    assert labels(http) == {1: ["latest"]}


def test_a_folder_name_is_one_part_of_the_path(http: httpx.Client) -> None:
    create(http, "team/system prompt", labels=["production"])
    assert http.get(f"{PROMPTS}/team%2Fsystem%20prompt").json()["name"] == "team/system prompt"
    assert http.patch(f"{PROMPTS}/team%2Fsystem%20prompt/versions/1", json={"newLabels": ["x"]}).status_code == 200
    assert http.get(f"{PROMPTS}/team/system%20prompt").headers["content-type"].startswith("text/html")


def test_a_lost_race_is_a_400_that_stores_nothing(http: httpx.Client, faults: Faults) -> None:
    faults.prompt_conflict_next = 1
    lost = create(http)
    assert (lost.status_code, "unique constraint" in lost.json()["message"]) == (400, True)
    assert create(http).json()["version"] == 1


async def test_concurrent_creations_make_each_version_once(http: httpx.Client) -> None:
    async with httpx.AsyncClient(base_url=http.base_url, auth=KEYS) as client:
        bodies = [{"name": "p", "prompt": str(number)} for number in range(8)]
        answers = await asyncio.gather(*(client.post(PROMPTS, json=body) for body in bodies))
    made = sorted(answer.json()["version"] for answer in answers if answer.status_code == 201)
    assert made == list(range(1, len(made) + 1))
    assert {answer.status_code for answer in answers} <= {201, 400}
    assert list(labels(http)) == made


def test_an_answer_lost_after_the_commit_leaves_the_version_behind(http: httpx.Client, faults: Faults) -> None:
    faults.drop_answer_after_commit = 1
    assert create(http, commitMessage="run=1").status_code == 502
    assert create(http).json()["version"] == 2
    assert http.get(f"{PROMPTS}/p", params={"version": 1}).json()["commitMessage"] == "run=1"


def test_lists_are_filtered_and_paged(http: httpx.Client) -> None:
    for name in ("c", "a", "b"):
        create(http, name, labels=["production"] if name != "b" else [], tags=[name])

    def names(**params: Any) -> list[str]:
        return [meta["name"] for meta in http.get(PROMPTS, params=params).json()["data"]]

    assert (names(), names(label="production"), names(tag="b")) == (["a", "b", "c"], ["a", "c"], ["b"])
    assert (names(limit=2, page=2), names(fromUpdatedAt="2100-01-01T00:00:00Z")) == (["c"], [])
