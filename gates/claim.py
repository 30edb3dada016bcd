"""The claim: a bet on cases that were never scored before for this prompt, made after the screen has passed.

Its error is bounded by the stake, however often one looks. That holds for a candidate that was fixed before the
cases were drawn; whoever calls this must have seen to it.
"""

from collections.abc import Sequence

from gates.comparison import differences
from gates.rules import GateRules
from gates.screen import hopeless
from gates.soundness import gaps
from gates.statistics import e_above, e_below
from gates.words import counted, inside, plain
from optimizer.proof import Finding, Gate
from optimizer.types import Pair, Verdict


def claim(
    pairs: Sequence[Pair], rules: GateRules, *, stake: float, last: bool, complete: bool = True
) -> Finding | None:
    """The verdict on all pairs so far; None asks for more.

    Args:
        stake: chance of a false claim that was taken from the ledger.
        complete: False when the runner was cut short; what is missing then may be what would have spoken against it.

    Raises:
        ValueError: the stake is not in (0, 1).
    """
    if not 0.0 < stake < 1.0:
        raise ValueError("a stake must lie between 0 and 1")
    found = differences(pairs)
    cases, credit, needed = counted(len(found), "case"), e_above(found), 1.0 / stake
    enough_cases = len(found) >= rules.claim_min_cases
    missing = gaps(pairs, rules) if complete else "The evaluation did not run to its end."
    if credit >= needed and enough_cases and not missing:
        return _finding(
            Verdict.PASS,
            f"On {cases} that were never scored before for this prompt, a bet of 1 credit on “the candidate is "
            f"better” stands at {plain(credit)}. A candidate that is no better gets to the {plain(needed)} that are "
            f"needed at most once in {plain(needed)} tries.",
        )
    against = hopeless(found, rules)
    if against and not missing and (enough_cases or e_below(found) >= rules.enough_against):
        return _finding(Verdict.FAIL, f"On {cases} that were never scored before: {inside(against)}")
    if not last:
        return None
    if missing:
        return _finding(
            Verdict.UNDECIDED, f"Screened, not proven: of the cases that were never scored before, {inside(missing)}"
        )
    if not enough_cases:
        return _finding(
            Verdict.UNDECIDED,
            f"Screened, not proven: a claim needs {rules.claim_min_cases} judged cases that were never scored before "
            f"for this prompt; there were {len(found)}.",
        )
    return _finding(
        Verdict.UNDECIDED,
        f"Screened, not proven: on {cases} that were never scored before, a bet of 1 credit on “the candidate is "
        f"better” stands at {plain(credit)}; {plain(needed)} are needed.",
    )


def _finding(verdict: Verdict, sentence: str) -> Finding:
    return Finding(gate=Gate.CLAIM, verdict=verdict, sentence=sentence)
