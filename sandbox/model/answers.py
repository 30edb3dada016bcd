"""Self-verification by the simulated rewriter: does the shown prompt deal with each cause?

It is wrong now and then, by seed. It must look at nothing but the prompt and the causes.
"""

from sandbox.model.chance import draw
from sandbox.model.ideas import sentences, states
from sandbox.model.reading import Brief, Lab
from sandbox.model.rewriter import meant

MISTAKEN = 0.06
"""Share of answers that say the opposite."""


def answers(lab: Lab, brief: Brief) -> dict[str, object]:
    """Reply to a request for answers: `{"answers": [{"cause", "answered", "why"}]}`, one for each cause."""
    found = brief.data.get("causes")
    causes = [cause for cause in found if isinstance(cause, dict)] if isinstance(found, list) else []
    parts = sentences(brief.prompt)
    given = []
    for cause in causes:
        label, idea = str(cause.get("label", "")), meant(lab, cause)
        truth = idea is None or any(states(idea, part) for part in parts)
        answered = truth != (draw("answers", lab.seed, brief.key, label) < MISTAKEN)
        why = "A line of the prompt deals with it." if answered else "No line of the prompt deals with it."
        given.append({"cause": label, "answered": answered, "why": why})
    return {"answers": given}
