"""Spans of our own in OpenTelemetry's wire format, with Langfuse's attributes. Timestamps are the caller's."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

Attribute = str | tuple[str, ...]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanDraft:
    """A span to be written.

    Attributes:
        trace_id: 32 hexadecimal digits; `id` and `parent` are 16, the parent's empty for a root.
        attributes: texts; empty ones are not written.
    """

    trace_id: str
    id: str
    name: str
    at: datetime
    duration: timedelta
    attributes: Mapping[str, Attribute]
    parent: str = ""


def message(drafts: Iterable[SpanDraft]) -> bytes:
    """The body of an export request."""
    scope = ScopeSpans(scope=InstrumentationScope(name="tracegrad"), spans=[_span(draft) for draft in drafts])
    body: bytes = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[scope])]).SerializeToString()
    return body


def _span(draft: SpanDraft) -> Span:
    return Span(
        trace_id=bytes.fromhex(draft.trace_id),
        span_id=bytes.fromhex(draft.id),
        parent_span_id=bytes.fromhex(draft.parent),
        name=draft.name,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=_nanoseconds(draft.at),
        end_time_unix_nano=_nanoseconds(draft.at + draft.duration),
        attributes=list(_attributes(draft.attributes)),
    )


def _attributes(values: Mapping[str, Attribute]) -> Iterator[KeyValue]:
    for key, value in values.items():
        if isinstance(value, tuple):
            items = [AnyValue(string_value=_whole(item)) for item in value]
            yield KeyValue(key=key, value=AnyValue(array_value=ArrayValue(values=items)))
        elif value:
            yield KeyValue(key=key, value=AnyValue(string_value=_whole(value)))


def _whole(text: str) -> str:
    """Text that protobuf takes: half a character becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def _nanoseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000
