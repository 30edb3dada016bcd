"""A report's story, from its parts."""

from gates.rendering import details, overall
from gates.rendering.changes import changes
from gates.rendering.story import Story
from optimizer.proof import GateReport


def story_of(report: GateReport, *, texts: bool = False) -> Story:
    """The story of a report.

    Args:
        texts: short excerpts of inputs, answers and judgements stand beside the cases that changed most.
    """
    sections = (
        overall.findings(report),
        overall.numbers(report),
        overall.claim(report),
        details.slices(report),
        details.reruns(report),
        details.attacks(report),
        details.resources(report),
        *changes(report, texts=texts),
        details.judge(report),
        details.cases(report),
    )
    return Story(
        verdict=report.verdict,
        title=overall.title(report),
        lead=overall.lead(report),
        sections=tuple(section for section in sections if section and (section.sentences or section.table)),
    )
