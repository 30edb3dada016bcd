"""Other products than ours: broken ones, which the benchmark has to catch, and sound ones with other habits."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from gate_figures import Mean, mean
from year_engine import Conduct
from year_outcomes import MOST_HARM, Claim, ratio, years
from year_rules import BUDGET
from year_world import NULL, SCENARIOS, Scenario, Users

_BY_KEY = {one.key: one for one in SCENARIOS}
_HOSTILE = _BY_KEY["3-biased-5-1000"]
_NOTHING = replace(_HOSTILE, key="null", name=NULL.name, mix=NULL)
_LATE = replace(_NOTHING, users=Users(good_days=(1.0, 0.0, 0.0, 0.0), bad_days=(0.0, 0.0, 0.0, 1.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A broken product beside the sound one: false promotions and harm for a prompt and year.

    Attributes:
        harm_ratio: of the harm of naive A/B, broken and sound; missing where no candidate does harm.
    """

    name: str
    stream: str
    prompt_years: int
    false: Mean
    sound_false: Mean
    harm: Mean
    sound_harm: Mean
    harm_ratio: Mean | None

    @property
    def caught(self) -> bool:
        """False promotions above the budget and twice those of the sound product; or more harm than is accepted."""
        if self.harm_ratio is not None:
            return self.harm_ratio.low > MOST_HARM["ab"]
        return self.false.low > max(BUDGET, 2.0 * self.sound_false.high)

    def claim(self) -> Claim:
        """The benchmark is worth nothing if this passes for a sound product."""
        said = f"{self.false} false promotions, sound {self.sound_false}"
        if self.harm_ratio is not None:
            said = f"harm is {self.harm_ratio} of that of naive A/B"
        return Claim(text=f"caught: {self.name}: {said}", holds=self.caught)

    def figures(self) -> dict[str, Any]:
        """For the file of figures."""
        return asdict(self) | {"caught": self.caught}


_VARIANTS: tuple[tuple[str, Scenario, Conduct], ...] = (
    ("bets that lose begin anew, no stake is charged", _NOTHING, Conduct(restarted=True)),
    ("units in the order in which scores arrive, bad ones late", _LATE, Conduct(by_arrival=True)),
    ("nothing is futile", _HOSTILE, Conduct(futility=False)),
)


def broken(count: int, seed: int) -> Iterator[Broken]:
    """Each broken product, on so many prompt-years."""
    for name, scenario, conduct in _VARIANTS:
        harms = scenario.mix.harmful > 0.0
        found = years(scenario, count, seed, conduct, naive=harms)
        sound = years(scenario, count, seed, naive=False)["ours"]
        yield Broken(
            name=name,
            stream=scenario.mix.name,
            prompt_years=count,
            false=mean(list(found["ours"]["false"])),
            sound_false=mean(list(sound["false"])),
            harm=mean(list(found["ours"]["harm"])),
            sound_harm=mean(list(sound["harm"])),
            harm_ratio=ratio(found["ours"]["harm"], found["ab"]["harm"]) if harms else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """A sound product with another habit: gain and harm as parts of ours."""

    habit: str
    name: str
    gain_ratio: Mean
    harm_ratio: Mean

    @property
    def sentence(self) -> str:
        """In words."""
        return f"{self.habit}: gain {self.gain_ratio}, harm {self.harm_ratio} of ours: {self.name}"


_HABITS = (
    ("a canary waits until the holdback before it is over", Conduct(patient=True)),
    ("a candidate that waits expires after 14 days", Conduct(expires=14.0)),
)


def others(count: int, seed: int) -> Iterator[Other]:
    """Some scenarios with each of the habits."""
    for key in ("0-honest-5-1000", "1-biased-5-1000", "1-biased-5-3000"):
        ours = years(_BY_KEY[key], count, seed, naive=False)["ours"]
        for habit, conduct in _HABITS:
            found = years(_BY_KEY[key], count, seed, conduct, naive=False)["ours"]
            yield Other(
                habit=habit,
                name=_BY_KEY[key].name,
                gain_ratio=ratio(found["gain"], ours["gain"]),
                harm_ratio=ratio(found["harm"], ours["harm"]),
            )
