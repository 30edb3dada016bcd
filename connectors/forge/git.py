"""Proposals without a forge: a branch is pushed with plain `git`, and whoever may merge it decides.

What a forge would show is in files beside the prompt's: `.tracegrad/BRANCH/report.md` and so on, one per topic. These
files also tell what became of a branch: on the base branch they mean that it was merged, however that was done. One
that is gone without that was refused. Every operation works in a clone of its own, which is thrown away.

It must never force a push, and never delete a branch.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors.forge.clone import Clone, opened, without_password
from connectors.forge.naming import TRAILER, Author, branch_of, checked_path, message_of, slug
from optimizer.errors import BadSettings, NotFound, ServerFault
from optimizer.ports import Change, PullReading, PullRequest, PullState

PROPOSAL, REPORT, CLOSED = "proposal", "report", "closed"
"""Topics that have a file of their own."""

MOST_WORDS, LONGEST = 50, 2_000
"""Of what people wrote in commits: how many texts, the newest, and characters of each."""
_TRIES = 5
_HASH = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """The commit on the base branch by which a branch arrived, and who made it; empty where it is our own."""

    arrival: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A clone that holds the base branch and, where it exists, one of ours.

    Attributes:
        head: the commit of our branch, empty where there is none.
    """

    clone: Clone
    branch: str
    base: str
    head: str
    author: Author

    @property
    def folder(self) -> str:
        """Where the words about the branch are."""
        return f".tracegrad/{self.branch.rpartition('/')[2]}"

    def file(self, topic: str) -> str:
        """Where the words about a topic are."""
        return f"{self.folder}/{topic if topic in (PROPOSAL, REPORT, CLOSED) else slug(topic)}.md"

    async def commits(self, since: str) -> list[tuple[bool, str]]:
        """Commits of the branch that are not in `since`, oldest first: whether it is ours, and its message."""
        said = await self.clone.git("log", "-z", "--reverse", "--format=%ae%n%ce%n%B", self.head, f"^{since}")
        rows = [row.split("\n", 2) for row in said.split("\0") if row]
        return [(self.author.made(self.branch, message, *emails), message) for *emails, message in rows]

    async def merge(self) -> Merge | None:
        """How the branch arrived on the base; None when it has not."""
        # whatever way it was merged: squashed, rebased, cherry-picked
        added = ("--first-parent", "-m", "--no-renames", "--diff-filter=A")
        shown = ("-1", "--format=%H%n%ce%n%cn")
        found = await self.clone.git("log", *added, *shown, self.base, "--", self.folder)
        if not found:
            # somebody took our files out before they merged it
            ours = ("--fixed-strings", f"--grep={TRAILER}: {self.branch}")
            found = await self.clone.git("log", *ours, *shown, self.base)
        if not found:
            return None
        arrival, email, name = found.split("\n", 2)
        return Merge(arrival=arrival, by="" if email.lower() == self.author.email.lower() else name)

    async def is_over(self) -> bool:
        """Whether the branch, which exists, was merged or closed."""
        return await self.is_closed() or await self.merge() is not None

    async def is_closed(self) -> bool:
        """Whether we have closed it, or a person has thrown it away."""
        return not self.head or bool(await self.clone.entries(self.head, self.file(CLOSED)))

    async def write(self, parent: str, files: dict[str, str], title: str) -> bool:
        """One commit with those files that say something else now; False when somebody was there first."""
        blobs = await self.clone.blobs(files)
        there = await self.clone.entries(parent, *files)
        changed = {path: sha for path, sha in blobs.items() if path not in there or there[path][1] != sha}
        if not changed:
            return True
        sha = await self.clone.commit(parent, changed, message_of(title, self.branch))
        return await self.clone.push(sha, self.branch)


class GitPush:
    """One remote that `git push` understands."""

    def __init__(
        self,
        *,
        remote: str,
        branch: str = "main",
        author: str = "Tracegrad <tracegrad@localhost>",
        timeout_s: float = 20.0,
    ) -> None:
        if not remote or remote.startswith("-") or "::" in remote or not branch or branch.startswith("-"):
            raise BadSettings("`forge.remote` or `forge.branch` is none", "name what `git push` is given")
        # a folder is found from wherever git is run
        self._remote = str(Path(remote).resolve()) if Path(remote).is_dir() else remote
        self._base = branch
        self._author = Author.of(author)
        self._timeout_s = timeout_s

    @property
    def name(self) -> str:
        """The remote, without a password."""
        return without_password(self._remote)

    async def propose(self, change: Change) -> PullRequest:
        """Push the branch, or bring it up to date; see the port. A branch that a person deleted is not remembered."""
        branch = branch_of(change.key)
        files = {checked_path(path): text for path, text in change.files}
        for _ in range(_TRIES):
            async with self._view(branch) as view:
                if await self._proposed(view, change, files):
                    return PullRequest(number=0, url="", branch=branch)
        raise ServerFault(f"{self.name}: the branch kept moving")

    async def read(self, request: PullRequest) -> PullReading:
        """What became of a branch; see the port. `revision` is where the base branch stands now, with the merge."""
        async with self._view(request.branch) as view:
            merge = await view.merge()
            commits = await view.commits(f"{merge.arrival}^" if merge else view.base) if view.head else []
            words = tuple(message.strip()[:LONGEST] for ours, message in commits if not ours)[-MOST_WORDS:]
            touched = not all(ours for ours, _ in commits)
            if merge:
                state, by, revision = PullState.MERGED, merge.by, view.base
            else:
                state, by, revision = PullState.CLOSED if await view.is_closed() else PullState.OPEN, "", ""
            return PullReading(state=state, by=by, words=words, revision=revision, touched=touched)

    async def text_at(self, path: str, revision: str) -> str:
        """A file's text; see the port."""
        where, single = checked_path(path), _is_hash(revision)
        if not _is_name(revision):
            raise NotFound(f"{self.name} has no such branch", "correct its name")
        async with opened(self._remote, self._author, self._timeout_s) as clone:
            try:
                await clone.fetch(revision if single else f"refs/heads/{revision}", depth=1)
                text = await clone.text("FETCH_HEAD", where)
            except NotFound:
                text = await self._text_in_base(clone, where, revision) if single else None
        if text is None:
            raise NotFound(f"{self.name} has no file {where} at {revision}", "add it there, or correct its `path`")
        return text

    async def _text_in_base(self, clone: Clone, path: str, revision: str) -> str | None:
        """The same, from a server that gives no single commits."""
        try:
            await clone.fetch(f"refs/heads/{self._base}")
            return await clone.text(revision, path)
        except NotFound:
            return None

    async def close(self, request: PullRequest, why: str) -> None:
        """Say in a file on the branch that it is closed; see the port. The branch stays: it may hold others' work."""
        await self._noted(request.branch, CLOSED, why)

    async def tell(self, request: PullRequest, topic: str, text: str) -> None:
        """One file per topic; see the port. Where there is no branch any more, nobody is told."""
        await self._noted(request.branch, topic, text)

    async def _proposed(self, view: View, change: Change, files: dict[str, str]) -> bool:
        told = {view.file(REPORT): change.report}
        if not view.head:
            whole = {**files, **told, view.file(PROPOSAL): change.body}
            return await view.merge() is not None or await view.write(view.base, whole, change.title)
        if await view.is_over():
            return True
        touched = not all(ours for ours, _ in await view.commits(view.base))
        words = told if touched else {**files, **told, view.file(PROPOSAL): change.body}
        return await view.write(view.head, words, change.title)

    async def _noted(self, branch: str, topic: str, text: str) -> None:
        for _ in range(_TRIES):
            async with self._view(branch) as view:
                over = not view.head or (topic == CLOSED and await view.is_over())
                if over or await view.write(view.head, {view.file(topic): text}, "Say more about this proposal"):
                    return
        raise ServerFault(f"{self.name}: the branch kept moving")

    @asynccontextmanager
    async def _view(self, branch: str) -> AsyncIterator[View]:
        async with opened(self._remote, self._author, self._timeout_s) as clone:
            # a pattern, because a name that is not there would be an error
            wanted = (f"refs/heads/{self._base}", f"refs/heads/{branch}*")
            try:
                await clone.fetch(*(f"{names}:{names}" for names in wanted))
            except NotFound as error:
                raise NotFound(
                    f"there is no branch '{self._base}' at {self.name}, or no repository",
                    "correct `forge.remote` or `forge.branch`",
                ) from error
            heads = await clone.heads()
            yield View(
                clone=clone, branch=branch, base=heads[self._base], head=heads.get(branch, ""), author=self._author
            )


def _is_name(revision: str) -> bool:
    """Whether git could take it for a branch or a commit, and for nothing else."""
    marks = set(" ~^:?*[\\")
    return revision.isprintable() and marks.isdisjoint(revision) and ".." not in revision and revision[:1] not in "-/"


def _is_hash(revision: str) -> bool:
    return len(revision) == _HASH and set(revision) <= set("0123456789abcdef")
