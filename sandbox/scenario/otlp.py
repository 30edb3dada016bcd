"""Generations as OpenTelemetry spans, with the attributes that the Langfuse SDK writes.

Written by hand and not through the SDK, because history has timestamps of its own. It must not send anything.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """One model call of the application, as it is traced: a root span with the generation below it.

    Attributes:
        trace_id: 32 hexadecimal digits; `observation_id` is the generation's, 16.
        messages_json: the input as JSON chat messages.
        cost_usd: None when the application does not say.
        failed: the call ended in an error.
        alone: there is no span around it.
    """

    trace_id: str
    observation_id: str
    at: datetime
    duration: timedelta
    user: str
    session: str
    environment: str
    prompt_name: str
    prompt_version: int
    messages_json: str
    question: str
    output: str
    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: float | None = None
    failed: bool = False
    alone: bool = False


def export_request(generated: Iterable[Generated], *, service: str) -> bytes:
    """The body of a POST to /api/public/otel/v1/traces."""
    spans = [span for one in generated for span in _spans(one)]
    scope = ScopeSpans(scope=InstrumentationScope(name=service), spans=spans)
    resource = Resource(attributes=list(_attributes({"service.name": service})))
    body: bytes = ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=resource, scope_spans=[scope])]
    ).SerializeToString()
    return body


def _spans(one: Generated) -> Iterator[Span]:
    shared = {
        "user.id": one.user,
        "session.id": one.session,
        "langfuse.environment": one.environment,
        "langfuse.trace.name": "answer-question",
        "langfuse.observation.output": one.output,
    }
    root_id = "" if one.alone else one.trace_id[:16]
    if root_id:
        root = {**shared, "langfuse.observation.type": "span", "langfuse.observation.input": one.question}
        yield _span(one, root_id, b"", "answer-question", root)
    generation: dict[str, str | int] = {
        **shared,
        "langfuse.observation.type": "generation",
        "langfuse.observation.input": one.messages_json,
        "langfuse.observation.model.name": one.model,
        "langfuse.observation.usage_details": json.dumps({"input": one.input_tokens, "output": one.output_tokens}),
        "langfuse.observation.prompt.name": one.prompt_name,
        "langfuse.observation.prompt.version": one.prompt_version,
    }
    if one.cost_usd is not None:
        generation["langfuse.observation.cost_details"] = json.dumps({"total": one.cost_usd})
    if one.failed:
        generation["langfuse.observation.level"] = "ERROR"
    yield _span(one, one.observation_id, bytes.fromhex(root_id), "chat", generation)


def _span(one: Generated, span_id: str, parent: bytes, name: str, attributes: Mapping[str, str | int]) -> Span:
    return Span(
        trace_id=bytes.fromhex(one.trace_id),
        span_id=bytes.fromhex(span_id),
        parent_span_id=parent,
        name=name,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=_nanoseconds(one.at),
        end_time_unix_nano=_nanoseconds(one.at + one.duration),
        attributes=list(_attributes(attributes)),
    )


def _attributes(values: Mapping[str, str | int]) -> Iterator[KeyValue]:
    for key, value in values.items():
        typed = AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value)
        yield KeyValue(key=key, value=typed)


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1_000
