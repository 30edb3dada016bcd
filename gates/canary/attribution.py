"""Why scores moved after a promotion: because of our release, of another model, or of other traffic.

The old version is still shown to a few. Old against new at the same time is a tossed comparison: what differs is the
release. The old version now against itself during the canary is the same text at another time: what differs is
everything else, and it is no proof but a hint.
"""

import math
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, variance

from gates.canary.measuring import bets, value
from gates.canary.wealth import Wealth
from gates.words import plain, points
from optimizer.rollouts import CanaryPlan, Unit
from optimizer.types import Arm, Missing

FAR = 3.0
"""Standard errors between the old version now and then; as many as are not crossed by chance in weeks of looks."""

FEWEST = 20
"""Fewer scored units than this on either side say nothing about time."""


class Cause(StrEnum):
    """What moved the scores."""

    RELEASE = "our release"
    MODEL = "the model changed"
    TRAFFIC = "the traffic changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """What moved the scores, none to two causes, and one sentence for each or for none."""

    causes: tuple[Cause, ...]
    sentence: str


def attribution(
    plan: CanaryPlan,
    *,
    then: Iterable[Unit],
    now: Sequence[Unit],
    models_then: AbstractSet[str],
    models_now: AbstractSet[str],
) -> Attribution:
    """Causes of a change of scores after the promotion, in either direction.

    Args:
        then: the units of the canary; only the control's are used.
        now: the units since the promotion; the candidate's arm has the new version, the other one the old.
        models_then, models_now: names of the models that answered.
    """
    ordered = sorted((unit for unit in now if unit.matured), key=lambda unit: (unit.at, unit.key))
    found = [
        _of_release(bets(ordered, value, plan.prior), plan.rules.harm),
        _of_time(_values(then), _values(ordered), models_then, models_now),
    ]
    told = [one for one in found if one is not None]
    if not told:
        return Attribution(causes=(), sentence="Nothing has moved by more than chance does.")
    return Attribution(causes=tuple(cause for cause, _ in told), sentence=" ".join(sentence for _, sentence in told))


def _of_release(seen: Wealth, enough: float) -> tuple[Cause, str] | None:
    worse, better = seen.below(), seen.above()
    if max(worse, better) < enough or isinstance(seen.effect, Missing):
        return None
    return Cause.RELEASE, (
        f"Our release moves the scores: the new version stands at {points(seen.effect)} points against the old one, "
        f"asked at the same time (evidence {plain(max(worse, better))}, {plain(enough)} are enough)."
    )


def _of_time(
    then: Sequence[float], now: Sequence[float], models_then: AbstractSet[str], models_now: AbstractSet[str]
) -> tuple[Cause, str] | None:
    if min(len(then), len(now)) < FEWEST:
        return None
    change = fmean(now) - fmean(then)
    error = math.sqrt(variance(then) / len(then) + variance(now) / len(now))
    if abs(change) <= FAR * error:
        return None
    same = f"the old version itself moved by {points(change)} points since the canary, from {fmean(then):.2f} to "
    same += f"{fmean(now):.2f}"
    if models_then != models_now:
        return Cause.MODEL, f"The model changed: {same}, and it is not answered by the same models as before."
    return Cause.TRAFFIC, f"The traffic changed: {same}, by the same model with the same text."


def _values(units: Iterable[Unit]) -> list[float]:
    """What the old version's matured units are worth."""
    control = (unit.value for unit in units if unit.matured and unit.arm is Arm.BASELINE)
    return [found for found in control if not isinstance(found, Missing)]
