"""The second part of the story: parts of the traffic, cases tried again, attacks, resources, the judge, the cases."""

from gates.rendering.numbers import change, digits, part
from gates.rendering.pairs import in_slices
from gates.rendering.story import CaseId, Column, Difference, Section, Table
from gates.words import counted
from optimizer.proof import (
    AttackReading,
    CaseCount,
    GateReport,
    Interval,
    JudgeReading,
    Rerun,
    ResourceReading,
    SliceReading,
)
from optimizer.types import CaseOrigin, Missing, Verdict

SHOWN_SLICES = 10
SHOWN_RERUNS = 20

_SLICE_COLUMNS = (
    Column("Part"),
    Column("Cases", figures=True),
    Column("Difference"),
    Column("Better / worse", figures=True),
    Column("p (worse)", figures=True),
    Column("Would have shown", figures=True),
    Column("Verdict"),
)
_RESOURCE_COLUMNS = (
    Column("What"),
    Column("Before", figures=True),
    Column("After", figures=True),
    Column("Change"),
    Column("Allowed"),
    Column("Verdict"),
)


def slices(report: GateReport) -> Section | None:
    """The worst parts of the traffic first, and how small a loss there would have gone unseen."""
    if not report.slices:
        return None
    worst = sorted(report.slices, key=_badness)
    shown = worst[:SHOWN_SLICES]
    intervals = in_slices((reading.name for reading in shown), report.evidence.pairs)
    rows = tuple(_slice_row(reading, intervals[reading.name]) for reading in shown)
    return Section(
        title="Parts of the traffic, the worst first",
        sentences=(
            "“Would have shown” is the smallest loss in points that this many cases would probably have revealed: "
            "a smaller one can hide there.",
        ),
        table=Table(
            columns=_SLICE_COLUMNS,
            rows=rows,
            left_out=max(0, len(worst) - SHOWN_SLICES),
        ),
    )


def _badness(reading: SliceReading) -> tuple[bool, bool, float]:
    return reading.verdict is not Verdict.FAIL, reading.verdict is Verdict.UNDECIDED, reading.effect


def _slice_row(reading: SliceReading, interval: Interval | Missing) -> tuple[str | Difference | Verdict, ...]:
    few = reading.verdict is Verdict.UNDECIDED
    return (
        reading.name,
        str(reading.cases),
        Difference(value=reading.effect, interval=interval),
        f"{reading.better} / {reading.worse}",
        f"{reading.p_worse:.2f}",
        f"{100 * reading.smallest_loss:.0f} points",
        "too few cases" if few else reading.verdict,
    )


def reruns(report: GateReport) -> Section | None:
    """Anchors, attacks and the owner's tests that the candidate failed once, each tried again; vetoes first."""
    if not report.reruns and not report.cases.anchors:
        return None
    anchors = counted(report.cases.anchors, "anchor")
    about = f"{anchors}: complaints that a release has fixed, and that must not come back."
    again = "Every anchor, attack and test of the owner's that the candidate failed was tried again with both prompts."
    vetoes = sorted(report.reruns, key=lambda rerun: (not rerun.veto, rerun.case_id))
    rows = tuple(_rerun_row(rerun) for rerun in vetoes[:SHOWN_RERUNS])
    columns = (Column("Case"), Column("Guards"), Column("Failed before"), Column("Failed after"), Column("Outcome"))
    return Section(
        title="Anchors, and cases tried again",
        sentences=(about, again if rows else "None of them had to be tried again."),
        table=Table(columns=columns, rows=rows, left_out=max(0, len(vetoes) - SHOWN_RERUNS)) if rows else None,
    )


def _rerun_row(rerun: Rerun) -> tuple[str | CaseId, ...]:
    return (
        CaseId(value=rerun.case_id),
        rerun.why,
        f"{rerun.baseline_failed} of {rerun.tries}",
        f"{rerun.candidate_failed} of {rerun.tries}",
        "veto" if rerun.veto else "no veto",
    )


def attacks(report: GateReport) -> Section | None:
    """How often attacks succeed against either prompt, by category."""
    if not report.attacks:
        return None
    rows = [_attack_row(reading) for reading in report.attacks]
    together = AttackReading(
        category="all together",
        attacks=sum(reading.attacks for reading in report.attacks),
        baseline_succeeded=sum(reading.baseline_succeeded for reading in report.attacks),
        candidate_succeeded=sum(reading.candidate_succeeded for reading in report.attacks),
        unscored=sum(reading.unscored for reading in report.attacks),
    )
    if len(rows) > 1:
        rows.append(_attack_row(together))
    unscored = (f"{counted(together.unscored, 'attack')} could not be judged.",) if together.unscored else ()
    return Section(
        title="Attacks that succeeded",
        sentences=("In brackets the 95% interval of the share: few attacks say little about the next one.", *unscored),
        table=Table(columns=(Column("Category"), Column("Before"), Column("After")), rows=tuple(rows)),
    )


def _attack_row(reading: AttackReading) -> tuple[str, ...]:
    return (
        reading.category,
        part(reading.baseline_succeeded, reading.attacks),
        part(reading.candidate_succeeded, reading.attacks),
    )


def resources(report: GateReport) -> Section | None:
    """What an answer takes before and after."""
    if not report.resources:
        return None
    return Section(
        title="Cost, latency and length",
        sentences=("In brackets the 90% interval: its upper end must stay within what is allowed.",),
        table=Table(
            columns=_RESOURCE_COLUMNS,
            rows=tuple(_resource_row(reading) for reading in report.resources),
        ),
    )


def _resource_row(reading: ResourceReading) -> tuple[str | Verdict, ...]:
    return (
        f"{str(reading.gate).capitalize()} ({reading.unit})",
        digits(reading.baseline_mean),
        digits(reading.candidate_mean),
        change(reading.ratio, reading.interval),
        f"up to {change(reading.margin)}",
        reading.verdict,
    )


def judge(report: GateReport) -> Section | None:
    """How far the judge can be trusted."""
    reading = report.judge
    if reading is None:
        return None
    rows = (
        ("Name", reading.name),
        ("Noise", _noise(reading)),
        ("Order", _order(reading)),
        ("Agreement with people", _agreement(reading)),
    )
    return Section(title="The judge", table=Table(columns=(), rows=rows), folded=True)


def _noise(reading: JudgeReading) -> str:
    if isinstance(reading.noise, Missing):
        return "not measured: no answer was judged twice"
    return (
        f"{100 * reading.noise:.1f} points between two judgements of the same answer (standard deviation over "
        f"{counted(reading.repeated, 'answer')} that were judged twice)"
    )


def _order(reading: JudgeReading) -> str:
    if not reading.swapped:
        return "no pair was shown in both orders"
    first = f"; of these the first answer won {part(reading.first_preferred, reading.inconsistent)}"
    decided = f"the order decided in {part(reading.inconsistent, reading.swapped)} pairs shown both ways round"
    return decided + (first if reading.inconsistent else "")


def _agreement(reading: JudgeReading) -> str:
    if isinstance(reading.agreement, Missing):
        return f"not known: people have scored {counted(reading.human, 'answer')} of those it judged"
    return f"{reading.agreement:.2f} (kappa: 1 is full, 0 is chance) on {counted(reading.human, 'answer')}"


def cases(report: GateReport) -> Section | None:
    """Where the cases came from, and how often they were looked at. Nothing where nobody counted them."""
    count = report.cases
    if count == CaseCount():
        return None
    origins = [pair.case.origin for pair in report.evidence.pairs]
    from_where = ", ".join(f"{origins.count(origin)} {origin}" for origin in CaseOrigin if origin in origins)
    sentences = [
        f"Screened: {from_where or 'no case'}. Available: {count.curated} curated, {count.replayed} replayed from "
        f"production, {counted(count.anchors, 'anchor')}.",
        f"{counted(count.reused, 'case')} of the screen had been in an earlier gate of this prompt, too. "
        f"{counted(count.sealed, 'case')} that nobody had looked at were kept for claims.",
        _replayable(count),
    ]
    if count.complaints:
        fixed = f"{count.fixed} are answered well now and were not before"
        sentences.append(f"Of {counted(count.complaints, 'complaint')} behind this change, {fixed}; told, not counted.")
    return Section(title="Where the cases came from", sentences=tuple(sentences), folded=True)


def _replayable(count: CaseCount) -> str:
    if isinstance(count.replayable, Missing):
        return "How many recorded inputs could have been replayed is not known."
    return f"{100 * count.replayable:.0f}% of the recorded inputs could be rebuilt without doubt."
