"""Reads: every row once by cursor whatever the order of arrival, filters, field groups, and strictness."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from langfuse.api import LangfuseAPI

from sandbox.langfuse.app import create_app
from sandbox.serving import serve

KEYS = ("pk-lf-sandbox", "sk-lf-sandbox")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(create_app(tmp_path_factory.mktemp("reads") / "langfuse.sqlite")) as base:
        rows = {"observations": observations(), "scores": scores()}
        # shuffled and backdated: what arrives last may be the oldest, and many share a millisecond
        chance = random.Random(7)
        for kind, batch in rows.items():
            chance.shuffle(batch)
            for start in range(0, len(batch), 40):
                httpx.post(f"{base}/sandbox/bulk", json={kind: batch[start : start + 40]}).raise_for_status()
        yield base


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, auth=KEYS) as client:
        yield client


def observations() -> list[dict[str, Any]]:
    return [
        {
            "id": f"{number:016x}",
            "traceId": f"{number // 2:032x}",
            "startTime": (NOON - timedelta(milliseconds=number // 7)).isoformat(timespec="milliseconds"),
            "endTime": (NOON + timedelta(seconds=number)).isoformat(),
            "type": "GENERATION" if number % 2 else "SPAN",
            "name": f"step-{number % 3}",
            "environment": "production" if number % 4 else "staging",
            "parentObservationId": f"{number - 1:016x}" if number % 2 else None,
            "promptName": "p" if number % 2 else "",
            "promptVersion": number % 5 if number % 2 else None,
            "input": f"question {number}",
            "output": None if number % 10 == 0 else "answer",
            "tags": ["a", "b"] if number % 3 else ["a"],
            "userId": f"user-{number % 6}",
            "metadata": {"long": "x" * 300, "tier": "gold" if number % 2 else "tin", "odd.'key": "yes"},
        }
        for number in range(230)
    ]


def scores() -> list[dict[str, Any]]:
    kinds: list[tuple[str, Any]] = [("NUMERIC", 0.5), ("BOOLEAN", False), ("CATEGORICAL", "bad"), ("CORRECTION", "x")]
    return [
        {
            "id": f"score-{number:03}",
            "name": "output" if number % 4 == 3 else f"name-{number % 4}",
            "dataType": kinds[number % 4][0],
            "value": number / 250 if number % 4 == 0 else number % 8 == 1 if number % 4 == 1 else kinds[number % 4][1],
            "timestamp": (NOON - timedelta(milliseconds=number // 9)).isoformat(timespec="milliseconds"),
            "environment": "production",
            "source": "ANNOTATION" if number % 4 == 3 else "API",
            "comment": f"because {number}",
            "subject": {"kind": "trace", "id": f"{number:032x}"},
        }
        for number in range(250)
    ]


def walk(http: httpx.Client, path: str, **params: Any) -> list[list[dict[str, Any]]]:
    """All pages to the end of the cursor."""
    pages, cursor = [], {}
    while True:
        body = http.get(path, params=params | cursor).raise_for_status().json()
        pages.append(body["data"])
        if "cursor" not in body["meta"]:
            return pages
        cursor = {"cursor": body["meta"]["cursor"]}


def found(http: httpx.Client, *conditions: dict[str, Any], **params: Any) -> set[int]:
    """The numbers of the observations that a filter finds."""
    params = {"limit": 1000} | params | ({"filter": json.dumps(conditions)} if conditions else {})
    body = http.get("/api/public/v2/observations", params=params).raise_for_status().json()
    return {int(row["id"], 16) for row in body["data"]}


def numbers(test: Any) -> set[int]:
    return {number for number in range(230) if test(number)}


@pytest.mark.parametrize("limit", [1, 7, 50, 100])
def test_a_cursor_gives_each_score_once_newest_first(http: httpx.Client, limit: int) -> None:
    pages = walk(http, "/api/public/v3/scores", limit=limit, toTimestamp=(NOON + timedelta(days=1)).isoformat())
    rows = [row for page in pages for row in page]
    assert sorted(row["id"] for row in rows) == [f"score-{number:03}" for number in range(250)]
    assert rows == sorted(rows, key=lambda row: (row["timestamp"], row["id"]), reverse=True)
    assert {len(page) for page in pages[:-1]} <= {limit}


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_a_cursor_gives_each_observation_once_newest_first(http: httpx.Client, limit: int) -> None:
    pages = walk(http, "/api/public/v2/observations", limit=limit)
    rows = [row for page in pages for row in page]
    assert sorted(int(row["id"], 16) for row in rows) == list(range(230))
    starts = [row["startTime"] for row in rows]
    assert starts == sorted(starts, reverse=True)


def test_a_walk_over_a_moving_end_skips_nothing_that_was_there(http: httpx.Client) -> None:
    first = http.get("/api/public/v3/scores", params={"limit": 20, "dataType": "NUMERIC"}).json()
    late = {"id": "late", "name": "late", "traceId": "t", "value": 1, "timestamp": "2030-01-01T00:00:00Z"}
    http.post("/api/public/scores", json=[late]).raise_for_status()
    rest = walk(http, "/api/public/v3/scores", limit=20, dataType="NUMERIC", cursor=first["meta"]["cursor"])[0]
    http.delete("/api/public/scores/late").raise_for_status()
    assert not {row["id"] for row in rest} & {row["id"] for row in first["data"]}
    assert rest[0]["id"] == max(row["id"] for row in rest if row["timestamp"] == rest[0]["timestamp"])


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"dataType": "NUMERIC", "valueMax": "0.4"}, lambda n: n % 4 == 0 and n <= 100),
        ({"dataType": "NUMERIC", "valueMin": "0.4"}, lambda n: n % 4 == 0 and n >= 100),
        ({"dataType": "BOOLEAN", "value": "false"}, lambda n: n % 4 == 1 and n % 8 != 1),
        ({"dataType": "CATEGORICAL", "value": "bad,wrong"}, lambda n: n % 4 == 2),
        ({"name": "name-0,name-1"}, lambda n: n % 4 < 2),
        ({"source": "ANNOTATION"}, lambda n: n % 4 == 3),
        ({"dataType": "CORRECTION", "name": "output"}, lambda n: n % 4 == 3),
        ({"traceId": f"{5:032x},{6:032x}"}, lambda n: n in (5, 6)),
        ({"id": "score-004"}, lambda n: n == 4),
        ({"environment": "staging"}, lambda _: False),
        ({"fromTimestamp": NOON.isoformat()}, lambda n: n < 9),
        ({"toTimestamp": NOON.isoformat()}, lambda n: n >= 9),
    ],
)
def test_score_filters(http: httpx.Client, params: dict[str, str], expected: Any) -> None:
    rows = [row for page in walk(http, "/api/public/v3/scores", limit=100, **params) for row in page]
    assert {row["id"] for row in rows} == {f"score-{number:03}" for number in range(250) if expected(number)}


def test_score_field_groups_are_added_to_the_core(http: httpx.Client) -> None:
    def keys(**params: str) -> set[str]:
        return set(http.get("/api/public/v3/scores", params={"limit": 1} | params).json()["data"][0])

    core = keys()
    assert keys(fields="details") - core == {"comment", "configId", "metadata"}
    assert keys(fields="subject") - core == {"subject"}
    assert keys(fields="annotation") - core == {"authorUserId", "queueId"}


@pytest.mark.parametrize(
    "params",
    [
        {"userId": "u"},
        {"limit": "0"},
        {"limit": "many"},
        {"fields": "comment"},
        {"valueMax": "0.5", "dataType": "BOOLEAN"},
        {"valueMax": "low", "dataType": "NUMERIC"},
        {"value": "x"},
        {"value": "no", "dataType": "BOOLEAN"},
        {"observationId": "o"},
        {"experimentId": "e", "traceId": "t"},
        {"fromTimestamp": "yesterday"},
        {"cursor": "zzz"},
    ],
)
def test_scores_are_strict_about_parameters(http: httpx.Client, params: dict[str, str]) -> None:
    assert http.get("/api/public/v3/scores", params=params).status_code == 400


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"type": "string", "column": "name", "operator": "=", "value": "step-1"}, lambda n: n % 3 == 1),
        ({"type": "string", "column": "name", "operator": "starts with", "value": "step"}, lambda _: True),
        ({"type": "string", "column": "name", "operator": "ends with", "value": "-2"}, lambda n: n % 3 == 2),
        ({"type": "string", "column": "name", "operator": "does not contain", "value": "1"}, lambda n: n % 3 != 1),
        ({"type": "string", "column": "name", "operator": "=", "value": "' OR 1 --"}, lambda _: False),
        (
            {"type": "stringOptions", "column": "userId", "operator": "none of", "value": ["user-1"]},
            lambda n: n % 6 != 1,
        ),
        ({"type": "stringOptions", "column": "promptName", "operator": "any of", "value": ["p"]}, lambda n: n % 2),
        ({"type": "number", "column": "promptVersion", "operator": ">=", "value": 3}, lambda n: n % 2 and n % 5 >= 3),
        ({"type": "number", "column": "latency", "operator": "<", "value": 5}, lambda n: n < 5),
        ({"type": "datetime", "column": "startTime", "operator": ">=", "value": NOON.isoformat()}, lambda n: n < 7),
        ({"type": "arrayOptions", "column": "tags", "operator": "all of", "value": ["a", "b"]}, lambda n: n % 3),
        ({"type": "arrayOptions", "column": "tags", "operator": "none of", "value": ["b"]}, lambda n: n % 3 == 0),
        ({"type": "arrayOptions", "column": "traceTags", "operator": "any of", "value": ["b", "c"]}, lambda n: n % 3),
        ({"type": "boolean", "column": "isRootObservation", "operator": "=", "value": True}, lambda n: n % 2 == 0),
        ({"type": "boolean", "column": "hasOutput", "operator": "=", "value": False}, lambda n: n % 10 == 0),
        ({"type": "null", "column": "parentObservationId", "operator": "is null"}, lambda n: n % 2 == 0),
        (
            {"type": "string", "column": "input", "operator": "matches", "value": "question 11"},
            lambda n: "11" in f"{n}"[:2],
        ),
        (
            {"type": "stringObject", "column": "metadata", "key": "tier", "operator": "=", "value": "gold"},
            lambda n: n % 2,
        ),
        (
            {"type": "stringObject", "column": "metadata", "key": "tier", "operator": "ends with", "value": "in"},
            lambda n: n % 2 == 0,
        ),
        (
            {"type": "stringObject", "column": "metadata", "key": "odd.'key", "operator": "contains", "value": "es"},
            lambda _: True,
        ),
    ],
)
def test_observation_filters(http: httpx.Client, condition: dict[str, Any], expected: Any) -> None:
    assert found(http, condition) == numbers(expected)


def test_conditions_are_all_required_and_win_over_plain_parameters(http: httpx.Client) -> None:
    generation = {"type": "string", "column": "type", "operator": "=", "value": "GENERATION"}
    user = {"type": "stringOptions", "column": "userId", "operator": "any of", "value": ["user-3", "user-5"]}
    assert found(http, generation, user) == numbers(lambda n: n % 6 in (3, 5))
    assert found(http, generation, type="SPAN", userId="user-3") == numbers(lambda n: n % 6 == 3)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"type": "GENERATION"}, lambda n: n % 2),
        ({"environment": ["production", "staging"]}, lambda _: True),
        ({"environment": ["staging"]}, lambda n: n % 4 == 0),
        ({"isRootObservation": "true"}, lambda n: n % 2 == 0),
        ({"traceId": f"{3:032x}"}, lambda n: n in (6, 7)),
        ({"parentObservationId": f"{6:016x}"}, lambda n: n == 7),
        ({"fromStartTime": NOON.isoformat()}, lambda n: n < 7),
        ({"toStartTime": NOON.isoformat()}, lambda n: n >= 7),
    ],
)
def test_plain_observation_parameters(http: httpx.Client, params: dict[str, Any], expected: Any) -> None:
    assert found(http, **params) == numbers(expected)


@pytest.mark.parametrize(
    "condition",
    [
        {"type": "string", "column": "scores_avg", "operator": "=", "value": "x"},
        {"type": "number", "column": "name", "operator": "=", "value": 1},
        {"type": "string", "column": "name", "operator": "like", "value": "x"},
        {"type": "stringOptions", "column": "name", "operator": "any of", "value": []},
        {"type": "string", "column": "name", "operator": "=", "value": ""},
        {"type": "datetime", "column": "startTime", "operator": ">", "value": "noon"},
        {"type": "stringObject", "column": "metadata", "operator": "=", "value": "x"},
        {"type": "string", "column": "output", "operator": "contains", "value": "x"},
        "not an object",
    ],
)
def test_filters_that_mean_nothing_are_refused(http: httpx.Client, condition: Any) -> None:
    params = {"filter": json.dumps([condition])}
    assert http.get("/api/public/v2/observations", params=params).status_code == 400


def test_metadata_is_cut_unless_its_key_is_named(http: httpx.Client) -> None:
    def metadata(**params: str) -> dict[str, str]:
        asked = {"limit": 1, "fields": "core,metadata"} | params
        return http.get("/api/public/v2/observations", params=asked).json()["data"][0]["metadata"]

    assert (len(metadata()["long"]), len(metadata(expandMetadata="long")["long"])) == (200, 300)


def test_field_groups_that_were_not_asked_for_are_absent(http: httpx.Client) -> None:
    params = {"limit": 1, "fields": "core,prompt,nonsense"}
    (row,) = http.get("/api/public/v2/observations", params=params).json()["data"]
    assert {"id", "traceId", "promptName"} <= set(row)
    assert not {"input", "name", "model", "metadata", "traceName"} & set(row)


def test_the_sdk_parses_whole_pages(url: str) -> None:
    with httpx.Client() as client:
        api = LangfuseAPI(base_url=url, username=KEYS[0], password=KEYS[1], httpx_client=client)
        page = api.scores.get_many(limit=100, fields="details,subject,annotation")
        assert (len(page.data), page.meta.limit, bool(page.meta.cursor)) == (100, 100, True)
        groups = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"
        assert len(api.observations.get_many(limit=1000, fields=groups).data) == 230
