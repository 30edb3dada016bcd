"""From answers to units: the toss, what counts and what does not, and the second toss of the promotion."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from exposure_samples import BEGAN, PLAN, after, answer, costing

from deploy.releases.units import Stage, canary_phase, holdback_phase
from optimizer.rollouts import point
from optimizer.types import Arm, Missing

FIRST = Stage(share=0.1, since=BEGAN)
SECOND = Stage(share=0.5, since=after(days=4))
HELD = Stage(share=0.9, since=after(days=10), holdback=True)
STAGES = [FIRST, SECOND]
LONG_AFTER = after(days=60)


def units(*seen, stages=STAGES, until=LONG_AFTER, plan=PLAN):
    return canary_phase(seen, stages, plan, until=until).units


def held(*seen, until=LONG_AFTER, stages=(FIRST, SECOND, HELD)):
    return holdback_phase(seen, stages, PLAN, until=until).units


# ---- the toss ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "at", "arm", "share"),
    [
        (0.0, after(hours=1), Arm.CANDIDATE, 0.1),
        (0.0999, after(hours=1), Arm.CANDIDATE, 0.1),
        (0.1, after(hours=1), Arm.BASELINE, 0.1),
        (0.49, after(days=3), Arm.BASELINE, 0.1),
        (0.49, after(days=5), Arm.CANDIDATE, 0.5),
        (0.5, after(days=5), Arm.BASELINE, 0.5),
        (0.999, after(days=5), Arm.BASELINE, 0.5),
    ],
)
def test_place_and_share_at_the_first_exposure_decide(place, at, arm, share):
    (unit,) = units(answer("u", place, at))
    assert (unit.arm, unit.share, unit.at) == (arm, share, at)


@pytest.mark.parametrize("version", [0, 1, 2, 7])
def test_the_version_that_was_served_is_never_asked(version):
    seen = [answer("u", 0.05, after(hours=1), version=version), answer("v", 0.7, after(hours=1), version=version)]
    assert [unit.arm for unit in units(*seen)] == [Arm.CANDIDATE, Arm.BASELINE]


def test_a_unit_counts_once_in_the_arm_of_its_first_exposure():
    """At place .3 it is a control of the first stage for ever, though the second shows it the candidate."""
    seen = [answer("u", 0.3, after(days=d), (worth, after(days=d))) for d, worth in ((1, 1.0), (5, 0.0), (6, 0.0))]
    (unit,) = units(*seen)
    assert (unit.arm, unit.share, unit.value) == (Arm.BASELINE, 0.1, 1.0)


def test_the_order_of_the_answers_does_not_matter():
    seen = [
        answer(f"u{n}", n / 40, after(hours=n % 7, minutes=10 + k), (n % 2, after(days=1)))
        for n in range(40)
        for k in range(3)
    ]
    shuffled = random.Random(1).sample(seen, len(seen))
    assert units(*seen) == units(*shuffled)
    assert [unit.at for unit in units(*seen)] == sorted(unit.at for unit in units(*seen))


def test_what_was_shown_before_the_release_is_not_about_it():
    (unit,) = units(answer("u", 0.05, after(hours=-5)), answer("u", 0.05, after(hours=5)))
    assert unit.at == after(hours=5)


@pytest.mark.parametrize("change", [BEGAN, after(days=4)])
def test_a_first_exposure_while_clients_catch_up_counts_its_unit_out(change):
    caught = change + timedelta(seconds=119)
    settled = change + timedelta(seconds=120)
    assert units(answer("u", 0.3, caught), answer("u", 0.3, settled)) == ()
    assert len(units(answer("u", 0.3, settled))) == 1


# ---- what counts ---------------------------------------------------------------------------------------------------


def test_the_value_is_the_mean_of_its_scores_not_of_its_answers():
    day = after(days=1)
    (unit,) = units(
        answer("u", 0.05, after(hours=1), (1.0, day), (1.0, day), (1.0, day)), answer("u", 0.05, day, (0.0, day))
    )
    assert unit.value == 0.75


def test_a_unit_without_scores_is_there_without_a_value():
    (unit,) = units(answer("u", 0.05, after(hours=1)))
    assert unit.value is Missing.NOT_RECORDED
    assert unit.matured


@pytest.mark.parametrize(("place", "arm"), [(0.05, Arm.CANDIDATE), (0.7, Arm.BASELINE)])
def test_scores_after_its_time_are_late_in_either_arm(place, arm):
    first = after(hours=1)
    ends = first + timedelta(days=2)
    in_time, late = (1.0, ends), (0.0, ends + timedelta(seconds=1))
    phase = canary_phase([answer("u", place, first, in_time, late, late)], STAGES, PLAN, until=LONG_AFTER)
    assert phase.units[0].value == 1.0
    assert phase.late == {**dict.fromkeys(Arm, 0), arm: 2}


@pytest.mark.parametrize("place", [0.05, 0.3, 0.7])
def test_answers_after_its_time_or_after_a_change_of_shares_do_not_count(place):
    """The same in both arms, and also where the change does not concern the unit's place."""
    day = after(days=3)
    kept = answer("u", place, day, (1.0, after(days=4, hours=12)))
    assert units(kept, answer("u", place, after(days=4), (0.0, after(days=4))))[0].value == 1.0
    assert units(kept, answer("u", place, after(days=5), (0.0, after(days=5))), stages=[FIRST])[0].value == 1.0
    assert units(kept, answer("u", place, after(days=3.9), (0.0, after(days=4))))[0].value == 0.5


@pytest.mark.parametrize(("until", "matured"), [(after(days=2, hours=1), True), (after(days=2, minutes=59), False)])
def test_a_unit_is_matured_when_all_its_time_was_read(until, matured):
    (unit,) = units(answer("u", 0.3, after(hours=1)), until=until)
    assert unit.matured is matured


def test_guards_are_over_the_answers_that_count():
    seen = [
        costing(answer("u", 0.3, after(hours=1), failed=True), 0.2, Missing.NOT_RECORDED),
        costing(answer("u", 0.3, after(hours=2)), Missing.NOT_RECORDED, 3.0),
        costing(answer("u", 0.3, after(hours=3)), 0.4, 1.0),
        costing(answer("u", 0.3, after(days=5), failed=True), 9.0, 9.0),
    ]
    (unit,) = units(*seen)
    assert (unit.failed, unit.cost_usd, unit.latency_s) == (1 / 3, pytest.approx(0.3), 2.0)
    (unknown,) = units(costing(seen[0], Missing.NOT_RECORDED, Missing.NOT_RECORDED))
    assert (unknown.cost_usd, unknown.latency_s) == (Missing.NOT_RECORDED, Missing.NOT_RECORDED)


def test_one_user_with_ten_thousand_answers_is_one_unit():
    many = [answer("robot", 0.05, after(hours=1, seconds=n), (0.0, after(hours=2))) for n in range(10_000)]
    (robot, person) = units(*many, answer("person", 0.06, after(hours=2), (1.0, after(hours=3))))
    assert (robot.value, person.value) == (0.0, 1.0)


def test_models_of_the_answers_that_count_are_named():
    seen = [
        answer("u", 0.3, after(hours=1), model="a"),
        answer("v", 0.3, after(hours=1), model=""),
        answer("u", 0.3, after(days=5), model="b"),
    ]
    assert canary_phase(seen, STAGES, PLAN, until=LONG_AFTER).models == {"a"}


def test_nobody_was_shown_anything():
    phase = canary_phase([], STAGES, PLAN, until=LONG_AFTER)
    assert (phase.units, phase.late, phase.models) == ((), dict.fromkeys(Arm, 0), frozenset())


# ---- the holdback --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "place", "arm", "share"),
    [
        ((), 0.05, Arm.CANDIDATE, 0.9),
        ((), 0.899, Arm.CANDIDATE, 0.9),
        ((), 0.9, Arm.BASELINE, 0.9),
        ((after(days=5),), 0.6, Arm.CANDIDATE, 0.8),
        ((after(days=5),), 0.95, Arm.BASELINE, 0.8),
        ((after(days=1),), 0.3, Arm.CANDIDATE, 0.8 / 0.9),
        ((after(days=1), after(days=5)), 0.95, Arm.BASELINE, 0.8),
    ],
)
def test_the_promotion_tosses_anew_whoever_did_not_have_the_candidate(before, place, arm, share):
    (unit,) = held(*(answer("u", place, at) for at in before), answer("u", place, after(days=11)))
    assert (unit.arm, unit.share, unit.at) == (arm, pytest.approx(share), after(days=11))


@pytest.mark.parametrize(("before", "place"), [(after(days=1), 0.05), (after(days=5), 0.3), (after(days=5), 0.499)])
def test_whoever_had_the_candidate_says_nothing_any_more(before, place):
    assert held(answer("u", place, before), answer("u", place, after(days=11))) == ()


def test_a_place_that_had_the_candidate_only_later_was_a_control_that_was_never_told():
    """Place .3, seen in the first stage only: a control then, and not seen while the second showed it the candidate."""
    (unit,) = held(answer("u", 0.3, after(days=1)), answer("u", 0.3, after(days=11)))
    assert unit.arm is Arm.CANDIDATE
    assert (
        held(answer("u", 0.3, after(days=1)), answer("u", 0.3, after(days=5)), answer("u", 0.3, after(days=11))) == ()
    )


def test_the_promotion_ends_the_canary():
    seen = [
        answer("u", 0.7, after(days=9), (1.0, after(days=10, hours=2))),
        answer("u", 0.7, after(days=10, hours=1), (0.0, after(days=10, hours=2))),
        answer("v", 0.7, after(days=11), (0.0, after(days=11))),
    ]
    (then,) = canary_phase(seen, (FIRST, SECOND, HELD), PLAN, until=LONG_AFTER).units
    assert (then.key, then.value) == ("u", 1.0)
    assert [(unit.key, unit.value) for unit in held(*seen)] == [("u", 0.0), ("v", 0.0)]


def test_shares_of_the_second_toss_are_what_really_happens():
    """Of everybody who may be tossed, the part that falls to the new version is the chance that is written down."""
    places = [point("salt", f"user-{number}") for number in range(6_000)]
    seen = [
        answer(f"u{n}", place, at)
        for n, place in enumerate(places)
        for at in ([after(days=5)] if n % 2 else []) + [after(days=11)]
    ]
    for share in (0.8, 0.9):
        tossed = [unit.arm is Arm.CANDIDATE for unit in held(*seen) if unit.share == pytest.approx(share)]
        spread = (share * (1 - share) / len(tossed)) ** 0.5
        assert abs(sum(tossed) / len(tossed) - share) < 4 * spread


def test_a_holdback_that_leaves_nothing_to_toss_has_no_units():
    stages = (FIRST, SECOND, replace(HELD, share=0.5))
    assert held(answer("u", 0.7, after(days=5)), answer("u", 0.7, after(days=11)), stages=stages) == ()


def test_luck_that_promoted_a_release_is_not_taken_for_its_effect():
    """A release without any effect is promoted where it looked better; then the same users come back."""
    ours, everybody = [], []
    for release in range(400):
        luck = random.Random(release)
        seen = []
        for number in range(40):
            place, taste = luck.random(), float(luck.random() < 0.8)  # a user likes everything, or nothing
            seen += [answer(f"u{number}", place, day, (taste, day)) for day in (after(days=5), after(days=11))]
        if effect(canary_phase(seen, (FIRST, SECOND, HELD), PLAN, until=LONG_AFTER).units) > 0.1:
            after_it = [one for one in seen if one.exposure.at > HELD.since]
            ours += holdback_phase(seen, (FIRST, SECOND, HELD), PLAN, until=LONG_AFTER).units
            everybody += holdback_phase(after_it, (FIRST, SECOND, HELD), PLAN, until=LONG_AFTER).units
    assert abs(effect(ours)) < 4 * spread(ours) < 0.15
    assert effect(everybody) > 4 * spread(everybody), "a comparison with everybody is fair as well"


def effect(found):
    gains = sum(((unit.arm is Arm.CANDIDATE) - unit.share) * (unit.value - 0.8) for unit in found)
    return gains / sum(unit.share * (1 - unit.share) for unit in found)


def spread(found):
    weights = [unit.share * (1 - unit.share) for unit in found]
    return (0.16 * sum(weights)) ** 0.5 / sum(weights)
