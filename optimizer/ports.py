"""What the loop needs of the outside world, and what it may rely on.

Each port is a Protocol with its contract in the docstring. Every port has an in-memory twin in `connectors/memory.py`,
and one contract suite in `tests/contracts/` runs on the twin and on the real connector. All methods raise the errors
of `optimizer.errors` and no vendor's.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from optimizer.identity import digest
from optimizer.prompts import Body, Head, Message, PromptVersion, Published, Superseded
from optimizer.rollouts import Exposure, Split
from optimizer.rules import ScoreRule
from optimizer.types import Arm, Case, Evidence, Generation, Score, Scored, Swap, Unscored, Usage, Window


class Clock(Protocol):
    """The one source of time outside the core. Tests hand in their own."""

    def now(self) -> datetime:
        """The present moment, aware, UTC."""
        ...


class TraceSource(Protocol):
    """Where production traces and their scores are read.

    Only allow-listed environments are returned, never the optimizer's own traces, never experiment runs. Nothing is
    returned twice by one call. Order is newest first. A row that cannot be read is left out and counted in
    `skipped_rows`, never raised: one broken row must not hide the rest.
    """

    @property
    def skipped_rows(self) -> int:
        """Rows left out since this source was made, because they could not be read."""
        ...

    def scores(self, window: Window, rules: Sequence[ScoreRule]) -> AsyncIterator[Score]:
        """Scores in the window that any of the rules asks for, to the last page: complaints, or every one of a name.

        A score that was edited comes back with its first `at` and a later `updated_at`: read overlapping windows and
        keep the row with the greatest `updated_at`. Scores of sessions and experiments are left out.
        """
        ...

    def generations(
        self, trace_ids: Sequence[str], prompts: Sequence[str], since: datetime
    ) -> AsyncIterator[Generation]:
        """Generations of these traces that are linked to one of these prompts and started at `since` or later.

        Asks for up to 100 traces a request, never one request per trace, and is newest first within each hundred. Ids
        that are not there (yet) are left out.
        """
        ...

    def recent(self, window: Window, *, limit: int, prompt: str = "") -> AsyncIterator[Generation]:
        """Up to `limit` generations in the window: of one prompt, or of any and none when `prompt` is empty."""
        ...

    def exposures(
        self, window: Window, prompt: str, *, place: Callable[[str], float], by: str
    ) -> AsyncIterator[Exposure]:
        """Every answer in the window that is linked to the prompt, without its texts; the first of a trace only.

        Args:
            place: of the raw key of a unit, in [0, 1); the raw key goes no further.
            by: "user" or "session": what a unit is. Answers without that key are left out.
        """
        ...


class CaseSource(Protocol):
    """Where curated test cases are read, and where anchors are kept."""

    def cases(self, dataset: str) -> AsyncIterator[Case]:
        """Active items of a dataset in id order. Raises NotFound when there is no such dataset."""
        ...

    async def keep(self, dataset: str, cases: Sequence[Case]) -> None:
        """Write cases into a dataset, which is made when there is none; a case that is there already is replaced.

        An item's id is `case.id`. What was written comes back from `cases` with the same id, input and reference, and
        with the tags as slices.
        """
        ...


class PromptRegistry(Protocol):
    """Where prompts live. Versions are immutable; labels are pointers that can be moved, never removed."""

    async def head(self, name: str, *, label: str = "production") -> Head:
        """The labelled version and the newest number, unresolved (`resolve=false`).

        Raises NotFound when the prompt does not exist or no version carries the label.
        """
        ...

    async def get(self, name: str, version: int) -> PromptVersion:
        """One version, unresolved. Raises NotFound."""
        ...

    async def publish(self, name: str, body: Body, *, base: Head, run_id: str, note: str) -> Published | Superseded:
        """Create the next version, if the prompt is still what `base` says.

        Idempotent by `run_id`: a version that this run already made is found and returned, not made again, whatever
        became of the answer to the first attempt. Config is carried over from the base. No label is set. Superseded
        when anything changed since `base` was read; then a version that was made in the race keeps no label of ours.
        """
        ...

    async def move_label(self, name: str, label: str, *, to: int, expect: int) -> bool:
        """Point the label to version `to`, if it points to `expect` now; read back. Already at `to` counts as moved.

        `expect=0` means that no version has the label yet. False, and nothing changed, when it points anywhere else.
        Raises NotFound when version `to` does not exist.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One model call. Everything that shapes the answer is in it, so its key can stand for the answer.

    Attributes:
        purpose: what the call is for (task, backward, rewrite, judge): for accounting, and part of the key.
        reply_schema: JSON schema text that the reply must follow; empty for free text. `reply_name` names it.
        attempt: counts repair requests and repeated samples; a different attempt is a different call.
    """

    purpose: str
    model: str
    messages: tuple[Message, ...]
    reply_schema: str = ""
    reply_name: str = ""
    temperature: float = 0.0
    max_tokens: int = 2048
    tools_json: str = ""
    attempt: int = 0

    @property
    def key(self) -> str:
        """SHA-256 over every field, length-prefixed."""
        said = [text for m in self.messages for text in (m.role, m.content, *m.marks)]
        return digest(
            self.purpose,
            self.model,
            self.reply_schema,
            self.reply_name,
            repr(self.temperature),
            str(self.max_tokens),
            self.tools_json,
            str(self.attempt),
            *said,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReply:
    """A usable answer: not empty, not cut off, not a refusal.

    Attributes:
        replayed: it came out of a journal: how long it took says nothing.
    """

    text: str
    model: str
    usage: Usage = field(default_factory=Usage)
    replayed: bool = False


class LanguageModel(Protocol):
    """A chat model. Safe to call from many tasks at once; it bounds its own concurrency and retries by itself."""

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Answer one request.

        Raises CutOff, Refused, EmptyReply for answers that must not be used; Transient after its own retries;
        Permanent for keys, unknown models and malformed requests. Does not parse structured replies.
        """
        ...


class Judge(Protocol):
    """Says what one answer is worth. Safe to call from many tasks at once."""

    @property
    def name(self) -> str:
        """Names the judge in reports."""
        ...

    async def judge(self, case: Case, output: str) -> Scored | Unscored:
        """A score in [0, 1] with feedback in words, as helpful as it can be; `Scored.reason` is the text loss.

        Unscored when no judgement could be made of this one answer; the next may be judged. Raises Permanent only
        when no answer can be judged.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """What two answers to the same case are worth beside each other, and which place won in each order.

    Attributes:
        swap: missing when a score could not be had.
    """

    baseline: Scored | Unscored
    candidate: Scored | Unscored
    swap: Swap | None = None


class PairJudge(Protocol):
    """Says which of two answers to the same case is better. Safe to call from many tasks at once."""

    @property
    def name(self) -> str:
        """Names the judge in reports."""
        ...

    async def prefer(self, case: Case, baseline: str, candidate: str) -> Preference:
        """1 and 0 for a clear preference that does not depend on the order, otherwise 0.5 and 0.5.

        The judge is not told which answer is whose. Unscored for both when no judgement could be made. Raises
        Permanent only when no pair can be judged.
        """
        ...


class Evaluator(Protocol):
    """Runs both arms on the same cases and judges every answer."""

    @property
    def name(self) -> str:
        """Names the evaluator in reports: tool and version."""
        ...

    async def compare(self, arms: Mapping[Arm, PromptVersion], cases: Sequence[Case], *, sample: int = 0) -> Evidence:
        """Paired evidence for every case, in case-id order. Another `sample` draws the answers anew.

        Never raises for one bad case: an answer that is refused, empty or cut off scores 0, a judgement that could
        not be made is Unscored. When the runner itself fails, returns what there is with `complete=False` and the
        reason. Raises Permanent only when it cannot start at all.
        """
        ...


# ---- where releases go ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a pull request proposes.

    Attributes:
        key: names the branch; the same key is the same pull request, however often it is proposed.
        files: (path, text) pairs of one commit.
        report: the gate report in Markdown; one comment, which is edited when the report changes.
        passed: the gate's verdict, for the commit status.
    """

    key: str
    title: str
    body: str
    files: tuple[tuple[str, str], ...]
    report: str
    passed: bool
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """A pull request as the forge names it. `number` is 0 where there are only branches."""

    number: int
    url: str
    branch: str


class PullState(StrEnum):
    """What became of a pull request."""

    OPEN = "open"
    MERGED = "merged"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PullReading:
    """A pull request as it stands.

    Attributes:
        by: who merged or closed it, empty while it is open or where the forge does not say.
        words: what people wrote about it, oldest first; hostile text as any.
        revision: the commit in which it was merged; empty unless it was.
        touched: a person's commit is on the branch.
    """

    state: PullState
    by: str = ""
    words: tuple[str, ...] = ()
    revision: str = ""
    touched: bool = False


class Forge(Protocol):
    """Where pull requests are opened. Never forces a push over a person's commit, never merges."""

    @property
    def name(self) -> str:
        """Names the forge and the repository, for people."""
        ...

    async def propose(self, change: Change) -> PullRequest:
        """Find or create the pull request of `change.key`; bring files, title, report, status and labels up to date.

        Idempotent: called again after any interruption, there is still one branch, one pull request, one report. What
        a person changed on the branch stays; then only report and status are brought up to date. A closed pull request
        of the same key is never reopened: it is returned. Raises Permanent with what to do when the repository, the
        branch or the token does not allow it; Transient when asked to wait.
        """
        ...

    async def read(self, request: PullRequest) -> PullReading:
        """What became of it. Raises NotFound when it does not exist."""
        ...

    async def text_at(self, path: str, revision: str) -> str:
        """A file's text at a commit or branch. Raises NotFound."""
        ...

    async def close(self, request: PullRequest, why: str) -> None:
        """Close an open pull request and say why, once; one that is closed or merged already stays as it is."""
        ...

    async def tell(self, request: PullRequest, topic: str, text: str) -> None:
        """One comment per topic: made, or edited when it is there already."""
        ...


class FlagService(Protocol):
    """Where applications ask which version a user gets."""

    @property
    def name(self) -> str:
        """Names the service, for people."""
        ...

    async def read(self, prompt: str) -> Split | None:
        """What is served now; None when the service has nothing for the prompt. Raises BadAnswer for what it does not
        understand, such as a flag that somebody made by hand.
        """
        ...

    async def start(self, prompt: str, salt: str) -> Split:
        """Everybody on production, ready for a rollout; the salt of the result counts, since some services keep theirs.

        Idempotent. Never changes a flag that shows somebody anything but production.
        """
        ...

    async def write(self, split: Split, *, expect: Split, why: str) -> bool:
        """Serve `split`, if `expect` is served now; read back. Already served counts as written.

        False, and nothing changed, when anything else is served: somebody changed it by hand.
        """
        ...

    def place(self, split: Split, key: str) -> float:
        """Where the service puts a raw user or session key, in [0, 1)."""
        ...
