"""The row of one observation: columns to filter by, and its JSON cut into the field groups that reads ask for.

Unset texts are empty strings, as on the real server; input and output stay the raw strings that the client sent.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any

from sandbox.langfuse.database import Database
from sandbox.langfuse.endpoint import PROJECT_ID
from sandbox.langfuse.fragments import fragment
from sandbox.langfuse.instants import parse, wire

BRIEF_CHARACTERS = 200


def trace_hash(trace_id: str) -> int:
    """The order of traces that start in the same millisecond (xxHash32 on the real server; any fixed hash will do)."""
    return zlib.crc32(trace_id.encode())


def brief(value: Any) -> Any:
    """A metadata value as lists show it."""
    return value[:BRIEF_CHARACTERS] if isinstance(value, str) else value


def store(database: Database, fields: Mapping[str, Any], readable_ms: int) -> None:
    """Write one observation, over an earlier arrival of the same span."""
    key = (fields["trace_id"], fields["id"])
    old = database.row("SELECT created_ms FROM observations WHERE trace_id = ? AND id = ?", key)
    created = min(old["created_ms"], readable_ms) if old else readable_ms
    row = dict(fields) | {"created_ms": created, "updated_ms": readable_ms, "trace_hash": trace_hash(key[0])}
    row["prompt_id"] = _prompt_id(database, fields)
    row["trace_name"] = fields["trace_name"] or _root_name(database, fields)
    row |= _spent(fields["usage"], fields["cost"])
    row |= _durations(fields)
    database.put("observations", _columns(row), replace=True)
    if not fields["parent_id"] and not fields["trace_name"]:
        _name_trace(database, fields["trace_id"], fields["name"])


def from_wire(observation: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an observation in the shape that reads have, as the bulk route takes it."""
    start = parse(observation["startTime"])
    end, first = observation.get("endTime"), observation.get("completionStartTime")
    texts = {"version": "version", "release": "release", "user_id": "userId", "session_id": "sessionId"}
    texts |= {"trace_name": "traceName", "model": "model", "status_message": "statusMessage", "name": "name"}
    parent = observation.get("parentObservationId")
    return {
        "id": observation["id"],
        "trace_id": observation["traceId"],
        "parent_id": parent,
        "start_ms": start,
        "end_ms": parse(end) if end else None,
        "completion_start_ms": parse(first) if first else None,
        "type": observation["type"],
        "is_root": observation.get("isRootObservation", not parent),
        "environment": observation.get("environment", "default"),
        "tags": observation.get("tags") or [],
        "public": bool(observation.get("public")),
        "level": observation.get("level", "DEFAULT"),
        "input": observation.get("input"),
        "output": observation.get("output"),
        "metadata": observation.get("metadata") or {},
        "model_parameters": observation.get("modelParameters") or {},
        "usage": observation.get("usageDetails") or {},
        "cost": observation.get("costDetails") or {},
        "prompt_name": observation.get("promptName") or "",
        "prompt_version": observation.get("promptVersion"),
        "experiment": {},
        **{column: observation.get(name) or "" for column, name in texts.items()},
    }


def _prompt_id(database: Database, fields: Mapping[str, Any]) -> str:
    link = (fields["prompt_name"], fields["prompt_version"])
    found = database.row("SELECT id FROM prompts WHERE name = ? AND version = ?", link) if link[0] else None
    return found["id"] if found else ""


def _root_name(database: Database, fields: Mapping[str, Any]) -> str:
    if not fields["parent_id"]:
        return str(fields["name"])
    root = database.row(
        "SELECT trace_name FROM observations WHERE trace_id = ? AND parent_id IS NULL", (fields["trace_id"],)
    )
    return root["trace_name"] if root else ""


def _name_trace(database: Database, trace_id: str, name: str) -> None:
    """A root names its trace; children may have arrived before it."""
    for row in database.rows(
        "SELECT id, trace_context FROM observations WHERE trace_id = ? AND trace_name = ''", (trace_id,)
    ):
        context = json.loads("{" + row["trace_context"] + "}") | {"traceName": name}
        database.run(
            "UPDATE observations SET trace_name = ?, trace_context = ? WHERE trace_id = ? AND id = ?",
            (name, fragment(context), trace_id, row["id"]),
        )


def _spent(usage: Mapping[str, int], cost: Mapping[str, float]) -> dict[str, Any]:
    def part(details: Mapping[str, Any], word: str) -> Any:
        return sum(value for key, value in details.items() if word in key)

    total_tokens = usage.get("total", sum(usage.values()))
    total_cost = cost.get("total", sum(cost.values())) if cost else None
    return {
        "usage": {**usage, "total": total_tokens} if usage else {},
        "cost": {**cost, "total": total_cost} if cost else {},
        "input_tokens": part(usage, "input"),
        "output_tokens": part(usage, "output"),
        "total_tokens": total_tokens,
        "input_cost": part(cost, "input") if cost else None,
        "output_cost": part(cost, "output") if cost else None,
        "total_cost": total_cost,
    }


def _durations(fields: Mapping[str, Any]) -> dict[str, Any]:
    start, end, first = fields["start_ms"], fields["end_ms"], fields["completion_start_ms"]
    return {
        "latency_ms": None if end is None else end - start,
        "first_token_ms": None if first is None else first - start,
    }


def _columns(row: dict[str, Any]) -> dict[str, Any]:
    experiment = row["experiment"]
    same = (
        "id trace_id trace_hash start_ms end_ms parent_id type name level status_message version environment release "
        "user_id session_id trace_name model prompt_id prompt_name prompt_version input output latency_ms "
        "first_token_ms input_tokens output_tokens total_tokens input_cost output_cost total_cost created_ms updated_ms"
    )
    return {
        **{name: row[name] for name in same.split()},
        "is_root": int(row["is_root"]),
        "tags": json.dumps(row["tags"]),
        "experiment_id": experiment.get("id", ""),
        "experiment_name": experiment.get("name", ""),
        "experiment_dataset_id": experiment.get("dataset_id", ""),
        "experiment_item_id": experiment.get("item_id", ""),
        "experiment_root_id": experiment.get("root_observation_id", ""),
        "experiment": json.dumps(experiment),
        "metadata": json.dumps(row["metadata"]),
        **_groups(row),
    }


def _groups(row: Mapping[str, Any]) -> dict[str, str]:
    def seconds(milliseconds: int | None) -> float | None:
        return None if milliseconds is None else milliseconds / 1000

    def instant(milliseconds: int | None) -> str | None:
        return None if milliseconds is None else wire(milliseconds)

    core = {
        "id": row["id"],
        "traceId": row["trace_id"],
        "startTime": wire(row["start_ms"]),
        "endTime": instant(row["end_ms"]),
        "projectId": PROJECT_ID,
        "parentObservationId": row["parent_id"],
        "type": row["type"],
    }
    basic = {
        "name": row["name"],
        "level": row["level"],
        "statusMessage": row["status_message"],
        "version": row["version"],
        "environment": row["environment"],
        "userId": row["user_id"],
        "sessionId": row["session_id"],
        "isRootObservation": bool(row["is_root"]),
        "bookmarked": False,
        "public": row["public"],
    }
    times = {
        "completionStartTime": instant(row["completion_start_ms"]),
        "createdAt": wire(row["created_ms"]),
        "updatedAt": wire(row["updated_ms"]),
    }
    # no price table here: costs are what the client reported
    model = {"model": row["model"], "internalModelId": None, "modelParameters": row["model_parameters"]}
    usage = {
        "usageDetails": row["usage"],
        "inputUsage": row["input_tokens"],
        "outputUsage": row["output_tokens"],
        "totalUsage": row["total_tokens"],
        "costDetails": row["cost"],
        "inputCost": row["input_cost"],
        "outputCost": row["output_cost"],
        "totalCost": row["total_cost"],
        "usagePricingTierId": None,
        "usagePricingTierName": None,
    }
    prompt = {"promptId": row["prompt_id"], "promptName": row["prompt_name"], "promptVersion": row["prompt_version"]}
    prices = {"modelId": None, "inputPrice": None, "outputPrice": None, "totalPrice": None}
    speed = {"latency": seconds(row["latency_ms"]), "timeToFirstToken": seconds(row["first_token_ms"])}
    return {
        "core": fragment(core),
        "basic": fragment(basic),
        "time": fragment(times),
        "io": fragment({"input": row["input"], "output": row["output"]}),
        "brief_metadata": fragment({"metadata": {key: brief(value) for key, value in row["metadata"].items()}}),
        "model_group": fragment(model),
        "usage": fragment(usage),
        "prompt": fragment(prompt),
        "trace_context": fragment({"traceName": row["trace_name"], "release": row["release"], "tags": row["tags"]}),
        # these come with every answer, whatever groups were asked for
        "always": fragment(speed | prices),
    }
