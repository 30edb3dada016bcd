"""The simulated judge of pairs: which of two answers holds more of what is wanted.

It errs now and then, by seed, and where the answers are equally good it sometimes likes the place instead. It must not
know whose answer is whose.
"""

from sandbox.model.chance import draw
from sandbox.model.judge import MISTAKEN, worth
from sandbox.model.reading import Brief, Lab

PLACED = 0.15
"""Share of ties that it gives to the answer it is shown first."""


def preference(lab: Lab, brief: Brief) -> dict[str, object]:
    """Reply to a request for a preference: `{"better": "first" | "second" | "neither", "reason": str}`."""
    first, second = worth(lab, brief, brief.text("first")), worth(lab, brief, brief.text("second"))
    chance = draw("pairwise", lab.seed, brief.key)
    if first == second:
        better = "first" if chance < PLACED else "neither"
    else:
        better = "first" if (first > second) != (chance < MISTAKEN) else "second"
    return {"better": better, "reason": _REASONS[better]}


def always_first() -> dict[str, object]:
    """The same reply of a judge that looks at the place alone."""
    return {"better": "first", "reason": _REASONS["first"]}


_REASONS = {
    "first": "The first answer gives more of what the customer needs.",
    "second": "The second answer gives more of what the customer needs.",
    "neither": "Both answers give the same.",
}
