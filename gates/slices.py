"""Parts of the cases, such as one language: whether the candidate lost there what it won elsewhere.

That no slice blocks never means that all is well in each of them: a small slice can hide a large loss, and the report
says how large.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean

from gates.comparison import differences
from gates.power import smallest_loss
from gates.rules import GateRules
from gates.statistics import holm, sign_test
from gates.words import counted, listed, points
from optimizer.proof import Finding, Gate, SliceReading
from optimizer.types import Case, Pair, Verdict

LONGEST_TAG = 60
"""Characters of a tag that name its slice: an application may have written anything into a tag."""

MOST = 100
"""Slices that are read, the largest: an application may tag with order numbers, and corrected for thousands of slices
no p-value says anything."""

WORST = 3
"""How many slices a sentence names that do not block."""


def slices(pairs: Iterable[Pair], rules: GateRules) -> tuple[SliceReading, ...]:
    """A reading for every tag, the worst first, those with too few cases last.

    A tag like "language:de" names its slice; any other tag "x" is the slice "tag:x". A case counts in each of its
    slices. Of very many slices the largest are read. Beyond `many_slices` with enough cases, p-values are
    corrected for their number.
    """
    parts: dict[str, list[float]] = {}
    for pair in pairs:
        for difference in differences((pair,)):
            for name in sorted(names(pair.case)):
                parts.setdefault(name, []).append(difference)
    largest = sorted(parts, key=lambda name: (-len(parts[name]), name))[:MOST]
    readings = [_reading(name, parts[name], rules) for name in sorted(largest)]
    tested = [reading for reading in readings if reading.cases >= rules.slice_cases]
    few = [reading for reading in readings if reading.cases < rules.slice_cases]
    if len(tested) > rules.many_slices:
        corrected = holm([reading.p_worse for reading in tested])
        tested = [replace(reading, p_worse=p) for reading, p in zip(tested, corrected, strict=True)]
    judged = [replace(reading, verdict=_verdict(reading, rules)) for reading in tested]
    return (*sorted(judged, key=lambda reading: (reading.effect, reading.name)), *few)


def names(case: Case) -> frozenset[str]:
    """The slices that a case is in."""
    return frozenset(_name(tag) for tag in case.tags)


def doubted(pairs: Iterable[Pair], readings: Sequence[SliceReading]) -> tuple[Case, ...]:
    """The cases of the slices that seem to have lost: to be answered once more in both versions."""
    losing = {reading.name for reading in readings if reading.verdict is Verdict.FAIL}
    return tuple(pair.case for pair in pairs if losing & names(pair.case))


def confirmed(readings: Sequence[SliceReading], again: Sequence[Pair], rules: GateRules) -> tuple[SliceReading, ...]:
    """The readings, with a slice that seemed to have lost as fresh answers show it: they alone decide on it.

    Of several slices with noisy answers, one seems to have lost in up to a quarter of all gates of an identical prompt.
    The second run knows which slices are meant, so its p-values need no correction.

    Args:
        again: the doubted cases, answered once more in both versions.
    """
    return tuple(_again(reading, again, rules) if reading.verdict is Verdict.FAIL else reading for reading in readings)


def _again(reading: SliceReading, pairs: Sequence[Pair], rules: GateRules) -> SliceReading:
    found = differences(pair for pair in pairs if reading.name in names(pair.case))
    if len(found) < rules.slice_cases:
        return replace(reading, verdict=Verdict.UNDECIDED)
    second = _reading(reading.name, found, rules)
    return replace(second, verdict=_verdict(second, rules))


def sliced(readings: Sequence[SliceReading], rules: GateRules) -> Finding:
    """Fail when a slice blocks, undecided when one still might. A pass names the worst and what could have shown."""
    blocking = [reading for reading in readings if reading.verdict is Verdict.FAIL]
    tested = [reading for reading in readings if reading.verdict is not Verdict.UNDECIDED]
    few = len(readings) - len(tested)
    if blocking:
        return Finding(
            gate=Gate.SLICES,
            verdict=Verdict.FAIL,
            sentence=f"The candidate is worse on part of the cases: {listed([_told(slice_) for slice_ in blocking])}.",
        )
    # it seemed to have lost, and the second answers that should decide it were not judged
    if unclear := [reading for reading in readings if reading not in tested and reading.cases >= rules.slice_cases]:
        return Finding(
            gate=Gate.SLICES,
            verdict=Verdict.UNDECIDED,
            sentence="The candidate may be worse on part of the cases, and too many of them could not be judged a "
            f"second time to tell: {listed([_told(slice_) for slice_ in unclear])}.",
        )
    sentences = [] if tested else [_nothing(few)]
    if tested:
        worst = "; ".join(
            f"{_told(reading)}, where a loss of less than {100 * reading.smallest_loss:.0f} points may go unseen"
            for reading in tested[:WORST]
        )
        sentences.append(
            f"No slice is shown to be worse by more than {100 * rules.slice_loss:g} points. The lowest: {worst}."
        )
    if tested and few:
        sentences.append(f"{counted(few, 'slice has', 'slices have')} fewer than {rules.slice_cases} cases: too few.")
    return Finding(gate=Gate.SLICES, verdict=Verdict.PASS, sentence=" ".join(sentences))


def _nothing(few: int) -> str:
    if few:
        return f"Too few cases in every slice ({few} in all): a loss in one of them would not be seen."
    return "No case carries a tag: a loss in one language or group of users would not be seen."


def _name(tag: str) -> str:
    tag = " ".join(tag.split())[:LONGEST_TAG]
    dimension, _, value = tag.partition(":")
    return tag if dimension and value else f"tag:{tag}"


def _reading(name: str, found: Sequence[float], rules: GateRules) -> SliceReading:
    better, worse = sum(difference > 0 for difference in found), sum(difference < 0 for difference in found)
    few = len(found) < rules.slice_cases
    changed = [abs(difference) for difference in found if difference]
    return SliceReading(
        name=name,
        cases=len(found),
        effect=fmean(found),
        better=better,
        worse=worse,
        p_worse=sign_test(better, worse),
        smallest_loss=1.0
        if few
        else smallest_loss(
            len(found),
            len(changed) / len(found),
            rules.slice_p,
            least=rules.slice_loss,
            size=fmean(changed) if changed else 1.0,
        ),
        verdict=Verdict.UNDECIDED,
    )


def _verdict(reading: SliceReading, rules: GateRules) -> Verdict:
    blocks = reading.effect < -rules.slice_loss and reading.p_worse < rules.slice_p
    return Verdict.FAIL if blocks else Verdict.PASS


def _told(reading: SliceReading) -> str:
    return (
        f"{reading.name} {points(reading.effect)} points on {counted(reading.cases, 'case')} "
        f"(better on {reading.better}, worse on {reading.worse})"
    )
