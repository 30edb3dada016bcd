"""Evidence -> verdict. Arithmetic on values; the default is no change.

A pass needs enough evidence on enough cases from a complete run. Undecided is never a pass: it says that nothing was
learned about the candidate, where a fail says that something was.
"""

from dataclasses import dataclass, replace
from statistics import fmean

from gates.statistics import e_above, e_below, interval
from optimizer.errors import BadSettings
from optimizer.types import Evidence, GateReport, Missing, Pair, Scored, Usage, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """What a candidate has to prove.

    Attributes:
        threshold: the e-value that a pass needs; a candidate that is no better passes at most once in `threshold`.
        min_pairs: scored pairs that a pass or a fail needs.
        max_unscored_share: more pairs without a judgement than this, and the run says nothing.
        worthwhile_gain: in points of score; a candidate fails when even this much is ruled out.
        enough_against: the e-value that shows harm, or rules out a worthwhile gain.
    """

    threshold: float = 20.0
    min_pairs: int = 100
    max_unscored_share: float = 0.02
    worthwhile_gain: float = 0.05
    enough_against: float = 10.0

    def __post_init__(self) -> None:
        if self.threshold <= 1.0 or self.enough_against <= 1.0 or self.min_pairs < 1:
            raise BadSettings("a gate without a threshold lets everything pass", "set thresholds above 1")


def decide(evidence: Evidence, rules: GateRules) -> GateReport:
    """The verdict with its numbers and its reasons."""
    scored = [both for pair in evidence.pairs if (both := _scores(pair)) is not None]
    differences = [candidate - baseline for baseline, candidate in scored]
    verdict, reason = _judge(evidence, rules, differences)
    report = GateReport(
        verdict=verdict,
        reasons=(reason,),
        evidence=evidence,
        scored_pairs=len(scored),
        unscored_pairs=len(evidence.pairs) - len(scored),
        baseline_mean=fmean(baseline for baseline, _ in scored) if scored else Missing.NOT_RECORDED,
        candidate_mean=fmean(candidate for _, candidate in scored) if scored else Missing.NOT_RECORDED,
        effect=fmean(differences) if scored else Missing.NOT_RECORDED,
        interval=interval(differences) if scored else Missing.NOT_RECORDED,
        e_value=e_above(differences),
        threshold=rules.threshold,
        usage=_usage(evidence),
    )
    return replace(report, reasons=(*report.reasons, *_numbers(report, differences)))


def _judge(evidence: Evidence, rules: GateRules, differences: list[float]) -> tuple[Verdict, str]:
    """The verdict and what made it, the first rule that applies."""
    total, unscored = len(evidence.pairs), len(evidence.pairs) - len(differences)
    if not evidence.complete:
        return Verdict.UNDECIDED, f"Undecided: the evaluation did not run to its end ({evidence.note})."
    if unscored > rules.max_unscored_share * total:
        return Verdict.UNDECIDED, (
            f"Undecided: {unscored} of {total} cases could not be judged ({_commonest_trouble(evidence)}); "
            f"at most {rules.max_unscored_share:.0%} may be missing."
        )
    if len(differences) < rules.min_pairs:
        return Verdict.UNDECIDED, f"Undecided: {len(differences)} cases are too few; {rules.min_pairs} are needed."
    if e_above(differences) >= rules.threshold:
        return Verdict.PASS, "Passed: the candidate answers better than the current prompt."
    if e_below(differences) >= rules.enough_against:
        return Verdict.FAIL, "Failed: the candidate answers worse than the current prompt."
    if e_below(differences, rules.worthwhile_gain) >= rules.enough_against:
        gain = 100 * rules.worthwhile_gain
        return (
            Verdict.FAIL,
            f"Failed: a gain of {gain:.0f} points or more can be ruled out; smaller ones are not worth it.",
        )
    return Verdict.UNDECIDED, "Undecided: the difference is too small to tell from chance on these cases."


def _scores(pair: Pair) -> tuple[float, float] | None:
    baseline, candidate = pair.baseline.result, pair.candidate.result
    if isinstance(baseline, Scored) and isinstance(candidate, Scored):
        return baseline.value, candidate.value
    return None


def _numbers(report: GateReport, differences: list[float]) -> tuple[str, ...]:
    """The numbers in sentences; none when no pair was scored."""
    before, after, effect, span = report.baseline_mean, report.candidate_mean, report.effect, report.interval
    if isinstance(before, Missing) or isinstance(after, Missing) or isinstance(effect, Missing):
        return ()
    between = "" if isinstance(span, Missing) else f" (95% interval {points(span[0])} to {points(span[1])})"
    better, worse = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    return (
        f"On {len(differences)} cases the current prompt scored {before:.3f} and the candidate {after:.3f}: "
        f"{points(effect)} points{between}; better on {better} cases, worse on {worse}.",
        f"A bet of 1 credit on “the candidate is better” stands at {report.e_value:.3g} credits; "
        f"{report.threshold:.3g} are needed. A candidate that is no better gets there at most once in "
        f"{report.threshold:.3g} tries.",
    )


def points(share: float) -> str:
    """A difference of scores in points, with its sign."""
    return f"{100 * share:+.1f}"


def _commonest_trouble(evidence: Evidence) -> str:
    results = [arm.result for pair in evidence.pairs for arm in (pair.baseline, pair.candidate)]
    troubles = [result.reason for result in results if not isinstance(result, Scored)]
    return max(sorted(set(troubles)), key=troubles.count)


def _usage(evidence: Evidence) -> Usage:
    return sum((arm.usage for pair in evidence.pairs for arm in (pair.baseline, pair.candidate)), start=Usage())
