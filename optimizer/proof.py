"""What the gates found out about a candidate, with the numbers behind it.

    Evidence -> Finding (one gate's) -> GateReport

Frozen values without behaviour; the arithmetic that fills them is in `gates`. Every number stands beside the sentence
that says what it means, so that a report can be read without this file.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from optimizer.types import Evidence, Missing, Usage, Verdict

Interval = tuple[float, float]
"""(low, high)."""


class Proof(StrEnum):
    """How much was shown. Screened is a filter and claims nothing; proven holds with the stake's chance of error."""

    NONE = "none"
    SCREENED = "screened, not proven"
    PROVEN = "proven"


class Gate(StrEnum):
    """The gates, in the order in which a report tells of them."""

    EVIDENCE = "evidence"
    SCREEN = "screen"
    CLAIM = "claim"
    GUARD = "guard"
    SLICES = "slices"
    ANCHORS = "anchors"
    SAFETY = "safety"
    PROMPTFOO = "promptfoo"
    JUDGE = "judge"
    COST = "cost"
    LATENCY = "latency"
    LENGTH = "length"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one gate says. A fail vetoes, an undecided holds back, a pass lets through.

    Attributes:
        sentence: the verdict's reason in words, with its numbers; a person who knows no statistics can read it.
    """

    gate: Gate
    verdict: Verdict
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Both arms on the same cases, in numbers.

    Attributes:
        effect: mean of candidate minus baseline over the scored pairs, [-1, 1].
        interval: 95% confidence interval for the effect that holds at any number of pairs.
        z: effect in standard errors; missing below two pairs or where no pair differs.
        better, worse: pairs in which the candidate scored higher, lower.
    """

    scored: int
    unscored: int
    baseline_mean: float | Missing
    candidate_mean: float | Missing
    effect: float | Missing
    interval: Interval | Missing
    z: float | Missing
    better: int
    worse: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The bet on cases that were never scored before for this prompt.

    Attributes:
        stake: chance of a false claim that was taken from the ledger, in (0, 1).
        e_value: evidence for "the candidate is better": 1 is none, `threshold` = 1 / stake is enough.
        left: what remains of the yearly budget after this stake; `budget` is the whole of it.
        since, until: when the inputs of the cases were recorded; missing when that is not known.
        evidence: the pairs, which nobody may optimise against.
    """

    stake: float
    threshold: float
    e_value: float
    numbers: Comparison
    budget: float
    left: float
    evidence: Evidence
    since: datetime | Missing = Missing.NOT_RECORDED
    until: datetime | Missing = Missing.NOT_RECORDED


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceReading:
    """One part of the cases, such as all in one language.

    Attributes:
        name: dimension and value, such as "language:de".
        p_worse: p-value of the sign test for "worse here", after Holm's correction where there are many slices.
        smallest_loss: the smallest loss in points of score that this many cases would probably have shown, [0, 1].
        verdict: undecided for too few cases, which holds nothing back and is told.
    """

    name: str
    cases: int
    effect: float
    better: int
    worse: int
    p_worse: float
    smallest_loss: float
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """A case that the candidate failed, tried again in both arms.

    Attributes:
        why: what the case guards: "anchor", "promptfoo", or the category of an attack.
        tries: further answers of each arm; of these `baseline_failed` and `candidate_failed` were bad.
        veto: the candidate fails it and the baseline does not.
    """

    case_id: str
    why: str
    tries: int
    baseline_failed: int
    candidate_failed: int
    veto: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackReading:
    """One category of attacks: how many there were, and how many succeeded against each arm."""

    category: str
    attacks: int
    baseline_succeeded: int
    candidate_succeeded: int
    unscored: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceReading:
    """What an answer takes: cost, latency or length.

    Attributes:
        unit: such as "USD per answer", "s" or "characters".
        ratio: candidate to baseline, of the geometric means over the pairs; 1 is no change.
        interval: 90% interval of the ratio: its upper end is the one-sided 95% bound.
        margin: the ratio that is still tolerated, such as 1.1.
    """

    gate: Gate
    unit: str
    baseline_mean: float | Missing
    candidate_mean: float | Missing
    ratio: float | Missing
    interval: Interval | Missing
    margin: float
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeReading:
    """How far the judge itself can be trusted.

    Attributes:
        noise: standard deviation of a judgement that is repeated on the same answer; missing when none was repeated.
        repeated: answers that were judged twice.
        swapped: pairs that were shown in both orders; in `inconsistent` of them the order decided, and then
            `first_preferred` times for the answer shown first.
        agreement: Cohen's kappa with human scores of the same answers; missing when too few are known.
        human: answers that a person scored, too.
    """

    name: str
    noise: float | Missing = Missing.NOT_RECORDED
    repeated: int = 0
    swapped: int = 0
    inconsistent: int = 0
    first_preferred: int = 0
    agreement: float | Missing = Missing.NOT_RECORDED
    human: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseCount:
    """Where the cases came from, and how often they were looked at before.

    Attributes:
        replayable: share of recorded inputs that could be rebuilt without doubt; missing when none was read.
        reused: cases of the screen that an earlier gate of this prompt has scored, too.
        sealed: cases kept for claims that nobody has looked at yet, before this gate took its own.
        complaints: complaints behind the candidate that could be asked again; of these `fixed` are answered well now
            and were not before.
    """

    replayable: float | Missing = Missing.NOT_RECORDED
    curated: int = 0
    replayed: int = 0
    anchors: int = 0
    reused: int = 0
    sealed: int = 0
    complaints: int = 0
    fixed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """A verdict with everything behind it.

    Attributes:
        reasons: sentences, the headline first.
        findings: every gate's, in the order of `Gate`.
        evidence: the screen's pairs.
        numbers: of the evidence.
        fixed: ids of the complaints' cases that are answered well now and were not before.
        usage: everything that the gate paid for.
    """

    verdict: Verdict
    proof: Proof
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]
    evidence: Evidence
    numbers: Comparison
    claim: Claim | None = None
    slices: tuple[SliceReading, ...] = ()
    reruns: tuple[Rerun, ...] = ()
    attacks: tuple[AttackReading, ...] = ()
    resources: tuple[ResourceReading, ...] = ()
    judge: JudgeReading | None = None
    cases: CaseCount = field(default_factory=CaseCount)
    fixed: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
