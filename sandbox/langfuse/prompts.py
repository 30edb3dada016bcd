"""The prompt registry: immutable versions, movable labels, composition. A label is on one version at a time."""

import asyncio
import json
import re
import sqlite3
import uuid
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.langfuse.composition import Node, Reference, Unresolvable, placeholders, references, resolve, variables
from sandbox.langfuse.database import Database, Row
from sandbox.langfuse.endpoint import PROJECT_ID, Call, endpoint, paged
from sandbox.langfuse.errors import Issue, Refusal, custom, invalid, missing, refused, wrong_option, wrong_type
from sandbox.langfuse.inputs import Body, json_type
from sandbox.langfuse.instants import now_ms, wire

PRODUCTION = "production"
LATEST = "latest"
RESERVED_NAMES = frozenset({"new", "metrics", "prompt-detail"})
LABEL = re.compile(r"[a-z0-9_\-.]+")
LABEL_RULE = "Label must be lowercase alphanumeric with optional underscores, hyphens, or periods"
LABEL_MOST = 36
RACE = (
    "Failed to create prompt due to a unique constraint failure. "
    "This could be due to too many concurrent prompt creations. Please retry."
)


async def create(call: Call) -> Response:
    """Store the next version of a prompt and move the labels it asks for, and `latest`, onto it."""
    fields = _read(call.body())
    database, faults = call.database, call.server.faults
    head = database.row(
        "SELECT version, type, tags FROM prompts WHERE name = ? ORDER BY version DESC", (fields["name"],)
    )
    if head and head["type"] != fields["type"]:
        raise refused("Previous versions have different prompt type. Create a new prompt with a different name.")
    version = head["version"] + 1 if head else 1
    node = Node(str(uuid.uuid4()), fields["name"], version, fields["type"], fields["prompt"])
    _must_resolve(database, node)
    # as on the real server, another creation may read the same head here; one of the two then loses
    await asyncio.sleep(0)
    if faults.strikes("prompt_conflict_next"):
        raise refused(RACE)
    try:
        _insert(database, node, fields, json.loads(head["tags"]) if head else [])
    except sqlite3.IntegrityError:
        raise refused(RACE) from None
    if faults.strikes("drop_answer_after_commit"):
        return Response("<html><body>502 Bad Gateway</body></html>", 502, media_type="text/html")
    return JSONResponse(_written(_version(database, node.name, version)), 201)


async def get(call: Call) -> Response:
    """One version: by number, by label, or the production one; references are replaced unless `resolve=false`."""
    name, query = call.named("name"), call.query()
    version, label, resolving = query.number("version"), query.text("label"), query.flag("resolve")
    query.check()
    if version is not None and label is not None:
        raise refused("Cannot specify both version and label")
    if version is not None:
        row, called = _version(call.database, name, int(version)), f"version {int(version)}"
    else:
        label = label or PRODUCTION
        row, called = _labelled(call.database, name, label), f"label '{label}'"
    if row is None:
        raise missing(f"Prompt not found: '{name}' with {called}")
    shown = _shown(row) | {"isActive": PRODUCTION in json.loads(row["labels"]), "resolutionGraph": None}
    if resolving is not False:
        shown["prompt"], shown["resolutionGraph"] = _must_resolve(call.database, _node(row))
    return JSONResponse(shown)


async def listing(call: Call) -> Response:
    """The prompts by name; filters choose versions, and what is listed is aggregated over those."""
    query = call.query()
    page, limit = query.whole("page", 1), query.whole("limit", 10, most=100)
    since, until = query.instant("fromUpdatedAt"), query.instant("toUpdatedAt")
    name, label, tag = query.text("name"), query.text("label"), query.text("tag")
    query.check()
    rows = call.database.rows("SELECT * FROM prompts ORDER BY name, version")
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        if (
            (name is None or row["name"] == name)
            and (label is None or label in json.loads(row["labels"]))
            and (tag is None or tag in json.loads(row["tags"]))
            and (since is None or row["updated_ms"] >= since)
            and (until is None or row["updated_ms"] < until)
        ):
            grouped.setdefault(row["name"], []).append(row)
    metas = [_meta(versions) for versions in grouped.values()]
    envelope = paged(metas[(page - 1) * limit : page * limit], page=page, limit=limit, total=len(metas))
    # the real server names the same paging twice
    return JSONResponse(envelope | {"pagination": envelope["meta"]})


async def relabel(call: Call) -> Response:
    """Move labels onto a version. Labels it already has stay: nothing can be taken off, only moved elsewhere."""
    name, body = call.named("name"), call.body()
    wanted = body.texts("newLabels")
    if "newLabels" not in body.fields:
        body.issues.append(wrong_type("array", "undefined", "newLabels"))
    body.issues.extend(_label_issues(wanted, "newLabels"))
    if LATEST in wanted:
        body.issues.append(custom("Label 'latest' is always assigned to the latest prompt version", "newLabels"))
    body.check()
    number = call.named("version")
    row = _version(call.database, name, int(number)) if number.isdigit() else None
    if row is None:
        raise missing(f"Prompt '{name}' version {number} not found in project")
    labels = list(dict.fromkeys([*wanted, *json.loads(row["labels"])]))
    now = now_ms()
    with call.database.transaction():
        _strip(call.database, name, wanted, now, keep=row["version"])
        _label(call.database, row["id"], labels, now)
    return JSONResponse(_written(_version(call.database, name, row["version"])))


async def delete(call: Call) -> Response:
    """Remove versions: one, those with a label, or all; refused while another prompt includes them."""
    name, query = call.named("name"), call.query()
    version, label = query.number("version"), query.text("label")
    query.check()
    doomed = [
        row
        for row in call.database.rows("SELECT * FROM prompts WHERE name = ?", (name,))
        if (version is None or row["version"] == version) and (label is None or label in json.loads(row["labels"]))
    ]
    if not doomed:
        raise missing("Prompt not found")
    _no_dependents(call.database, doomed)
    with call.database.transaction():
        for row in doomed:
            call.database.run("DELETE FROM prompts WHERE id = ?", (row["id"],))
        head = call.database.row("SELECT * FROM prompts WHERE name = ? ORDER BY version DESC", (name,))
        if head and LATEST not in json.loads(head["labels"]):
            _label(call.database, head["id"], [*json.loads(head["labels"]), LATEST], now_ms())
    return Response(status_code=204)


def _read(body: Body) -> dict[str, Any]:
    kind = body.option("type", ["text", "chat"], "text")
    fields: dict[str, Any] = {
        "name": body.text("name", most=255),
        "type": kind,
        "labels": body.texts("labels"),
        "tags": body.texts("tags") if body.fields.get("tags") is not None else None,
        "config": {} if body.fields.get("config") is None else body.fields["config"],
        "commit_message": body.maybe_text("commitMessage", most=500),
        "prompt": body.fields.get("prompt"),
    }
    if "|" in fields["name"]:
        body.issues.append(custom("Prompt name cannot contain '|' character", "name"))
    if fields["name"] in RESERVED_NAMES:
        body.issues.append(custom(f"Prompt name cannot be '{fields['name']}'", "name"))
    body.issues.extend(_label_issues(fields["labels"], "labels"))
    body.issues.extend(_prompt_issues(body, kind))
    if body.issues:
        # the real body is a union of two shapes; the issues of the other one say nothing new but keep the form
        other = [wrong_option(["chat" if kind == "text" else "text"], "type")]
        union: Issue = {"code": "invalid_union", "errors": [body.issues, other], "path": [], "message": "Invalid input"}
        raise invalid(union)
    clash = variables(fields["prompt"]) & placeholders(fields["prompt"])
    if clash:
        names = ", ".join(sorted(clash))
        raise refused(f"Placeholders and variables must be unique. The following names conflict: {names}")
    return fields


def _prompt_issues(body: Body, kind: str) -> list[Issue]:
    prompt = body.fields.get("prompt")
    received = json_type(prompt) if "prompt" in body.fields else "undefined"
    if kind == "text":
        return [] if isinstance(prompt, str) else [wrong_type("string", received, "prompt")]
    if not isinstance(prompt, list):
        return [wrong_type("array", received, "prompt")]
    return [issue for index, item in enumerate(prompt) for issue in _message_issues(item, index)]


def _message_issues(item: Any, index: int) -> list[Issue]:
    if not isinstance(item, dict):
        return [wrong_type("object", json_type(item), "prompt", index)]
    wanted = ("name",) if item.get("type") == "placeholder" else ("role", "content")
    return [
        wrong_type("string", json_type(item[key]) if key in item else "undefined", "prompt", index, key)
        for key in wanted
        if not isinstance(item.get(key), str)
    ]


def _label_issues(labels: list[str], path: str) -> list[Issue]:
    rule = {"origin": "string", "code": "invalid_format", "format": "regex", "pattern": "/^[a-z0-9_\\-.]+$/"}
    return [
        rule | {"path": [path, index], "message": LABEL_RULE}
        for index, label in enumerate(labels)
        if isinstance(label, str) and (not LABEL.fullmatch(label) or len(label) > LABEL_MOST)
    ]


def _insert(database: Database, node: Node, fields: dict[str, Any], inherited: list[str]) -> None:
    now = now_ms()
    labels = list(dict.fromkeys([*fields["labels"], LATEST]))
    tags = inherited if fields["tags"] is None else fields["tags"]
    row = {
        "id": node.id,
        "name": node.name,
        "version": node.version,
        "type": node.type,
        "prompt": json.dumps(node.prompt),
        "config": json.dumps(fields["config"]),
        "labels": json.dumps(labels),
        "tags": json.dumps(tags),
        "commit_message": fields["commit_message"],
        "created_ms": now,
        "updated_ms": now,
    }
    with database.transaction():
        database.put("prompts", row)
        _strip(database, node.name, labels, now, keep=node.version)
        # tags belong to the prompt, not to a version
        database.run("UPDATE prompts SET tags = ? WHERE name = ?", (row["tags"], node.name))


def _strip(database: Database, name: str, labels: list[str], now: int, *, keep: int) -> None:
    for row in database.rows("SELECT * FROM prompts WHERE name = ? AND version != ?", (name, keep)):
        left = [label for label in json.loads(row["labels"]) if label not in labels]
        if left != json.loads(row["labels"]):
            _label(database, row["id"], left, now)


def _label(database: Database, prompt_id: str, labels: list[str], now: int) -> None:
    values = (json.dumps(labels), now, prompt_id)
    database.run("UPDATE prompts SET labels = ?, updated_ms = ? WHERE id = ?", values)


def _version(database: Database, name: str, version: int) -> Row | None:
    return database.row("SELECT * FROM prompts WHERE name = ? AND version = ?", (name, version))


def _labelled(database: Database, name: str, label: str) -> Row | None:
    rows = database.rows("SELECT * FROM prompts WHERE name = ?", (name,))
    return next((row for row in rows if label in json.loads(row["labels"])), None)


def _node(row: Row) -> Node:
    return Node(row["id"], row["name"], row["version"], row["type"], json.loads(row["prompt"]))


def _must_resolve(database: Database, node: Node) -> tuple[Any, dict[str, Any] | None]:
    def find(wanted: Reference) -> Node | None:
        if wanted.version is not None:
            row = _version(database, wanted.name, wanted.version)
        else:
            row = _labelled(database, wanted.name, wanted.label or PRODUCTION)
        return _node(row) if row else None

    try:
        return resolve(node, find)
    except Unresolvable as problem:
        raise refused(str(problem)) from None


def _no_dependents(database: Database, doomed: list[Row]) -> None:
    gone = {(row["name"], row["version"]) for row in doomed} | {
        (row["name"], label) for row in doomed for label in json.loads(row["labels"])
    }
    ids = {row["id"] for row in doomed}
    for row in database.rows("SELECT * FROM prompts"):
        for used in references(json.loads(row["prompt"])):
            if row["id"] not in ids and (used.name, used.version or used.label) in gone:
                raise refused(f"Other prompts are depending on this prompt: {row['name']} v{row['version']}")


def _shown(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "createdAt": wire(row["created_ms"]),
        "updatedAt": wire(row["updated_ms"]),
        "projectId": PROJECT_ID,
        "createdBy": "API",
        "prompt": json.loads(row["prompt"]),
        "name": row["name"],
        "version": row["version"],
        "type": row["type"],
        "isActive": None,
        "config": json.loads(row["config"]),
        "tags": json.loads(row["tags"]),
        "labels": json.loads(row["labels"]),
        "commitMessage": row["commit_message"],
    }


def _written(row: Row | None) -> dict[str, Any]:
    if row is None:
        raise Refusal(500, {"message": "Internal Server Error", "error": "InternalServerError"})
    return _shown(row)


def _meta(versions: list[Row]) -> dict[str, Any]:
    last = versions[-1]
    return {
        "name": last["name"],
        "tags": json.loads(last["tags"]),
        "lastUpdatedAt": wire(max(row["updated_ms"] for row in versions)),
        "versions": [row["version"] for row in versions],
        "labels": sorted({label for row in versions for label in json.loads(row["labels"])}),
        "type": last["type"],
        "lastConfig": json.loads(last["config"]),
    }


ROUTES = [
    Route("/api/public/v2/prompts", endpoint(listing, bucket="prompts"), methods=["GET"]),
    Route("/api/public/v2/prompts", endpoint(create, bucket="prompts"), methods=["POST"]),
    Route("/api/public/v2/prompts/{name}", endpoint(get, bucket="prompts"), methods=["GET"]),
    Route("/api/public/v2/prompts/{name}", endpoint(delete, bucket="prompts"), methods=["DELETE"]),
    Route("/api/public/v2/prompts/{name}/versions/{version}", endpoint(relabel), methods=["PATCH"]),
]
