"""Git data over HTTP: refs, commits, trees, blobs and contents."""

import base64
from urllib.parse import quote

from starlette.responses import JSONResponse, Response

from sandbox.forge.endpoint import Call, Refusal, missing
from sandbox.forge.objects import Flat
from sandbox.forge.records import Record
from sandbox.forge.shapes import Shapes, node

LARGE = 1024 * 1024
"""Above this the contents API answers no content."""


async def get_ref(call: Call) -> Response:
    """GET git/ref/heads/{branch}."""
    branch = call.part("branch")
    sha = call.forge.objects.branch(branch)
    if sha is None:
        raise missing()
    return JSONResponse(Shapes(call.forge).ref(branch, sha))


async def make_ref(call: Call) -> Response:
    """POST git/refs."""
    forge = call.forge
    name, sha = call.text("ref", "Reference"), call.text("sha", "Reference")
    branch = name.removeprefix("refs/heads/")
    if branch == name or ".." in branch or " " in branch or branch.endswith("/"):
        raise Refusal(422, "Reference name is not valid")
    if forge.objects.commit_row(sha) is None:
        raise Refusal(422, "Object does not exist")
    if forge.objects.branch(branch):
        raise Refusal(422, "Reference already exists")
    if forge.protected(branch):
        raise Refusal(422, "Repository rule violations found\n\nCannot create ref due to creations being restricted.")
    forge.objects.point(branch, sha)
    return JSONResponse(Shapes(forge).ref(branch, sha), 201)


async def move_ref(call: Call) -> Response:
    """PATCH git/refs/heads/{branch}."""
    forge, branch, sha = call.forge, call.part("branch"), call.text("sha", "Reference")
    old = forge.objects.branch(branch)
    if old is None:
        raise Refusal(422, "Reference does not exist")
    if forge.objects.commit_row(sha) is None:
        raise Refusal(422, "Object does not exist")
    if forge.protected(branch):
        raise Refusal(422, "Repository rule violations found\n\nChanges must be made through a pull request.")
    if not call.body.get("force", False) and old not in forge.objects.ancestors(sha):
        raise Refusal(422, "Update is not a fast forward")
    forge.objects.point(branch, sha)
    return JSONResponse(Shapes(forge).ref(branch, sha))


async def get_commit(call: Call) -> Response:
    """GET git/commits/{sha}."""
    row = call.forge.objects.commit_row(call.part("sha"))
    if row is None:
        raise missing()
    return JSONResponse(Shapes(call.forge).git_commit(call.part("sha"), row))


async def make_commit(call: Call) -> Response:
    """POST git/commits."""
    forge = call.forge
    tree, parents = call.text("tree", "Commit"), call.body.get("parents", [])
    if forge.records.get("tree", tree) is None:
        raise Refusal(422, "Tree SHA does not exist")
    if any(forge.objects.commit_row(sha) is None for sha in parents):
        raise Refusal(422, "Parent SHA does not exist or is not a commit object")
    account = {"name": forge.account, "email": f"{forge.account}@users.noreply.github.com"}
    author = _person(call, call.body.get("author") or account)
    committer = _person(call, call.body.get("committer") or author)
    sha = forge.objects.commit(tree, parents, call.text("message", "Commit"), author, committer)
    return JSONResponse(Shapes(forge).git_commit(sha, forge.objects.commit_row(sha) or {}), 201)


async def make_tree(call: Call) -> Response:
    """POST git/trees."""
    forge = call.forge
    base = call.body.get("base_tree")
    files: Flat | None = forge.objects.files(base) if base else {}
    if files is None:
        raise Refusal(422, "base_tree is not a valid tree oid")
    for entry in call.body.get("tree") or []:
        path = entry.get("path", "")
        if not path or path.startswith("/") or {"..", ".git", ""} & set(path.split("/")):
            raise Refusal(422, "tree.path contains a malformed path component")
        sha = forge.objects.blob(entry["content"].encode()) if "content" in entry else entry.get("sha")
        files.pop(path, None)
        files |= {path: [entry.get("mode", "100644"), sha]} if sha else {}
    sha = forge.objects.tree(files)
    root = Shapes(forge).root
    rows = [_entry(root, path, mode, blob) for path, (mode, blob) in sorted(files.items())]
    return JSONResponse({"sha": sha, "url": f"{root}/git/trees/{sha}", "tree": rows, "truncated": False}, 201)


async def get_blob(call: Call) -> Response:
    """GET git/blobs/{sha}."""
    sha = call.part("sha")
    data = call.forge.objects.data(sha)
    if data is None:
        raise missing()
    about = {"sha": sha, "node_id": node("B", sha), "size": len(data), "encoding": "base64"}
    url = f"{Shapes(call.forge).root}/git/blobs/{sha}"
    return JSONResponse({**about, "url": url, "content": base64.encodebytes(data).decode()})


async def get_contents(call: Call) -> Response:
    """GET contents/{path}: a file, or what is in a folder."""
    forge, path, ref = call.forge, call.part("path"), call.asked("ref", "main")
    commit = forge.objects.resolved(ref)
    if commit is None:
        raise Refusal(404, f"No commit found for the ref {ref}")
    files = forge.objects.files(commit) or {}
    if path in files:
        return JSONResponse(_content(call, path, files[path][1], ref, whole=True))
    inside = [name for name in files if name.startswith(f"{path}/")]
    if not inside:
        raise missing()
    return JSONResponse([_content(call, name, files[name][1], ref, whole=False) for name in sorted(inside)])


def _content(call: Call, path: str, sha: str, ref: str, *, whole: bool) -> Record:
    shapes, data = Shapes(call.forge), call.forge.objects.data(sha) or b""
    url = f"{shapes.root}/contents/{quote(path)}?ref={quote(ref)}"
    page, blob = f"{shapes.site}/blob/{quote(ref)}/{quote(path)}", f"{shapes.root}/git/blobs/{sha}"
    large = len(data) > LARGE
    text = {"encoding": "none" if large else "base64", "content": "" if large else base64.encodebytes(data).decode()}
    return {
        "type": "file",
        "size": len(data),
        "name": path.rpartition("/")[2],
        "path": path,
        "sha": sha,
        "url": url,
        "git_url": blob,
        "html_url": page,
        "download_url": f"{shapes.site}/raw/{quote(ref)}/{quote(path)}",
        "_links": {"git": blob, "self": url, "html": page},
        **(text if whole else {}),
    }


def _entry(root: str, path: str, mode: str, sha: str) -> Record:
    return {"path": path, "mode": mode, "type": "blob", "sha": sha, "url": f"{root}/git/blobs/{sha}"}


def _person(call: Call, said: Record) -> Record:
    if not said.get("name") or not said.get("email"):
        raise Refusal(422, "Validation Failed", {"resource": "Commit", "code": "missing_field", "field": "author"})
    return {"name": said["name"], "email": said["email"], "date": said.get("date") or call.forge.instant()}
