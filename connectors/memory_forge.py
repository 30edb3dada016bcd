"""A forge in memory: the twin of the real ones, with what people do to a pull request as methods for tests."""

from dataclasses import dataclass, field, replace

from connectors.forge.naming import branch_of, checked_path
from optimizer.errors import NotFound
from optimizer.ports import Change, PullReading, PullRequest, PullState

US = "tracegrad"


@dataclass(slots=True)
class Pull:
    """A pull request as the twin keeps it.

    Attributes:
        files: text by path on the branch.
        told: our comments by topic.
        status: whether the gate passed what is on the branch now; None when a person changed it.
    """

    request: PullRequest
    change: Change
    files: dict[str, str]
    told: dict[str, str] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)
    status: bool | None = None
    reading: PullReading = field(default_factory=lambda: PullReading(state=PullState.OPEN))


class MemoryForge:
    """One repository; `files` is what is on its base branch."""

    def __init__(self, files: dict[str, str] | None = None, *, base: str = "main") -> None:
        self.pulls: dict[str, Pull] = {}
        self._base = base
        self._commits: dict[str, dict[str, str]] = {base: dict(files or {})}

    @property
    def name(self) -> str:
        """Names it."""
        return "the forge in memory"

    async def propose(self, change: Change) -> PullRequest:
        """See the port."""
        for path, _ in change.files:
            checked_path(path)
        branch = branch_of(change.key)
        request = PullRequest(number=len(self.pulls) + 1, url=f"memory://{branch}", branch=branch)
        pull = self.pulls.setdefault(branch, Pull(request=request, change=change, files=dict(change.files)))
        if pull.reading.state is PullState.OPEN:
            if not pull.reading.touched:
                pull.change = change
                pull.files |= dict(change.files)
            held = all(pull.files.get(path) == text for path, text in change.files)
            pull.status = change.passed if held else None
            pull.labels |= set(change.labels)
            pull.told["report"] = change.report
        return pull.request

    async def read(self, request: PullRequest) -> PullReading:
        """See the port."""
        return self._pull(request).reading

    async def text_at(self, path: str, revision: str) -> str:
        """See the port."""
        branch = self.pulls.get(revision)
        files = branch.files if branch else self._commits.get(revision, {})
        if checked_path(path) not in files:
            raise NotFound(f"{self.name} has no file {path} at {revision}", "correct its `path`")
        return files[path]

    async def close(self, request: PullRequest, why: str) -> None:
        """See the port."""
        pull = self._pull(request)
        if pull.reading.state is PullState.OPEN:
            pull.told["closed"] = why
            pull.reading = replace(pull.reading, state=PullState.CLOSED, by=US)

    async def tell(self, request: PullRequest, topic: str, text: str) -> None:
        """See the port."""
        self._pull(request).told[topic] = text

    def edit(self, request: PullRequest, path: str, text: str | None) -> None:
        """A person commits to the branch; None removes the file."""
        pull = self._pull(request)
        pull.files.pop(path, None)
        if text is not None:
            pull.files[path] = text
        pull.reading = replace(pull.reading, touched=True)

    def say(self, request: PullRequest, text: str) -> None:
        """A person writes something about it."""
        pull = self._pull(request)
        pull.reading = replace(pull.reading, words=(*pull.reading.words, text))

    def merge(self, request: PullRequest, by: str) -> str:
        """A person merges it; returns the revision."""
        pull = self._pull(request)
        revision = f"{len(self._commits):040x}"
        gone = {path for path, _ in pull.change.files} - pull.files.keys()
        kept = {path: text for path, text in self._commits[self._base].items() if path not in gone}
        self._commits[self._base] = self._commits[revision] = {**kept, **pull.files}
        pull.reading = replace(pull.reading, state=PullState.MERGED, by=by, revision=revision)
        return revision

    def turn_down(self, request: PullRequest, by: str) -> None:
        """A person closes it."""
        pull = self._pull(request)
        pull.reading = replace(pull.reading, state=PullState.CLOSED, by=by)

    def _pull(self, request: PullRequest) -> Pull:
        if request.branch not in self.pulls:
            raise NotFound(f"{self.name} has no pull request {request.number}", "correct the number")
        return self.pulls[request.branch]
