"""Candidates of a simulated year: their true gains, and what the people and programs who propose them know.

Nothing here looks at a gate. Whoever learns from earlier results does so through the numbers that it is handed.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gate_evidence import Counted, Graded, Listed, Peeking, Run, Tossed, World
from gate_product import RULES

from gates.cases import choose
from gates.screen import LOOKS
from optimizer.types import Case, CaseInput, CaseOrigin, Missing

CHURN = 0.06
"""Share of cases that change each way by chance alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One proposal.

    Attributes:
        screening, claiming: start a run on open and on sealed cases.
        better: by the judge that is asked; `better_for_people` is what the judge stands for.
    """

    screening: Callable[[], Run]
    claiming: Callable[[], Run]
    better: bool = False
    better_for_people: bool = False


Proposals = Callable[[World], Callable[[bool], Sequence[Candidate]]]
"""Starts a year; what comes back is asked once a cycle and told whether the last cycle ended with a pass."""


def tossed(world: World, gain: float, *, churn: float = CHURN, people: float | None = None) -> Candidate:
    """A candidate with a true gain, by this judge; `people` is its gain in people's eyes, where that is another."""
    up, down = churn + max(gain, 0.0), churn + max(-gain, 0.0)
    return Candidate(
        screening=lambda: Tossed(world, up, down),
        claiming=lambda: Tossed(world, up, down),
        better=gain > 0.0,
        better_for_people=(gain if people is None else people) > 0.0,
    )


def gains(draw: Callable[[random.Random], float], *, at_once: int = 1, churn: float = CHURN) -> Proposals:
    """Candidates whose gains are drawn one by one; `at_once` of them a cycle."""
    return lambda world: lambda _: [tossed(world, draw(world.chance), churn=churn) for _ in range(at_once)]


def harmful(chance: random.Random) -> float:
    """Half of the candidates are no better, half are one to ten points worse."""
    return -chance.choice((0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)) / 100.0


def mixed(chance: random.Random) -> float:
    """One candidate in five is eight points better, the others are no better."""
    return chance.choice((0.08, 0.0, 0.0, 0.0, 0.0))


def biased(world: World) -> Callable[[bool], Sequence[Candidate]]:
    """No candidate is better; the judge likes or dislikes each by chance, with a spread of three points."""
    return lambda _: [tossed(world, round(100.0 * world.chance.gauss(0.0, 0.03)) / 100.0, people=0.0)]


def peeking(world: World) -> Callable[[bool], Sequence[Candidate]]:
    """No candidate is better; a p-value decides the claim."""
    return lambda _: [replace(tossed(world, 0.0), claiming=lambda: Peeking(world, CHURN, CHURN))]


def graded(world: World) -> Callable[[bool], Sequence[Candidate]]:
    """No candidate is better in the mean; scores are graded and skewed."""
    return lambda _: [replace(tossed(world, 0.0), claiming=lambda: Graded(world))]


def refusing(*, dropped: bool) -> Proposals:
    """A candidate that answers five points better and refuses 7.5% of the inputs: 1.4 points worse in all.

    Args:
        dropped: the refusals are left out, as if nobody could have judged them.
    """
    refused, right, up, down = 0.075, 0.8, CHURN + 0.05, CHURN
    answered = 1.0 - refused
    if dropped:
        return gains_of(up, down)
    return gains_of(answered * up, answered * down + refused * right)


def gains_of(up: float, down: float) -> Proposals:
    """Candidates that are not better, whatever the cases that are counted say."""
    return lambda world: (
        lambda _: [Candidate(screening=lambda: Tossed(world, up, down), claiming=lambda: Tossed(world, up, down))]
    )


def inheriting(*, sealed_numbers: bool) -> Proposals:
    """An optimizer that starts from whatever looked best on a set of cases that is used again and again.

    No change is any better in truth: on a case that it touches it helps as often as it hurts. The optimizer always sees
    the numbers of the screen. With `sealed_numbers` the sealed cases are a fixed set, too, and their numbers are shown.
    """
    return lambda world: _Heir(world, LOOKS[-1] if sealed_numbers else RULES.max_cases, sealed_numbers).propose


class _Heir:
    """Five children a cycle, each with one case in twenty answered anew; the best-looking one becomes the parent."""

    def __init__(self, world: World, cases: int, sealed_numbers: bool) -> None:
        self._world, self._cases, self._sealed = world, cases, sealed_numbers
        self._best = [0] * cases

    def propose(self, passed: bool) -> Sequence[Candidate]:
        world = self._world
        if passed:  # it is the baseline now: no difference is left
            self._best = [0] * self._cases
        children = [self._child() for _ in range(5)]
        child = max(children, key=sum)
        if sum(child) > sum(self._best):
            self._best = child
        if self._sealed:
            return [Candidate(screening=lambda: Listed(world, child), claiming=lambda: Listed(world, child))]
        return [Candidate(screening=lambda: Listed(world, child), claiming=lambda: Tossed(world, CHURN, CHURN))]

    def _child(self) -> list[int]:
        chance = self._world.chance
        child = list(self._best)
        touched = chance.sample(range(self._cases), self._cases // 20)
        answers = chance.choices((1, -1, 0), (CHURN, CHURN, 1.0 - 2.0 * CHURN), k=len(touched))
        for place, answer in zip(touched, answers, strict=True):
            child[place] = answer
        return child


_SIZES, _SIZE_WEIGHTS = (1, 3, 10, 60), (0.70, 0.20, 0.07, 0.03)


def crowded(*, one_each: bool) -> Proposals:
    """Production inputs of which a few sources sent most; what one source asks, the candidate does alike.

    Args:
        one_each: the product's own choice, which takes one case of each source.
    """

    def started(world: World) -> Callable[[bool], Sequence[Candidate]]:
        def claiming() -> Counted:
            return Listed(world, _by_source(world.chance, one_each=one_each))

        return lambda _: [Candidate(screening=lambda: Tossed(world, CHURN, CHURN), claiming=claiming)]

    return started


def _by_source(chance: random.Random, *, one_each: bool) -> list[int]:
    """Differences on recorded inputs, in the order in which a gate takes them."""
    cases: list[Case] = []
    differ: dict[str, int] = {}
    while len(differ) < (1000 if one_each else 800):
        source, liking = f"source {chance.getrandbits(64)}", chance.choices((1, -1, 0), (0.1, 0.1, 0.8))[0]
        for _ in range(chance.choices(_SIZES, _SIZE_WEIGHTS)[0]):
            case_id = f"c{chance.getrandbits(64)}"
            differ[case_id] = liking if chance.random() < 0.6 else 0
            cases.append(
                Case(
                    id=case_id,
                    origin=CaseOrigin.REPLAY,
                    input=CaseInput(),
                    reference=Missing.NOT_RECORDED,
                    source_key=source,
                )
            )
    if one_each:
        cases = list(choose((), cases, gradient_sources=(), limit=LOOKS[-1]))
    else:
        chance.shuffle(cases)
    return [differ[case.id] for case in cases]
