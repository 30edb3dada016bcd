"""The values of the loop, in the order in which they flow. Open this first.

    Trace -> TextLoss -> Gradient -> RootCause -> Edit -> Candidate -> Evidence, and on in `optimizer/proof.py`

Every value is frozen and holds what it was made from, so lineage is a walk through fields. Ids are content addresses.
Missing data is a member of `Missing`, never 0, None or NaN; units stand in the names.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from optimizer.identity import digest
from optimizer.prompts import Body, Message, PromptVersion, body_json
from optimizer.usage import Missing as Missing
from optimizer.usage import Usage as Usage

UNDATED = datetime.min.replace(tzinfo=UTC)
"""When something happened whose time nobody recorded: a run outside production."""


# ---- what production said ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A half-open interval of time, [start, end), both aware."""

    start: datetime
    end: datetime


class ScoreKind(StrEnum):
    """The type of a score's value, in Langfuse's words."""

    NUMERIC = "NUMERIC"
    BOOLEAN = "BOOLEAN"
    CATEGORICAL = "CATEGORICAL"
    TEXT = "TEXT"
    CORRECTION = "CORRECTION"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One judgement of a trace.

    Attributes:
        value: float, bool, category or corrected output, by `kind`.
        comment: the judge's or user's words; hostile text; empty when there are none.
        observation_id: set when the score is about one observation, empty when it is about the whole trace.
    """

    id: str
    name: str
    kind: ScoreKind
    value: float | bool | str
    comment: str
    trace_id: str
    observation_id: str
    environment: str
    at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One recorded model call, as the trace store holds it, or of a run outside production. All texts are hostile.

    Attributes:
        prompt_name: the linked prompt, empty when the application linked none.
        prompt_version: the linked version, 0 when none.
        input: the recorded input, raw: usually the JSON text of chat messages.
        source_key: keyed hash of the user or session behind it; empty when neither was recorded.
    """

    id: str
    trace_id: str
    prompt_name: str
    prompt_version: int
    environment: str
    at: datetime
    input: str
    output: str
    model: str
    source_key: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One production generation linked to a registered prompt version, with the complaints about it.

    Attributes:
        n_prompts: registered prompts that took part in the same trace; the blame is shared by 1/n.
    """

    generation: Generation
    scores: tuple[Score, ...]
    n_prompts: int = 1

    @property
    def id(self) -> str:
        return digest("trace", self.generation.trace_id, self.generation.id)


# ---- why it was bad, and how the prompt should change --------------------------------------------------------------


class LossKind(StrEnum):
    """Where the words of a text loss come from, best first."""

    CORRECTION = "correction"
    COMMENT = "comment"
    SCORE = "score"
    FEEDBACK = "feedback"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLoss:
    """Why one trace was bad, in words.

    Attributes:
        text: the complaint; for a correction, what a person wrote instead; for a bare score, the score in words; for
            feedback, what an evaluator said about a run outside production.
        weight: share of the blame, in (0, 1].
    """

    trace: Trace
    kind: LossKind
    text: str
    weight: float

    @property
    def id(self) -> str:
        return digest("loss", self.trace.id, self.kind, self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gradient:
    """How the prompt should change because of one loss, in the critic's words.

    Attributes:
        warrants_change: False is an allowed answer: the complaint is not the prompt's doing.
        text: the criticism, or the reason why nothing should change.
        path: the nodes of the text graph between the loss and what should change, the loss's side first; empty when
            the loss is about the output of the prompt itself.
    """

    loss: TextLoss
    warrants_change: bool
    text: str
    path: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return digest("gradient", self.loss.id, str(self.warrants_change), self.text, *self.path)

    @property
    def source_key(self) -> str:
        return self.loss.trace.generation.source_key


@dataclass(frozen=True, slots=True, kw_only=True)
class RootCause:
    """Gradients that say the same. `label` is short and local to one step: c1, c2, ..."""

    label: str
    summary: str
    gradients: tuple[Gradient, ...]

    @property
    def id(self) -> str:
        return digest("cause", *sorted(g.id for g in self.gradients))

    @property
    def sources(self) -> frozenset[str]:
        """The independent sources behind it; gradients without a source are one together, and none beside others."""
        return frozenset(g.source_key for g in self.gradients if g.source_key) or frozenset(("",))


class EditOp(StrEnum):
    ADD = "add"
    REPLACE = "replace"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One change of one line, because of one root cause.

    Attributes:
        line: id of a line in the base document; an `add` puts its text after that line ("0" puts it first).
        text: the new line; empty for `remove`.
    """

    op: EditOp
    line: str
    text: str
    reason: str
    cause: RootCause

    @property
    def id(self) -> str:
        return digest("edit", self.op, self.line, self.text, self.cause.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A parent and edits. It passed the guard, or it does not exist."""

    parent: PromptVersion
    edits: tuple[Edit, ...]
    body: Body

    @property
    def id(self) -> str:
        return digest("candidate", self.parent.sha256, body_json(self.body))


# ---- proof ---------------------------------------------------------------------------------------------------------


class CaseOrigin(StrEnum):
    """Where a case comes from.

    An anchor is a complaint that a release fixed; config is the owner's own promptfoo tests.
    """

    DATASET = "dataset"
    REPLAY = "replay"
    ANCHOR = "anchor"
    ATTACK = "attack"
    COMPLAINT = "complaint"
    CONFIG = "config"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseInput:
    """What an application put into its prompt: enough to run any version of the prompt on the same input.

    Attributes:
        variables: (name, value) pairs, sorted by name.
        placeholders: (name, messages) pairs, sorted by name.
        history: messages that followed the prompt's own, the user's question last.
        tools_json: the request's tool definitions as JSON, empty when there were none.
    """

    variables: tuple[tuple[str, str], ...] = ()
    placeholders: tuple[tuple[str, tuple[Message, ...]], ...] = ()
    history: tuple[Message, ...] = ()
    tools_json: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test input. `id` is safe to show to anybody: letters, digits, dash and underscore only.

    Attributes:
        reference: the expected output, or why there is none.
        source_key: as in `Generation`; dataset cases carry their own id here.
        complaint: what a person disliked about the recorded output; empty when nobody complained.
        tags: a tag like "language:de" puts the case into that slice.
        at: when production recorded the input.
    """

    id: str
    origin: CaseOrigin
    input: CaseInput
    reference: str | Missing
    source_key: str
    recorded_output: str = ""
    complaint: str = ""
    tags: tuple[str, ...] = ()
    at: datetime | Missing = Missing.NOT_RECORDED


class Arm(StrEnum):
    """Which text answered."""

    BASELINE = "baseline"
    CANDIDATE = "candidate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A judgement in [0, 1], 1 is best."""

    value: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unscored:
    """The judgement could not be made: infrastructure failed, the arm is not to blame."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One prompt's answer to one case while searching, and what it was worth."""

    case_id: str
    output: str
    result: Scored | Unscored


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One arm's answer to one case, and what it was worth.

    Attributes:
        usage: what the answer cost; the judge's calls are not in it.
        latency_s: seconds until the answer; missing when it was not waited for, such as one out of the journal.
    """

    case_id: str
    arm: Arm
    output: str
    result: Scored | Unscored
    usage: Usage
    latency_s: float | Missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Both arms on the same case, generated by the same model in the same run."""

    case: Case
    baseline: Evaluation
    candidate: Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """One answer that was judged twice, which shows how far the judge agrees with itself."""

    case_id: str
    arm: Arm
    first: float
    second: float


class Shown(StrEnum):
    """Which of two answers a judge preferred, by the place where it was shown."""

    FIRST = "first"
    SECOND = "second"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """One pair that was judged in both orders: `forward` with the baseline first, `backward` with the candidate."""

    case_id: str
    forward: Shown
    backward: Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Paired results, in case-id order.

    Attributes:
        complete: False when the runner itself failed or was cut short; then no verdict but undecided is possible.
        note: why it is not complete; empty otherwise.
        repeats, swaps: what is known about the judge itself.
    """

    pairs: tuple[Pair, ...]
    model: str
    evaluator: str
    complete: bool = True
    note: str = ""
    repeats: tuple[Repeat, ...] = ()
    swaps: tuple[Swap, ...] = ()


class Verdict(StrEnum):
    """Only a pass may ship. Undecided is not a pass."""

    PASS = "pass"
    FAIL = "fail"
    UNDECIDED = "undecided"
