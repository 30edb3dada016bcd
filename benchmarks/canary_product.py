"""Whether the engine's canaries are the product's: the same users, looked at every day by `gates.canary.look`.

Numbers are compared as logarithms, decisions word by word, up to and including the day on which a canary ends.
"""

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from canary_broken import Trap, stream
from canary_engine import PRIOR, Canaries, End
from canary_readings import sound, two_counts
from canary_world import Users, World, users

from gates.canary import look
from optimizer.rollouts import CanaryPlan, CanaryRules, Decision, Look, Metric, Unit
from optimizer.types import Arm, Missing, ScoreKind

BEGAN = datetime(2026, 1, 5, tzinfo=UTC)
ENDS = {
    End.RUNNING: {Decision.WAIT, Decision.WIDEN},
    End.UNEVEN: {Decision.GIVE_UP},
    End.HARM: {Decision.TAKE_BACK, Decision.HALT},
    End.FUTILE: {Decision.GIVE_UP},
    End.PROMOTED: {Decision.PROMOTE},
    End.TOO_LATE: {Decision.GIVE_UP},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Looks that were compared, decisions among them that differed, and by how much the logarithms did at most."""

    looks: int
    differed: int
    apart: float
    ends: dict[str, int]


def plan(rules: CanaryRules, world: World) -> CanaryPlan:
    """What the product is told."""
    return CanaryPlan(
        candidate="candidate",
        version=2,
        base_version=1,
        salt="salt",
        metric=Metric(score="helpful", kind=ScoreKind.BOOLEAN, sampled=True),
        maturity_days=world.maturity,
        settle_s=0.0,
        prior=PRIOR,
        healthy=PRIOR - 0.1,
        rules=rules,
    )


def compare(world: World, rules: CanaryRules, effects: tuple[float, ...], *, seed: int) -> Compared:
    """One canary for each effect, in both."""
    looks = differed = 0
    apart, ends = 0.0, dict.fromkeys((end.name for end in End if end), 0)
    for place, effect in enumerate(effects):
        chance = np.random.default_rng([seed, place])
        going = Canaries.begin(np.array([effect]), rules)
        days: list[Users] = []
        end = End.RUNNING
        while end is End.RUNNING:
            days.append(users(world, len(days), going.effect, going.share, chance))
            going.expose(days[-1])
            if len(going.waiting) > world.maturity:
                going.mature(rules)
            was_wide = bool(going.widened[0])
            theirs = _product(days, plan(rules, world), was_wide)
            end = End(int(going.look(len(days), rules)[0]))
            looks += 1
            now_wide = bool(going.widened[0]) and not was_wide
            agreed = theirs.decision in ENDS[end] and now_wide == (theirs.decision is Decision.WIDEN)
            differed += not agreed
            apart = max(apart, _apart(going, theirs, len(days)))
        ends[end.name] += 1
    return Compared(looks=looks, differed=differed, apart=apart, ends=ends)


def compare_readings(world: World, rules: CanaryRules, *, days: int, seed: int) -> Compared:
    """The readings that are called sound, against the product's evidence for a promotion, at each look of one run."""
    seen = stream(Trap(name="", world=world, broken=sound, days=days), 1, [seed])
    sampled = plan(rules, world)
    volunteered = replace(sampled, metric=replace(sampled.metric, sampled=False))
    apart = 0.0
    for reading, canary in ((sound, sampled), (two_counts, volunteered)):
        for look_, ours in enumerate(reading(seen, world)[0], start=1):
            theirs = _product(seen[:look_], canary, widened=True).promote
            apart = max(apart, abs(math.log(ours) - math.log(theirs)))
    return Compared(looks=2 * days, differed=0, apart=apart, ends={})


def _apart(going: Canaries, theirs: Look, day: int) -> float:
    ours = (
        (going.promote.credit, theirs.promote),
        (going.futile.credit, theirs.futile),
        (going.harmed(day), theirs.harm),
        ((going.more.credit + going.fewer.credit) / 2.0, theirs.share),
    )
    return max(abs(math.log(max(float(one[0]), 1e-300)) - math.log(max(other, 1e-300))) for one, other in ours)


def _product(days: list[Users], canary: CanaryPlan, widened: bool) -> Look:
    units = [unit for one in days for unit in _units(one, len(days), canary.maturity_days)]
    return look(canary, units, at=BEGAN + timedelta(days=len(days)), began=BEGAN, widened=widened)


def _units(one: Users, now: int, maturity: float) -> list[Unit]:
    worth, known = one.worth(now)
    made = []
    for place, time in enumerate(one.time):
        made.append(
            Unit(
                key=f"{time:012.6f}",
                arm=Arm.CANDIDATE if one.candidate[0, place] else Arm.BASELINE,
                share=float(one.share[0]),
                at=BEGAN + timedelta(days=float(time)),
                value=float(worth[0, place]) if known[0, place] else Missing.NOT_RECORDED,
                matured=bool(time + maturity <= now),
            )
        )
    return made
