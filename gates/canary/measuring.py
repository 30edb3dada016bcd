"""From units to numbers: a reading of each arm, and the evidence for and against the candidate. Never decides.

Evidence for a promotion and for futility is taken from matured units only, so that an arm whose users answer later is
not at a disadvantage. Alarms take scores as they arrive: stopping too early spends nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from gates.canary.wealth import Toss, Wealth, uneven, wealth
from gates.statistics import e_below
from optimizer.proof import Interval
from optimizer.rollouts import Alarm, CanaryPlan, Reading, Unit
from optimizer.types import Arm, Missing

UNKNOWN = 0.5
"""The guess for a number of which no past is kept."""

Worth = Callable[[Unit], float | Missing]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rail:
    """A guard rail's alarm, and the mean of each arm in its own unit (share of answers, seconds, dollars)."""

    alarm: Alarm
    candidate: float | Missing
    control: float | Missing

    @property
    def raised(self) -> bool:
        return self.alarm.e_value >= self.alarm.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All numbers of one look.

    Attributes:
        ill: evidence that the mean of the old version's matured units is below what counts as healthy.
        good, bad: for volunteered scores: evidence that more units give anything but the worst score, and that fewer
            give anything but the best one, of all that were assigned, silent ones included.
        effect, interval: of the matured units that have a score.
    """

    candidate: Reading
    control: Reading
    promote: float
    harm: float
    futile: float
    share: float
    ill: float
    good: float | Missing
    bad: float | Missing
    effect: float | Missing
    interval: Interval | Missing
    rails: tuple[Rail, ...]


def measured(plan: CanaryPlan, units: Iterable[Unit]) -> Measured:
    """The numbers of all units so far. Their order is that of first exposure, whatever order they come in."""
    ordered = sorted(units, key=lambda unit: (unit.at, unit.key))
    matured = [unit for unit in ordered if unit.matured]
    scored = bets(matured, value, plan.prior)
    good: float | Missing = Missing.NOT_RECORDED
    bad: float | Missing = Missing.NOT_RECORDED
    if plan.metric.sampled:
        promote = scored.above(-plan.rules.margin)
    else:
        good, bad = bets(matured, _good, UNKNOWN).above(), bets(matured, _bad, UNKNOWN).below()
        promote = min(good, bad)
    return Measured(
        candidate=_reading(Arm.CANDIDATE, ordered),
        control=_reading(Arm.BASELINE, ordered),
        promote=promote,
        harm=bets(ordered, value, plan.prior).below(),
        futile=scored.below(plan.rules.gain),
        share=uneven((unit.arm is Arm.CANDIDATE, unit.share) for unit in ordered),
        ill=_ill(matured, plan.healthy),
        good=good,
        bad=bad,
        effect=scored.effect,
        interval=scored.interval(),
        rails=_rails(plan, ordered),
    )


def bets(units: Iterable[Unit], worth: Worth, prior: float) -> Wealth:
    """The wealth of those units that are worth something; the others are left out."""
    tosses = []
    for unit in units:
        found = worth(unit)
        if not isinstance(found, Missing):
            tosses.append(Toss(candidate=unit.arm is Arm.CANDIDATE, share=unit.share, value=found))
    return wealth(tosses, prior=prior)


def value(unit: Unit) -> float | Missing:
    """What its scores say."""
    return unit.value


def _good(unit: Unit) -> float:
    """Whether it gave a score above the worst. Scores that fall silent because they are bad never raise this.

    (A mean above the middle would rise: of a unit with a good score and two bad ones, the good one would be left.)
    """
    return float(not isinstance(unit.value, Missing) and unit.value > 0.0)


def _bad(unit: Unit) -> float:
    """Whether it gave a score below the best. Good scores that become louder never lower this."""
    return float(not isinstance(unit.value, Missing) and unit.value < 1.0)


def _reading(arm: Arm, units: Sequence[Unit]) -> Reading:
    own = [unit for unit in units if unit.arm is arm]
    values = [unit.value for unit in own if unit.matured and not isinstance(unit.value, Missing)]
    return Reading(
        arm=arm,
        exposed=len(own),
        scored=sum(not isinstance(unit.value, Missing) for unit in own),
        matured=len(values),
        mean=fmean(values) if values else Missing.NOT_RECORDED,
    )


def _ill(matured: Sequence[Unit], healthy: float) -> float:
    control = [unit.value for unit in matured if unit.arm is Arm.BASELINE]
    return e_below([worth - healthy for worth in control if not isinstance(worth, Missing)])


def _rails(plan: CanaryPlan, units: Sequence[Unit]) -> tuple[Rail, ...]:
    guards = plan.guards
    rails = [
        ("errors", lambda unit: unit.failed, 1.0, guards.failed_margin, 0.0),
        ("latency", lambda unit: unit.latency_s, guards.latency_s, guards.latency_margin, UNKNOWN),
        ("cost", lambda unit: unit.cost_usd, guards.cost_usd, guards.cost_margin, UNKNOWN),
    ]
    return tuple(
        _rail(name, units, number, scale, margin, usual, plan.rules.harm)
        for name, number, scale, margin, usual in rails
        if not isinstance(scale, Missing)
    )


def _rail(
    name: str, units: Sequence[Unit], number: Worth, scale: float, margin: float, usual: float, limit: float
) -> Rail:
    def spared(unit: Unit) -> float | Missing:
        found = number(unit)
        return found if isinstance(found, Missing) else 1.0 - min(found / scale, 1.0)

    return Rail(
        alarm=Alarm(name=name, e_value=bets(units, spared, 1.0 - usual).below(-margin), limit=limit),
        candidate=_mean(units, Arm.CANDIDATE, number),
        control=_mean(units, Arm.BASELINE, number),
    )


def _mean(units: Sequence[Unit], arm: Arm, number: Worth) -> float | Missing:
    found = [number(unit) for unit in units if unit.arm is arm]
    known = [one for one in found if not isinstance(one, Missing)]
    return fmean(known) if known else Missing.NOT_RECORDED
