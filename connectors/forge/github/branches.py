"""Branches and commits by the git data API: any number of files in one commit, and no push that is not a step forward.

GitHub refuses a step that is none, so a commit that a person made in the meantime is never lost.
"""

import base64
import binascii
from collections.abc import Sequence

from connectors.forge.github.access import GitHubAccess
from connectors.forge.github.border import Taken
from connectors.forge.github.client import GitHubClient, in_path
from connectors.forge.github.wire import Blob, Content, GitCommit, ListedCommit, Made, Ref
from connectors.forge.naming import Author, checked_path, message_of
from optimizer.errors import BadInput, NotFound

Files = Sequence[tuple[str, str]]

LARGEST = 4_000_000
"""Bytes of a file that is read; no prompt is so long."""


class Branches:
    """Our branches in one repository."""

    def __init__(self, access: GitHubAccess, client: GitHubClient) -> None:
        self._base = access.branch
        self._author = Author.of(access.author)
        self._client = client

    async def start(self, branch: str, files: Files, title: str) -> None:
        """The branch with one commit of ours on top of the base, unless it is there already."""
        if await self._head(branch) is not None:
            return
        base = await self._head(self._base)
        if base is None:
            raise NotFound(
                f"{self._client.where} has no branch '{self._base}', or the token may not see the repository",
                "check `forge.repository`, `forge.branch` and what the token may reach",
            )
        sha = await self._commit(base, files, message_of(title, branch))
        try:
            body = {"ref": f"refs/heads/{branch}", "sha": sha}
            await self._client.write("POST", "/git/refs", body, Ref, "make a branch")
        except Taken:
            if await self._head(branch) is None:
                raise

    async def step(self, branch: str, head: str, files: Files, title: str) -> str:
        """One more commit on top of `head`; returns its hash, or an empty text when `head` was not the top any more."""
        sha = await self._commit(head, files, message_of(title, branch))
        path = f"/git/refs/heads/{in_path(branch)}"
        try:
            await self._client.write("PATCH", path, {"sha": sha, "force": False}, Ref, "push to our branch")
        except Taken:
            return ""
        return sha

    async def touched(self, number: int, branch: str) -> bool:
        """Whether a commit of the pull request is not ours."""
        commits = await self._client.every(f"/pulls/{number}/commits", ListedCommit, "read its commits")
        return not all(self._ours(commit, branch) for commit in commits)

    async def holds(self, revision: str, files: Files) -> bool:
        """Whether every file has this text at a commit."""
        for path, text in files:
            try:
                if await self.text_at(path, revision) != text:
                    return False
            except (NotFound, BadInput):
                return False
        return True

    async def text_at(self, path: str, revision: str) -> str:
        """A file's text. Raises NotFound, and BadInput for what is no text."""
        address = f"/contents/{in_path(checked_path(path))}"
        try:
            found = await self._client.get(address, Content, "read a file", ref=revision)
        except NotFound as error:
            raise NotFound(
                f"{self._client.where} has no file {path} at {revision}, or the token may not see it",
                "add the prompt's file there, or correct its `path`",
            ) from error
        if found.type != "file" or found.size > LARGEST:
            raise BadInput(f"{path} is no file that can hold a prompt", "correct the `path` of the prompt's file")
        blob = Blob(encoding=found.encoding, content=found.content)
        if found.encoding == "none":
            blob = await self._client.get(f"/git/blobs/{found.sha}", Blob, "read a file")
        try:
            return base64.b64decode(blob.content).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise BadInput(f"{path} is not UTF-8 text", "save it as UTF-8") from error

    async def _head(self, branch: str) -> str | None:
        ref = await self._client.find(f"/git/ref/heads/{in_path(branch)}", Ref, "read a branch")
        return ref.object.sha if ref else None

    async def _commit(self, parent: str, files: Files, message: str) -> str:
        """A commit that no branch points to yet."""
        tree = (await self._client.get(f"/git/commits/{parent}", GitCommit, "read a commit")).tree.sha
        entries = [
            {"path": checked_path(path), "mode": "100644", "type": "blob", "content": text} for path, text in files
        ]
        made = await self._client.write("POST", "/git/trees", {"base_tree": tree, "tree": entries}, Made, "commit")
        who = {"name": self._author.name, "email": self._author.email}
        body = {"message": message, "tree": made.sha, "parents": [parent], "author": who, "committer": who}
        return (await self._client.write("POST", "/git/commits", body, Made, "commit")).sha

    def _ours(self, listed: ListedCommit, branch: str) -> bool:
        who = (listed.commit.author, listed.commit.committer)
        return self._author.made(branch, listed.commit.message, *(person.email if person else "" for person in who))
