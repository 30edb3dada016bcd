"""What the years of a scenario come to: means with their bounds, ratios of two rules, and what has to hold of them."""

import math
from dataclasses import dataclass

import numpy as np
from gate_figures import Mean, mean
from year_engine import SOUND, Conduct
from year_rules import BUDGET, lived
from year_world import Floats, Scenario

AT_ONCE = 500
"""Prompt-years that are simulated together: what fits into the caches of a processor."""

MOST_HARM = {"offline": 1 / 5, "ab": 1 / 4}
LEAST_GAIN = {"offline": {1_000: 0.70, 3_000: 0.80}, "ab": {1_000: 0.60, 3_000: 0.75}}
MOST_MUCH_WORSE = 0.02
LEAST_FINAL = -0.002
NAMES = {"offline": "naive offline", "ab": "naive A/B", "ours": "ours"}

Years = dict[str, dict[str, Floats]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Something that the benchmark is to show, and whether it does."""

    text: str
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One scenario. Every mean is of a prompt and year; the first key is a rule, ratios are ours to that rule's.

    Attributes:
        gain_ratio: missing for a rule that gains nothing; then `lead` is all there is.
        lead: how much more ours gains.
    """

    key: str
    name: str
    units: int
    hostile: bool
    prompt_years: int
    means: dict[str, dict[str, Mean]]
    harm_ratio: dict[str, Mean]
    gain_ratio: dict[str, Mean | None]
    lead: dict[str, Mean]


def years(scenario: Scenario, count: int, seed: int, conduct: Conduct = SOUND, *, naive: bool = True) -> Years:
    """So many prompt-years under each rule, in parts, each with a seed of its own."""
    parts = [
        lived(scenario, min(AT_ONCE, count - first), seed + 10 * place, conduct, naive=naive)
        for place, first in enumerate(range(0, count, AT_ONCE))
    ]
    return {
        rule: {name: np.concatenate([part[rule][name] for part in parts]) for name in parts[0][rule]}
        for rule in parts[0]
    }


def outcome(scenario: Scenario, found: Years) -> Outcome:
    """Means, bounds and ratios."""
    ours = found["ours"]
    naive = [rule for rule in found if rule != "ours"]
    lead = {rule: mean(list(ours["gain"] - found[rule]["gain"])) for rule in naive}
    return Outcome(
        key=scenario.key,
        name=scenario.name,
        units=scenario.units,
        hostile=scenario.mix.good == 0.0,
        prompt_years=len(ours["gain"]),
        means={rule: {name: mean(list(values)) for name, values in found[rule].items()} for rule in found},
        harm_ratio={rule: ratio(ours["harm"], found[rule]["harm"]) for rule in naive},
        gain_ratio={
            rule: ratio(ours["gain"], found[rule]["gain"]) if mean(list(found[rule]["gain"])).low > 0.0 else None
            for rule in naive
        },
        lead=lead,
    )


def ratio(above: Floats, below: Floats) -> Mean:
    """The ratio of two means of the same prompt-years, with its interval (delta method)."""
    bottom = float(below.mean())
    rate = float(above.mean()) / bottom
    half = 1.96 * float((above - rate * below).std(ddof=1)) / math.sqrt(len(above)) / bottom
    return Mean(mean=rate, low=rate - half, high=rate + half)


def claims(one: Outcome) -> list[Claim]:
    """What has to hold of a scenario, by the bad end of each interval."""
    ours = one.means["ours"]
    made = []
    for rule, harm in one.harm_ratio.items():
        most = MOST_HARM[rule]
        made.append(_claim(one, f"harm is {harm} of that of {NAMES[rule]}, at most {most:.2f}", harm.high <= most))
    for rule, gain in one.gain_ratio.items():
        if gain is None:
            lead = one.lead[rule]
            made.append(_claim(one, f"{NAMES[rule]} gains nothing, ours more: {_points(lead)} points", lead.low >= 0.0))
        else:
            least = LEAST_GAIN[rule][one.units]
            made.append(
                _claim(one, f"gain is {gain} of that of {NAMES[rule]}, at least {least:.2f}", gain.low >= least)
            )
    much = ours["much_worse"]
    made.append(_claim(one, f"releases worse by more than a point: {much}", much.high <= MOST_MUCH_WORSE))
    made.append(_claim(one, f"false promotions: {ours['false']}, at most {BUDGET:g}", ours["false"].high <= BUDGET))
    if one.hostile:
        final = ours["final"]
        made.append(_claim(one, f"ends at {_points(final)} points, at least -0.2", final.low >= LEAST_FINAL))
    return made


def _claim(one: Outcome, text: str, holds: bool) -> Claim:
    return Claim(text=f"{one.name}: {text}", holds=holds)


def _points(found: Mean) -> str:
    return f"{100 * found.mean:.2f} [{100 * found.low:.2f}, {100 * found.high:.2f}]"
