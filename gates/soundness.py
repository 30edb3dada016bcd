"""Whether evidence is all there. What is missing is told and holds the verdict back; it never decides it."""

from collections.abc import Sequence

from gates.comparison import scores
from gates.rules import GateRules
from gates.statistics import at_least
from gates.words import counted
from optimizer.proof import Finding, Gate
from optimizer.types import Evidence, Missing, Pair, Unscored, Verdict


def sound(evidence: Evidence, rules: GateRules, *, replayable: float | Missing) -> Finding:
    """Undecided when the run was cut short, too much could not be judged, or the arms differ in that.

    Args:
        replayable: share of the recorded inputs that could be rebuilt without doubt; missing when none was needed.
    """
    if not evidence.complete:
        return _held(f"The evaluation did not run to its end ({evidence.note.removesuffix('.')}).")
    if missing := gaps(evidence.pairs, rules):
        return _held(missing)
    if not isinstance(replayable, Missing) and replayable < rules.least_replayable:
        return _held(
            f"Only {replayable:.0%} of the recorded inputs could be rebuilt without doubt; "
            f"{rules.least_replayable:.0%} are needed, since the others may well be different."
        )
    total = len(evidence.pairs)
    unscored = total - len(scores(evidence.pairs))
    without = f", {unscored} without a judgement" if unscored else ""
    return Finding(
        gate=Gate.EVIDENCE,
        verdict=Verdict.PASS,
        sentence=f"Both versions answered {counted(total, 'case')} in the same run with the same model{without}.",
    )


def gaps(pairs: Sequence[Pair], rules: GateRules) -> str:
    """What is wrong with the pairs that could not be judged, in a sentence; empty when nothing is."""
    total, unscored = len(pairs), len(pairs) - len(scores(pairs))
    if unscored > rules.max_unscored * total:
        return (
            f"{unscored} of {counted(total, 'case')} could not be judged ({_commonest_trouble(pairs)}); "
            f"at most {rules.max_unscored:.0%} may be missing."
        )
    baseline, candidate = _alone(pairs)
    if _differ(baseline, candidate) < rules.unscored_p:
        return (
            f"What could not be judged is not alike in both versions: {baseline} only of the current prompt, "
            f"{candidate} only of the candidate ({_commonest_trouble(pairs)})."
        )
    return ""


def _held(sentence: str) -> Finding:
    return Finding(gate=Gate.EVIDENCE, verdict=Verdict.UNDECIDED, sentence=sentence)


def _alone(pairs: Sequence[Pair]) -> tuple[int, int]:
    """Cases that only the baseline, only the candidate has no score for."""
    missing = [
        (isinstance(pair.baseline.result, Unscored), isinstance(pair.candidate.result, Unscored)) for pair in pairs
    ]
    return missing.count((True, False)), missing.count((False, True))


def _differ(one: int, other: int) -> float:
    """Two-sided p-value of McNemar's exact test: both arms had the same cases, so only the lone ones say anything."""
    return min(1.0, 2.0 * at_least(max(one, other), one + other, 0.5))


def _commonest_trouble(pairs: Sequence[Pair]) -> str:
    results = [arm.result for pair in pairs for arm in (pair.baseline, pair.candidate)]
    troubles = [result.reason for result in results if isinstance(result, Unscored)]
    return max(sorted(set(troubles)), key=troubles.count)
