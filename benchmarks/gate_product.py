"""The product's own gates, asked with counts of pairs instead of pairs, so that ten thousand years fit into minutes.

With answers that are right or wrong a look is three numbers: cases, cases that got better, cases that got worse. Every
pass is the product's own word (`gates.screen.screen`, `gates.claim.claim`); its other words are remembered by these
numbers, and a sample of what was remembered is asked again at the very stake. Only the credit of the bet is computed
here a second time, from counts, and `differing` compares it with `gates.statistics.e_above` on random pairs.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass

from gates.claim import claim
from gates.rules import GateRules
from gates.screen import screen
from gates.statistics import GRID, e_above
from optimizer.types import (
    Arm,
    Case,
    CaseInput,
    CaseOrigin,
    Evaluation,
    Missing,
    Pair,
    Scored,
    Unscored,
    Usage,
    Verdict,
)

RULES = GateRules()
_NO_STAKE = 1e-9
"""A stake that no bet of a benchmark reaches: what `claim` says then does not depend on the stake."""
_NEAR = 0.25
"""From this share of the credit that is needed on, the product is asked at the very stake."""
_ASKED_AGAIN = 0.002


def pair(baseline: float | None, candidate: float | None, case_id: str = "c") -> Pair:
    """Both arms' scores of a case; None is an answer that nobody could judge."""
    case = Case(id=case_id, origin=CaseOrigin.DATASET, input=CaseInput(), reference=Missing.NOT_RECORDED, source_key="")
    return Pair(
        case=case,
        baseline=_evaluation(case_id, Arm.BASELINE, baseline),
        candidate=_evaluation(case_id, Arm.CANDIDATE, candidate),
    )


def _evaluation(case_id: str, arm: Arm, score: float | None) -> Evaluation:
    result = Unscored(reason="provider down") if score is None else Scored(value=score, reason="")
    usage = Usage(calls=1, input_tokens=1, output_tokens=1)
    return Evaluation(case_id=case_id, arm=arm, output="", result=result, usage=usage, latency_s=1.0)


@dataclass(frozen=True, slots=True)
class Counts:
    """What a look sees: `cases`, and in how many of them the candidate did `better` and `worse`."""

    cases: int = 0
    better: int = 0
    worse: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.cases + other.cases, self.better + other.better, self.worse + other.worse)

    @property
    def effect(self) -> float:
        """Mean of candidate minus baseline."""
        return (self.better - self.worse) / self.cases

    @property
    def e_value(self) -> float:
        """The credit of the bet, from counts alone: the second implementation."""
        logs = [self.better * math.log1p(g) + self.worse * math.log1p(-g) for g in GRID]
        top = max(logs)
        return math.exp(top) * sum(math.exp(log - top) for log in logs) / len(logs)


class Product:
    """`screen` and `claim` of the product, remembered by counts."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(f"asked again {seed}")
        self._screened: dict[tuple[Counts, bool], Verdict | None] = {}
        self._without_stake: dict[tuple[Counts, bool], Verdict | None] = {}
        self._passed: dict[tuple[Counts, float], bool] = {}
        self.asked_again = 0
        self.disagreed = 0
        self._better, self._worse, self._same = pair(0.0, 1.0), pair(1.0, 0.0), pair(1.0, 1.0)

    def screened(self, counts: Counts, *, last: bool) -> Verdict | None:
        """What the screen says of these pairs; None: look at more cases."""
        key = counts, last
        if key not in self._screened:
            finding = screen(self._pairs(counts), RULES, last=last)
            self._screened[key] = finding.verdict if finding else None
        return self._screened[key]

    def claimed(self, counts: Counts, *, stake: float, last: bool) -> Verdict | None:
        """What the claim says of these pairs; None: look at more cases."""
        if counts.e_value * stake >= _NEAR and self._passes(counts, stake):
            return Verdict.PASS
        key = counts, last
        if key not in self._without_stake:
            finding = claim(self._pairs(counts), RULES, stake=_NO_STAKE, last=last)
            self._without_stake[key] = finding.verdict if finding else None
        said = self._without_stake[key]
        if self._chance.random() < _ASKED_AGAIN:
            again = claim(self._pairs(counts), RULES, stake=stake, last=last)
            self.asked_again += 1
            self.disagreed += said != (again.verdict if again else None)
        return said

    def _passes(self, counts: Counts, stake: float) -> bool:
        key = counts, stake
        if key not in self._passed:
            finding = claim(self._pairs(counts), RULES, stake=stake, last=False)
            self._passed[key] = finding is not None and finding.verdict is Verdict.PASS
        return self._passed[key]

    def _pairs(self, counts: Counts) -> list[Pair]:
        same = counts.cases - counts.better - counts.worse
        return [self._better] * counts.better + [self._worse] * counts.worse + [self._same] * same


def differing(rounds: int, seed: int) -> float:
    """The largest relative difference between the counted credit and the product's on random pairs."""
    chance, worst = random.Random(f"streams {seed}"), 0.0
    for _ in range(rounds):
        cases, churn, gain = chance.randint(1, 800), chance.uniform(0.0, 0.3), chance.uniform(-0.3, 0.3)
        weights = [churn + max(gain, 0.0), churn + max(-gain, 0.0), 1.0 - 2.0 * churn - abs(gain)]
        seen = chance.choices((1.0, -1.0, 0.0), weights, k=cases)
        counted = Counts(cases, seen.count(1.0), seen.count(-1.0)).e_value
        worst = max(worst, abs(counted / e_above(seen) - 1.0))
    return worst


class Draws:
    """Counts of better and worse among so many new cases, drawn from a table of all that can happen."""

    def __init__(self) -> None:
        self._tables: dict[tuple[int, float, float], tuple[list[Counts], list[float]]] = {}

    def draw(self, cases: int, up: float, down: float, chance: random.Random) -> Counts:
        """One draw: `up` and `down` are the chances that a case gets better and worse."""
        key = cases, up, down
        if key not in self._tables:
            self._tables[key] = _table(cases, up, down)
        values, cumulated = self._tables[key]
        return chance.choices(values, cum_weights=cumulated)[0]


def _table(cases: int, up: float, down: float) -> tuple[list[Counts], list[float]]:
    """Every outcome with a chance above 1e-15, and the chances added up."""
    values, cumulated, total = [], [], 0.0
    for better, chance_better in _binomial(cases, up).items():
        for worse, chance_worse in _binomial(cases - better, down / (1.0 - up) if up < 1.0 else 0.0).items():
            if (both := chance_better * chance_worse) > 1e-15:
                total += both
                values.append(Counts(cases, better, worse))
                cumulated.append(total)
    return values, cumulated


def _binomial(tries: int, chance: float) -> Mapping[int, float]:
    if chance <= 0.0:
        return {0: 1.0}
    if chance >= 1.0:
        return {tries: 1.0}
    logs = {
        hits: math.lgamma(tries + 1) - math.lgamma(hits + 1) - math.lgamma(tries - hits + 1)
        + hits * math.log(chance) + (tries - hits) * math.log1p(-chance)
        for hits in range(tries + 1)
    }  # fmt: skip
    return {hits: math.exp(log) for hits, log in logs.items() if log > -37.0}
