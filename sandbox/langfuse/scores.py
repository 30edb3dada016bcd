"""The score endpoints: written one by one, in lists or as ingestion events; read newest first by cursor."""

from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.langfuse.database import marks
from sandbox.langfuse.endpoint import Call, endpoint, joined
from sandbox.langfuse.errors import Refusal, custom, invalid, wrong_option, wrong_type
from sandbox.langfuse.fragments import assembled, cursor_position, cursor_text
from sandbox.langfuse.inputs import Query, json_type
from sandbox.langfuse.instants import parse, wire
from sandbox.langfuse.score_rows import accepted

LISTS_SINCE = (4, 59)
CSV_COLUMNS = {
    "id": "id",
    "name": "name",
    "source": "source",
    "dataType": "data_type",
    "environment": "environment",
    "configId": "config_id",
    "queueId": "queue_id",
    "authorUserId": "author_id",
    "traceId": "trace_id",
    "sessionId": "session_id",
    "observationId": "observation_id",
    "experimentId": "experiment_id",
}
RANGE = frozenset({"value", "valueMin", "valueMax", "fromTimestamp", "toTimestamp"})
KNOWN = frozenset(CSV_COLUMNS) | RANGE | {"limit", "cursor", "fields"}
GROUPS = ["core", "details", "subject", "annotation"]
RANGE_RULE = "valueMin and valueMax require dataType=NUMERIC as a single value"
EXACT_RULE = "value requires a single dataType of NUMERIC, BOOLEAN or CATEGORICAL"


async def create(call: Call) -> Response:
    """Take one score (answered with its id), or since 4.59 a list of them (answered with counts)."""
    content = call.json()
    if not isinstance(content, list):
        fields = accepted(content, keep_timestamp=False)
        call.server.accept("score", [fields])
        return JSONResponse({"id": fields["id"]})
    if tuple(int(part) for part in call.server.claimed_version.split(".")[:2]) < LISTS_SINCE:
        # the old server's schema is a union of two objects: it says the same thing twice
        issue = wrong_type("object", "array")
        raise invalid(issue, {key: issue[key] for key in ("code", "expected", "path", "message")})
    good, errors = _sorted_out(content)
    call.server.accept("score", good)
    if errors:
        counts = {"accepted": len(good), "rejected": len(errors)}
        return JSONResponse(counts | {"errors": [{"message": error} for error in errors]}, 207)
    return JSONResponse({"message": "Accepted"}, 202)


async def ingest(call: Call) -> Response:
    """The older batch route, which takes nothing but scores on this kind of server."""
    batch = call.body().fields.get("batch")
    if not isinstance(batch, list):
        raise invalid(wrong_type("array", "undefined", "batch"))
    successes: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for event in batch:
        if not isinstance(event, dict) or not isinstance(event.get("timestamp"), str):
            raise invalid(wrong_type("object", json_type(event), "batch"))
        if event.get("type") != "score-create":
            why = f'Event type "{event.get("type")}" is not accepted by /api/public/ingestion on this server'
            errors.append({"id": event.get("id"), "status": 400, "message": "Event type not accepted", "error": why})
            continue
        try:
            fields = accepted(event.get("body"), keep_timestamp=True)
        except Refusal as refusal:
            errors.append({"id": event.get("id"), "status": 400, "message": str(refusal), "error": str(refusal)})
            continue
        # without a time of its own a score has its event's
        fields["timestamp_ms"] = fields["timestamp_ms"] or parse(event["timestamp"])
        call.server.accept("score", [fields])
        successes.append({"id": event.get("id"), "status": 201})
    return JSONResponse({"successes": successes, "errors": errors}, 207)


async def listing(call: Call) -> Response:
    """A page of scores, newest first; strict about its parameters."""
    query = call.query(KNOWN)
    limit = query.whole("limit", 50, most=100)
    groups = query.csv("fields")
    if unknown := [group for group in groups if group not in GROUPS]:
        query.issues.append(wrong_option(GROUPS, "fields") | {"received": unknown})
    conditions, values = _conditions(query)
    position = _position(query)
    query.check()
    if position is not None:
        conditions.append("(timestamp_ms, id) < (?, ?)")
        values += position
    columns = ["core", *(group for group in GROUPS[1:] if group in groups)]
    where = " AND ".join(conditions) or "1"
    rows = call.database.rows(
        f"SELECT timestamp_ms, id, {', '.join(columns)} FROM scores WHERE {where} "
        "ORDER BY timestamp_ms DESC, id DESC LIMIT ?",
        (*values, limit + 1),
    )
    meta: dict[str, Any] = {"limit": limit}
    if len(rows) > limit:
        last = rows[limit - 1]
        place = {"v": 1, "lastTimestamp": wire(last["timestamp_ms"]), "lastId": last["id"]}
        meta["cursor"] = cursor_text(place, urlsafe=True)
    return joined([assembled(list(tuple(row)[2:])) for row in rows[:limit]], meta)


async def delete(call: Call) -> Response:
    """Remove a score; an unknown one is deleted just as well."""
    call.database.run("DELETE FROM scores WHERE id = ?", (call.named("id"),))
    return JSONResponse({"message": "Score deletion queued successfully"}, 202)


def _sorted_out(content: list[Any]) -> tuple[list[dict[str, Any]], list[str]]:
    good: list[dict[str, Any]] = []
    errors: list[str] = []
    for index, item in enumerate(content):
        try:
            good.append(accepted(item, keep_timestamp=True))
        except Refusal as refusal:
            found = "; ".join(issue["message"] for issue in refusal.body["error"])
            errors.append(f"Score at index {index} is invalid: {found}")
    return good, errors


def _conditions(query: Query) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []
    for name, column in CSV_COLUMNS.items():
        if wanted := query.csv(name):
            conditions.append(f"{column} IN ({marks(wanted)})")
            values += wanted
    # a page starts at its cursor: the plus keeps SQLite from starting each one at the end of the window instead
    upper = "+timestamp_ms < ?" if query.text("cursor") else "timestamp_ms < ?"
    for name, condition in (("fromTimestamp", "timestamp_ms >= ?"), ("toTimestamp", upper)):
        instant = query.instant(name)
        if instant is not None:
            conditions.append(condition)
            values.append(instant)
    kinds = query.csv("dataType")
    for name, sign in (("valueMin", ">="), ("valueMax", "<=")):
        bound = query.number(name)
        if bound is not None:
            conditions.append(f"number {sign} ?")
            values.append(bound)
    if (query.text("valueMin") or query.text("valueMax")) and kinds != ["NUMERIC"]:
        query.issues.append({"code": "custom", "message": RANGE_RULE, "path": []})
    if exact := query.csv("value"):
        column, converted = _exact(query, exact, kinds)
        conditions.append(f"{column} IN ({marks(converted)})")
        values += converted
    if query.text("observationId") and not query.text("traceId"):
        query.issues.append(custom("observationId requires traceId"))
    if query.text("experimentId") and (query.text("traceId") or query.text("sessionId")):
        query.issues.append(custom("experimentId cannot be combined with traceId or sessionId"))
    return conditions, values


def _exact(query: Query, exact: list[str], kinds: list[str]) -> tuple[str, list[Any]]:
    if kinds == ["CATEGORICAL"]:
        return "text", list(exact)
    if kinds == ["BOOLEAN"]:
        if not {*exact} <= {"true", "false"}:
            query.issues.append(wrong_option(["true", "false"], "value"))
        return "number", [float(value == "true") for value in exact]
    if kinds != ["NUMERIC"]:
        query.issues.append(custom(EXACT_RULE))
        return "text", list(exact)
    try:
        return "number", [float(value) for value in exact]
    except ValueError:
        query.issues.append(wrong_type("number", "NaN", "value"))
        return "number", []


def _position(query: Query) -> list[Any] | None:
    text = query.text("cursor")
    if text is None:
        return None
    position = cursor_position(text) or {}
    try:
        return [parse(position["lastTimestamp"]), str(position["lastId"])]
    except (KeyError, TypeError, ValueError):
        query.issues.append(custom("Invalid cursor format", "cursor"))
        return None


ROUTES = [
    Route("/api/public/scores", endpoint(create), methods=["POST"]),
    Route("/api/public/scores/{id}", endpoint(delete), methods=["DELETE"]),
    Route("/api/public/v3/scores", endpoint(listing), methods=["GET"]),
    Route("/api/public/ingestion", endpoint(ingest, bucket="tracing", limit=None), methods=["POST"]),
]
