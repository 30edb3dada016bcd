"""Every decision of a canary, by the smallest streams that reach it, at the very edge, and in their order."""

import math
import re
from dataclasses import replace

import pytest

from gates.canary import look
from gates.statistics import e_below
from optimizer.rollouts import CanaryPlan, Decision, Guards, Look, Unit
from optimizer.types import Arm, Missing
from tests.gates.canary_samples import BEGAN, GUARDS, NONE, PLAN, VOLUNTEERED, after, ruled, stream, unit

BETTER = stream(600, (1.0,), (0.0, 1.0))
WORSE = stream(120, (0.0, 1.0), (1.0,))
SAME = stream(400, (0.0, 1.0, 1.0, 1.0), (1.0, 1.0, 0.0, 1.0))
OFF = math.inf


def seen(units: list[Unit], plan: CanaryPlan = PLAN, *, days: float = 10.0, widened: bool = True) -> Look:
    return look(plan, units, at=after(days), began=BEGAN, widened=widened)


def above(number: float) -> float:
    return math.nextafter(number, OFF)


# ---- each decision, at its edge ------------------------------------------------------------------------------------


def test_without_units_one_waits() -> None:
    nothing = seen([], days=1.0)
    assert nothing.decision is Decision.WAIT
    assert (nothing.promote, nothing.harm, nothing.futile, nothing.share) == (1.0, 1.0, 1.0, 1.0)
    assert isinstance(nothing.effect, Missing)
    assert isinstance(nothing.interval, Missing)
    assert nothing.sentence == (
        "Nothing is decided yet: no user or session has had its time to give scores, after 1 day."
    )


def test_a_better_candidate_is_promoted_at_the_edge_of_evidence() -> None:
    found = seen(BETTER)
    assert found.decision is Decision.PROMOTE
    assert found.sentence.startswith("The new version is better (evidence ")
    assert "50 are needed); +50" in found.sentence
    some = seen(BETTER[:210])
    stake = 1.0 / some.promote
    assert 1.0 / stake == some.promote
    assert seen(BETTER[:210], ruled(stake=stake)).decision is Decision.PROMOTE
    assert seen(BETTER[:210], ruled(stake=stake * (1 - 1e-12))).decision is Decision.WAIT


def test_no_promotion_before_its_days_and_units() -> None:
    assert seen(BETTER, days=7.0).decision is Decision.PROMOTE
    assert seen(BETTER, days=6.999).decision is Decision.WAIT
    assert seen(BETTER, ruled(least_units=300)).decision is Decision.PROMOTE
    assert seen(BETTER, ruled(least_units=301)).decision is Decision.WAIT


def test_a_worse_candidate_is_taken_back_at_the_edge() -> None:
    found = seen(WORSE)
    assert found.decision is Decision.TAKE_BACK
    assert found.sentence.startswith(
        "The new version answers worse: 50.0 of 100 points (60) against 100.0 of 100 points (60) (evidence "
    )
    assert found.sentence.endswith("alarm at 10). The old version takes over again.")
    assert seen(WORSE, ruled(harm=found.harm)).decision is Decision.TAKE_BACK
    assert seen(WORSE, ruled(harm=above(found.harm), futile=OFF)).decision is not Decision.TAKE_BACK


def test_harm_is_seen_before_anything_has_matured() -> None:
    early = [replace(one, matured=False) for one in WORSE]
    found = seen(early, days=0.5, widened=False)
    assert found.decision is Decision.TAKE_BACK
    assert found.candidate.matured == 0
    assert found.candidate.scored == 60
    assert "no complete scores yet against no complete scores yet" in found.sentence
    assert found.futile == found.promote == 1.0


def test_a_gain_that_is_ruled_out_ends_the_canary_at_the_edge() -> None:
    slightly = stream(3000, (0.0, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0))
    found = seen(slightly)
    assert found.decision is Decision.GIVE_UP
    assert found.sentence.startswith("The old version stays: a gain of 3 points can be ruled out (evidence ")
    assert seen(slightly, ruled(futile=found.futile)).decision is Decision.GIVE_UP
    assert seen(slightly, ruled(futile=above(found.futile))).decision is Decision.WAIT


def test_shares_that_are_not_those_that_were_set_end_the_canary_at_the_edge() -> None:
    lost = [one for one in stream(120, (1.0,), (1.0,)) if one.arm is Arm.CANDIDATE or int(one.key) % 6 == 0]
    found = seen(lost)
    assert found.decision is Decision.GIVE_UP
    assert found.sentence.startswith("Undecided, the old version stays: 60 of 80 users or sessions fell to the new")
    assert seen(lost, ruled(share_alarm=found.share)).decision is Decision.GIVE_UP
    assert seen(lost, ruled(share_alarm=above(found.share))).decision is Decision.WAIT


def test_units_without_a_score_count_for_the_shares() -> None:
    silent = [unit(place, candidate=True, value=NONE, matured=False) for place in range(40)]
    found = seen(silent)
    assert found.decision is Decision.GIVE_UP
    assert (found.candidate.exposed, found.candidate.scored, found.harm) == (40, 0, 1.0)


def test_a_canary_ends_after_its_days() -> None:
    assert seen(SAME, days=41.999).decision is Decision.WAIT
    ended = seen(SAME, days=42.0)
    assert ended.decision is Decision.GIVE_UP
    assert ended.sentence.startswith("Undecided after 42 days, the old version stays: evidence ")
    assert "where 50 are needed" in ended.sentence


def test_the_first_stage_ends_with_its_matured_units() -> None:
    fifty = stream(100, (0.0, 1.0, 1.0, 1.0), (1.0, 1.0, 0.0, 1.0))
    wide = seen(fifty, days=3.0, widened=False)
    assert wide.decision is Decision.WIDEN
    assert wide.sentence.startswith("No alarm after 50 users or sessions with the new version, so 50% of them get it")
    assert seen(fifty, days=3.0).decision is Decision.WAIT
    last = replace(fifty[-1], matured=False)
    assert seen([*fifty[:-1], last], days=3.0, widened=False).decision is Decision.WAIT
    assert seen([*fifty[:-1], replace(last, matured=True, value=NONE)], days=3.0, widened=False).decision is (
        Decision.WAIT
    )


# ---- their order ---------------------------------------------------------------------------------------------------


def test_the_first_rule_that_speaks_decides() -> None:
    """Everything speaks at once; then one after the other is silenced."""
    all_at_once = ruled(share_alarm=0.0, harm=0.0, futile=0.0, stake=0.999, least_days=0.0, least_units=0, most_days=0)
    said = []
    for silenced in ({}, {"share_alarm": OFF}, {"harm": OFF}, {"futile": OFF}, {"least_days": OFF}, {"most_days": OFF}):
        all_at_once = ruled(all_at_once, **silenced)
        found = seen(BETTER, all_at_once, days=50.0, widened=False)
        said.append((found.decision, re.split(r"[:;]| \(", found.sentence)[0]))
    assert said == [
        (Decision.GIVE_UP, "Undecided, the old version stays"),
        (Decision.HALT, "The new version answers worse"),  # evidence of 0 is enough for every alarm here
        (Decision.GIVE_UP, "The old version stays"),
        (Decision.PROMOTE, "The new version is better"),
        (Decision.GIVE_UP, "Undecided after 50 days, the old version stays"),
        (
            Decision.WIDEN,
            "No alarm after 300 users or sessions with the new version, so 50% of them get it from now on",
        ),
    ]


def test_harm_is_told_before_a_guard_rail() -> None:
    failing = [replace(one, failed=float(one.arm is Arm.CANDIDATE)) for one in WORSE]
    assert seen(failing).sentence.startswith("The new version answers worse")
    assert seen([replace(one, value=1.0) for one in failing]).sentence.startswith("The new version fails more often")


# ---- guard rails ---------------------------------------------------------------------------------------------------


def railed(count: int, **candidate: float) -> list[Unit]:
    """All answers good; the candidate's differ in what is given."""
    plain = {"failed": 0.0, "latency_s": 2.0, "cost_usd": 0.01}
    return [
        unit(place, candidate=bool(place % 2), value=1.0, **(plain | (candidate if place % 2 else {})))
        for place in range(count)
    ]


@pytest.mark.parametrize(
    ("changed", "name", "said"),
    [
        ({"failed": 1.0}, "errors", "The new version fails more often: 100.0% against 0.0% (evidence "),
        ({"latency_s": 9.0}, "latency", "The new version is slower than tolerated: 9.00 s against 2.00 s (evidence "),
        ({"cost_usd": 0.09}, "cost", "The new version is dearer than tolerated: $0.0900 against $0.0100 (evidence "),
    ],
)
def test_a_guard_rail_takes_back_at_the_edge(changed: dict[str, float], name: str, said: str) -> None:
    plan, units = replace(PLAN, guards=GUARDS), railed(60, **changed)
    found = seen(units, plan)
    (alarm,) = (alarm for alarm in found.alarms if alarm.name == name)
    assert found.decision is Decision.TAKE_BACK
    assert found.sentence.startswith(said)
    assert alarm.e_value >= alarm.limit == 10.0
    assert seen(units, ruled(plan, harm=alarm.e_value)).decision is Decision.TAKE_BACK
    assert seen(units, ruled(plan, harm=above(alarm.e_value))).decision is Decision.WAIT


def test_a_rail_tolerates_its_margin() -> None:
    plan = replace(PLAN, guards=GUARDS)
    a_little = seen(railed(4000, latency_s=2.9, cost_usd=0.019), plan)
    assert a_little.decision is not Decision.TAKE_BACK
    assert [alarm.e_value <= 1.0 for alarm in a_little.alarms] == [True, True, True]
    assert seen(railed(4000, latency_s=3.9), plan).decision is Decision.TAKE_BACK


def test_slower_than_the_scale_is_no_worse_than_the_scale() -> None:
    plan = replace(PLAN, guards=GUARDS)
    assert seen(railed(60, latency_s=1e9), plan).alarms == seen(railed(60, latency_s=10.0), plan).alarms


def test_what_has_no_scale_or_no_number_is_not_guarded() -> None:
    assert [alarm.name for alarm in seen(railed(60, latency_s=99.0)).alarms] == ["errors"]
    unknown = [replace(one, latency_s=NONE, cost_usd=NONE) for one in railed(60)]
    assert [alarm.e_value for alarm in seen(unknown, replace(PLAN, guards=GUARDS)).alarms[1:]] == [1.0, 1.0]


def test_rails_do_not_wait_for_scores() -> None:
    silent = [replace(one, value=NONE, matured=False) for one in railed(60, failed=1.0)]
    assert seen(silent, days=0.5, widened=False).decision is Decision.TAKE_BACK


# ---- halted --------------------------------------------------------------------------------------------------------


def test_halted_when_the_old_version_is_ill_as_well() -> None:
    ill = stream(200, (0.0,), (0.0, 1.0))
    found = seen(ill)
    assert found.decision is Decision.HALT
    assert "The old version is not healthy either: 50.0 of 100 points (100), and less than 70.0 counts as ill" in (
        found.sentence
    )
    assert found.sentence.endswith("A person has to look.")
    assert seen(ill, replace(PLAN, healthy=0.5)).decision is Decision.TAKE_BACK
    illness = e_below([0.0 - PLAN.healthy, 1.0 - PLAN.healthy] * 50)  # the control's hundred values
    assert seen(ill, ruled(harm=illness)).decision is Decision.HALT
    assert seen(ill, ruled(harm=above(illness))).decision is Decision.TAKE_BACK
    assert seen([replace(one, matured=False) for one in ill]).decision is Decision.TAKE_BACK


def test_a_rail_halts_too() -> None:
    ill = [replace(one, value=0.0) for one in railed(100, failed=1.0)]
    assert seen(ill).decision is Decision.HALT


def test_an_ill_old_version_alone_stops_nothing() -> None:
    assert seen(stream(600, (1.0,), (0.0, 1.0)), replace(PLAN, healthy=0.99)).decision is Decision.PROMOTE


# ---- not worse than ------------------------------------------------------------------------------------------------


def test_not_worse_is_never_called_better() -> None:
    same = stream(8000, (0.0, 1.0, 1.0, 1.0), (1.0, 1.0, 0.0, 1.0))
    plan = ruled(margin=0.03, gain=0.02, futile=OFF, stake=0.2)
    found = seen(same, plan)
    assert found.decision is Decision.PROMOTE
    assert found.sentence.startswith("The new version is not worse than the old one by 3 points or more (evidence ")
    assert "better" not in found.sentence
    assert seen(same, ruled(plan, margin=0.0)).decision is Decision.WAIT
    assert "by 1 point or more" in seen(BETTER, ruled(margin=0.01)).sentence


# ---- volunteered scores --------------------------------------------------------------------------------------------


def volunteered(units: list[Unit], **changes: float) -> Look:
    return seen(units, ruled(replace(PLAN, metric=VOLUNTEERED), **changes))


def test_volunteered_scores_promote_by_more_good_and_fewer_bad_ones() -> None:
    found = volunteered(stream(800, (1.0, 1.0, 1.0, NONE), (1.0, 0.0, NONE, 0.0)))
    assert found.decision is Decision.PROMOTE
    assert found.sentence.startswith(
        "The new version is better: each user or session gives more good scores and fewer bad ones (evidence "
    )


def test_unhappy_users_who_fall_silent_promote_nothing() -> None:
    """Complete cases look better by 40 points; but nobody is happier, only fewer of the unhappy say so."""
    hidden = stream(2000, (1.0, NONE, NONE, 1.0, NONE), (1.0, 0.0, 0.0, 1.0, NONE))
    assert seen(hidden).decision is Decision.PROMOTE
    found = volunteered(hidden, futile=OFF)
    assert found.decision is Decision.WAIT
    assert found.promote < 1.0


def test_happy_users_who_become_loud_promote_nothing() -> None:
    louder = stream(2000, (1.0, 0.0, 1.0, 1.0, 1.0), (1.0, 0.0, NONE, NONE, NONE))
    assert seen(louder).decision is Decision.PROMOTE
    assert volunteered(louder, futile=OFF).decision is Decision.WAIT


def test_volunteered_scores_know_no_margin() -> None:
    same = stream(4000, (0.0, 1.0, 1.0, 1.0), (1.0, 1.0, 0.0, 1.0))
    assert volunteered(same, margin=0.03, gain=0.02, futile=OFF).decision is Decision.WAIT


def test_volunteered_scores_take_back_as_any_others() -> None:
    assert volunteered(WORSE).decision is Decision.TAKE_BACK


def test_a_unit_whose_bad_scores_fall_silent_is_no_new_good_one() -> None:
    """One good and two bad scores are a third; without the bad ones the same unit stands at 1, and is no happier."""
    hidden = stream(1200, (1.0, 1.0), (1 / 3, 1.0))
    assert seen(hidden).decision is Decision.PROMOTE
    found = volunteered(hidden, futile=OFF)
    assert found.decision is Decision.WAIT
    assert found.promote < 1.0


def test_a_unit_whose_good_scores_become_loud_is_no_bad_one_less() -> None:
    louder = stream(1200, (2 / 3, 1.0), (0.0, 1.0))
    assert seen(louder).decision is Decision.PROMOTE
    assert volunteered(louder, futile=OFF).decision is Decision.WAIT


# ---- the same units, the same look ---------------------------------------------------------------------------------


def test_a_look_is_a_function_of_the_units_alone() -> None:
    assert seen(BETTER[::-1]) == seen(BETTER)
    assert seen(sorted(BETTER, key=lambda one: one.value != 1.0)) == seen(list(BETTER))


def test_readings_effect_and_interval() -> None:
    units = [*stream(200, (1.0, NONE), (0.0, 1.0)), unit(999, candidate=True, value=0.0, matured=False)]
    found = look(PLAN, units, at=after(9), began=BEGAN, widened=True, late_scores=7)
    assert (found.candidate.exposed, found.candidate.scored, found.candidate.matured) == (101, 51, 50)
    assert (found.control.exposed, found.control.scored, found.control.matured) == (100, 100, 100)
    assert (found.candidate.mean, found.control.mean) == (1.0, 0.5)
    assert found.late_scores == 7
    assert not isinstance(found.effect, Missing)
    assert not isinstance(found.interval, Missing)
    assert found.interval[0] < found.effect < found.interval[1]


@pytest.mark.parametrize("stake", [0.0, 1.0, -0.1])
def test_a_stake_that_is_none_is_refused(stake: float) -> None:
    with pytest.raises(ValueError, match="stake"):
        seen([], ruled(stake=stake))


def test_guards_are_off_by_default_but_for_errors() -> None:
    assert Guards().failed_margin == 0.0
    assert [alarm.name for alarm in seen([]).alarms] == ["errors"]
