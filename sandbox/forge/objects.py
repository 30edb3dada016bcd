"""Git's objects and branches, hashed as git does it: blobs, trees, commits, refs, and how two lines are merged.

A tree is kept flat, as paths to (mode, blob); its hash is that of the nested trees git would make of it.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.forge.records import Record, Records

Flat = dict[str, list[str]]
"""Path to [mode, blob hash]."""


class Conflict(Exception):
    """Both sides changed the same file."""


def hashed(kind: str, data: bytes) -> str:
    """The hash of a git object."""
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()


class Objects:
    """The objects of one repository."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def blob(self, data: bytes) -> str:
        """Keep bytes."""
        sha = hashed("blob", data)
        self._records.put("blob", sha, {"content": base64.b64encode(data).decode()})
        return sha

    def data(self, sha: str) -> bytes | None:
        """The bytes of a blob."""
        found = self._records.get("blob", sha)
        return base64.b64decode(found["content"]) if found else None

    def tree(self, files: Flat) -> str:
        """Keep a tree."""
        sha = _tree_hash(files)
        self._records.put("tree", sha, {"files": files})
        return sha

    def files(self, commit_or_tree: str) -> Flat | None:
        """The files of a tree or of a commit."""
        commit = self._records.get("commit", commit_or_tree)
        found = self._records.get("tree", commit["tree"] if commit else commit_or_tree)
        return found["files"] if found else None

    def commit(self, tree: str, parents: list[str], message: str, author: Record, committer: Record) -> str:
        """Keep a commit; a person is name, email and date."""
        people = "".join(
            f"{role} {person['name']} <{person['email']}> {person['date']}\n"
            for role, person in (("author", author), ("committer", committer))
        )
        lines = "".join(f"parent {parent}\n" for parent in parents)
        data = f"tree {tree}\n{lines}{people}\n{message}"
        sha = hashed("commit", data.encode("utf-8", "surrogatepass"))
        row = {"tree": tree, "parents": parents, "message": message, "author": author, "committer": committer}
        self._records.put("commit", sha, row)
        return sha

    def commit_row(self, sha: str) -> Record | None:
        """One commit."""
        return self._records.get("commit", sha)

    def branch(self, name: str) -> str | None:
        """The commit that a branch points to."""
        found = self._records.get("ref", name)
        return str(found["sha"]) if found else None

    def point(self, branch: str, sha: str) -> None:
        """Make or move a branch."""
        self._records.put("ref", branch, {"sha": sha})

    def resolved(self, name: str) -> str | None:
        """A commit by hash or branch."""
        return self.branch(name) or (name if self.commit_row(name) else None)

    def ancestors(self, sha: str) -> list[str]:
        """A commit and all before it, newest first."""
        seen: dict[str, None] = {}
        waiting = [sha]
        while waiting:
            current = waiting.pop(0)
            row = self.commit_row(current)
            if row and current not in seen:
                seen[current] = None
                waiting += row["parents"]
        return list(seen)

    def ahead(self, base: str, head: str) -> list[str]:
        """Commits of `head` that are not in `base`, oldest first."""
        known = set(self.ancestors(base))
        return [sha for sha in reversed(self.ancestors(head)) if sha not in known]

    def merged(self, base: str, head: str) -> Flat:
        """The files of both lines. Raises Conflict."""
        theirs = set(self.ancestors(head))
        fork = next((sha for sha in self.ancestors(base) if sha in theirs), None)
        before, ours, other = (self.files(sha) or {} if sha else {} for sha in (fork, base, head))
        result = dict(ours)
        for path in {*before, *other}:
            if other.get(path) == before.get(path):
                continue
            if ours.get(path) not in (before.get(path), other.get(path)):
                raise Conflict(path)
            result.pop(path, None)
            result |= {path: other[path]} if path in other else {}
        return result


def _tree_hash(files: Mapping[str, list[str]]) -> str:
    names: dict[str, Any] = {}
    for path, entry in files.items():
        head, _, rest = path.partition("/")
        if rest:
            names.setdefault(head, {})[rest] = entry
        else:
            names[head] = entry
    return hashed("tree", b"".join(_entries(names)))


def _entries(names: Mapping[str, Any]) -> Iterator[bytes]:
    for name in sorted(names, key=lambda name: name + "/" if isinstance(names[name], dict) else name):
        found = names[name]
        mode, sha = ("40000", _tree_hash(found)) if isinstance(found, dict) else found
        yield f"{mode.lstrip('0')} {name}\0".encode() + bytes.fromhex(sha)
