"""GitHub's answers in full: what its OpenAPI description requires, with ids and addresses as it makes them."""

import base64
import hashlib
from typing import Any
from urllib.parse import quote

from sandbox.forge.endpoint import Forge
from sandbox.forge.records import Record

_USER_PATHS = {
    "events_url": "/events{/privacy}",
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "organizations_url": "/orgs",
    "received_events_url": "/received_events",
    "repos_url": "/repos",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
}
_REPOSITORY_PATHS = {
    "archive": "/{archive_format}{/ref}",
    "assignees": "/assignees{/user}",
    "blobs": "/git/blobs{/sha}",
    "branches": "/branches{/branch}",
    "collaborators": "/collaborators{/collaborator}",
    "comments": "/comments{/number}",
    "commits": "/commits{/sha}",
    "compare": "/compare/{base}...{head}",
    "contents": "/contents/{+path}",
    "contributors": "/contributors",
    "deployments": "/deployments",
    "downloads": "/downloads",
    "events": "/events",
    "forks": "/forks",
    "git_commits": "/git/commits{/sha}",
    "git_refs": "/git/refs{/sha}",
    "git_tags": "/git/tags{/sha}",
    "hooks": "/hooks",
    "issue_comment": "/issues/comments{/number}",
    "issue_events": "/issues/events{/number}",
    "issues": "/issues{/number}",
    "keys": "/keys{/key_id}",
    "labels": "/labels{/name}",
    "languages": "/languages",
    "merges": "/merges",
    "milestones": "/milestones{/number}",
    "notifications": "/notifications{?since,all,participating}",
    "pulls": "/pulls{/number}",
    "releases": "/releases{/id}",
    "stargazers": "/stargazers",
    "statuses": "/statuses/{sha}",
    "subscribers": "/subscribers",
    "subscription": "/subscription",
    "tags": "/tags",
    "teams": "/teams",
    "trees": "/git/trees{/sha}",
}
_BORN = "2020-01-01T00:00:00Z"


def number_of(text: str) -> int:
    """A number that always belongs to a text, as long as GitHub's ids are."""
    return int(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:7], 16)


def node(kind: str, id_: object) -> str:
    """A node id, opaque."""
    return f"{kind}_{base64.urlsafe_b64encode(str(id_).encode()).decode().rstrip('=')}"


class Shapes:
    """Answers of one repository; built from records and never stored."""

    def __init__(self, forge: Forge) -> None:
        self._forge = forge
        self.root = f"{forge.base_url}/repos/{forge.repository}"
        self.site = f"{forge.base_url}/{forge.repository}"

    def user(self, login: str) -> Record:
        """An account; a name that ends in [bot] is one of an app."""
        url = f"{self._forge.base_url}/users/{quote(login)}"
        return {
            "login": login,
            "id": number_of(login),
            "node_id": node("U", login),
            "avatar_url": f"{self._forge.base_url}/avatars/{number_of(login)}",
            "gravatar_id": "",
            "url": url,
            "html_url": f"{self._forge.base_url}/{quote(login)}",
            **{name: url + path for name, path in _USER_PATHS.items()},
            "type": "Bot" if login.endswith("[bot]") else "User",
            "site_admin": False,
        }

    def account(self) -> Record:
        """The account of the token, as it sees itself."""
        nothing = dict.fromkeys(("bio", "company", "email", "hireable", "location", "name"))
        counts = dict.fromkeys(("followers", "following", "public_gists", "public_repos"), 0)
        return {
            **self.user(self._forge.account),
            **nothing,
            "blog": "",
            **counts,
            "created_at": _BORN,
            "updated_at": _BORN,
        }

    def repository(self) -> Record:
        """The repository."""
        owner, _, name = self._forge.repository.partition("/")
        id_ = number_of(self._forge.repository)
        nothing = dict.fromkeys(("description", "homepage", "language", "mirror_url", "license"))
        counts = ("forks", "forks_count", "open_issues", "open_issues_count", "stargazers_count", "watchers", "size")
        flags = ("fork", "private", "has_downloads", "has_projects", "has_wiki", "has_pages", "archived", "disabled")
        return {
            "id": id_,
            "node_id": node("R", id_),
            "name": name,
            "full_name": self._forge.repository,
            "owner": self.user(owner),
            "url": self.root,
            "html_url": self.site,
            "clone_url": f"{self.site}.git",
            "git_url": f"{self.site}.git",
            "ssh_url": f"git@localhost:{self._forge.repository}.git",
            "svn_url": self.site,
            "default_branch": "main",
            **{f"{name}_url": self.root + path for name, path in _REPOSITORY_PATHS.items()},
            **nothing,
            **dict.fromkeys(counts, 0),
            "watchers_count": 0,
            **dict.fromkeys(flags, False),
            "has_issues": True,
            "pushed_at": _BORN,
            "created_at": _BORN,
            "updated_at": _BORN,
        }

    def ref(self, branch: str, sha: str) -> Record:
        """A branch."""
        url = f"{self.root}/git/refs/heads/{branch}"
        target = {"type": "commit", "sha": sha, "url": f"{self.root}/git/commits/{sha}"}
        return {"ref": f"refs/heads/{branch}", "node_id": node("REF", branch), "url": url, "object": target}

    def git_commit(self, sha: str, row: Record) -> Record:
        """A commit of the git data API."""
        return {
            "sha": sha,
            "node_id": node("C", sha),
            "url": f"{self.root}/git/commits/{sha}",
            "html_url": f"{self.site}/commit/{sha}",
            "author": row["author"],
            "committer": row["committer"],
            "message": row["message"],
            "tree": {"sha": row["tree"], "url": f"{self.root}/git/trees/{row['tree']}"},
            "parents": self._parents(row),
            "verification": _UNSIGNED,
        }

    def listed_commit(self, sha: str, row: Record) -> Record:
        """A commit in a list."""
        tree = {"sha": row["tree"], "url": f"{self.root}/git/trees/{row['tree']}"}
        return {
            "sha": sha,
            "node_id": node("C", sha),
            "url": f"{self.root}/commits/{sha}",
            "html_url": f"{self.site}/commit/{sha}",
            "comments_url": f"{self.root}/commits/{sha}/comments",
            "commit": {
                "author": row["author"],
                "committer": row["committer"],
                "message": row["message"],
                "tree": tree,
                "url": f"{self.root}/git/commits/{sha}",
                "comment_count": 0,
                "verification": _UNSIGNED,
            },
            "author": None,
            "committer": None,
            "parents": self._parents(row),
        }

    def label(self, name: str) -> Record:
        """A label."""
        id_, url = number_of(name), f"{self.root}/labels/{name.replace(' ', '%20')}"
        about = {"name": name, "description": "", "color": "ededed", "default": False}
        return {"id": id_, "node_id": node("LA", id_), "url": url, **about}

    def comment(self, row: Record) -> Record:
        """A comment on a pull request."""
        url = f"{self.root}/issues/comments/{row['id']}"
        return {
            "id": row["id"],
            "node_id": node("IC", row["id"]),
            "url": url,
            "html_url": f"{self.site}/pull/{row['number']}#issuecomment-{row['id']}",
            "issue_url": f"{self.root}/issues/{row['number']}",
            "body": row["body"],
            "user": self.user(row["user"]),
            "created_at": row["created_at"],
            "updated_at": row["updated_at"],
            "author_association": row["association"],
        }

    def review(self, row: Record) -> Record:
        """A review that was submitted."""
        pull = f"{self.root}/pulls/{row['number']}"
        page = f"{self.site}/pull/{row['number']}#pullrequestreview-{row['id']}"
        return {
            "id": row["id"],
            "node_id": node("PRR", row["id"]),
            "user": self.user(row["user"]),
            "body": row["body"],
            "state": row["state"],
            "html_url": page,
            "pull_request_url": pull,
            "_links": {"html": {"href": page}, "pull_request": {"href": pull}},
            "submitted_at": row["created_at"],
            "commit_id": row["commit"],
            "author_association": row["association"],
        }

    def status(self, row: Record) -> Record:
        """A commit status."""
        creator = self.user(row["user"])
        return {
            "url": f"{self.root}/statuses/{row['sha']}",
            "avatar_url": creator["avatar_url"],
            "id": row["id"],
            "node_id": node("SC", row["id"]),
            "state": row["state"],
            "description": row["description"],
            "target_url": row["target_url"],
            "context": row["context"],
            "created_at": row["created_at"],
            "updated_at": row["created_at"],
            "creator": creator,
        }

    def issue(self, row: Record) -> Record:
        """The issue that a pull request is, too."""
        url = f"{self.root}/issues/{row['number']}"
        return {
            **self._common(row, url),
            "html_url": f"{self.site}/pull/{row['number']}",
            "repository_url": self.root,
            "labels_url": f"{url}/labels{{/name}}",
            "comments_url": f"{url}/comments",
            "events_url": f"{url}/events",
            "comments": 0,
            "closed_by": self.user(row["closed_by"]) if row["closed_by"] else None,
        }

    def pull(self, row: Record, *, whole: bool, counts: Record | None = None) -> Record:
        """A pull request: as a list shows it, or whole."""
        url, page = f"{self.root}/pulls/{row['number']}", f"{self.site}/pull/{row['number']}"
        issue = f"{self.root}/issues/{row['number']}"
        links = {
            "self": url,
            "html": page,
            "issue": issue,
            "comments": f"{issue}/comments",
            "review_comments": f"{url}/comments",
            "review_comment": f"{self.root}/pulls/comments{{/number}}",
            "commits": f"{url}/commits",
            "statuses": f"{self.root}/statuses/{row['head_sha']}",
        }
        named = ("comments", "review_comments", "review_comment", "commits", "statuses", "issue")
        listed = {
            **self._common(row, url),
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            **{f"{name}_url": links[name] for name in named},
            "_links": {name: {"href": target} for name, target in links.items()},
            "head": self._side(row["head"], row["head_sha"]),
            "base": self._side(row["base"], row["base_sha"]),
            "merged_at": row["merged_at"],
            "merge_commit_sha": row["merge_commit_sha"],
            "auto_merge": None,
            "draft": False,
        }
        if not whole:
            return listed
        return {
            **listed,
            "merged": row["merged_at"] is not None,
            "merged_by": self.user(row["merged_by"]) if row["merged_by"] else None,
            "mergeable": None,
            "mergeable_state": "unknown",
            "maintainer_can_modify": False,
            **dict.fromkeys(("additions", "changed_files", "deletions", "review_comments", "comments", "commits"), 0),
            **(counts or {}),
        }

    def _common(self, row: Record, url: str) -> Record:
        return {
            "id": number_of(f"{self._forge.repository}#{row['number']}"),
            "node_id": node("PR", row["number"]),
            "url": url,
            "number": row["number"],
            "title": row["title"],
            "body": row["body"],
            "state": row["state"],
            "locked": False,
            "user": self.user(row["user"]),
            "labels": [self.label(name) for name in row["labels"]],
            "assignee": None,
            "milestone": None,
            "author_association": "COLLABORATOR",
            "created_at": row["created_at"],
            "updated_at": row["updated_at"],
            "closed_at": row["closed_at"],
        }

    def _side(self, branch: str, sha: str) -> Record:
        owner = self._forge.owner
        about = {"user": self.user(owner), "repo": self.repository()}
        return {"label": f"{owner}:{branch}", "ref": branch, "sha": sha, **about}

    def _parents(self, row: Record) -> list[Any]:
        return [
            {"sha": sha, "url": f"{self.root}/git/commits/{sha}", "html_url": f"{self.site}/commit/{sha}"}
            for sha in row["parents"]
        ]


_UNSIGNED = {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}
