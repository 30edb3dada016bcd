"""What follows from the numbers of a look: rules in a fixed order, of which the first that speaks decides.

An alarm about the toss itself comes first, since no other number means anything then; harm comes before gain; what
can only be waited for comes last. "Undecided" always leaves the old version where it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gates.canary.measuring import Measured
from gates.canary.wording import compared, failing, illness, mean_of, span, spoken, units_of
from gates.words import counted, plain
from optimizer.rollouts import CanaryPlan, CanaryRules, Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a rule may look at. `days` since the first unit could be exposed; `widened`: the second stage is on."""

    plan: CanaryPlan
    seen: Measured
    days: float
    widened: bool = True

    @property
    def rules(self) -> CanaryRules:
        return self.plan.rules


Decided = tuple[Decision, str]
Rule = Callable[[Moment], Decided | None]


def decided(order: Sequence[Rule], moment: Moment) -> Decided:
    """What the first rule with something to say decides; to wait when none has."""
    for rule in order:
        said = rule(moment)
        if said is not None:
            return said
    return Decision.WAIT, f"Nothing is decided yet: {compared(moment.seen)}, after {span(moment.days)}."


def uneven_shares(moment: Moment) -> Decided | None:
    """Units do not fall into the arms as they should: something decides who is counted, and it may be the answer."""
    seen, rules = moment.seen, moment.rules
    if seen.share < rules.share_alarm:
        return None
    return Decision.GIVE_UP, (
        f"Undecided, the old version stays: {seen.candidate.exposed} of {units_of(seen)} fell to the new version, "
        f"which does not fit the shares that were set (evidence {plain(seen.share)}, alarm at "
        f"{plain(rules.share_alarm)}). Something loses some of them, so no comparison can be trusted."
    )


def harmful(moment: Moment) -> Decided | None:
    """Scores as they arrive say that the candidate is worse."""
    seen, rules = moment.seen, moment.rules
    if seen.harm < rules.harm:
        return None
    return _taken_back(
        moment,
        f"The new version answers worse: {mean_of(seen.candidate)} against {mean_of(seen.control)} "
        f"(evidence {plain(seen.harm)} on scores as they arrive, alarm at {plain(rules.harm)})",
    )


def guarded(moment: Moment) -> Decided | None:
    """A guard rail: errors, latency or cost."""
    raised = [rail for rail in moment.seen.rails if rail.raised]
    return _taken_back(moment, failing(raised[0])) if raised else None


def futile(moment: Moment) -> Decided | None:
    """A gain that would be worth the change is ruled out."""
    seen, rules = moment.seen, moment.rules
    if seen.futile < rules.futile:
        return None
    return Decision.GIVE_UP, (
        f"The old version stays: a gain of {spoken(rules.gain)} can be ruled out (evidence {plain(seen.futile)}, "
        f"{plain(rules.futile)} are enough); {compared(seen)}."
    )


def proven(moment: Moment) -> Decided | None:
    """Evidence of 1 / stake, after the least number of days and units."""
    seen, rules = moment.seen, moment.rules
    enough = moment.days >= rules.least_days and seen.candidate.matured >= rules.least_units
    if not enough or seen.promote < 1.0 / rules.stake:
        return None
    if not moment.plan.metric.sampled:
        what = "The new version is better: each user or session gives more good scores and fewer bad ones"
    elif rules.margin > 0:
        what = f"The new version is not worse than the old one by {spoken(rules.margin)} or more"
    else:
        what = "The new version is better"
    return Decision.PROMOTE, (
        f"{what} (evidence {plain(seen.promote)}, {plain(1.0 / rules.stake)} are needed); {compared(seen)}, after "
        f"{span(moment.days)}."
    )


def too_late(moment: Moment) -> Decided | None:
    """A canary does not run for ever."""
    seen, rules = moment.seen, moment.rules
    if moment.days < rules.most_days:
        return None
    return Decision.GIVE_UP, (
        f"Undecided after {span(moment.days)}, the old version stays: evidence {plain(seen.promote)} where "
        f"{plain(1.0 / rules.stake)} are needed; {compared(seen)}."
    )


def wide_enough(moment: Moment) -> Decided | None:
    """The first stage has seen enough units to show more of them the candidate."""
    seen, rules = moment.seen, moment.rules
    if moment.widened or seen.candidate.matured < rules.first_units:
        return None
    return Decision.WIDEN, (
        f"No alarm after {counted(seen.candidate.matured, 'user or session', 'users or sessions')} with the new "
        f"version, so {rules.full_share:.0%} of them get it from now on; {compared(seen)}."
    )


def over(moment: Moment) -> Decided | None:
    """The holdback was kept long enough."""
    if moment.days < moment.plan.holdback_days:
        return None
    return Decision.FINISH, (
        f"{span(moment.days)} after the promotion nothing speaks against the new version: {compared(moment.seen)}. "
        "Everybody gets it from now on."
    )


CANARY: tuple[Rule, ...] = (uneven_shares, harmful, guarded, futile, proven, too_late, wide_enough)
"""The order of a canary's rules."""

HOLDBACK: tuple[Rule, ...] = (harmful, guarded, over)
"""The order of the rules while some keep the old version."""


def _taken_back(moment: Moment, because: str) -> Decided:
    """Back to the old version; unless that is ill as well, and then a person has to look."""
    if moment.seen.ill >= moment.rules.harm:
        return Decision.HALT, f"{because}. {illness(moment.seen, moment.plan.healthy)}"
    return Decision.TAKE_BACK, f"{because}. The old version takes over again."
