"""Cuts what we use out of GitHub's published OpenAPI description, `api.github.com.json`, named as the argument.

The description comes with the npm package @octokit/openapi (MIT). What is written is JSON Schema: `nullable` is
turned into a type, prose and examples are left out.
"""

import json
import sys
from pathlib import Path
from typing import Any

VERSION, LICENCE = "23.0.2", "MIT"
KEPT = Path(__file__).with_name("github_openapi.json")
REPO = "/repos/{owner}/{repo}"
OPERATIONS = (
    ("get", "/user"),
    ("get", f"{REPO}/git/ref/{{ref}}"),
    ("post", f"{REPO}/git/refs"),
    ("patch", f"{REPO}/git/refs/{{ref}}"),
    ("get", f"{REPO}/git/commits/{{commit_sha}}"),
    ("post", f"{REPO}/git/commits"),
    ("post", f"{REPO}/git/trees"),
    ("get", f"{REPO}/git/blobs/{{file_sha}}"),
    ("get", f"{REPO}/contents/{{path}}"),
    ("get", f"{REPO}/pulls"),
    ("post", f"{REPO}/pulls"),
    ("get", f"{REPO}/pulls/{{pull_number}}"),
    ("patch", f"{REPO}/pulls/{{pull_number}}"),
    ("get", f"{REPO}/pulls/{{pull_number}}/commits"),
    ("get", f"{REPO}/pulls/{{pull_number}}/reviews"),
    ("get", f"{REPO}/issues/{{issue_number}}"),
    ("get", f"{REPO}/issues/{{issue_number}}/comments"),
    ("post", f"{REPO}/issues/{{issue_number}}/comments"),
    ("patch", f"{REPO}/issues/comments/{{comment_id}}"),
    ("post", f"{REPO}/issues/{{issue_number}}/labels"),
    ("get", f"{REPO}/commits/{{ref}}/statuses"),
    ("post", f"{REPO}/statuses/{{sha}}"),
)
PROSE = {"description", "example", "examples", "title", "externalDocs", "deprecated", "x-github"}


def plain(node: Any, *, names: bool = False) -> Any:
    """The schema without prose; `nullable` as a type. `names`: the keys are names of properties."""
    if isinstance(node, list):
        return [plain(part) for part in node]
    if not isinstance(node, dict):
        return node
    kept = {
        key: plain(value, names=key == "properties" and not names)
        for key, value in node.items()
        if names or (key not in PROSE and key != "nullable" and not key.startswith("x-"))
    }
    if names or not node.get("nullable"):
        return kept
    if "enum" in kept:
        kept["enum"] = [*kept["enum"], *([None] if None not in kept["enum"] else [])]
    if isinstance(kept.get("type"), str):
        return {**kept, "type": [kept["type"], "null"]}
    return {"anyOf": [kept, {"type": "null"}]}


def schema_of(spec: Any, part: Any) -> Any:
    """The JSON schema of a request's or an answer's body, None when it has none."""
    while "$ref" in part:
        part = at(spec, part["$ref"])
    return next((plain(kind["schema"]) for name, kind in part.get("content", {}).items() if "json" in name), None)


def at(spec: Any, ref: str) -> Any:
    """What a reference points to."""
    for step in ref.removeprefix("#/").split("/"):
        spec = spec[step]
    return spec


def refs(node: Any) -> set[str]:
    """Every reference in a schema."""
    if isinstance(node, list):
        return {ref for part in node for ref in refs(part)}
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
    return own | {ref for part in node.values() for ref in refs(part)}


def operation(spec: Any, method: str, path: str) -> dict[str, Any]:
    """One operation: its parameters, the body it takes, the bodies of its good answers."""
    found = spec["paths"][path][method]
    given = [at(spec, p["$ref"]) if "$ref" in p else p for p in found.get("parameters", [])]
    answers = {status: schema_of(spec, a) for status, a in found["responses"].items() if status.startswith("2")}
    return {
        "query": {p["name"]: plain(p["schema"]) for p in given if p["in"] == "query"},
        "body": schema_of(spec, found["requestBody"]) if "requestBody" in found else None,
        "answers": answers,
    }


def main(source: str) -> None:
    """Write the file anew."""
    spec = json.loads(Path(source).read_text("utf-8"))
    used = {f"{method} {path}": operation(spec, method, path) for method, path in OPERATIONS}
    schemas: dict[str, Any] = {}
    wanted = refs(used)
    while missing := {ref.rsplit("/", 1)[1] for ref in wanted} - schemas.keys():
        schemas |= {name: plain(spec["components"]["schemas"][name]) for name in missing}
        wanted |= refs({name: schemas[name] for name in missing})
    about = (
        f"Excerpt of GitHub's OpenAPI description, from the npm package @octokit/openapi {VERSION}, licence {LICENCE}"
    )
    kept = {"about": about, "operations": used, "components": {"schemas": dict(sorted(schemas.items()))}}
    KEPT.write_text(json.dumps(kept, sort_keys=True, separators=(",", ":")) + "\n", "utf-8")
    print(f"{len(used)} operations, {len(schemas)} schemas, {KEPT.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
