"""The judge judged: how far it agrees with itself, with either order of two answers, and with people.

A judge that cannot be trusted holds a verdict back; it never fails a candidate.
"""

from collections.abc import Sequence
from math import sqrt
from statistics import fmean

from gates.rules import GateRules
from gates.statistics import at_least
from gates.words import counted
from optimizer.proof import Finding, Gate, JudgeReading
from optimizer.types import Evidence, Missing, Repeat, Shown, Verdict

GOOD_FROM = 0.5
"""A score from here on says that an answer is good."""

ONE_SIDED_P = 0.01
"""Below this p-value, one place wins too often for a coin."""


def judged(name: str, evidence: Evidence, human: Sequence[tuple[float, float]]) -> JudgeReading:
    """What is known about the judge.

    Args:
        human: (a person's score, the judge's score) of the same answers.
    """
    inconsistent = [
        swap.forward for swap in evidence.swaps if swap.forward is swap.backward and swap.forward is not Shown.NEITHER
    ]
    return JudgeReading(
        name=name,
        noise=_noise(evidence.repeats),
        repeated=len(evidence.repeats),
        swapped=len(evidence.swaps),
        inconsistent=len(inconsistent),
        first_preferred=inconsistent.count(Shown.FIRST),
        agreement=kappa(human),
        human=len(human),
    )


def trusted(reading: JudgeReading, rules: GateRules) -> Finding:
    """Undecided when the place of an answer decides, or people see it otherwise."""
    if side := _preferred_side(reading, rules):
        return _finding(
            Verdict.UNDECIDED,
            f"The judge prefers whichever answer is shown {side}: in {reading.inconsistent} of "
            f"{counted(reading.swapped, 'pair')} that were shown in both orders, the order decided.",
        )
    enough = reading.human >= rules.judge_humans
    if enough and not isinstance(reading.agreement, Missing) and reading.agreement < rules.judge_floor:
        return _finding(
            Verdict.UNDECIDED,
            f"The judge does not see answers as people do: agreement beyond chance is {reading.agreement:.2f} on "
            f"{reading.human} answers that people scored, too; {rules.judge_floor:.2f} is the least.",
        )
    told = (_about_noise(reading), _about_order(reading, rules), _about_people(reading, rules))
    return _finding(Verdict.PASS, " ".join(filter(None, told)))


def kappa(pairs: Sequence[tuple[float, float]]) -> float | Missing:
    """Agreement on good and bad beyond chance (Cohen 1960); missing when nothing could have differed."""
    if not pairs:
        return Missing.NOT_RECORDED
    first, second = [one >= GOOD_FROM for one, _ in pairs], [other >= GOOD_FROM for _, other in pairs]
    one, other = fmean(first), fmean(second)
    by_chance = one * other + (1.0 - one) * (1.0 - other)
    if by_chance == 1.0:
        return Missing.NOT_RECORDED
    agreed = fmean(a == b for a, b in zip(first, second, strict=True))
    return (agreed - by_chance) / (1.0 - by_chance)


def _noise(repeats: Sequence[Repeat]) -> float | Missing:
    if not repeats:
        return Missing.NOT_RECORDED
    return sqrt(fmean((repeat.first - repeat.second) ** 2 for repeat in repeats) / 2.0)


def _preferred_side(reading: JudgeReading, rules: GateRules) -> str:
    """The place that wins whatever is shown there; empty when none does."""
    if reading.swapped < rules.least_swaps or reading.inconsistent <= rules.order_bias * reading.swapped:
        return ""
    first, second = reading.first_preferred, reading.inconsistent - reading.first_preferred
    if at_least(max(first, second), reading.inconsistent, 0.5) >= ONE_SIDED_P:
        return ""
    return "first" if first > second else "second"


def _about_noise(reading: JudgeReading) -> str:
    if isinstance(reading.noise, Missing):
        return "No answer was judged twice."
    return (
        f"Judged twice, {counted(reading.repeated, 'answer')} got scores that typically differ by "
        f"{100 * sqrt(2.0) * reading.noise:.0f} points."
    )


def _about_order(reading: JudgeReading, rules: GateRules) -> str:
    if not reading.swapped:
        return ""
    told = (
        f"In {reading.inconsistent} of {counted(reading.swapped, 'pair')} the order in which answers were shown decided"
    )
    weak = reading.inconsistent > rules.order_bias * reading.swapped
    return f"{told}, without favouring a place: a weak judge, which hides differences." if weak else f"{told}."


def _about_people(reading: JudgeReading, rules: GateRules) -> str:
    if reading.human < rules.judge_humans:
        few = counted(reading.human, "answer has", "answers have")
        return f"Whether people would agree is not known: {few} a person's score, {rules.judge_humans} are needed."
    if isinstance(reading.agreement, Missing):
        return f"People and the judge gave all of {reading.human} answers the same mark, which shows no agreement."
    return f"Agreement with people beyond chance is {reading.agreement:.2f} on {reading.human} answers."


def _finding(verdict: Verdict, sentence: str) -> Finding:
    return Finding(gate=Gate.JUDGE, verdict=verdict, sentence=sentence)
