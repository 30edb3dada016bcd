"""The claim: the bet's bound, and what may not be claimed however good it looks."""

from random import Random

import pytest

from gates.claim import claim
from gates.rules import GateRules
from gates.screen import LOOKS
from gates.statistics import e_above
from optimizer.proof import Gate
from optimizer.types import Pair, Verdict
from tests.gates.pair_samples import changed, pairs_of

RULES = GateRules()


def verdict(given: list[Pair], *, stake: float = 0.02, last: bool = True, complete: bool = True) -> Verdict | None:
    finding = claim(given, RULES, stake=stake, last=last, complete=complete)
    assert finding is None or finding.gate is Gate.CLAIM
    return finding.verdict if finding else None


def test_enough_evidence_passes_at_any_look() -> None:
    given = changed(20, 4, 76)
    credit = e_above([1.0] * 20 + [-1.0] * 4)
    assert verdict(given, stake=1.01 / credit, last=False) is Verdict.PASS
    assert verdict(given, stake=0.99 / credit, last=False) is None
    assert verdict(given, stake=0.99 / credit, last=True) is Verdict.UNDECIDED


def test_the_sentences_say_what_the_bet_says() -> None:
    won = claim(changed(20, 4, 76), RULES, stake=0.02, last=False)
    assert won is not None
    assert won.sentence == (
        "On 100 cases that were never scored before for this prompt, a bet of 1 credit on “the candidate is better” "
        "stands at 95.6. A candidate that is no better gets to the 50 that are needed at most once in 50 tries."
    )
    open_ = claim(changed(10, 4, 86), RULES, stake=0.02, last=True)
    assert open_ is not None
    assert open_.sentence.startswith(
        "Screened, not proven: on 100 cases that were never scored before, a bet of 1 credit"
    )


def test_few_cases_prove_nothing_but_harm() -> None:
    assert verdict(changed(40, 0, 9)) is Verdict.UNDECIDED
    assert verdict(changed(40, 0, 9), last=False) is None
    assert verdict(changed(0, 9, 0), last=False) is Verdict.FAIL


def test_harm_and_futility_end_it() -> None:
    assert verdict(changed(4, 20, 76), last=False) is Verdict.FAIL
    assert verdict(changed(2, 3, 195), last=False) is Verdict.FAIL


def test_gaps_allow_neither_a_pass_nor_a_fail() -> None:
    better = changed(20, 4, 76)
    dropped = pairs_of((1.0, "candidate's server down"), times=6, first=200)
    assert verdict([*better, *dropped], last=False) is None
    assert verdict([*better, *dropped]) is Verdict.UNDECIDED
    assert verdict([*changed(4, 20, 76), *dropped]) is Verdict.UNDECIDED
    assert verdict(better, complete=False) is Verdict.UNDECIDED
    assert verdict([*better, *dropped[:2]]) is Verdict.PASS


@pytest.mark.parametrize("stake", [0.0, 1.0, -0.1, float("nan")])
def test_a_stake_is_a_chance(stake: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        claim([], RULES, stake=stake, last=True)


def test_what_is_no_better_passes_seldom_however_often_one_looks() -> None:
    random, passed, runs = Random(30), 0, 400
    for _ in range(runs):
        toss = random.choices([(0.0, 1.0), (1.0, 0.0), (1.0, 1.0)], weights=[0.15, 0.15, 0.7], k=200)
        stream = pairs_of(*toss)
        passed += any(verdict(stream[:look], stake=0.1, last=False) is Verdict.PASS for look in LOOKS[:3])
    # 400 runs at a bound of 10%: more than 55 would happen once in a hundred such tests at the bound itself
    assert 0 < passed <= 55
