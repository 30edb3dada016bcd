"""How a release meets production: who is shown which version, what became of it, and what that decides.

    Split -> Exposure -> Unit -> Reading (candidate, control) -> Look -> Decision

Frozen values, almost without behaviour; the arithmetic that fills them is in `gates/canary`. A unit is one user or
session: it is tossed once, by a hash that anybody can compute again, and counted once, in the arm that the hash says,
whatever version it was really shown.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from optimizer.types import Arm, Missing, Score, ScoreKind

PRODUCTION = 0
"""In a band: no version of its own, but whatever carries the production label."""

CANARY_LABEL, HOLDBACK_LABEL = "canary", "holdback"
"""Labels of ours in the registry, which a flag may name. They can be moved and never removed: one that is not needed
stands on production's version."""


# ---- who is shown what ---------------------------------------------------------------------------------------------


def point(salt: str, key: str) -> float:
    """Where a user or session stands in [0, 1): the first 48 bits of SHA-256 over salt, a zero byte and the key.

    48 bits are exact in a double, so that a resolver in any language finds the same place.
    """
    return int(hashlib.sha256(f"{salt}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()[:12], 16) / 2**48


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Everybody from where the band before ends up to `below` is shown this version."""

    below: float
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Which version of a prompt is shown to whom. Bands are in order, and the last one ends at 1."""

    prompt: str
    salt: str
    bands: tuple[Band, ...] = (Band(below=1.0, version=PRODUCTION),)

    def at(self, place: float) -> int:
        """The version that is shown at a place in [0, 1)."""
        return next((band.version for band in self.bands if place < band.below), PRODUCTION)


def canary(prompt: str, salt: str, *, version: int, share: float) -> Split:
    """The candidate for the first part of the users, production for all others. A larger share keeps all it had."""
    return Split(
        prompt=prompt, salt=salt, bands=(Band(below=share, version=version), Band(below=1.0, version=PRODUCTION))
    )


def holdback(prompt: str, salt: str, *, version: int, share: float) -> Split:
    """Production for all but the last part, which keeps the old version that it always had."""
    return Split(
        prompt=prompt, salt=salt, bands=(Band(below=1.0 - share, version=PRODUCTION), Band(below=1.0, version=version))
    )


# ---- what became of it ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What an answer was worth, by one named score.

    Attributes:
        low, high: worth 0 and 1, for numeric scores; `low` may be the greater one, when less is better.
        good: the values that are worth 1, for categorical scores; for boolean ones "true" or "false".
        sampled: a hash decided which answers are scored, before the answer existed. Anything else is volunteered:
            it may stop a release, and promotes one only by more good scores and fewer bad ones.
    """

    score: str
    kind: ScoreKind
    low: float = 0.0
    high: float = 1.0
    good: tuple[str, ...] = ("true",)
    sampled: bool = False

    def worth(self, score: Score) -> float | Missing:
        """The score in [0, 1], 1 is best; missing for a score of another name or kind."""
        if score.name != self.score or score.kind is not self.kind:
            return Missing.NOT_RECORDED
        if isinstance(score.value, bool):
            return float(str(score.value).lower() in self.good)
        if isinstance(score.value, str):
            return float(score.value in self.good)
        return min(1.0, max(0.0, (score.value - self.low) / (self.high - self.low)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """One answer that production gave to a unit under a split.

    Attributes:
        unit: source key: a keyed hash of the user or session.
        place: where the unit stands in [0, 1), by the flag service's own hash of the raw key.
        version: what was really served; told, never counted.
        failed: the call ended in an error.
    """

    trace_id: str
    unit: str
    place: float
    at: datetime
    version: int
    model: str
    failed: bool
    latency_s: float | Missing = Missing.NOT_RECORDED
    cost_usd: float | Missing = Missing.NOT_RECORDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One user or session in one release, in the arm and with the chance that held when it was first exposed.

    Attributes:
        share: the chance of the candidate's arm at first exposure, in (0, 1).
        value: mean worth of the scores that it has given so far; missing while there is none.
        matured: its time for giving scores is over, so the value will not change any more.
        failed: share of its answers that ended in an error. `latency_s`, `cost_usd`: means over its answers.
    """

    key: str
    arm: Arm
    share: float
    at: datetime
    value: float | Missing
    matured: bool
    failed: float = 0.0
    latency_s: float | Missing = Missing.NOT_RECORDED
    cost_usd: float | Missing = Missing.NOT_RECORDED


# ---- what that decides ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRules:
    """When a release is widened, promoted, taken back or given up. Fixed before the first unit is exposed.

    Attributes:
        stake: chance of a false promotion, taken from the ledger; promotion takes evidence of 1 / stake.
        margin: for non-inferiority: how much worse the candidate may be, [0, 0.03]; 0 asks for "better".
        gain: futile is a release that is shown not to gain as much.
        harm, share_alarm, futile: evidence at which the alarm is raised.
        first_share, full_share: chance of the candidate's arm in the first stage and after it.
        first_units: matured candidate units that end the first stage.
        least_days, least_units: before these no release is promoted; units are the candidate's, matured.
        most_days: after these the old version stays, undecided.
    """

    stake: float
    margin: float = 0.0
    gain: float = 0.03
    harm: float = 10.0
    futile: float = 10.0
    share_alarm: float = 100.0
    first_share: float = 0.1
    full_share: float = 0.5
    first_units: int = 50
    least_days: float = 7.0
    least_units: int = 100
    most_days: float = 42.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """Rails beside the metric: the candidate may not be worse by more than the margin, in parts of the scale.

    Attributes:
        latency_s, cost_usd: what counts as the worst, so that values lie in [0, 1]; fixed from the old version's
            past. Missing where the past did not say; then nothing is guarded.
    """

    latency_s: float | Missing = Missing.NOT_RECORDED
    cost_usd: float | Missing = Missing.NOT_RECORDED
    failed_margin: float = 0.0
    latency_margin: float = 0.1
    cost_margin: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryPlan:
    """Everything about a canary that is fixed before the first unit is exposed; another one is another release.

    Attributes:
        candidate: hash of the text.
        maturity_days: a unit's scores count for so long after its first exposure.
        settle_s: after a change of shares, clients may show the old version for so long; such units do not count.
        unit: "user" or "session": what is tossed and counted once.
        resolver: the settings' name of the flag service that shows it; empty in plans that do not say.
        prior: mean worth of the old version before the release, in [0, 1]: what the first units are compared with.
        healthy: the old version counts as ill when it falls below this mean.
    """

    candidate: str
    version: int
    base_version: int
    salt: str
    metric: Metric
    maturity_days: float
    settle_s: float
    prior: float
    healthy: float
    rules: CanaryRules
    guards: Guards = field(default_factory=Guards)
    holdback_share: float = 0.1
    holdback_days: float = 28.0
    unit: str = "user"
    resolver: str = ""


class Decision(StrEnum):
    """What a look at production says."""

    WAIT = "wait"
    WIDEN = "widen"
    PROMOTE = "promote"
    TAKE_BACK = "take back"
    GIVE_UP = "give up"
    HALT = "halt"
    FINISH = "finish"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One arm in numbers: units that were exposed, that have a score, that are matured and have one; mean of these."""

    arm: Arm
    exposed: int
    scored: int
    matured: int
    mean: float | Missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One guard rail: the evidence that the candidate is worse by more than the margin."""

    name: str
    e_value: float
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at production while a release progresses, or while its holdback is kept.

    Attributes:
        promote, harm, futile, share: evidence so far; 1 is none. `promote` is the weaker of two for volunteered scores.
        effect: mean of candidate minus control over the matured units, weighted by how evenly they were tossed.
        interval: 95% confidence interval for the effect, which holds at any number of units.
        decision, sentence: what follows, and why, in words with the numbers.
    """

    at: datetime
    candidate: Reading
    control: Reading
    promote: float
    harm: float
    futile: float
    share: float
    effect: float | Missing
    interval: tuple[float, float] | Missing
    decision: Decision
    sentence: str
    alarms: tuple[Alarm, ...] = ()
    late_scores: int = 0
