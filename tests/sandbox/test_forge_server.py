"""The sandbox forge is what GitHub is, where we rely on it: hashes, refusals, merges, pages; and it survives."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.forge.app import TOKEN, create_app
from sandbox.serving import serve

FILES = {"prompts/a.md": "A\n", "prompts.md": "P\n", "README.md": "# Shop\n", "prompts/deep/b.md": "B\n"}
REPO = "/repos/acme/shop"


def served(folder: Path) -> Iterator[httpx.Client]:
    """The forge over a folder, and a client with the token."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with (
        serve(create_app(folder, files=FILES)) as url,
        httpx.Client(base_url=url, headers=headers, verify=False) as http,
    ):
        yield http


@pytest.fixture
def http(tmp_path: Path) -> Iterator[httpx.Client]:
    yield from served(tmp_path)


def refused(answer: httpx.Response, status: int, told: str) -> None:
    assert answer.status_code == status
    assert told in answer.text
    assert answer.json()["status"] == str(status)


def head(http: httpx.Client, branch: str = "main") -> str:
    return str(http.get(f"{REPO}/git/ref/heads/{branch}").json()["object"]["sha"])


def act(http: httpx.Client, what: str, **order: Any) -> httpx.Response:
    return http.post(f"/sandbox/{what}", json=order)


def pull(http: httpx.Client, branch: str, files: dict[str, str | None]) -> int:
    act(http, "commit", branch=branch, files=files)
    made = http.post(f"{REPO}/pulls", json={"title": branch, "head": branch, "base": "main"})
    return int(made.raise_for_status().json()["number"])


def test_trees_and_blobs_have_the_hashes_that_git_gives_them(http: httpx.Client, tmp_path: Path) -> None:
    folder = tmp_path / "git"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()

    git("init", "-q")
    git("add", "-A")
    assert http.get(f"{REPO}/git/commits/{head(http)}").json()["tree"]["sha"] == git("write-tree")
    assert http.get(f"{REPO}/contents/prompts/a.md").json()["sha"] == git("hash-object", "prompts/a.md")


def test_what_stands_survives_a_restart(tmp_path: Path) -> None:
    for http in served(tmp_path):
        number = pull(http, "feature", {"README.md": "new"})
        before = http.get("/sandbox/state").json()["pulls"]
    for http in served(tmp_path):
        after = http.get("/sandbox/state").json()
        assert [one["number"] for one in after["pulls"]] == [number]
        assert after["pulls"][0]["head"]["sha"] == before[0]["head"]["sha"]
        assert pull(http, "another", {"README.md": "newer"}) == number + 1


def test_writes_that_github_refuses(http: httpx.Client) -> None:
    sha = head(http)
    post = lambda path, **body: http.post(f"{REPO}{path}", json=body)  # noqa: E731 -- said once
    assert post("/git/refs", ref="refs/heads/x", sha=sha).status_code == 201
    refused(post("/git/refs", ref="refs/heads/x", sha=sha), 422, "already exists")
    refused(post("/git/refs", ref="refs/heads/y", sha="0" * 40), 422, "does not exist")
    refused(post("/git/refs", ref="heads/y", sha=sha), 422, "not valid")
    refused(post("/pulls", title="t", head="x", base="main"), 422, "No commits between")
    refused(post("/pulls", title="t", head="none", base="main"), 422, "invalid")
    refused(post("/git/trees", base_tree=sha, tree=[{"path": "../x", "content": "x"}]), 422, "malformed")
    refused(post("/git/commits", message="m", tree="0" * 40, parents=[]), 422, "Tree SHA")
    act(http, "commit", branch="x", files={"a": "b"})
    refused(http.patch(f"{REPO}/git/refs/heads/x", json={"sha": sha}), 422, "not a fast forward")
    assert post("/pulls", title="t", head="x", base="main").status_code == 201
    refused(post("/pulls", title="t", head="acme:x", base="main"), 422, "already exists for acme:x")
    refused(post("/issues/1/comments", body="x" * 65_537), 422, "too long")
    refused(http.get(f"{REPO}/pulls", headers={"Authorization": "Bearer no"}), 401, "Bad credentials")
    refused(http.get("/repos/acme/other/pulls"), 404, "Not Found")


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_a_merge_keeps_what_others_changed(http: httpx.Client, method: str) -> None:
    number = pull(http, "feature", {"prompts/a.md": "A2\n", "prompts.md": None})
    act(http, "commit", branch="main", files={"README.md": "other"})
    before = head(http)
    assert http.get(f"{REPO}/pulls/{number}").json()["merge_commit_sha"] != before
    assert act(http, "merge", number=number, by="grace", method=method, delete_branch=True).is_success
    merged = http.get(f"{REPO}/pulls/{number}").json()
    assert (merged["merged"], merged["state"], merged["merged_by"]["login"]) == (True, "closed", "grace")
    assert merged["merge_commit_sha"] == head(http)
    row = http.get(f"{REPO}/git/commits/{head(http)}").json()
    assert len(row["parents"]) == (2 if method == "merge" else 1)
    assert row["parents"][0]["sha"] == before
    there = lambda path: http.get(f"{REPO}/contents/{path}").status_code  # noqa: E731 -- said once
    assert [there(path) for path in ("prompts/a.md", "prompts.md", "README.md")] == [200, 404, 200]
    assert http.get(f"{REPO}/git/ref/heads/feature").status_code == 404
    assert len(http.get(f"{REPO}/pulls/{number}/commits").json()) == 1


def test_a_conflict_is_not_merged(http: httpx.Client) -> None:
    number = pull(http, "feature", {"README.md": "one"})
    act(http, "commit", branch="main", files={"README.md": "two"})
    refused(act(http, "merge", number=number), 405, "conflicts")
    assert http.get(f"{REPO}/pulls/{number}").json()["state"] == "open"


def test_a_pull_request_whose_branch_is_deleted_is_closed(http: httpx.Client) -> None:
    number = pull(http, "feature", {"README.md": "one"})
    act(http, "delete-branch", branch="feature", by="grace")
    assert http.get(f"{REPO}/pulls/{number}").json()["state"] == "closed"
    assert http.get(f"{REPO}/issues/{number}").json()["closed_by"]["login"] == "grace"


def test_lists_come_in_pages(http: httpx.Client) -> None:
    numbers = [pull(http, f"b{n}", {"README.md": str(n)}) for n in range(5)]
    first = http.get(f"{REPO}/pulls", params={"per_page": 2, "state": "all"})
    second = http.get(first.links["next"]["url"])
    last = http.get(second.links["last"]["url"])
    found = [row["number"] for page in (first, second, last) for row in page.json()]
    assert found == sorted(numbers, reverse=True)
    assert "next" not in last.links
    assert http.get(f"{REPO}/pulls", params={"head": "acme:b3"}).json()[0]["number"] == numbers[3]
    assert http.get(f"{REPO}/pulls", params={"head": "acme:none"}).json() == []


DEATHS: list[tuple[str, Callable[[int], bool]]] = [
    ("die_before_write", lambda comments: comments == 1),
    ("die_after_write", lambda comments: comments == 2),
]


@pytest.mark.parametrize(("fault", "stands"), DEATHS)
def test_a_death_strikes_once_before_or_after_the_write(
    http: httpx.Client, fault: str, stands: Callable[[int], bool]
) -> None:
    number = pull(http, "feature", {"README.md": "one"})
    act(http, "faults", **{fault: 2})
    answers = [http.post(f"{REPO}/issues/{number}/comments", json={"body": str(n)}).status_code for n in range(2)]
    state = http.get("/sandbox/state").json()
    assert answers == [201, 502]
    assert stands(len(state["comment"]))
    assert state["writes"]["comment"] == len(state["comment"])
    assert http.post(f"{REPO}/issues/{number}/comments", json={"body": "2"}).status_code == 201


def test_what_a_person_cannot_do_is_said(http: httpx.Client) -> None:
    assert act(http, "faults", nonsense=1).status_code == 400
    assert act(http, "merge", number=77).status_code == 404
    assert act(http, "commit", branch="x").status_code == 400
