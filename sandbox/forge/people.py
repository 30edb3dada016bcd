"""What people do on the forge, under /sandbox/: they merge, close, comment, review, commit and make rules."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.forge.endpoint import Forge, Refusal
from sandbox.forge.hooks import Hook, deliver
from sandbox.forge.objects import Conflict
from sandbox.forge.pull_routes import known, said
from sandbox.forge.records import Record
from sandbox.forge.shapes import Shapes

Act = Callable[[Forge, Record], Hook | None]


def merge(forge: Forge, order: Record) -> Hook:
    """`{number, by, method}`: merge, squash or rebase, as the button does."""
    row, by = known(forge, order["number"]), str(order.get("by", "ada"))
    if row["state"] != "open":
        raise Refusal(405, "Pull Request is not mergeable")
    base = forge.objects.branch(row["base"]) or ""
    try:
        tree = forge.objects.tree(forge.objects.merged(base, row["head_sha"]))
    except Conflict:
        raise Refusal(405, "Pull Request has merge conflicts") from None
    method, number, title = order.get("method", "merge"), row["number"], row["title"]
    parents = [base, row["head_sha"]] if method == "merge" else [base]
    ours = forge.objects.commit_row(row["head_sha"]) or {}
    message = {
        "merge": f"Merge pull request #{number} from {forge.owner}/{row['head']}\n\n{title}",
        "squash": f"{title} (#{number})",
        "rebase": str(ours.get("message")),
    }[method]
    sha = forge.objects.commit(tree, parents, message, person(forge, by), _WEB | {"date": forge.instant()})
    forge.objects.point(row["base"], sha)
    now = forge.instant()
    row |= {"state": "closed", "merged_at": now, "closed_at": now, "updated_at": now, "base_sha": base}
    row |= {"merged_by": by, "closed_by": by, "merge_commit_sha": sha}
    forge.records.put("pull", number, row)
    if order.get("delete_branch"):
        forge.records.drop("ref", row["head"])
    return Hook("pull_request", "closed", number, by)


def close(forge: Forge, order: Record) -> Hook | None:
    """`{number, by}`: close without merging."""
    row, by = known(forge, order["number"]), str(order.get("by", "ada"))
    if row["state"] != "open":
        return None
    base = forge.objects.branch(row["base"]) or row["base_sha"]
    row |= {
        "state": "closed",
        "closed_at": forge.instant(),
        "closed_by": by,
        "merge_commit_sha": None,
        "base_sha": base,
    }
    forge.records.put("pull", row["number"], row)
    return Hook("pull_request", "closed", row["number"], by)


def retarget(forge: Forge, order: Record) -> None:
    """`{number, base}`: let it be merged into another branch."""
    row = known(forge, order["number"])
    row |= {"base": order["base"], "base_sha": forge.objects.branch(order["base"])}
    forge.records.put("pull", row["number"], row)


def comment(forge: Forge, order: Record) -> Hook:
    """`{number, by, body, association}`: anybody may comment; MEMBER unless it is said."""
    by, association = str(order.get("by", "ada")), order.get("association", "MEMBER")
    said(forge, "comment", order["number"], by, order["body"], association=association)
    return Hook("issue_comment", "created", order["number"], by)


def review(forge: Forge, order: Record) -> Hook:
    """`{number, by, body, state, association}`."""
    row, by = known(forge, order["number"]), str(order.get("by", "ada"))
    more = {"association": order.get("association", "MEMBER"), "commit": row["head_sha"]}
    said(forge, "review", row["number"], by, order["body"], state=order.get("state", "COMMENTED"), **more)
    return Hook("pull_request_review", "submitted", row["number"], by)


def commit(forge: Forge, order: Record) -> Hook | None:
    """`{branch, by, files: {path: text or null}, message}`: a commit on top of a branch, or from main for a new one."""
    branch, by = order["branch"], str(order.get("by", "ada"))
    head = forge.objects.branch(branch) or forge.objects.branch("main") or ""
    files = forge.objects.files(head) or {}
    for path, text in order["files"].items():
        files.pop(path, None)
        files |= {} if text is None else {path: ["100644", forge.objects.blob(text.encode("utf-8", "surrogatepass"))]}
    who = person(forge, by)
    sha = forge.objects.commit(
        forge.objects.tree(files), [head] if head else [], order.get("message", "Edit"), who, who
    )
    forge.objects.point(branch, sha)
    number = next((row["number"] for row in _open(forge) if row["head"] == branch), 0)
    return Hook("pull_request", "synchronize", number, by) if number else None


def delete_branch(forge: Forge, order: Record) -> Hook | None:
    """`{branch, by}`: its pull request is closed by that."""
    number = next((row["number"] for row in _open(forge) if row["head"] == order["branch"]), 0)
    hook = close(forge, {"number": number, "by": order.get("by", "ada")}) if number else None
    forge.records.drop("ref", order["branch"])
    return hook


def protect(forge: Forge, order: Record) -> None:
    """`{pattern, on}`: a rule that keeps the token's account from making and moving branches."""
    if order.get("on", True):
        forge.records.put("protected", order["pattern"], {})
    else:
        forge.records.drop("protected", order["pattern"])


def faults(forge: Forge, order: Record) -> None:
    """Set switches by name; see `Faults`."""
    forge.faults.update(order)


def webhook(forge: Forge, order: Record) -> None:
    """`{url, secret}`: where events are delivered; no url is nowhere."""
    forge.records.put("webhook", "one", {"url": order.get("url", ""), "secret": order.get("secret", "")})


def person(forge: Forge, login: str) -> Record:
    """A person as an author of a commit."""
    return {"name": login.title(), "email": f"{login}@example.com", "date": forge.instant()}


def _open(forge: Forge) -> list[Record]:
    return [row for row in forge.records.every("pull").values() if row["state"] == "open"]


_WEB = {"name": "GitHub", "email": "noreply@github.com"}


def acting(act: Act) -> Callable[[Request], Awaitable[Response]]:
    """A route by which a person acts."""

    async def answer(request: Request) -> Response:
        forge: Forge = request.app.state.forge
        try:
            order: dict[str, Any] = await request.json()
            with forge.records.transaction():
                hook = act(forge, order)
        except Refusal as refusal:
            return refusal.response
        except (KeyError, TypeError, ValueError) as problem:
            return JSONResponse({"message": repr(problem)}, 400)
        task = BackgroundTask(deliver, forge, hook) if hook else None
        return JSONResponse({"done": True}, background=task)

    return answer


async def shown(request: Request) -> Response:
    """What stands: pull requests, comments, reviews, statuses, branches; and how often each kind was written."""
    forge: Forge = request.app.state.forge
    shapes = Shapes(forge)
    found = {
        "writes": dict(forge.writes),
        "faults": asdict(forge.faults),
        "pulls": [shapes.pull(known(forge, number), whole=True) for number in forge.records.every("pull")],
        **{kind: list(forge.records.every(kind).values()) for kind in ("comment", "review", "status")},
        "branches": {name: row["sha"] for name, row in forge.records.every("ref").items()},
    }
    return JSONResponse(found)


ACTS: tuple[Act, ...] = (merge, close, retarget, comment, review, commit, delete_branch, protect, faults, webhook)
ROUTES = [
    Route("/sandbox/state", shown, methods=["GET"]),
    *(Route(f"/sandbox/{act.__name__.replace('_', '-')}", acting(act), methods=["POST"]) for act in ACTS),
]
