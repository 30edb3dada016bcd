"""Metrics: aggregates, dimensions, time buckets, and the join that loses the scores of whole traces."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox.langfuse.app import create_app
from sandbox.langfuse.buckets import automatic, bucket_text, floor, following
from sandbox.langfuse.instants import parse, wire
from sandbox.serving import serve

KEYS = ("pk-lf-sandbox", "sk-lf-sandbox")
WINDOW = {"fromTimestamp": "2026-11-20T00:00:00Z", "toTimestamp": "2026-11-23T00:00:00Z"}


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    observations = [
        {
            "id": f"o{number}",
            "traceId": f"t{number}",
            "startTime": f"2026-11-21T00:00:0{number}.000Z",
            "endTime": f"2026-11-21T00:00:0{number}.{number}00Z",
            "type": "GENERATION",
            "promptName": "p",
            "promptVersion": 1 + number % 2,
            "usageDetails": {"input": number, "output": 1},
        }
        for number in range(5)
    ]
    scores = [
        {
            "id": f"s{number}{kind}",
            "name": kind,
            "dataType": "NUMERIC",
            "value": number,
            "timestamp": f"2026-11-21T0{number}:00:00.000Z",
            "subject": {"kind": "trace", "id": f"t{number}"}
            if kind == "whole"
            else {"kind": "observation", "id": f"o{number}", "traceId": f"t{number}"},
        }
        for number in range(5)
        for kind in ("whole", "part")
    ]
    with serve(create_app(":memory:")) as url, httpx.Client(base_url=url, auth=KEYS) as client:
        client.post("/sandbox/bulk", json={"observations": observations, "scores": scores}).raise_for_status()
        yield client


def ask(http: httpx.Client, view: str, metrics: list[str], *dimensions: str, **more: Any) -> httpx.Response:
    pairs = [{"measure": pair.split()[1], "aggregation": pair.split()[0]} for pair in metrics]
    query = {"view": view, "metrics": pairs, "dimensions": [{"field": name} for name in dimensions]} | WINDOW | more
    return http.get("/api/public/v2/metrics", params={"query": json.dumps(query)})


def test_observations_by_prompt_version(http: httpx.Client) -> None:
    metrics = ["count count", "sum totalTokens", "avg inputTokens", "p50 latency", "max latency"]
    assert ask(http, "observations", metrics, "promptVersion").json()["data"] == [
        {
            "promptVersion": 1,
            "count_count": 3,
            "sum_totalTokens": 9,
            "avg_inputTokens": 2,
            "p50_latency": 200,
            "max_latency": 400,
        },
        {
            "promptVersion": 2,
            "count_count": 2,
            "sum_totalTokens": 6,
            "avg_inputTokens": 2,
            "p50_latency": 200,
            "max_latency": 300,
        },
    ]


def test_scores_of_whole_traces_vanish_when_a_prompt_is_named(http: httpx.Client) -> None:
    by_name = ask(http, "scores-numeric", ["count count"], "name").json()["data"]
    assert by_name == [{"name": "part", "count_count": 5}, {"name": "whole", "count_count": 5}]
    joined = ask(http, "scores-numeric", ["count count", "avg value"], "name", "observationPromptVersion").json()[
        "data"
    ]
    assert joined == [
        {"name": "part", "observationPromptVersion": 1, "count_count": 3, "avg_value": 2},
        {"name": "part", "observationPromptVersion": 2, "count_count": 2, "avg_value": 2},
    ]
    named = {"column": "observationPromptName", "operator": "=", "value": "p", "type": "string"}
    assert ask(http, "scores-numeric", ["count count"], filters=[named]).json()["data"] == [{"count_count": 5}]


def test_empty_days_are_filled_with_zeros(http: httpx.Client) -> None:
    answer = ask(http, "scores-numeric", ["count count"], timeDimension={"granularity": "day"})
    days = {row["time_dimension"]: row["count_count"] for row in answer.json()["data"]}
    assert days == {"2026-11-20": 0, "2026-11-21": 10, "2026-11-22": 0}


def test_order_and_row_limit(http: httpx.Client) -> None:
    order = [{"field": "sum_value", "direction": "desc"}]
    data = ask(http, "scores-numeric", ["sum value"], "traceId", orderBy=order, config={"row_limit": 2}).json()["data"]
    assert [row["traceId"] for row in data] == ["t4", "t3"]


@pytest.mark.parametrize(
    ("view", "metrics", "dimensions", "more"),
    [
        ("traces", ["count count"], (), {}),
        ("observations", ["count stars"], (), {}),
        ("observations", ["mode latency"], (), {}),
        ("observations", ["count count"], ("shoeSize",), {}),
        ("observations", ["count count"], (), {"fromTimestamp": "noon"}),
        ("observations", ["count count"], (), {"timeDimension": {"granularity": "century"}}),
        ("observations", ["count count"], (), {"orderBy": [{"field": "nothing"}]}),
        (
            "observations",
            ["count count"],
            (),
            {"filters": [{"column": "no", "type": "string", "operator": "=", "value": "x"}]},
        ),
    ],
)
def test_questions_without_an_answer_are_refused(
    http: httpx.Client, view: str, metrics: list[str], dimensions: tuple[str, ...], more: dict[str, Any]
) -> None:
    assert ask(http, view, metrics, *dimensions, **more).status_code == 400


@pytest.mark.parametrize(
    ("granularity", "start", "after"),
    [
        ("minute", "2026-12-31T23:59:00.000Z", "2027-01-01T00:00:00.000Z"),
        ("hour", "2026-12-31T23:00:00.000Z", "2027-01-01T00:00:00.000Z"),
        ("day", "2026-12-31T00:00:00.000Z", "2027-01-01T00:00:00.000Z"),
        ("week", "2026-12-28T00:00:00.000Z", "2027-01-04T00:00:00.000Z"),
        ("month", "2026-12-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z"),
    ],
)
def test_buckets(granularity: str, start: str, after: str) -> None:
    bucket = floor(parse("2026-12-31T23:59:59.999Z"), granularity)
    assert (wire(bucket), wire(following(bucket, granularity))) == (start, after)
    assert start.startswith(bucket_text(bucket, granularity))


def test_a_longer_span_has_coarser_buckets() -> None:
    hour_ms = 3_600_000
    assert [automatic(hours * hour_ms) for hours in (1, 24, 24 * 30, 24 * 300, 24 * 400)] == [
        *("minute", "hour", "day", "week", "month"),
    ]
