"""OTLP spans (protobuf, gzipped or not) become observations, by the attribute names that Langfuse's SDK writes."""

import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it publishes no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.responses import Response
from starlette.routing import Route

from sandbox.langfuse.endpoint import Call, endpoint
from sandbox.langfuse.errors import Refusal
from sandbox.langfuse.inputs import storable
from sandbox.langfuse.instants import parse
from sandbox.langfuse.score_rows import environment

OBSERVATION = "langfuse.observation."
TRACE = "langfuse.trace."
EXPERIMENT = "langfuse.experiment."
TYPES = frozenset(
    ["SPAN", "GENERATION", "EVENT", "AGENT", "TOOL", "CHAIN", "RETRIEVER", "EVALUATOR", "EMBEDDING", "GUARDRAIL"]
)
STATUS_ERROR = 2
NANOSECONDS = 1_000_000
Attributes = Mapping[str, Any]


async def export(call: Call) -> Response:
    """Take one batch of spans in; a span that arrives again replaces its earlier self."""
    if not call.request.headers.get("content-type", "").startswith("application/x-protobuf"):
        raise Refusal(400, {"error": "Invalid content type"})
    try:
        raw = call.raw
        if call.request.headers.get("content-encoding") == "gzip":
            raw = gzip.decompress(raw)
        batch = ExportTraceServiceRequest.FromString(raw)
    except (DecodeError, OSError, EOFError, zlib.error):
        raise Refusal(400, {"error": "Failed to parse OTel Protobuf Trace"}) from None
    call.server.accept("observation", list(observations(batch)))
    return Response(ExportTraceServiceResponse().SerializeToString(), media_type="application/x-protobuf")


def observations(batch: Any) -> Iterator[dict[str, Any]]:
    """The fields of every span of an `ExportTraceServiceRequest`.

    Raises:
        Refusal: 400, a span has no ids.
    """
    for group in batch.resource_spans:
        resource = plain(group.resource.attributes)
        for scoped in group.scope_spans:
            scope = {"name": scoped.scope.name, "version": scoped.scope.version}
            scope |= {f"attributes.{key}": value for key, value in plain(scoped.scope.attributes).items()}
            for span in scoped.spans:
                if len(span.trace_id) != 16 or len(span.span_id) != 8:
                    raise Refusal(400, {"error": "Span without a valid trace id and span id"})
                yield observation(span, plain(span.attributes), resource, scope)


def observation(span: Any, given: Attributes, resource: Attributes, scope: Attributes) -> dict[str, Any]:
    """The fields of one span."""
    kind = str(given.get(OBSERVATION + "type", "span")).upper()
    kind = kind if kind in TYPES else "SPAN"
    failed = span.status.code == STATUS_ERROR
    first = decoded(given.get(OBSERVATION + "completion_start_time"))
    # only generations can be linked to a prompt
    linked = kind == "GENERATION" and given.get(OBSERVATION + "prompt.name")
    version = given.get(OBSERVATION + "prompt.version")
    return {
        "id": span.span_id.hex(),
        "trace_id": span.trace_id.hex(),
        "parent_id": span.parent_span_id.hex() or None,
        "start_ms": span.start_time_unix_nano // NANOSECONDS,
        "end_ms": span.end_time_unix_nano // NANOSECONDS or None,
        "completion_start_ms": parse(first) if isinstance(first, str) else None,
        "name": span.name,
        "type": kind,
        "is_root": not span.parent_span_id or bool(given.get("langfuse.internal.is_app_root")),
        "environment": environment(given.get("langfuse.environment", resource.get("langfuse.environment"))),
        "release": text(given.get("langfuse.release", resource.get("langfuse.release"))),
        "version": text(given.get("langfuse.version")),
        "user_id": text(given.get("user.id")),
        "session_id": text(given.get("session.id")),
        "trace_name": text(given.get(TRACE + "name")),
        "tags": list(given.get(TRACE + "tags", ())),
        "public": bool(given.get(TRACE + "public")),
        "level": given.get(OBSERVATION + "level", "ERROR" if failed else "DEFAULT"),
        "status_message": text(given.get(OBSERVATION + "status_message", span.status.message)),
        "input": given.get(OBSERVATION + "input"),
        "output": given.get(OBSERVATION + "output"),
        "metadata": metadata(given, resource, scope),
        "model": text(given.get(OBSERVATION + "model.name")),
        "model_parameters": table(given.get(OBSERVATION + "model.parameters")),
        "usage": table(given.get(OBSERVATION + "usage_details")),
        "cost": table(given.get(OBSERVATION + "cost_details")),
        "prompt_name": str(linked) if linked else "",
        "prompt_version": int(version) if linked and version is not None else None,
        "experiment": experiment(given),
    }


def metadata(given: Attributes, resource: Attributes, scope: Attributes) -> dict[str, Any]:
    """Trace and observation metadata, then where the span came from."""
    found: dict[str, Any] = {}
    for prefix in (TRACE + "metadata", OBSERVATION + "metadata"):
        if prefix in given:
            whole = decoded(given[prefix])
            found |= whole if isinstance(whole, dict) else {"metadata": whole}
        found |= {
            key[len(prefix) + 1 :]: decoded(value) for key, value in given.items() if key.startswith(prefix + ".")
        }
    found |= {f"scope.{key}": value for key, value in scope.items()}
    return found | {f"resourceAttributes.{key}": value for key, value in resource.items()}


def experiment(given: Attributes) -> dict[str, Any]:
    """What a span says about the experiment it belongs to, keyed without the prefix and with underscores."""
    return {
        key[len(EXPERIMENT) :].replace("item.root_", "root_").replace(".", "_"): value
        for key, value in given.items()
        if key.startswith(EXPERIMENT)
    }


def plain(attributes: Iterable[Any]) -> dict[str, Any]:
    """OTLP key-values as a dictionary."""
    return {item.key: plain_value(item.value) for item in attributes}


def plain_value(value: Any) -> Any:
    """One OTLP value as a JSON value."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return plain(value.kvlist_value.values)
    if kind == "bytes_value":
        return value.bytes_value.hex()
    return getattr(value, kind) if kind else None


def decoded(value: Any) -> Any:
    """The SDK writes structured values as JSON text; other text stays as it is."""
    if not isinstance(value, str):
        return value
    try:
        return storable(value)
    except ValueError:
        return value


def table(value: Any) -> dict[str, Any]:
    """A JSON object, or an empty one."""
    found = decoded(value)
    return found if isinstance(found, dict) else {}


def text(value: Any) -> str:
    """A string, empty when it is unset."""
    return "" if value is None else str(value)


ROUTES = [Route("/api/public/otel/v1/traces", endpoint(export, bucket="tracing", limit=None), methods=["POST"])]
