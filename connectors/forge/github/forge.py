"""Pull requests on github.com and GitHub Enterprise servers: the port `Forge` over their REST API.

It must never merge, never force a push, and never reopen what a person closed.
"""

from types import TracebackType
from typing import Self

from connectors.forge.github.access import GitHubAccess
from connectors.forge.github.border import Taken
from connectors.forge.github.branches import Branches
from connectors.forge.github.client import GitHubClient
from connectors.forge.github.talk import Talk, lines
from connectors.forge.github.wire import Anything, Issue, Pull, Status
from connectors.forge.naming import branch_of, capped, checked_path
from optimizer.ports import Change, PullReading, PullRequest, PullState

CONTEXT = "tracegrad/gate"
LONGEST_TITLE = 256
REPORT, CLOSED = "report", "closed"
"""Topics of our own comments."""


class GitHub:
    """One repository. An async context manager: leaving it closes every connection."""

    def __init__(self, access: GitHubAccess) -> None:
        self._access = access
        self._client = GitHubClient(access)
        self._branches = Branches(access, self._client)
        self._talk = Talk(self._client)

    @property
    def name(self) -> str:
        """The repository and its server."""
        return self._client.where

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def propose(self, change: Change) -> PullRequest:
        """Find or create the pull request, and bring it up to date; see the port."""
        for path, _ in change.files:
            checked_path(path)
        branch = branch_of(change.key)
        pull = await self._found(branch) or await self._opened(change, branch)
        if pull.state == "open":
            await self._up_to_date(pull, change, branch)
        return PullRequest(number=pull.number, url=pull.html_url, branch=branch)

    async def read(self, request: PullRequest) -> PullReading:
        """What became of it; see the port."""
        pull = await self._pull(request)
        words = await self._talk.heard(pull)
        touched = await self._branches.touched(pull.number, request.branch)
        if pull.merged:
            by = pull.merged_by.login if pull.merged_by else ""
            if pull.base.ref != self._access.branch:
                # into a branch that may be open to people who could not merge into ours
                return PullReading(state=PullState.CLOSED, by=by, words=words, touched=touched)
            revision = pull.merge_commit_sha or ""
            return PullReading(state=PullState.MERGED, by=by, words=words, revision=revision, touched=touched)
        if pull.state == "open":
            return PullReading(state=PullState.OPEN, words=words, touched=touched)
        issue = await self._client.get(f"/issues/{pull.number}", Issue, "read who closed it")
        by = issue.closed_by.login if issue.closed_by else ""
        return PullReading(state=PullState.CLOSED, by=by, words=words, touched=touched)

    async def text_at(self, path: str, revision: str) -> str:
        """A file's text at a commit or branch; see the port."""
        return await self._branches.text_at(path, revision)

    async def close(self, request: PullRequest, why: str) -> None:
        """Close an open pull request and say why; see the port."""
        pull = await self._pull(request)
        if pull.state != "open":
            return
        await self._talk.say(pull, CLOSED, why)
        await self._client.write("PATCH", f"/pulls/{pull.number}", {"state": "closed"}, Anything, "close it")

    async def tell(self, request: PullRequest, topic: str, text: str) -> None:
        """One comment per topic; see the port."""
        await self._talk.say(await self._pull(request), topic, text)

    async def _pull(self, request: PullRequest) -> Pull:
        return await self._client.get(f"/pulls/{request.number}", Pull, "read a pull request")

    async def _found(self, branch: str) -> Pull | None:
        """The pull request of a branch: the open one, or else the newest."""
        head = f"{self._access.owner}:{branch}"
        pulls = await self._client.every("/pulls", Pull, "list pull requests", head=head, state="all")
        ours = [pull for pull in pulls if pull.head.ref == branch]
        return max(ours, key=lambda pull: (pull.state == "open", pull.number), default=None)

    async def _opened(self, change: Change, branch: str) -> Pull:
        await self._branches.start(branch, change.files, change.title)
        body = {"title": _title(change), "head": branch, "base": self._access.branch, "body": capped(change.body)}
        try:
            return await self._client.write("POST", "/pulls", body, Pull, "open a pull request")
        except Taken:
            found = await self._found(branch)
            if found is None:
                raise
            return found

    async def _up_to_date(self, pull: Pull, change: Change, branch: str) -> None:
        """Report, labels and status as they should be; files and words as well, unless a person changed the branch."""
        head, touched = pull.head.sha, await self._branches.touched(pull.number, branch)
        held = await self._branches.holds(head, change.files)
        if not held and not touched:
            stepped = await self._branches.step(branch, head, change.files, change.title)
            head, held, touched = stepped or head, bool(stepped), not stepped
        if not touched:
            await self._worded(pull, change)
        missing = {*self._access.labels, *change.labels} - {label.name for label in pull.labels}
        if missing:
            path = f"/issues/{pull.number}/labels"
            await self._client.write("POST", path, {"labels": sorted(missing)}, list[Anything], "label it")
        await self._talk.say(pull, REPORT, change.report)
        await self._marked(head, *_status(change.passed, held))

    async def _worded(self, pull: Pull, change: Change) -> None:
        title, body = _title(change), capped(change.body)
        if pull.title != title or lines(pull.body) != lines(body):
            await self._client.write("PATCH", f"/pulls/{pull.number}", {"title": title, "body": body}, Pull, "edit it")

    async def _marked(self, sha: str, state: str, description: str) -> None:
        """The commit status, sent again only when it changed."""
        known = await self._client.every(f"/commits/{sha}/statuses", Status, "read the status")
        newest = next((status for status in known if status.context == CONTEXT), None)
        if newest is None or (newest.state, newest.description) != (state, description):
            body = {"state": state, "context": CONTEXT, "description": description}
            await self._client.write("POST", f"/statuses/{sha}", body, Anything, "set the status")


def _title(change: Change) -> str:
    return " ".join(change.title.split())[:LONGEST_TITLE]


def _status(passed: bool, held: bool) -> tuple[str, str]:
    """State and words of the commit status; the gate has not seen a text that a person changed."""
    if not held:
        return "pending", "A person changed the text after the gate; it is gated again once it is merged"
    return ("success", "The gate passed") if passed else ("failure", "The gate did not pass")
