"""Suites of cases that fail now and then: anchors, attacks, the owner's tests, and the slices of the other cases."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from gate_product import RULES, pair

from gates.attacks import attacks
from gates.slices import confirmed, slices
from gates.statistics import holm, sign_test
from optimizer.proof import Gate
from optimizer.types import Case, Evaluation, Evidence, Pair, Usage, Verdict

ANCHORS, OWN_TESTS = 100, 20
_ASKED_ANYWAY = 0.005
_REFUSED = 0.03
"""Share of ordinary answers that are refused."""

_ANSWERS = ("Yes.", "I cannot help with that.")
_SAME = pair(1.0, 1.0)

_COST_SPREAD, _TIME_SPREAD, _LENGTH_SPREAD = 0.2, 0.5, 0.35
"""Standard deviations of the logarithms, between two answers to the same input."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A case of a suite, its four possible outcomes, and the chances that an answer of either arm is bad."""

    case: Case
    gate: Gate
    baseline: float
    candidate: float
    outcomes: tuple[Pair, ...]

    @classmethod
    def of(cls, case_id: str, gate: Gate, baseline: float, candidate: float) -> "Guarded":
        """Both outcomes of both arms are made once: suites are drawn thousands of times."""
        outcomes = tuple(pair(before, after, case_id) for before in (1.0, 0.0) for after in (1.0, 0.0))
        return cls(outcomes[0].case, gate, baseline, candidate, outcomes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Everything that can veto by a single case."""

    GATES: ClassVar[tuple[Gate, ...]] = (Gate.SAFETY, Gate.ANCHORS, Gate.PROMPTFOO)

    cases: tuple[Guarded, ...]

    @classmethod
    def of(cls, flakiness: Sequence[tuple[float, float]]) -> "Suite":
        """The cases of a prompt that is compared with itself; the levels are spread evenly over each gate."""
        made: list[Guarded] = []
        for gate, count in zip(cls.GATES, (len(attacks()), ANCHORS, OWN_TESTS), strict=True):
            bounds = [0.0]
            for _, part in flakiness:
                bounds.append(bounds[-1] + part * count)
            for level, (fails, _) in enumerate(flakiness):
                for number in range(round(bounds[level]), round(bounds[level + 1])):
                    made.append(Guarded.of(f"{gate.value}-{number}", gate, fails, fails))
        return cls(cases=tuple(made))


def guarded(cases: Sequence[Guarded], chance: random.Random) -> Evidence:
    """One answer of each arm to every case."""
    pairs = tuple(
        one.outcomes[2 * (chance.random() < one.baseline) + (chance.random() < one.candidate)] for one in cases
    )
    return Evidence(pairs=pairs, model="simulated", evaluator="simulated")


def consumed(chance: random.Random, cases: int) -> list[Pair]:
    """Both arms' answers to so many cases, which take as much as each other but for chance."""
    return [
        replace(one, baseline=_answer(one.baseline, chance), candidate=_answer(one.candidate, chance))
        for one in [pair(1.0, 1.0)] * cases
    ]


def answering(chance: random.Random, cases: int) -> Evidence:
    """Both arms' answers to so many cases, some of which are refused by chance; the same texts again and again."""
    both = [
        [
            replace(
                _SAME, baseline=replace(_SAME.baseline, output=before), candidate=replace(_SAME.candidate, output=after)
            )
            for after in _ANSWERS
        ]
        for before in _ANSWERS
    ]
    pairs = tuple(both[chance.random() < _REFUSED][chance.random() < _REFUSED] for _ in range(cases))
    return Evidence(pairs=pairs, model="simulated", evaluator="simulated")


def _answer(evaluation: Evaluation, chance: random.Random) -> Evaluation:
    return replace(
        evaluation,
        output="x" * round(400 * chance.lognormvariate(0.0, _LENGTH_SPREAD)),
        usage=Usage(
            calls=1, input_tokens=1, output_tokens=1, cost_usd=0.001 * chance.lognormvariate(0.0, _COST_SPREAD)
        ),
        latency_s=chance.lognormvariate(0.0, _TIME_SPREAD),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The other cases: whether a slice seemed to have lost in one run, and whether it blocks."""

    seemed: bool
    blocked: bool


class Parts:
    """Cases in slices. With `sizes` every case is in one slice, else in one of each dimension."""

    _DIMENSIONS = (
        ("language:de", "language:en", "language:fr"),
        ("plan:free", "plan:paid"),
        ("intent:a", "intent:b", "intent:c"),
    )
    _SHARES = ((0.7, 0.2, 0.1), (0.6, 0.4), (0.5, 0.3, 0.2))

    def __init__(self, churn: float, *, sizes: Sequence[int] = (), loss: float = 0.0) -> None:
        chance = random.Random("slices")
        self._churn = churn
        if sizes:
            tags = [(f"part:{number}",) for number, size in enumerate(sizes) for _ in range(size)]
        else:
            drawn = [
                chance.choices(names, shares, k=RULES.max_cases)
                for names, shares in zip(self._DIMENSIONS, self._SHARES, strict=True)
            ]
            tags = list(zip(*drawn, strict=True))
        self._tags = tags
        self._loss = [loss if own == ("part:0",) else 0.0 for own in tags]
        self._pairs = [self._made(own) for own in tags]

    @staticmethod
    def _made(tags: tuple[str, ...]) -> tuple[Pair, Pair, Pair]:
        """Better, worse, the same."""
        made = (pair(0.0, 1.0), pair(1.0, 0.0), pair(1.0, 1.0))
        tagged = [replace(one, case=replace(one.case, tags=tags)) for one in made]
        return tagged[0], tagged[1], tagged[2]

    def judged(self, chance: random.Random) -> Judged:
        """One run of all cases, and one more for the slices that seem to have lost."""
        first = self._run(chance)
        if not self._losing(first, chance):
            return Judged(seemed=False, blocked=False)
        readings = confirmed(slices(first, RULES), self._run(chance), RULES)
        return Judged(seemed=True, blocked=any(reading.verdict is Verdict.FAIL for reading in readings))

    def _run(self, chance: random.Random) -> list[Pair]:
        """One answer of each arm to every case."""
        pairs = []
        for three, loss in zip(self._pairs, self._loss, strict=True):
            draw = chance.random()
            place = 0 if draw < self._churn else 1 if draw < 2 * self._churn + loss else 2
            pairs.append(three[place])
        return pairs

    def _losing(self, pairs: Sequence[Pair], chance: random.Random) -> set[str]:
        """The product's word; asked when the rule, applied to counts, says yes, and now and then when it says no."""
        counted = self._lost(pairs)
        if not counted and chance.random() >= _ASKED_ANYWAY:
            return set()
        said = {reading.name for reading in slices(pairs, RULES) if reading.verdict is Verdict.FAIL}
        if said != counted:
            raise AssertionError("the rule for slices is not what the benchmark takes it for")
        return said

    def _lost(self, pairs: Sequence[Pair]) -> set[str]:
        """The rule in counts: a large loss with a small p-value, corrected where slices are many."""
        counts: dict[str, list[int]] = {}
        for (better, worse, _), one in zip(self._pairs, pairs, strict=True):
            for tag in one.case.tags:
                counts.setdefault(tag, [0, 0, 0])[0 if one is better else 1 if one is worse else 2] += 1
        tested = {name: seen for name, seen in counts.items() if sum(seen) >= RULES.slice_cases}
        ps = [sign_test(better, worse) for better, worse, _ in tested.values()]
        if len(tested) > RULES.many_slices:
            ps = list(holm(ps))
        return {
            name
            for (name, (better, worse, same)), p in zip(tested.items(), ps, strict=True)
            if (worse - better) / (better + worse + same) > RULES.slice_loss and p < RULES.slice_p
        }
