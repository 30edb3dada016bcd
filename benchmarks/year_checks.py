"""Whether the year's fast arithmetic is the product's: its screen, and its looks at a canary, asked of the same cases.

The engine counts units by day; here each of them becomes a `Unit` again, and `gates.canary` looks at them.
"""

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import log

import numpy as np
from canary_product import plan
from canary_world import World as Watched
from gate_product import Counts, Product
from year_engine import MATURITY, SOUND, Canaries, Codes, End, Phase
from year_offline import RULES, changes, screened
from year_world import BASE, VALUES, Floats, Scenario, World

from deploy.release_settings import CanarySettings
from gates.canary.looking import look
from gates.screen import LOOKS
from optimizer.rollouts import Decision, Unit
from optimizer.types import Arm, Missing, Verdict

STAKE = 0.02
_BEGAN = datetime(2026, 1, 5, tzinfo=UTC)
_SAME = {
    End.NOT: (Decision.WAIT, Decision.WIDEN),
    End.UNEVEN: (Decision.GIVE_UP,),
    End.HARM: (Decision.TAKE_BACK,),
    End.FUTILE: (Decision.GIVE_UP,),
    End.PROMOTED: (Decision.PROMOTE,),
    End.TOO_LATE: (Decision.GIVE_UP,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How many were asked, how many agreed; `apart` is the largest ratio of two numbers that should be the same."""

    asked: int
    agreed: int
    apart: float = 1.0


def screens(tries: int, seed: int) -> Agreement:
    """The screen of random candidates, from counts and from the product."""
    chance, product = np.random.default_rng([seed, 5]), Product(seed)
    effects = chance.choice([-0.03, 0.0, 0.02, 0.05, 0.08], tries)
    fresh = changes(chance.random((tries, RULES.max_cases), dtype=np.float32), effects)
    passed, _ = screened(fresh)
    return Agreement(
        asked=tries, agreed=sum(_passes(product, row) == bool(said) for row, said in zip(fresh, passed, strict=True))
    )


def _passes(product: Product, row: np.ndarray) -> bool:
    looks = [look for look in LOOKS if look <= RULES.max_cases]
    for cases in looks:
        counts = Counts(cases, int((row[:cases] > 0).sum()), int((row[:cases] < 0).sum()))
        said = product.screened(counts, last=cases == looks[-1])
        if said is not None:
            return said is Verdict.PASS
    return False


class _Recorded(Canaries):
    """An engine that keeps every day's counts."""

    def __init__(self, world: World, seed: int) -> None:
        super().__init__(world, SOUND, seed, CanarySettings().rules(STAKE))
        self.days: list[tuple[np.ndarray, np.ndarray, Floats]] = []

    def _expose(self, old: Floats, new: Floats) -> None:
        super()._expose(old, new)
        self.days.append((self._counts[0].copy(), self._unscored.copy(), self._shares[0].copy()))


def looks(scenario: Scenario, tries: int, seed: int) -> Agreement:
    """Canaries of several effects: the look that ended each, and the one before it, beside the product's."""
    chance = random.Random(f"{seed} looks")
    planned = plan(CanarySettings().rules(STAKE), Watched(weekly=scenario.units, maturity=MATURITY))
    world = World(scenario, tries, seed)
    canaries = _Recorded(world, seed)
    old = np.full(tries, BASE)
    new = old + np.resize([-0.08, 0.0, 0.05, 0.03, 0.08], tries)
    asked = agreed = 0
    apart = 1.0
    before: tuple[Codes, dict[str, Floats]] | None = None
    open_ = np.ones(tries, dtype=bool)
    for today in range(43):
        world.day(today)
        if today == 0:
            prior = world.scores.mean(old + world.common, world.grudge)
            canaries.open(open_, Phase.FIRST, today=0.0, prior=prior)
            canaries.stake[:] = STAKE
        wide = canaries.phase == Phase.FULL
        said = canaries.day(old, new)
        for place in np.flatnonzero(open_ & (said != End.NOT)):
            for back, codes, numbers in ((0, said, canaries.numbers), (1, *(before or (said, canaries.numbers)))):
                units = _units(canaries, int(place), today - back, chance)
                seen = look(
                    replace(planned, prior=float(prior[place])),
                    units,
                    at=_BEGAN + timedelta(days=today - back + 1),
                    began=_BEGAN,
                    widened=bool(wide[place]),
                )
                asked += 1
                agreed += seen.decision in _SAME[End(codes[place])]
                apart = max(apart, *(_ratio(getattr(seen, name), numbers[name][place]) for name in numbers))
        before = said, canaries.numbers
        open_ &= said == End.NOT
    return Agreement(asked=asked, agreed=agreed, apart=apart)


def _ratio(one: float, other: float) -> float:
    return float(np.exp(abs(log(one) - log(other))))


def _units(canaries: _Recorded, place: int, today: int, chance: random.Random) -> list[Unit]:
    units = []
    for day, (counts, unscored, shares) in enumerate(canaries.days[: today + 1]):
        for arm, which in enumerate((Arm.BASELINE, Arm.CANDIDATE)):
            found: list[tuple[float | Missing, int]] = [(Missing.NOT_RECORDED, 0)] * int(unscored[arm, place])
            for value, delays in zip(VALUES, counts[place, arm], strict=True):
                for delay, many in enumerate(delays):
                    worth = Missing.NOT_RECORDED if day + delay > today else float(value)
                    found += [(worth, delay)] * int(many)
            units += [
                Unit(
                    key=f"{chance.random()}",
                    arm=which,
                    share=float(shares[place]),
                    at=_BEGAN + timedelta(days=day + chance.random()),
                    value=worth,
                    matured=day + MATURITY <= today,
                )
                for worth, _ in found
            ]
    return units
