"""After a promotion: taken back, halted, finished; and what moved the scores."""

import math
from dataclasses import replace

from gates.canary import holdback_look
from gates.canary.attribution import Cause, attribution
from optimizer.rollouts import CanaryPlan, Decision, Look, Unit
from optimizer.types import Arm
from tests.gates.canary_samples import BEGAN, NONE, PLAN, after, ruled, stream, unit


def held(units: list[Unit], *, days: float = 10.0, plan: CanaryPlan = PLAN) -> Look:
    return holdback_look(plan, units, at=after(days), began=BEGAN)


def kept(count: int, new: tuple[float, ...], old: tuple[float, ...]) -> list[Unit]:
    """Nine of ten with the new version."""
    return [
        unit(place, candidate=place % 10 != 0, share=0.9, value=(old if place % 10 == 0 else new)[place // 10 % 2])
        for place in range(count)
    ]


def test_a_release_that_stays_good_is_finished_after_its_days() -> None:
    good = kept(600, (1.0, 1.0), (1.0, 0.0))
    assert held(good, days=27.999).decision is Decision.WAIT
    over = held(good, days=28.0)
    assert over.decision is Decision.FINISH
    assert over.sentence.startswith("28 days after the promotion nothing speaks against the new version: +")


def test_a_release_is_never_promoted_again_nor_given_up() -> None:
    none = held(kept(400, (1.0, 1.0), (1.0, 1.0)), plan=ruled(futile=0.0, share_alarm=0.0, most_days=0.0, least_days=0))
    assert none.decision is Decision.WAIT


def test_harm_takes_back_at_the_edge_also_on_the_last_day() -> None:
    bad = kept(800, (0.0, 1.0), (1.0, 1.0))
    found = held(bad, days=28.0)
    assert found.decision is Decision.TAKE_BACK
    assert held(bad, plan=ruled(harm=found.harm)).decision is Decision.TAKE_BACK
    assert held(bad, plan=ruled(harm=math.nextafter(found.harm, math.inf))).decision is Decision.WAIT


def test_halted_when_the_version_before_is_ill() -> None:
    assert held(kept(1600, (0.0, 0.0), (0.0, 1.0))).decision is Decision.HALT


# ---- what moved the scores -----------------------------------------------------------------------------------------

CANARY = stream(400, (1.0,), (1.0, 1.0, 1.0, 1.0, 0.0))
"""The old version at 80 of 100."""


def told(now: list[Unit], *, models: tuple[str, ...] = ("model-1",)) -> tuple[tuple[Cause, ...], str]:
    found = attribution(PLAN, then=CANARY, now=now, models_then=frozenset({"model-1"}), models_now=frozenset(models))
    return found.causes, found.sentence


def test_nothing_moved() -> None:
    causes, sentence = told(stream(400, (1.0, 1.0, 1.0, 1.0, 0.0), (0.0, 1.0, 1.0, 1.0, 1.0)), models=("model-2",))
    assert (causes, sentence) == ((), "Nothing has moved by more than chance does.")


def test_our_release_moved_them() -> None:
    causes, sentence = told(stream(400, (1.0, 0.0), (1.0, 1.0, 1.0, 1.0, 0.0)))
    assert causes == (Cause.RELEASE,)
    assert sentence.startswith("Our release moves the scores: the new version stands at -3")
    better, _ = told(stream(400, (1.0,), (1.0, 1.0, 1.0, 1.0, 0.0)))
    assert better == (Cause.RELEASE,)


def test_time_moved_both_versions() -> None:
    fallen = stream(400, (0.0, 1.0), (1.0, 0.0))
    causes, sentence = told(fallen)
    assert causes == (Cause.TRAFFIC,)
    assert sentence == (
        "The traffic changed: the old version itself moved by -30.0 points since the canary, from 0.80 to 0.50, by the "
        "same model with the same text."
    )
    causes, sentence = told(fallen, models=("model-2",))
    assert causes == (Cause.MODEL,)
    assert sentence.endswith("from 0.80 to 0.50, and it is not answered by the same models as before.")


def test_both_may_have_moved_them() -> None:
    causes, sentence = told(stream(600, (0.0,), (1.0, 0.0)), models=("model-1", "model-2"))
    assert causes == (Cause.RELEASE, Cause.MODEL)
    assert sentence.count(". The model changed: ") == 1


def test_few_units_and_those_without_scores_say_nothing_about_time() -> None:
    fallen = stream(38, (0.0,), (0.0,))
    assert told(fallen)[0] == ()
    silent = [unit(100 + place, candidate=False, value=NONE) for place in range(40)]
    assert told([*fallen, *silent])[0] == ()
    assert told(stream(40, (0.0,), (0.0,)))[0] == (Cause.TRAFFIC,)


def test_only_matured_units_are_compared() -> None:
    fallen = [replace(one, matured=False) for one in stream(200, (0.0,), (1.0, 0.0))]
    assert told(fallen)[0] == ()
    unripe = [replace(one, matured=False) for one in CANARY]
    found = attribution(
        PLAN, then=unripe, now=stream(40, (0.0,), (0.0,)), models_then=frozenset(), models_now=frozenset()
    )
    assert found.causes == ()


def test_only_the_old_version_is_compared_over_time() -> None:
    new_alone = [one for one in CANARY if one.arm is Arm.CANDIDATE]
    found = attribution(
        PLAN, then=new_alone, now=stream(40, (0.0,), (0.0,)), models_then=frozenset(), models_now=frozenset()
    )
    assert found.causes == ()
