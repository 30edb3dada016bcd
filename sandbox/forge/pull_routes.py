"""Pull requests over HTTP, with their comments, labels, reviews and statuses."""

import hashlib
from typing import Any

from starlette.responses import JSONResponse, Response

from sandbox.forge.endpoint import Call, Forge, Refusal, invalid, missing
from sandbox.forge.records import Record
from sandbox.forge.shapes import Shapes

LIMIT = 65_536


def known(forge: Forge, number: object) -> Record:
    """A pull request, its head where the branch stands now. Raises 404."""
    row = forge.records.get("pull", number)
    if row is None:
        raise missing()
    if row["state"] == "open":
        row["head_sha"] = forge.objects.branch(row["head"]) or row["head_sha"]
        # while it is open this is the commit of a trial merge, which is in no branch
        row["merge_commit_sha"] = hashlib.sha1(f"trial {row['head_sha']}".encode(), usedforsecurity=False).hexdigest()
    return row


async def account(call: Call) -> Response:
    """GET /user."""
    return JSONResponse(Shapes(call.forge).account())


async def list_pulls(call: Call) -> Response:
    """GET pulls, newest first."""
    forge, state, head, base = call.forge, call.asked("state", "open"), call.asked("head"), call.asked("base")
    rows = [known(forge, number) for number in forge.records.every("pull")]
    found = [
        row
        for row in reversed(rows)
        if state in ("all", row["state"])
        and (":" not in head or head == f"{forge.owner}:{row['head']}")
        and base in ("", row["base"])
    ]
    return call.page([Shapes(forge).pull(row, whole=False) for row in found])


async def open_pull(call: Call) -> Response:
    """POST pulls."""
    forge = call.forge
    head = call.text("head", "PullRequest").removeprefix(f"{forge.owner}:")
    base, title = call.text("base", "PullRequest"), call.text("title", "PullRequest")
    head_sha, base_sha = forge.objects.branch(head), forge.objects.branch(base)
    for field, sha in (("head", head_sha), ("base", base_sha)):
        if sha is None:
            raise Refusal(422, "Validation Failed", {"resource": "PullRequest", "field": field, "code": "invalid"})
    assert head_sha
    assert base_sha
    if any(row["head"] == head and row["state"] == "open" for row in forge.records.every("pull").values()):
        raise invalid("PullRequest", f"A pull request already exists for {forge.owner}:{head}.")
    if not forge.objects.ahead(base_sha, head_sha):
        raise invalid("PullRequest", f"No commits between {base} and {head}")
    number, now = forge.records.next("number"), forge.instant()
    row: Record = {
        "number": number,
        "title": _bounded(title, 256, "title"),
        "body": _bounded(call.body.get("body") or "", LIMIT, "body"),
        "state": "open",
        "head": head,
        "head_sha": head_sha,
        "base": base,
        "base_sha": base_sha,
        "user": forge.account,
        "labels": [],
        **dict.fromkeys(("merged_at", "merged_by", "merge_commit_sha", "closed_at", "closed_by")),
        "created_at": now,
        "updated_at": now,
    }
    forge.records.put("pull", number, row)
    return JSONResponse(Shapes(forge).pull(known(forge, number), whole=True), 201)


async def get_pull(call: Call) -> Response:
    """GET pulls/{number}."""
    forge, row = call.forge, known(call.forge, call.part("number"))
    counts = {
        "commits": len(_commits(forge, row)),
        "comments": len([c for c in forge.records.every("comment").values() if c["number"] == row["number"]]),
    }
    return JSONResponse(Shapes(forge).pull(row, whole=True, counts=counts))


async def edit_pull(call: Call) -> Response:
    """PATCH pulls/{number}."""
    forge, row = call.forge, known(call.forge, call.part("number"))
    if "title" in call.body:
        row["title"] = _bounded(call.text("title", "PullRequest"), 256, "title")
    if "body" in call.body:
        row["body"] = _bounded(call.body["body"] or "", LIMIT, "body")
    row["updated_at"] = forge.instant()
    if call.body.get("state") == "closed" and row["state"] == "open":
        row |= {"state": "closed", "closed_at": forge.instant(), "closed_by": forge.account, "merge_commit_sha": None}
    elif call.body.get("state") == "open" and row["state"] == "closed":
        raise invalid("PullRequest", "state cannot be changed. The pull request cannot be reopened.")
    forge.records.put("pull", row["number"], row)
    return JSONResponse(Shapes(forge).pull(known(forge, row["number"]), whole=True))


async def pull_commits(call: Call) -> Response:
    """GET pulls/{number}/commits, oldest first."""
    forge, row = call.forge, known(call.forge, call.part("number"))
    shapes = Shapes(forge)
    return call.page([shapes.listed_commit(sha, forge.objects.commit_row(sha) or {}) for sha in _commits(forge, row)])


async def get_issue(call: Call) -> Response:
    """GET issues/{number}."""
    return JSONResponse(Shapes(call.forge).issue(known(call.forge, call.part("number"))))


async def list_comments(call: Call) -> Response:
    """GET issues/{number}/comments, oldest first."""
    row = known(call.forge, call.part("number"))
    return call.page([Shapes(call.forge).comment(c) for c in _of(call.forge, "comment", row)])


async def list_reviews(call: Call) -> Response:
    """GET pulls/{number}/reviews, oldest first."""
    row = known(call.forge, call.part("number"))
    return call.page([Shapes(call.forge).review(r) for r in _of(call.forge, "review", row)])


async def comment(call: Call) -> Response:
    """POST issues/{number}/comments."""
    number = known(call.forge, call.part("number"))["number"]
    body = _bounded(call.text("body", "IssueComment"), LIMIT, "body")
    made = said(call.forge, "comment", number, call.forge.account, body, association="COLLABORATOR")
    return JSONResponse(Shapes(call.forge).comment(made), 201)


async def edit_comment(call: Call) -> Response:
    """PATCH issues/comments/{id}."""
    row = call.forge.records.get("comment", call.part("id"))
    if row is None:
        raise missing()
    row |= {"body": _bounded(call.text("body", "IssueComment"), LIMIT, "body"), "updated_at": call.forge.instant()}
    call.forge.records.put("comment", row["id"], row)
    return JSONResponse(Shapes(call.forge).comment(row))


async def add_labels(call: Call) -> Response:
    """POST issues/{number}/labels."""
    row = known(call.forge, call.part("number"))
    row["labels"] = list(dict.fromkeys([*row["labels"], *call.body.get("labels", [])]))
    call.forge.records.put("pull", row["number"], row)
    return JSONResponse([Shapes(call.forge).label(name) for name in row["labels"]])


async def list_statuses(call: Call) -> Response:
    """GET commits/{sha}/statuses, newest first."""
    rows = [row for row in call.forge.records.every("status").values() if row["sha"] == call.part("sha")]
    return call.page([Shapes(call.forge).status(row) for row in reversed(rows)])


async def set_status(call: Call) -> Response:
    """POST statuses/{sha}."""
    forge, sha = call.forge, call.part("sha")
    if forge.objects.commit_row(sha) is None:
        raise Refusal(422, f"No commit found for SHA: {sha}")
    state = call.text("state", "Status")
    if state not in ("error", "failure", "pending", "success"):
        raise invalid("Status", "State is not included in the list")
    row = {
        "id": forge.records.next("status", 30_000_000_000),
        "sha": sha,
        "state": state,
        "description": _bounded(call.body.get("description") or "", 140, "description"),
        "target_url": call.body.get("target_url"),
        "context": call.body.get("context", "default"),
        "user": forge.account,
        "created_at": forge.instant(),
    }
    forge.records.put("status", row["id"], row)
    return JSONResponse(Shapes(forge).status(row), 201)


def said(forge: Forge, kind: str, number: int, by: str, body: str, **more: Any) -> Record:
    """Keep a comment or a review."""
    id_, now = forge.records.next(kind, 2_000_000_000), forge.instant()
    row = {"id": id_, "number": number, "user": by, "body": body, "created_at": now, "updated_at": now, **more}
    forge.records.put(kind, id_, row)
    return row


def _of(forge: Forge, kind: str, pull: Record) -> list[Record]:
    return [row for row in forge.records.every(kind).values() if row["number"] == pull["number"]]


def _commits(forge: Forge, row: Record) -> list[str]:
    base = row["base_sha"] if row["state"] != "open" else forge.objects.branch(row["base"]) or row["base_sha"]
    return forge.objects.ahead(base, row["head_sha"])


def _bounded(text: str, limit: int, field: str) -> str:
    if len(text) > limit:
        raise invalid("PullRequest", f"{field} is too long (maximum is {limit} characters)")
    return text
