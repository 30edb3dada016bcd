"""The sandbox's answers against recordings of a real server: same status, keys, JSON types and error texts.

The recordings are replayed in the order they were made, so that later ones meet the state that earlier ones left.
Ids that a server chooses differ; they are learned from each pair of answers and replaced in the requests that follow.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from sandbox.langfuse.app import create_app
from sandbox.serving import serve

RECORDINGS = Path(__file__).parent.parent / "recordings" / "langfuse"
KEYS = ("pk-lf-sandbox", "sk-lf-sandbox")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
# what may be null on one side only, and why
NULLABLE = {
    *("internalModelId", "modelId", "inputPrice", "outputPrice"),  # the sandbox has no price table
    *("usagePricingTierId", "usagePricingTierName"),  # same
    *(
        "latency",
        "completionStartTime",
        "timeToFirstToken",
    ),  # the real server forgets the latency when asked for metrics
    *(
        "parentObservationId",
        "promptVersion",
        "observationPromptVersion",
        "inputCost",
        "outputCost",
        "totalCost",
        "input",
        "output",
    ),
    *("comment", "commitMessage", "description", "minValue", "maxValue", "categories"),
    *("sourceTraceId", "sourceObservationId", "metadata", "resolutionGraph", "experimentItemVersion"),
}
# maps and values that belong to the application: only their JSON type is compared
OPEN = {"metadata", "config", "lastConfig", "modelParameters", "usageDetails", "costDetails", "dependencies"} | {
    *("input", "expectedOutput", "experimentMetadata", "experimentItemMetadata", "errors"),
}
BEFORE = (
    {"name": "demo-support-system", "prompt": "You are a support agent for {{company}}. Answer briefly."}
    | {"labels": ["production"], "tags": ["optimizer"], "config": {"model": "m"}, "commitMessage": "initial"},
    {
        "name": "demo-support-chat",
        "type": "chat",
        "prompt": [
            {"role": "system", "content": "You help users of {{company}}."},
            {"name": "history", "type": "placeholder"},
            {"role": "user", "content": "{{question}}"},
        ],
        "labels": ["production"],
        "tags": ["optimizer"],
    },
)
ORDER = (RECORDINGS / "ORDER.txt").read_text().split()


def recording(name: str) -> dict[str, Any]:
    return json.loads((RECORDINGS / f"{name}.json").read_text())


def kind(value: Any) -> str:
    if isinstance(value, str):
        return "instant" if INSTANT.fullmatch(value) else "string"
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def differences(real: Any, ours: Any, path: str = "") -> list[str]:
    """Where two answers differ in shape, as paths with a reason."""
    key = path.rpartition(".")[2]
    if (real is None or ours is None) and key in NULLABLE:
        return []
    if kind(real) != kind(ours):
        open_text = key in OPEN and {kind(real), kind(ours)} <= {"string", "dict", "list"}
        return [] if open_text else [f"{path}: {kind(real)} became {kind(ours)}"]
    if key in OPEN:
        return []
    if isinstance(real, dict):
        extra, lacking = sorted(set(ours) - set(real)), sorted(set(real) - set(ours))
        found = [f"{path}: has {extra}, lacks {lacking}"] if extra or lacking else []
        return found + [
            line for name in set(real) & set(ours) for line in differences(real[name], ours[name], f"{path}.{name}")
        ]
    if isinstance(real, list):
        if bool(real) != bool(ours):
            return [f"{path}: {len(real)} items became {len(ours)}"]
        # items of one list may have different shapes (kinds of subjects, of messages, of issues)
        attempts = [[differences(model, item, path) for model in real] for item in ours]
        return [min(tries, key=len)[0] for tries in attempts if all(tries)]
    return []


def recorded_rows() -> dict[str, list[Any]]:
    """Every observation and score that the recordings show in full, for the sandbox to start from."""
    observations: dict[str, Any] = {}
    scores: dict[str, Any] = {}
    for file in sorted(RECORDINGS.glob("*.json")):
        answer = json.loads(file.read_text())["response"]
        for row in answer.get("data", []) if isinstance(answer, dict) else []:
            if file.name.startswith("observations_v2"):
                observations[row["id"]] = observations.get(row["id"], {}) | row
            if file.name.startswith("scores_v3"):
                scores[row["id"]] = scores.get(row["id"], {}) | row
    for row in observations.values():
        row["tags"] = ["seed", "demo"]
        if row["type"] == "GENERATION":
            linked = {"promptName": "demo-support-system", "promptVersion": 1, "model": "gpt-4o-mini"}
            row |= linked | {"usageDetails": {"input": 3, "output": 4}, "costDetails": {"input": 0.1, "output": 0.2}}
            row |= {"input": '[{"role": "user", "content": "question 1"}]', "output": "answer"}
    return {"observations": list(observations.values()), "scores": [row for row in scores.values() if "subject" in row]}


def experiment_spans() -> bytes:
    """One experiment with one item, as the SDK exports it."""
    attributes = {
        "langfuse.environment": "sdk-experiment",
        "langfuse.experiment.id": "df2e09bbdc4bdf1f",
        "langfuse.experiment.name": "demo5-run-1",
        "langfuse.experiment.metadata": '{"prompt_version": "2"}',
        "langfuse.experiment.dataset.id": "d1",
        "langfuse.experiment.item.id": "i1",
        "langfuse.experiment.item.expected_output": "answer 0",
        "langfuse.experiment.item.root_observation_id": "461f18831c0d6cec",
        "langfuse.observation.input": '{"q": "question 0"}',
        "langfuse.observation.output": "answer 0",
    }
    batch = ExportTraceServiceRequest()
    spans = batch.resource_spans.add().scope_spans.add().spans
    for span_id, parent in (("461f18831c0d6cec", "b" * 16), ("b" * 16, "")):
        spans.append(
            Span(
                trace_id=bytes.fromhex("f4d4311862337f6e72b886e74dcf904d"),
                span_id=bytes.fromhex(span_id),
                parent_span_id=bytes.fromhex(parent),
                name="experiment-item",
                start_time_unix_nano=1795132800000_000_000,
                end_time_unix_nano=1795132800001_000_000,
                attributes=[KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in attributes.items()],
            )
        )
    return batch.SerializeToString()


EXPERIMENT_SCORES = [
    {"datasetRunId": "df2e09bbdc4bdf1f", "name": "mean_exact", "value": 1},
    {"traceId": "f4d4311862337f6e72b886e74dcf904d", "observationId": "461f18831c0d6cec", "name": "exact", "value": 1},
]


class Tape:
    """Replays recordings and learns the ids and cursors that the sandbox chose in place of the recorded ones."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._learned = {"lf-local-project": "lf-sandbox-project"}

    def replay(self, recorded: dict[str, Any], name: str) -> httpx.Response:
        request = recorded["request"]
        url, content = self.translated(request["url"]), self.translated(json.dumps(request.get("json")))
        options: dict[str, Any] = {"auth": KEYS, "headers": {"content-type": "application/json"}}
        if request.get("json") is not None:
            options["content"] = content
        self._prepare(name, recorded, options)
        answer = self._client.request(request["method"], url, **options)
        self._client.post("/sandbox/faults", json={"version": None, "rate_limit_next": {}})
        if answer.headers.get("content-type", "").startswith("application/json"):
            self._learn(recorded["response"], answer.json())
        return answer

    def translated(self, text: str) -> str:
        for theirs, ours in self._learned.items():
            text = text.replace(quote(theirs), quote(ours)).replace(theirs, ours)
        return text

    def _prepare(self, name: str, recorded: dict[str, Any], options: dict[str, Any]) -> None:
        if name == "scores_post_batch_array":
            self._client.post("/sandbox/faults", json={"version": "4.16.0"})
        if recorded["status"] == 429:
            bucket = "metrics" if "metrics" in name else "general"
            self._client.post("/sandbox/faults", json={"rate_limit_next": {bucket: 1}, "retry_after_s": 60})
        if name in ("error_401_bad_secret", "error_401_scores_v3"):
            options["auth"] = ("pk-lf-sandbox", "wrong")
        if name == "error_401_no_auth":
            del options["auth"]
        if name == "error_scores_too_big_413":
            options["content"] = json.dumps({"name": "big", "value": 1, "comment": "x" * 1024 * 1024})
        if name == "error_otel_garbage_protobuf":
            options |= {"content": b"garbage", "headers": {"content-type": "application/x-protobuf"}}

    def _learn(self, real: Any, ours: Any) -> None:
        if isinstance(real, dict) and isinstance(ours, dict):
            for key in ("id", "cursor"):
                theirs = real.get(key)
                if isinstance(theirs, str) and len(theirs) > 12 and isinstance(ours.get(key), str):
                    self._learned[theirs] = ours[key]
            for key in set(real) & set(ours) - {"data"}:
                self._learn(real[key], ours[key])


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[dict[str, Any], httpx.Response]]]:
    app = create_app(tmp_path_factory.mktemp("shapes") / "langfuse.sqlite")
    with serve(app) as url, httpx.Client(base_url=url) as client:
        tape = Tape(client)
        for prompt in BEFORE:
            created = client.post("/api/public/v2/prompts", json=prompt, auth=KEYS).json()
            read = recording("prompts_v2_get_chat" if prompt.get("type") else "prompts_v2_get_default_production")
            tape._learn(read["response"], created)
        assert client.post("/sandbox/bulk", json=recorded_rows()).status_code == 200
        options = {"headers": {"content-type": "application/x-protobuf"}, "auth": KEYS}
        client.post("/api/public/otel/v1/traces", content=experiment_spans(), **options).raise_for_status()
        client.post("/api/public/scores", json=EXPERIMENT_SCORES, auth=KEYS).raise_for_status()
        found = {}
        for name in ORDER:
            recorded = recording(name)
            answer = tape.replay(recorded, name)
            recorded["response"] = json.loads(tape.translated(json.dumps(recorded["response"])))
            found[name] = (recorded, answer)
        yield found


@pytest.mark.parametrize("name", ORDER)
def test_answers_have_the_recorded_shape(name: str, answers: dict[str, tuple[dict[str, Any], httpx.Response]]) -> None:
    recorded, answer = answers[name]
    assert answer.status_code == recorded["status"], answer.text
    media_type = recorded.get("response_headers", {}).get("content-type", "").partition(";")[0]
    if media_type:
        assert answer.headers["content-type"].partition(";")[0] == media_type
    if not isinstance(recorded["response"], dict):
        assert answer.text == recorded["response"] or media_type == "text/html"
        return
    assert differences(recorded["response"], answer.json()) == []


@pytest.mark.parametrize("name", [name for name in ORDER if recording(name)["status"] in range(400, 500)])
def test_refusals_say_what_the_real_server_says(
    name: str, answers: dict[str, tuple[dict[str, Any], httpx.Response]]
) -> None:
    recorded, answer = answers[name]
    if not isinstance(recorded["response"], dict):
        return
    body = answer.json()
    for key in ("message", "code"):
        assert body.get(key) == recorded["response"].get(key)
    real, ours = recorded["response"].get("error"), body.get("error")
    if isinstance(real, list):
        assert [(issue["code"], issue["path"], issue["message"]) for issue in ours] == [
            (issue["code"], issue["path"], issue["message"]) for issue in real
        ]
    else:
        assert ours == real


@pytest.mark.parametrize("name", [name for name in ORDER if name.startswith("error_429")])
def test_a_refused_request_says_when_to_come_back(
    name: str, answers: dict[str, tuple[dict[str, Any], httpx.Response]]
) -> None:
    recorded, answer = answers[name]
    limits = {key for key in recorded["response_headers"] if key.startswith(("retry-after", "x-ratelimit"))}
    assert limits <= set(answer.headers)
    assert answer.headers["retry-after"] == "60"
    assert answer.headers["x-ratelimit-reset"].endswith("GMT+0000 (Coordinated Universal Time)")


def test_every_recording_is_replayed() -> None:
    assert {file.stem for file in RECORDINGS.glob("*.json")} == set(ORDER)


@pytest.mark.parametrize(
    ("real", "ours"),
    [
        ({"id": "a"}, {"id": "a", "more": 1}),
        ({"id": "a", "name": "b"}, {"id": "a"}),
        ({"version": 1}, {"version": "1"}),
        ({"isActive": True}, {"isActive": 1}),
        ({"createdAt": "2026-11-21T00:08:43.785Z"}, {"createdAt": "2026-11-21 00:08:43"}),
        ({"name": None}, {"name": "x"}),
        ({"data": [{"id": "a"}]}, {"data": []}),
        ({"data": [{"id": "a"}]}, {"data": [{"id": "a"}, {"id": 1}]}),
    ],
)
def test_the_comparison_sees_differences(real: Any, ours: Any) -> None:
    assert differences(real, ours)
