"""Streams of candidates that are no better, and a year of gates over each.

A year starts with an empty ledger. Every cycle proposes candidates; what passes the screen opens a stake and goes on to
the claim. `Conduct` says how the people and the programs around the gates behave, `broken` what a wrong product would
do. The gates and the ledger are the product's.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gate_evidence import Run, World
from gate_product import RULES
from gate_proposals import (
    Candidate,
    Proposals,
    biased,
    crowded,
    gains,
    graded,
    harmful,
    inheriting,
    mixed,
    peeking,
    refusing,
)

from deploy.settings import GateSettings
from gates.error_budget import YEAR_DAYS, Stake, left, next_stake
from gates.screen import LOOKS
from optimizer.types import Verdict

BUDGET = GateSettings().claim_budget
SCREEN_LOOKS = tuple(look for look in LOOKS if look <= RULES.max_cases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """How the gates are used.

    Attributes:
        cycles: a year.
        looks: at these numbers of sealed cases the claim is asked.
        again: how often a candidate whose claim ended without a pass is sent through once more.
        changes: how often a claim that is losing, or that ended without a pass, is begun anew with other settings.
        charged: a second run or a change opens a new stake, as it must.
        screening: False sends every candidate of a cycle to the claim, not only the best that the screen passed.
        together: all candidates of a cycle are claimed under the one stake that was opened for the cycle.
        refunded: a stake that proved nothing is given back.
    """

    cycles: int = 52
    looks: Sequence[int] = LOOKS
    again: int = 0
    changes: int = 0
    charged: bool = True
    screening: bool = True
    together: bool = False
    refunded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """What happened: counts, and the sum of all stakes that were ever opened."""

    candidates: int
    screened: int
    claims: int
    right: int
    false: int
    misleading: int
    staked: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Candidates and conduct. `broken` streams have to be caught, the others have to hold."""

    name: str
    proposals: Proposals
    conduct: Conduct = Conduct()
    broken: bool = False
    dear: int = 1
    """So many times fewer years are simulated, because each takes long."""


class Ledger:
    """A year's stakes, in the product's arithmetic; days are cycles spread over the year."""

    def __init__(self, *, refunded: bool) -> None:
        self._stakes: list[Stake] = []
        self._refunded = refunded
        self.staked = 0.0

    def open(self, day: int) -> float:
        stake = next_stake(left(self._stakes, day=day, budget=BUDGET))
        self._stakes.append(Stake(release=f"release {len(self._stakes)}", stake=stake, day=day))
        self.staked += stake
        return stake

    def close(self, *, passed: bool) -> None:
        if self._refunded and not passed:
            self._stakes[-1] = replace(self._stakes[-1], stake=0.0)


def year(stream: Stream, world: World) -> Year:
    """One year of one prompt."""
    conduct, propose = stream.conduct, stream.proposals(world)
    ledger = Ledger(refunded=conduct.refunded)
    told, passed, passes = 0, False, []
    screened = claims = 0
    for cycle in range(conduct.cycles):
        candidates = propose(passed)
        told += len(candidates)
        chosen, through = _screened(candidates)
        screened += through
        chosen = chosen[:1] if conduct.screening else candidates
        passed = False
        stake = 0.0
        for place, candidate in enumerate(chosen):
            if place == 0 or not conduct.together:
                stake = ledger.open(cycle * YEAR_DAYS // conduct.cycles)
            claims += 1
            if _claimed(candidate, conduct, ledger, stake, cycle * YEAR_DAYS // conduct.cycles):
                passes.append(candidate)
                passed = True
    return Year(
        candidates=told,
        screened=screened,
        claims=claims,
        right=sum(candidate.better for candidate in passes),
        false=sum(not candidate.better for candidate in passes),
        misleading=sum(not candidate.better_for_people for candidate in passes),
        staked=ledger.staked,
    )


def _screened(candidates: Sequence[Candidate]) -> tuple[Sequence[Candidate], int]:
    """What the screen lets through, the best-looking first, and how many these are."""
    through = []
    for candidate in candidates:
        run = candidate.screening()
        if _last_word(run, SCREEN_LOOKS, lambda run, last: run.screened(last=last)) is Verdict.PASS:
            through.append((run.effect, candidate))
    through.sort(key=lambda one: -one[0])
    return [candidate for _, candidate in through], len(through)


def _claimed(candidate: Candidate, conduct: Conduct, ledger: Ledger, stake: float, day: int) -> bool:
    """Whether a candidate's claim passes, with all that people do to make it pass."""
    for attempt in range(1 + conduct.again):
        if attempt and conduct.charged:
            stake = ledger.open(day)
        for change in range(1 + conduct.changes):
            if change and conduct.charged:
                stake = ledger.open(day)
            said = _claim(candidate, conduct, stake, may_change=change < conduct.changes)
            ledger.close(passed=said is Verdict.PASS)
            if said is not None:
                break
        if said is Verdict.PASS:
            return True
    return False


def _claim(candidate: Candidate, conduct: Conduct, stake: float, *, may_change: bool) -> Verdict | None:
    """One claim; None when it was closed because it did not look good. Without a stake there is none."""
    if stake <= 0.0:
        return Verdict.UNDECIDED
    run, before = candidate.claiming(), 0
    for look in conduct.looks:
        run.more(look - before)
        before = look
        said = run.claimed(stake, last=look == conduct.looks[-1])
        if said is Verdict.PASS:
            return said
        if may_change and (said is not None or run.credit < 1.0):
            return None
        if said is not None:
            return said
    return None


def _last_word(run: Run, looks: Sequence[int], ask: Callable[[Run, bool], Verdict | None]) -> Verdict | None:
    before, said = 0, None
    for look in looks:
        run.more(look - before)
        before = look
        if (said := ask(run, look == looks[-1])) is not None:
            return said
    return said


def _no_better(_: random.Random) -> float:
    return 0.0


STREAMS = (
    Stream(name="no candidate is better", proposals=gains(_no_better)),
    Stream(name="a candidate every day", proposals=gains(_no_better), conduct=Conduct(cycles=365), dear=4),
    Stream(name="every candidate 2 points worse", proposals=gains(lambda _: -0.02)),
    Stream(name="half no better, half 1 to 10 points worse", proposals=gains(harmful)),
    Stream(name="the best of five on the screen", proposals=gains(_no_better, at_once=5), dear=2),
    Stream(
        name="a look after every 10 cases",
        proposals=gains(_no_better),
        conduct=Conduct(looks=tuple(range(10, 801, 10))),
        dear=4,
    ),
    Stream(name="run again until it passes, 20 times", proposals=gains(_no_better), conduct=Conduct(again=20), dear=4),
    Stream(name="configuration changed in mid-claim", proposals=gains(_no_better), conduct=Conduct(changes=20), dear=2),
    Stream(
        name="ten claimed a week, each with its stake",
        proposals=gains(_no_better, at_once=10),
        conduct=Conduct(screening=False),
        dear=10,
    ),
    Stream(name="heirs of the best-looking reject", proposals=inheriting(sealed_numbers=False), dear=10),
    Stream(name="a lenient, noisy judge", proposals=gains(lambda c: 0.7 * harmful(c), churn=0.09)),
    Stream(name="a judge with a taste of its own", proposals=biased),
    Stream(name="graded scores, small gains and large losses", proposals=graded, dear=20),
    Stream(name="a candidate that refuses, counted as wrong", proposals=refusing(dropped=False)),
    Stream(name="a few sources sent most cases", proposals=crowded(one_each=True), dear=40),
    Stream(name="one in five is 8 points better", proposals=gains(mixed)),
)

BROKEN = (
    Stream(
        name="sealed cases reused, their numbers shown",
        proposals=inheriting(sealed_numbers=True),
        broken=True,
        dear=20,
    ),
    Stream(
        name="run again without a new stake",
        proposals=gains(_no_better),
        conduct=Conduct(again=20, charged=False),
        broken=True,
        dear=4,
    ),
    Stream(
        name="configuration changed without a new stake",
        proposals=gains(_no_better),
        conduct=Conduct(changes=20, charged=False),
        broken=True,
        dear=2,
    ),
    Stream(name="refusals of the candidate dropped", proposals=refusing(dropped=True), broken=True, dear=4),
    Stream(name="every case of a source counted", proposals=crowded(one_each=False), broken=True, dear=40),
    Stream(
        name="twenty claimed a week under one stake",
        proposals=gains(_no_better, at_once=20),
        conduct=Conduct(screening=False, together=True),
        broken=True,
        dear=20,
    ),
    Stream(
        name="ten claimed a week, stakes given back",
        proposals=gains(_no_better, at_once=10),
        conduct=Conduct(screening=False, refunded=True),
        broken=True,
        dear=10,
    ),
    Stream(
        name="a p-value instead of the bet, at every look",
        proposals=peeking,
        conduct=Conduct(looks=tuple(range(10, 801, 10))),
        broken=True,
        dear=4,
    ),
)
