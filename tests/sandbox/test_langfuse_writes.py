"""Writes: scores one by one, in lists and as events; OTLP batches; dataset items; bad bodies and wrong keys."""

import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from sandbox.langfuse.app import create_app
from sandbox.serving import serve

KEYS = ("pk-lf-sandbox", "sk-lf-sandbox")
SCORE = {"id": "s", "traceId": "t", "name": "n", "value": 0.5}
TRACE, ROOT, CHILD = "ab" * 16, "01" * 8, "02" * 8


@pytest.fixture
def http(tmp_path: Path) -> Iterator[httpx.Client]:
    with serve(create_app(tmp_path / "langfuse.sqlite")) as url, httpx.Client(base_url=url, auth=KEYS) as client:
        yield client


def scores(http: httpx.Client, **params: Any) -> list[dict[str, Any]]:
    asked = {"fields": "details,subject,annotation"} | params
    return http.get("/api/public/v3/scores", params=asked).raise_for_status().json()["data"]


def export(http: httpx.Client, *spans: Span, packed: bool = True) -> httpx.Response:
    batch = ExportTraceServiceRequest()
    batch.resource_spans.add().scope_spans.add().spans.extend(spans)
    raw = batch.SerializeToString()
    headers = {"content-type": "application/x-protobuf"} | ({"content-encoding": "gzip"} if packed else {})
    return http.post("/api/public/otel/v1/traces", content=gzip.compress(raw) if packed else raw, headers=headers)


def span(span_id: str, parent: str = "", **attributes: str) -> Span:
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    return Span(
        trace_id=bytes.fromhex(TRACE),
        span_id=bytes.fromhex(span_id),
        parent_span_id=bytes.fromhex(parent),
        name=f"span-{span_id[:2]}",
        start_time_unix_nano=1_795_132_800_123_999_999,
        end_time_unix_nano=1_795_132_801_000_000_000,
        attributes=[KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in named.items()],
    )


def observation(http: httpx.Client, span_id: str) -> dict[str, Any]:
    groups = "core,basic,io,metadata,model,usage,prompt,trace_context"
    rows = http.get("/api/public/v2/observations", params={"traceId": TRACE, "fields": groups}).json()["data"]
    (row,) = [row for row in rows if row["id"] == span_id]
    return row


def test_a_list_keeps_the_clients_time_and_a_single_score_does_not(http: httpx.Client) -> None:
    backdated = {"timestamp": "2026-01-02T03:04:05.678Z"}
    assert http.post("/api/public/scores", json=[SCORE | backdated]).json() == {"message": "Accepted"}
    http.post("/api/public/scores", json=SCORE | backdated | {"id": "single"}).raise_for_status()
    times = {row["id"]: row["timestamp"] for row in scores(http)}
    assert times["s"] == backdated["timestamp"]
    assert times["single"] > "2026-01-03"


def test_an_edit_changes_the_value_and_the_update_time_only(http: httpx.Client) -> None:
    http.post("/api/public/scores", json=[SCORE]).raise_for_status()
    (before,) = scores(http)
    time.sleep(0.005)
    http.post("/api/public/scores", json=[SCORE | {"value": 0.1, "comment": "changed my mind"}]).raise_for_status()
    (after,) = scores(http)
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {"value", "comment", "updatedAt"}
    assert after["updatedAt"] > before["updatedAt"]


def test_the_good_scores_of_a_list_are_stored_and_the_bad_ones_counted(http: httpx.Client) -> None:
    answer = http.post("/api/public/scores", json=[SCORE, SCORE | {"id": "b", "value": None}, {"name": "x"}, 7])
    body = answer.json()
    assert (answer.status_code, body["accepted"], body["rejected"], len(body["errors"])) == (207, 1, 3, 3)
    assert [row["id"] for row in scores(http)] == ["s"]


@pytest.mark.parametrize(
    ("fields", "kind", "shown"),
    [
        ({"value": 2}, "NUMERIC", 2),
        ({"value": "bad"}, "CATEGORICAL", "bad"),
        ({"value": 1, "dataType": "BOOLEAN"}, "BOOLEAN", True),
        ({"value": "long text", "dataType": "TEXT"}, "TEXT", "long text"),
        ({"value": "better", "dataType": "CORRECTION", "source": "ANNOTATION"}, "CORRECTION", "better"),
        ({"value": "half \ud83d character"}, "CATEGORICAL", "half ? character"),
    ],
)
def test_kinds_of_values(http: httpx.Client, fields: dict[str, Any], kind: str, shown: Any) -> None:
    http.post("/api/public/scores", content=json.dumps([SCORE | fields])).raise_for_status()
    (row,) = scores(http)
    assert (row["dataType"], row["value"]) == (kind, shown)
    assert row["name"] == ("output" if kind == "CORRECTION" else "n")


@pytest.mark.parametrize(
    "fields",
    [
        {"value": True, "dataType": "BOOLEAN"},
        {"value": "x", "dataType": "NUMERIC"},
        {"value": 1, "dataType": "CATEGORICAL"},
        {"value": "x" * 501, "dataType": "TEXT"},
        {"value": "x", "dataType": "CORRECTION", "traceId": None, "sessionId": "s"},
        {"source": "ANNOTATION"},
        {"source": "EVAL"},
        {"dataType": "STARS"},
        {"sessionId": "both"},
        {"traceId": None, "observationId": "o"},
        {"name": ""},
        {"timestamp": "noon"},
    ],
)
def test_scores_that_mean_nothing_are_refused(http: httpx.Client, fields: dict[str, Any]) -> None:
    assert http.post("/api/public/scores", json=SCORE | fields).status_code == 400
    assert scores(http) == []


@pytest.mark.parametrize(
    ("fields", "subject"),
    [
        ({}, {"kind": "trace", "id": "t"}),
        ({"observationId": "o"}, {"kind": "observation", "id": "o", "traceId": "t"}),
        ({"traceId": None, "sessionId": "x"}, {"kind": "session", "id": "x"}),
        ({"traceId": None, "datasetRunId": "x"}, {"kind": "experiment", "id": "x"}),
    ],
)
def test_subjects(http: httpx.Client, fields: dict[str, Any], subject: dict[str, str]) -> None:
    http.post("/api/public/scores", json=[SCORE | fields]).raise_for_status()
    assert scores(http)[0]["subject"] == subject


@pytest.mark.parametrize("environment", ["Production", "langfuse-x", "x" * 41, "a b"])
def test_an_invalid_environment_becomes_default(http: httpx.Client, environment: str) -> None:
    http.post("/api/public/scores", json=[SCORE | {"environment": environment}]).raise_for_status()
    assert scores(http)[0]["environment"] == "default"


def test_scores_that_break_their_config_vanish_after_a_200(http: httpx.Client) -> None:
    config = {"name": "n", "dataType": "NUMERIC", "minValue": 0, "maxValue": 1}
    config_id = http.post("/api/public/score-configs", json=config).json()["id"]
    for number, value in enumerate((0.5, 1.5, -1)):
        body = SCORE | {"id": str(number), "value": value, "configId": config_id}
        assert http.post("/api/public/scores", json=body).status_code == 200
    assert [row["value"] for row in scores(http)] == [0.5]


def test_an_ingestion_event_keeps_its_time(http: httpx.Client) -> None:
    event = {"id": "e", "type": "score-create", "timestamp": "2026-01-02T00:00:00.000Z", "body": SCORE}
    bad = {"id": "f", "type": "score-create", "timestamp": "2026-01-02T00:00:00.000Z", "body": {}}
    body = http.post("/api/public/ingestion", json={"batch": [event, bad]}).json()
    assert ([item["id"] for item in body["successes"]], [item["id"] for item in body["errors"]]) == (["e"], ["f"])
    assert scores(http)[0]["timestamp"] == "2026-01-02T00:00:00.000Z"


@pytest.mark.parametrize("packed", [True, False])
def test_spans_become_observations(http: httpx.Client, packed: bool) -> None:
    http.post("/api/public/v2/prompts", json={"name": "p", "prompt": "x"}).raise_for_status()
    generation = span(
        CHILD,
        ROOT,
        langfuse__observation__type="generation",
        langfuse__observation__input="{not json",
        langfuse__observation__usage_details='{"input": 3, "output": 4}',
        langfuse__observation__prompt__name="p",
        langfuse__observation__metadata__key='{"a": 1}',
        langfuse__trace__metadata__plain="text",
    )
    generation.attributes.append(
        KeyValue(key="langfuse.observation.prompt.version", value=AnyValue(int_value=1)),
    )
    answer = export(http, generation, packed=packed)
    assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
    row = observation(http, CHILD)
    # milliseconds are cut, not rounded
    assert (row["startTime"], row["endTime"]) == ("2026-11-20T00:00:00.123Z", "2026-11-20T00:00:01.000Z")
    assert (row["type"], row["parentObservationId"], row["isRootObservation"]) == ("GENERATION", ROOT, False)
    assert (row["promptName"], row["promptVersion"], bool(row["promptId"])) == ("p", 1, True)
    assert (row["input"], row["usageDetails"]) == ("{not json", {"input": 3, "output": 4, "total": 7})
    assert (row["metadata"]["key"], row["metadata"]["plain"]) == ({"a": 1}, "text")


def test_only_generations_are_linked_to_prompts(http: httpx.Client) -> None:
    export(http, span(ROOT, langfuse__observation__type="tool", langfuse__observation__prompt__name="p"))
    assert observation(http, ROOT)["promptName"] == ""


def test_a_child_may_arrive_before_its_root_and_a_span_twice(http: httpx.Client) -> None:
    export(http, span(CHILD, ROOT))
    assert observation(http, CHILD)["traceName"] == ""
    export(http, span(ROOT), span(ROOT, langfuse__observation__output="done"))
    assert (observation(http, CHILD)["traceName"], observation(http, ROOT)["output"]) == ("span-01", "done")
    late = span("03" * 8, ROOT)
    export(http, late)
    assert observation(http, "03" * 8)["traceName"] == "span-01"


def test_a_failed_span_is_an_error(http: httpx.Client) -> None:
    failed = span(ROOT)
    failed.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message="boom"))
    export(http, failed)
    row = observation(http, ROOT)
    assert (row["level"], row["statusMessage"]) == ("ERROR", "boom")


@pytest.mark.parametrize("broken", [Span(span_id=b"1" * 8), Span(trace_id=b"1" * 16)])
def test_a_batch_with_a_span_without_ids_is_refused_whole(http: httpx.Client, broken: Span) -> None:
    assert export(http, span(ROOT), broken).status_code == 400
    assert http.get("/api/public/v2/observations").json()["data"] == []


def test_gzip_that_is_none_is_refused(http: httpx.Client) -> None:
    headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
    assert http.post("/api/public/otel/v1/traces", content=b"plain", headers=headers).status_code == 400


def test_dataset_items_can_be_read_as_they_were(http: httpx.Client) -> None:
    http.post("/api/public/v2/datasets", json={"name": "d"}).raise_for_status()
    first = {"datasetName": "d", "id": "i", "input": {"q": 1}, "expectedOutput": "a", "sourceTraceId": "t"}
    made = http.post("/api/public/dataset-items", json=first).json()
    time.sleep(0.005)
    edit = {"datasetName": "d", "id": "i", "input": {"q": 2}, "status": "ARCHIVED"}
    http.post("/api/public/dataset-items", json=edit).raise_for_status()

    def items(**params: str) -> list[Any]:
        body = http.get("/api/public/dataset-items", params={"datasetName": "d"} | params).raise_for_status().json()
        return [(row["input"], row["expectedOutput"], row["sourceTraceId"], row["status"]) for row in body["data"]]

    assert items() == [({"q": 2}, "a", "t", "ARCHIVED")]
    assert items(version=made["createdAt"]) == [({"q": 1}, "a", "t", "ACTIVE")]
    time.sleep(0.005)
    http.delete("/api/public/dataset-items/i").raise_for_status()
    assert items() == []
    assert http.get("/api/public/dataset-items/i").status_code == 404
    assert items(version=made["createdAt"]) == [({"q": 1}, "a", "t", "ACTIVE")]


def test_an_unknown_dataset_is_a_404_for_reads_and_writes(http: httpx.Client) -> None:
    assert http.get("/api/public/dataset-items", params={"datasetName": "no"}).status_code == 404
    assert http.post("/api/public/dataset-items", json={"datasetName": "no"}).status_code == 404


@pytest.mark.parametrize("rows", [{"scores": [{}]}, {"observations": [7]}, {"scores": "x"}, []])
def test_bulk_rows_in_another_shape_are_refused_whole(http: httpx.Client, rows: Any) -> None:
    assert http.post("/sandbox/bulk", json=rows).status_code == 400
    assert scores(http) == []


def test_media_is_always_there_already(http: httpx.Client) -> None:
    body = http.post("/api/public/media", json={"sha256Hash": "abc"}).json()
    assert (body["uploadUrl"], len(body["mediaId"])) == (None, 22)


@pytest.mark.parametrize("path", ["/api/public/v2/prompts", "/api/public/comments", "/api/public/dataset-items"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_bodies_that_are_no_objects_are_refused(http: httpx.Client, path: str, content: bytes) -> None:
    assert http.post(path, content=content).status_code == 400


@pytest.mark.parametrize("header", ["", "Basic", "Basic !!!", "Bearer x", "Basic cGs6c2s="])
def test_wrong_keys_get_in_nowhere(http: httpx.Client, header: str) -> None:
    with httpx.Client(base_url=http.base_url, headers={"authorization": header}) as stranger:
        for path in ("projects", "v2/observations", "v3/scores", "v2/prompts/p", "dataset-items"):
            assert stranger.get(f"/api/public/{path}").status_code == 401
        assert stranger.post("/api/public/scores", json=[SCORE]).status_code == 401
    assert scores(http) == []
