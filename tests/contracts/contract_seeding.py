"""Puts worlds, prompts and datasets into a Langfuse-compatible server, the way applications and people do."""

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import httpx
from contract_world import World
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from connectors.memory import Call
from optimizer.prompts import Body, body_json
from optimizer.types import Generation, Missing, Score

VISIBLE_WITHIN_S = 90


class Project:
    """A project, seen from an application and from a person's browser."""

    def __init__(self, base_url: str, public_key: str, secret_key: str) -> None:
        self.http = httpx.Client(base_url=base_url, auth=(public_key, secret_key), timeout=30)
        self.batch = tuple(int(n) for n in self.get("/api/public/health")["version"].split(".")[:2]) >= (4, 59)

    def get(self, path: str, **params: str) -> Any:
        return self.http.get(path, params=params).raise_for_status().json()

    def post(self, path: str, body: object) -> httpx.Response:
        return self.http.post(path, json=body).raise_for_status()

    def prompt(self, name: str, body: Body, **fields: object) -> int:
        """A new version; returns its number."""
        chat = not isinstance(body, str)
        prompt = json.loads(body_json(body))
        made = self.post(
            "/api/public/v2/prompts", {"name": name, "type": "chat" if chat else "text", "prompt": prompt, **fields}
        )
        return int(made.json()["version"])

    def label(self, name: str, label: str, version: int) -> None:
        path = f"/api/public/v2/prompts/{quote(name, safe='')}/versions/{version}"
        self.http.patch(path, json={"newLabels": [label]}).raise_for_status()

    def delete(self, name: str, version: int) -> None:
        path = f"/api/public/v2/prompts/{quote(name, safe='')}"
        self.http.delete(path, params={"version": version}).raise_for_status()

    def versions(self, name: str) -> list[int]:
        listed = self.get("/api/public/v2/prompts", name=name)["data"]
        return sorted(listed[0]["versions"])

    def score(self, scores: Iterable[Score]) -> None:
        bodies = [_score(score) for score in scores]
        for body in [bodies] if self.batch else bodies:
            self.post("/api/public/scores", body)

    def trace(self, generations: Iterable[Generation], calls: Mapping[str, Call]) -> None:
        spans = [_span(generation, calls[generation.id]) for generation in generations]
        request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])])
        self.http.post(
            "/api/public/otel/v1/traces",
            content=request.SerializeToString(),
            headers={"content-type": "application/x-protobuf", "x-langfuse-ingestion-version": "4"},
        ).raise_for_status()

    def seed(self, world: World) -> None:
        self.prompt(world.prompt, "Answer {{question}}.", labels=["production"])
        self.prompt(world.other_prompt, "Route {{question}}.", labels=["production"])
        self.prompt(world.shown_prompt, "Show {{question}}.", labels=["production"])
        self.trace(world.generations, world.calls)
        self.score(world.scores)
        self.post(
            "/api/public/scores",
            (lambda body: [body] if self.batch else body)(
                {"id": f"session-{world.nonce}", "sessionId": "s", "name": world.name("helpful"), "value": 0.1}
            ),
        )
        window = {"fromStartTime": world.window.start.isoformat(), "limit": "1000"}
        every = [g.id for g in world.generations]
        self.wait(lambda: {o["id"] for o in self.get("/api/public/v2/observations", **window)["data"]} >= set(every))
        for score in world.scores:
            self.wait(lambda score=score: self.get("/api/public/v3/scores", id=score.id)["data"])

    def wait(self, visible: Any) -> None:
        """Real servers show what they took after a while; the sandbox at once."""
        deadline = time.monotonic() + VISIBLE_WITHIN_S
        while not visible():
            assert time.monotonic() < deadline, "the seed did not become visible"
            time.sleep(1)


def _score(score: Score) -> dict[str, object]:
    value = int(score.value) if isinstance(score.value, bool) else score.value
    body = {"id": score.id, "traceId": score.trace_id, "name": score.name, "value": value, "dataType": score.kind}
    optional = {"observationId": score.observation_id, "comment": score.comment}
    return {
        **body,
        "environment": score.environment,
        "timestamp": score.at.isoformat(),
        **{name: said for name, said in optional.items() if said},
    }


def _span(generation: Generation, call: Call) -> Span:
    attributes: dict[str, str | int | tuple[str, ...]] = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.input": generation.input,
        "langfuse.observation.output": generation.output,
        "langfuse.observation.model.name": generation.model,
        "langfuse.environment": generation.environment,
        "langfuse.trace.tags": generation.tags,
        "user.id": call.user,
        "session.id": call.session,
        "langfuse.observation.level": "ERROR" if call.failed else "DEFAULT",
    }
    if not isinstance(call.cost_usd, Missing):
        attributes["langfuse.observation.cost_details"] = json.dumps({"total": call.cost_usd})
    if generation.prompt_name:
        attributes["langfuse.observation.prompt.name"] = generation.prompt_name
        attributes["langfuse.observation.prompt.version"] = generation.prompt_version
    start = round(generation.at.timestamp() * 1000) * 1_000_000
    lasted_s = 0.0 if isinstance(call.latency_s, Missing) else call.latency_s
    return Span(
        trace_id=bytes.fromhex(generation.trace_id),
        span_id=bytes.fromhex(generation.id),
        name="answer",
        start_time_unix_nano=start,
        end_time_unix_nano=start + round(lasted_s * 1_000_000_000),
        attributes=[KeyValue(key=key, value=_any(value)) for key, value in attributes.items()],
    )


def _any(value: str | int | tuple[str, ...]) -> AnyValue:
    if isinstance(value, tuple):
        return AnyValue(array_value=ArrayValue(values=[_any(one) for one in value]))
    return AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value)
