"""The screen: a filter before anything costs more. It spends no error budget and claims nothing about production.

The numbers of early looks only end what is hopeless. Passing is decided once, at the last look: whoever may pass at
any of five looks passes by chance far oftener than the threshold says.
"""

from collections.abc import Sequence
from statistics import NormalDist, fmean

from gates.comparison import differences, scores
from gates.rules import GateRules
from gates.statistics import e_below, z_score
from gates.words import counted, points
from optimizer.proof import Finding, Gate
from optimizer.types import Missing, Pair, Verdict

LOOKS = (50, 100, 200, 400, 800)
"""How many cases have been scored at each look. Every look costs the evaluator's start, so there are few."""


def screen(pairs: Sequence[Pair], rules: GateRules, *, last: bool) -> Finding | None:
    """The verdict on all pairs so far; None asks for more."""
    found = differences(pairs)
    against = hopeless(found, rules)
    if against and not any(found) and not any(baseline for baseline, _ in scores(pairs)):
        return _finding(
            Verdict.UNDECIDED,
            f"Every answer of both versions scored 0 on {counted(len(found), 'case')}: see whether the evaluator fits "
            "the references.",
        )
    if against and (not last or e_below(found) >= rules.enough_against):
        return _finding(Verdict.FAIL, against)
    if not last:
        return None
    if len(found) < rules.min_cases:
        few = f"{counted(len(found), 'judged case')}, and {rules.min_cases} are needed"
        return _finding(Verdict.UNDECIDED, f"{few}; name a larger dataset, or raise `gate.replayed`.")
    return _last(found, rules, against)


def hopeless(found: Sequence[float], rules: GateRules) -> str:
    """Why going on is pointless, in a sentence; empty when it is not. Holds at any number of looks."""
    if e_below(found) >= rules.enough_against:
        return "The candidate answers worse than the current prompt."
    if e_below(found, rules.worthwhile_gain) >= rules.enough_against:
        gain = 100 * rules.worthwhile_gain
        odds = f"at odds of {rules.enough_against:g} to 1"
        return f"A gain of {gain:g} points or more can be ruled out ({odds}); smaller ones are not worth a change."
    return ""


def _last(found: Sequence[float], rules: GateRules, against: str) -> Finding:
    z, mean, cases = z_score(found), fmean(found), counted(len(found), "case")
    if not any(found):
        return _finding(Verdict.FAIL, f"No difference: both versions scored the same on each of {cases}.")
    certain = isinstance(z, Missing) and mean > 0  # every case differs by the same amount: nothing varies
    if certain or (not isinstance(z, Missing) and z >= rules.screen_z):
        far = "" if isinstance(z, Missing) else f", {z:.2f} standard errors above none ({rules.screen_z:g} are needed)"
        return _finding(
            Verdict.PASS,
            f"The candidate answered better on {cases}: {points(mean)} points{far}. About {_by_chance(rules):.0%} of "
            "candidates that are no better get through this filter, too.",
        )
    if mean <= 0:
        return _finding(Verdict.FAIL, f"The candidate answered no better on {cases}: {points(mean)} points.")
    if against:
        return _finding(Verdict.FAIL, against)
    return _finding(
        Verdict.UNDECIDED,
        f"The difference is too small to tell from chance on {cases}: {points(mean)} points, {z:.2f} standard errors; "
        f"{rules.screen_z:g} are needed.",
    )


def _by_chance(rules: GateRules) -> float:
    return 1.0 - NormalDist().cdf(rules.screen_z)


def _finding(verdict: Verdict, sentence: str) -> Finding:
    return Finding(gate=Gate.SCREEN, verdict=verdict, sentence=sentence)
