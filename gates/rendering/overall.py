"""The first part of the story: the verdict, what each gate says, the numbers, and what is claimed by them."""

from gates.rendering.numbers import day, digits, points_between, score, spend
from gates.rendering.pairs import means
from gates.rendering.story import Column, Difference, Section, Table
from gates.words import plain, points
from optimizer.proof import Claim, Comparison, GateReport, Proof
from optimizer.types import Missing, Verdict


def title(report: GateReport) -> str:
    """The verdict and how much was shown. What was refused needs no proof."""
    if report.verdict is Verdict.FAIL:
        return "Gate: fail"
    if report.proof is Proof.PROVEN and report.claim is not None:
        return f"Gate: {report.verdict} (proven at stake {digits(report.claim.stake)})"
    return f"Gate: {report.verdict}" + ("" if report.proof is Proof.NONE else f" ({report.proof})")


def lead(report: GateReport) -> tuple[str, ...]:
    """The headline, and the reasons that no gate gave by itself."""
    said = {finding.sentence for finding in report.findings}
    return tuple(reason for place, reason in enumerate(report.reasons) if place == 0 or reason not in said)


def findings(report: GateReport) -> Section | None:
    """Every gate's word."""
    rows = tuple((str(f.gate).capitalize(), f.verdict, f.sentence) for f in report.findings)
    columns = (Column("Gate"), Column("Verdict"), Column("Why"))
    return Section(title="What each gate says", table=Table(columns=columns, rows=rows)) if rows else None


def numbers(report: GateReport) -> Section:
    """The screen's pairs in numbers."""
    compared = report.numbers
    before, after = means(report.evidence.pairs)
    equal = compared.scored - compared.better - compared.worse
    unscored = f", {compared.unscored} could not be judged" if compared.unscored else ""
    rows = (
        ("Difference", Difference(value=compared.effect, interval=compared.interval)),
        ("Score before, of 100", score(compared.baseline_mean, before)),
        ("Score after, of 100", score(compared.candidate_mean, after)),
        ("Cases", f"{compared.scored} judged{unscored}"),
        ("Case by case", f"better {compared.better}, worse {compared.worse}, the same {equal}"),
        ("Model", report.evidence.model),
        ("Judged by", report.evidence.evaluator),
        ("Spent on the gate", spend(report.usage)),
    )
    known = tuple((name, cell) for name, cell in rows if cell)
    why = report.evidence.note.removesuffix(".")
    note = () if report.evidence.complete else (f"The run did not reach its end: {why}.",)
    return Section(title="In numbers", sentences=note, table=Table(columns=(), rows=known))


def claim(report: GateReport) -> Section | None:
    """What may be said about the candidate, and what may not."""
    made = report.claim
    if made is None:
        return _no_claim(report)
    proven = report.proof is Proof.PROVEN
    return Section(
        title="The claim" if proven else "The claim: not proven",
        sentences=(
            _what_was_seen(report, made),
            _bet(made, proven=proven),
            *((_meaning(made), _limits(made)) if proven else ()),
            f"For this, {_percent(made.stake)} was taken out of the {_percent(made.budget)} chance of a false claim "
            f"that the prompt has in a year; {_percent(made.left)} is left. Nothing is given back, whatever came out.",
        ),
    )


def _no_claim(report: GateReport) -> Section | None:
    if report.proof is not Proof.SCREENED:
        return None
    return Section(
        title="What this is worth",
        sentences=(
            "A screen keeps out changes that look no better on these cases. It spends no budget for errors and claims "
            "nothing about production: a change that is no better can get through it by luck.",
        ),
    )


def _what_was_seen(report: GateReport, made: Claim) -> str:
    seen = made.numbers
    return (
        f"On {seen.scored} cases{_recorded(made)}, none of which had ever been scored for this prompt, judged by "
        f"{_judge(report)}: {_gain(seen)}; better on {seen.better} cases, worse on {seen.worse}."
    )


def _recorded(made: Claim) -> str:
    if isinstance(made.since, Missing) or isinstance(made.until, Missing):
        return " of unknown dates"
    return f" recorded from {day(made.since)} to {day(made.until)}"


def _judge(report: GateReport) -> str:
    judge = report.judge
    if judge is None:
        return report.evidence.evaluator
    if isinstance(judge.agreement, Missing):
        return f"{judge.name} (whose agreement with people is not known)"
    return f"{judge.name} (agreement with people {judge.agreement:.2f}, 1 is full and 0 is chance)"


def _gain(seen: Comparison) -> str:
    if isinstance(seen.effect, Missing):
        return f"difference {seen.effect}"
    return f"{points(seen.effect)} points, 95% interval {points_between(seen.interval)}"


def _bet(made: Claim, *, proven: bool) -> str:
    so = "." if proven else ", so nothing is claimed."
    return (
        f"One credit was bet on “the candidate is better”, case after case. It has become {plain(made.e_value)}; "
        f"{plain(made.threshold)} are needed{so}"
    )


def _meaning(made: Claim) -> str:
    return (
        "What this says: by this judge, on inputs like these, a change that is no better gets this far at most once in "
        f"{digits(made.threshold)} attempts, however often one looks."
    )


def _limits(made: Claim) -> str:
    until = "" if isinstance(made.until, Missing) else f" after {day(made.until)}"
    return (
        "What it does not say: that people agree with the judge, that every part of the traffic gains, or that the "
        f"gain holds for inputs{until or ' of another time'}. Only production can show that."
    )


def _percent(chance: float) -> str:
    return f"{100 * chance:.3g}%"
