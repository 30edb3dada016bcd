"""What a score is: the checks at the door, and the row it becomes. Written by id, so a second write is an edit."""

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from sandbox.langfuse.database import Database, Row
from sandbox.langfuse.endpoint import PROJECT_ID
from sandbox.langfuse.errors import Issue, custom, wrong_type
from sandbox.langfuse.fragments import fragment
from sandbox.langfuse.inputs import Body, json_type
from sandbox.langfuse.instants import now_ms, wire

DATA_TYPES = ["NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT", "CORRECTION"]
ENVIRONMENT = re.compile(r"(?!langfuse)[a-z0-9_-]{1,40}")
SUBJECT_RULE = (
    "Provide exactly one of the following: traceId (with optional observationId), sessionId or datasetRunId. "
    "ObservationId requires traceId."
)
BOOLEAN_RULE = "Value must be a number equal to either 0 or 1 for data type BOOLEAN"


def environment(value: object) -> str:
    """The environment a client asked for, or `default` when it is not a valid one."""
    return value if isinstance(value, str) and ENVIRONMENT.fullmatch(value) else "default"


def accepted(item: object, *, keep_timestamp: bool) -> dict[str, Any]:
    """The fields to store for one score of a request.

    Args:
        item: what the client sent.
        keep_timestamp: the endpoint that takes single scores ignores the client's time; the others keep it.

    Raises:
        Refusal: 400 with every issue.
    """
    body = Body(item)
    given = body.fields
    guess = "NUMERIC" if json_type(given.get("value")) == "number" else "CATEGORICAL"
    kind = body.option("dataType", DATA_TYPES, guess) if given.get("dataType") else guess
    instant = body.maybe_instant("timestamp")
    fields: dict[str, Any] = {
        "id": body.maybe_text("id") or str(uuid.uuid4()),
        "trace_id": body.maybe_text("traceId"),
        "session_id": body.maybe_text("sessionId"),
        "observation_id": body.maybe_text("observationId"),
        "experiment_id": body.maybe_text("datasetRunId"),
        # a correction always corrects the output, whatever it is called
        "name": "output" if kind == "CORRECTION" else body.text("name"),
        "data_type": kind,
        "value": given.get("value"),
        "comment": body.maybe_text("comment"),
        "metadata": given.get("metadata") or {},
        "environment": environment(given.get("environment")),
        "source": body.option("source", ["API", "ANNOTATION"]) if given.get("source") else "API",
        "config_id": body.maybe_text("configId"),
        "queue_id": body.maybe_text("queueId"),
        "timestamp_ms": instant if keep_timestamp else None,
        "received_ms": now_ms(),
    }
    body.issues.extend(_value_issues(given, kind))
    body.issues.extend(_subject_issues(fields))
    if fields["source"] == "ANNOTATION" and kind != "CORRECTION" and not fields["config_id"]:
        body.issues.append(custom("configId is required for scores of source ANNOTATION", "configId"))
    body.check()
    return fields


def store(database: Database, fields: Mapping[str, Any], readable_ms: int) -> None:
    """Write one accepted score. One that breaks its score config is dropped here, long after the client's 200."""
    if not _fits_config(database, fields):
        return
    old = database.row("SELECT timestamp_ms, created_ms FROM scores WHERE id = ?", (fields["id"],))
    timestamp = fields["timestamp_ms"] or (old["timestamp_ms"] if old else fields["received_ms"])
    created = old["created_ms"] if old else fields["received_ms"]
    kind, value = fields["data_type"], fields["value"]
    number = float(value) if kind in ("NUMERIC", "BOOLEAN") else None
    shown = {
        "id": fields["id"],
        "projectId": PROJECT_ID,
        "name": fields["name"],
        "source": fields["source"],
        "timestamp": wire(timestamp),
        "environment": fields["environment"],
        "createdAt": wire(created),
        "updatedAt": wire(max(readable_ms, created)),
        "dataType": kind,
        "value": bool(value) if kind == "BOOLEAN" else value,
    }
    details = {key: fields[name] for key, name in (("comment", "comment"), ("configId", "config_id"))}
    annotation = {"authorUserId": fields.get("author_id"), "queueId": fields["queue_id"]}
    row = {
        "id": fields["id"],
        "timestamp_ms": timestamp,
        "created_ms": created,
        "updated_ms": max(readable_ms, created),
        "name": fields["name"],
        "data_type": kind,
        "number": number,
        "text": None if number is not None else value,
        **{key: fields[key] for key in ("source", "environment", "trace_id", "session_id", "observation_id")},
        **{key: fields[key] for key in ("experiment_id", "config_id", "queue_id")},
        "author_id": fields.get("author_id"),
        "core": fragment(shown),
        "details": fragment(details | {"metadata": fields["metadata"]}),
        "subject": fragment({"subject": _subject(fields)}),
        "annotation": fragment(annotation),
    }
    database.put("scores", row, replace=True)


def from_wire(score: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a score in the shape that reads have, as the bulk route takes it."""
    subject = score["subject"]
    kind = subject["kind"]
    trace_id = subject["id"] if kind == "trace" else subject.get("traceId") if kind == "observation" else None
    item = {
        **score,
        "value": int(score["value"]) if score["dataType"] == "BOOLEAN" else score["value"],
        "traceId": trace_id,
        "observationId": subject["id"] if kind == "observation" else None,
        "sessionId": subject["id"] if kind == "session" else None,
        "datasetRunId": subject["id"] if kind == "experiment" else None,
        "source": None,
    }
    fields = accepted(item, keep_timestamp=True)
    return fields | {"source": score.get("source", "API"), "author_id": score.get("authorUserId")}


def _value_issues(given: Mapping[str, Any], kind: str) -> list[Issue]:
    value = given.get("value")
    received = json_type(value) if "value" in given else "undefined"
    if kind == "BOOLEAN":
        return [] if received == "number" and value in (0, 1) else [custom(BOOLEAN_RULE, "value")]
    expected = "number" if kind == "NUMERIC" else "string"
    if received != expected:
        return [wrong_type(expected, received, "value")]
    if kind == "TEXT" and not 1 <= len(str(value)) <= 500:
        return [custom("Text scores have 1 to 500 characters", "value")]
    return []


def _subject_issues(fields: Mapping[str, Any]) -> list[Issue]:
    subjects = [fields[key] for key in ("trace_id", "session_id", "experiment_id") if fields[key]]
    if len(subjects) != 1 or (fields["observation_id"] and not fields["trace_id"]):
        return [custom(SUBJECT_RULE, "traceId", "sessionId", "datasetRunId", "observationId")]
    if fields["data_type"] == "CORRECTION" and not fields["trace_id"]:
        return [custom("Corrections are for traces and observations only", "dataType")]
    return []


def _subject(fields: Mapping[str, Any]) -> dict[str, Any]:
    if fields["observation_id"]:
        return {"kind": "observation", "id": fields["observation_id"], "traceId": fields["trace_id"]}
    for kind in ("trace", "session", "experiment"):
        if fields[f"{kind}_id"]:
            return {"kind": kind, "id": fields[f"{kind}_id"]}
    raise ValueError("an accepted score has a subject")


def _fits_config(database: Database, fields: Mapping[str, Any]) -> bool:
    if not fields["config_id"]:
        return True
    config = database.row("SELECT * FROM score_configs WHERE id = ?", (fields["config_id"],))
    if config is None or config["data_type"] != fields["data_type"]:
        return False
    if config["data_type"] == "NUMERIC":
        return _within(config, fields["value"])
    if config["data_type"] == "CATEGORICAL":
        return fields["value"] in [category["label"] for category in json.loads(config["categories"])]
    return True


def _within(config: Row, value: float) -> bool:
    lowest, highest = config["min_value"], config["max_value"]
    return (lowest is None or value >= lowest) and (highest is None or value <= highest)
