"""The simulated judge: compares an answer with a reference, or with what was complained about.

It errs now and then, by seed. It must not know which arm it judges.
"""

from collections.abc import Sequence

from sandbox.model.chance import draw
from sandbox.model.ideas import Idea, mentions
from sandbox.model.reading import Brief, Lab, last_question
from sandbox.model.world import needed

MISTAKEN = 0.05
"""Share of judgements that say the opposite."""
JITTER = 0.06
"""Greatest distance of an honest score from the truth."""


def judgement(lab: Lab, brief: Brief) -> dict[str, object]:
    """Reply to a request for a judgement: `{"score": 0..1, "reason": str}`."""
    output = brief.text("output")
    wanted = _wanted(lab, brief, brief.text("reference"))
    truth = worth(lab, brief, output)
    chance = draw("judge", lab.seed, brief.key)
    seen = 1 - truth if chance < MISTAKEN else truth
    score = min(1.0, max(0.0, seen + (draw("jitter", lab.seed, brief.key) * 2 - 1) * JITTER))
    return {"score": round(score, 2), "reason": _reason(wanted, _kept(wanted, output), mistaken=chance < MISTAKEN)}


def worth(lab: Lab, brief: Brief, output: str) -> float:
    """What an answer is truly worth, 0 to 1: the share of what is wanted that it holds."""
    reference = brief.text("reference")
    wanted = _wanted(lab, brief, reference)
    if wanted:
        return len(_kept(wanted, output)) / len(wanted)
    return 1.0 if reference and reference.lower() in output.lower() else 0.0 if reference else 0.5


def _kept(wanted: Sequence[Idea], output: str) -> list[Idea]:
    said = output.lower()
    return [idea for idea in wanted if idea.phrase.lower() in said]


def _wanted(lab: Lab, brief: Brief, reference: str) -> Sequence[Idea]:
    """What the answer is measured by: the reference's phrases, else the complaint's ideas, else the question's."""
    asked = needed(lab.world, last_question(brief.text("input")))
    if reference:
        return [idea for idea in lab.world.ideas if idea.phrase.lower() in reference.lower()]
    complaint = brief.text("complaint")
    return [idea for idea in asked if mentions(complaint, idea.signs)] or asked


def _reason(wanted: Sequence[Idea], kept: Sequence[Idea], *, mistaken: bool) -> str:
    if mistaken:
        return "At first sight it looks the other way round."
    lacking = [idea.names[0] for idea in wanted if idea not in kept]
    return f"The answer lacks {', '.join(lacking)}." if lacking else "The answer holds what was asked for."
