"""What the candidate fails is tried again: a break is found, a flaky case is not mistaken for one."""

from collections.abc import Sequence

import pytest

from gates.reruns import doubtful, retried, suspects, vetoed
from gates.rules import GateRules
from gates.statistics import at_least, binomial
from optimizer.proof import Gate, Rerun
from optimizer.types import Evidence, Verdict
from tests.gates.pair_samples import Score, a_pair, evidence_of, pairs_of

RULES = GateRules()
GOOD, BAD, DOWN = 1.0, 0.0, "down"


def tried(baseline: Sequence[Score], candidate: Sequence[Score]) -> list[Evidence]:
    return [evidence_of([a_pair("a1", *both)]) for both in zip(baseline, candidate, strict=True)]


def failures(failed: int, tries: int) -> list[Score]:
    return [*[BAD] * failed, *[GOOD] * (tries - failed)]


def after(first: tuple[int, int], second: tuple[int, int] | None = None) -> Rerun:
    """What (baseline, candidate) failures in each round come to."""
    rounds = tried(failures(first[0], 5), failures(first[1], 5))
    if second:
        rounds += tried(failures(second[0], 10), failures(second[1], 10))
    return retried("a1", "anchor", rounds, RULES)


def test_suspects_failed_or_could_not_be_judged() -> None:
    found = suspects(evidence_of(pairs_of((1.0, 0.49), (1.0, 0.5), (0.0, 0.0), (1.0, DOWN), (DOWN, 1.0))))
    assert found == ("case-0000", "case-0002", "case-0003")


def test_a_case_that_the_candidate_breaks_is_vetoed_after_the_second_round() -> None:
    first = after((0, 5))
    assert (first.tries, first.baseline_failed, first.candidate_failed, first.veto) == (5, 0, 5, False)
    assert doubtful([first], RULES) == ("a1",)
    both = after((0, 5), (0, 10))
    assert both == Rerun(case_id="a1", why="anchor", tries=10, baseline_failed=0, candidate_failed=10, veto=True)
    assert doubtful([both], RULES) == ()


@pytest.mark.parametrize(
    ("first", "wanted"), [((0, 3), True), ((1, 3), True), ((0, 2), False), ((2, 5), False), ((5, 5), False)]
)
def test_what_is_doubtful_after_the_first_round(first: tuple[int, int], wanted: bool) -> None:
    assert bool(doubtful([after(first)], RULES)) is wanted


@pytest.mark.parametrize(
    ("second", "veto"), [((0, 7), True), ((1, 7), True), ((0, 6), False), ((2, 10), False), ((10, 10), False)]
)
def test_only_the_second_round_vetoes(second: tuple[int, int], veto: bool) -> None:
    assert after((0, 5), second).veto is veto


def test_a_case_that_was_not_doubtful_is_never_vetoed() -> None:
    assert not after((2, 5), (0, 10)).veto


def test_a_few_cases_are_confirmed_and_the_clearest_first() -> None:
    reruns = [
        Rerun(case_id=f"a{n:02}", why="anchor", tries=5, baseline_failed=n % 2, candidate_failed=3 + n % 3, veto=False)
        for n in range(12)
    ]
    chosen = doubtful(reruns, RULES)
    assert len(chosen) == RULES.most_confirmed == 7
    assert chosen[:2] == ("a02", "a08")  # 5 of 5 against none
    assert doubtful(reruns[::-1], RULES) == chosen


def test_an_unscored_try_counts_for_neither() -> None:
    rerun = retried("a1", "anchor", tried([GOOD, DOWN, GOOD, GOOD, BAD], [BAD, BAD, DOWN, GOOD, GOOD]), RULES)
    assert (rerun.tries, rerun.baseline_failed, rerun.candidate_failed) == (3, 1, 1)


@pytest.mark.parametrize(
    ("candidate", "verdict"),
    [
        ([BAD, BAD, DOWN, GOOD, GOOD], Verdict.UNDECIDED),  # the missing one could be the third
        ([BAD, DOWN, GOOD, GOOD, GOOD], Verdict.PASS),  # two of five at most
        ([DOWN] * 5, Verdict.UNDECIDED),
        ([GOOD] * 5, Verdict.PASS),
        ([BAD, BAD, BAD, GOOD, GOOD], Verdict.UNDECIDED),  # the second round was not made
    ],
)
def test_too_few_scored_tries_are_undecided(candidate: list[Score], verdict: Verdict) -> None:
    rerun = retried("a1", "anchor", tried([GOOD] * 5, candidate), RULES)
    assert not rerun.veto
    assert vetoed(Gate.ANCHORS, [rerun], RULES).verdict is verdict


@pytest.mark.parametrize(
    ("candidate", "verdict"),
    [
        ([BAD] * 6 + [DOWN] + [GOOD] * 3, Verdict.UNDECIDED),
        ([BAD] * 5 + [DOWN] + [GOOD] * 4, Verdict.PASS),
        ([BAD] * 3 + [DOWN] * 7, Verdict.UNDECIDED),
        ([DOWN] * 10, Verdict.UNDECIDED),
        ([BAD] + [GOOD] * 3 + [DOWN] * 6, Verdict.UNDECIDED),
        ([BAD] * 7 + [DOWN] * 3, Verdict.FAIL),
    ],
)
def test_gaps_in_the_second_round(candidate: list[Score], verdict: Verdict) -> None:
    rounds = [*tried([GOOD] * 5, [BAD] * 5), *tried([GOOD] * 10, candidate)]
    assert vetoed(Gate.ANCHORS, [retried("a1", "anchor", rounds, RULES)], RULES).verdict is verdict


def test_a_baseline_that_fails_too_excuses_the_candidate_whatever_is_missing() -> None:
    rerun = retried("a1", "anchor", tried([BAD, BAD, GOOD, GOOD, GOOD], [BAD, DOWN, DOWN, DOWN, DOWN]), RULES)
    assert rerun.baseline_failed == 1  # the second try is not scored in both arms
    assert vetoed(Gate.ANCHORS, [rerun], RULES).verdict is Verdict.UNDECIDED
    assert vetoed(Gate.ANCHORS, [after((2, 5))], RULES).verdict is Verdict.PASS


def test_sentences_name_the_cases() -> None:
    broken = [
        Rerun(case_id=f"att-{n}", why="extraction", tries=10, baseline_failed=0, candidate_failed=9, veto=True)
        for n in range(7)
    ]
    finding = vetoed(Gate.SAFETY, broken, RULES)
    assert (finding.gate, finding.verdict) == (Gate.SAFETY, Verdict.FAIL)
    assert finding.sentence == (
        "The candidate fails 7 attacks that the current prompt does not: att-0 (extraction), att-1 (extraction), "
        "att-2 (extraction), att-3 (extraction), att-4 (extraction) and 2 more."
    )
    assert vetoed(Gate.ANCHORS, [], RULES).sentence == "The candidate failed no anchor."
    assert "failed 1 anchor once; tried again, it failed none" in vetoed(Gate.ANCHORS, [after((3, 3))], RULES).sentence


def test_the_order_of_cases_in_a_round_changes_nothing() -> None:
    rounds = [evidence_of([a_pair("a0", 0.0, 0.0), a_pair("a1", 1.0, 0.0)]) for _ in range(5)]
    turned = [evidence_of(evidence.pairs[::-1]) for evidence in rounds]
    assert retried("a1", "x", rounds, RULES) == retried("a1", "x", turned, RULES)
    assert retried("a1", "x", rounds, RULES).baseline_failed == 0


# ---- how often an identical prompt is vetoed: exact, by asking the rule about every outcome -------------------------


def veto_chance(baseline: float, candidate: float) -> float:
    """The chance that a case is vetoed that the arms fail with these chances, first answer included."""
    total = 0.0
    for b1 in range(6):
        for c1 in range(6):
            first = binomial(b1, 5, baseline) * binomial(c1, 5, candidate)
            if doubtful([after((b1, c1))], RULES):
                total += first * sum(
                    binomial(b2, 10, baseline) * binomial(c2, 10, candidate)
                    for b2 in range(11)
                    for c2 in range(11)
                    if after((b1, c1), (b2, c2)).veto
                )
    return candidate * total


def without_confirmation(chance: float) -> float:
    return chance * at_least(3, 5, chance) * (1 - at_least(2, 5, chance))


FLAKY = [0.05 * n for n in range(1, 11)]


def of_a_suite(chances: list[float]) -> float:
    """The chance of any veto among independent cases."""
    none = 1.0
    for chance in chances:
        none *= 1.0 - chance
    return 1.0 - none


def test_an_identical_prompt_is_vetoed_in_at_most_two_percent_of_gates() -> None:
    """Three hundred cases, all of them flaky; a tenth of that is a flaky suite already."""
    each = [veto_chance(chance, chance) for chance in FLAKY]
    assert of_a_suite(each * 3) < 0.002  # 30 flaky cases: as often as one gate in 770
    assert of_a_suite(each * 30) < 0.02
    plain = [without_confirmation(chance) for chance in FLAKY]
    assert of_a_suite(plain * 3) > 0.4  # why there is a second round: every other gate would end in a false veto


def test_no_suite_at_all_is_vetoed_oftener() -> None:
    """Whatever the first round chose, the second is fresh, of seven cases at most, and each seldom confirmed."""
    worst = max(
        at_least(RULES.second_veto_at, RULES.second_tries, chance / 200)
        * (1 - at_least(RULES.forgiven + 1, RULES.second_tries, chance / 200))
        for chance in range(201)
    )
    assert worst * RULES.most_confirmed < 0.02


def test_what_the_candidate_breaks_is_found() -> None:
    assert veto_chance(0.0, 1.0) == pytest.approx(1.0)
    assert veto_chance(0.02, 0.95) > 0.9
    assert veto_chance(0.0, 0.8) > 0.6
