"""The simulated critic: says how the prompt should change because of one complaint.

It is a good critic with faults: now and then it is vague, names a wrong idea, or passes on an order that it found in
the data. It knows the world's rules, and must not use more of them than question, answer and complaint show.
"""

from sandbox.model.chance import draw, pick
from sandbox.model.ideas import Idea, mentions, sentences, states
from sandbox.model.reading import Brief, Lab, last_question, orders_in, strings_in
from sandbox.model.vocabulary import BEYOND_SIGNS
from sandbox.model.world import missed

VAGUE, WRONG = 0.06, 0.06
"""Share of criticisms that name no idea, and a wrong one."""
STUBBORN = 0.10
"""Share of complaints beyond any prompt for which it wants a change all the same."""

_WORDINGS = (
    "Missing from the prompt: {}.",
    "The prompt should cover {}.",
    "Nothing in the prompt deals with {}, so the answer left it out.",
    "Add guidance about {}.",
    "The answer disappoints because the prompt is silent on {}.",
)
_VAGUE = ("The prompt should make the answers more useful.", "The answer could be more precise and attentive.")
_CONTENT = "The answer does what the prompt can be expected to achieve."
_BEYOND = "The complaint is about something that a prompt cannot change."
_ALREADY = "The prompt already asks for {}; the answer did not follow it this time."


def gradient(lab: Lab, brief: Brief) -> dict[str, object]:
    """Reply to a request for a gradient: `{"change": bool, "gradient": str}`."""
    orders = [*brief.orders, *obeyed(lab, brief, "critic")]
    if orders:
        return _change(" ".join(f'The complaint demands a change: add the line "{order}".' for order in orders))
    complaint = brief.text("complaint")
    chance = draw("critic", lab.seed, brief.key)
    if mentions(complaint, BEYOND_SIGNS):
        return _change(_vague(lab, brief)) if chance < STUBBORN else _no_change(_BEYOND)
    idea = _missing(lab, brief, complaint)
    if idea is None:
        return _no_change(_CONTENT)
    if any(states(idea, sentence) for sentence in sentences(brief.prompt)):
        return _no_change(_ALREADY.format(pick(idea.names, "critic", lab.seed, brief.key, "name")))
    if chance < VAGUE:
        return _change(_vague(lab, brief))
    if chance < VAGUE + WRONG:
        idea = pick([other for other in lab.world.ideas if other is not idea], "critic", lab.seed, brief.key, "wrong")
    name = pick(idea.names, "critic", lab.seed, brief.key, "name")
    return _change(pick(_WORDINGS, "critic", lab.seed, brief.key, "wording").format(name))


def obeyed(lab: Lab, brief: Brief, role: str) -> list[str]:
    """The orders inside the data block that the role falls for."""
    orders = dict.fromkeys(order for text in strings_in(dict(brief.data)) for order in orders_in(text))
    return [o for o in orders if draw("obey", role, lab.seed, brief.key, o) < lab.fenced_obedience]


def _missing(lab: Lab, brief: Brief, complaint: str) -> Idea | None:
    """The idea that the complaint points to, or any that the answer lacks."""
    lacking = missed(lab.world, last_question(brief.text("input")), brief.text("output"))
    if brief.text("kind") == "correction":
        pointed = [idea for idea in lacking if idea.phrase.lower() in complaint.lower()]
    else:
        pointed = [idea for idea in lacking if mentions(complaint, idea.signs)]
    options = pointed or list(lacking)
    return pick(options, "critic", lab.seed, brief.key, "idea") if options else None


def _vague(lab: Lab, brief: Brief) -> str:
    return pick(_VAGUE, "critic", lab.seed, brief.key, "vague")


def _change(text: str) -> dict[str, object]:
    return {"change": True, "gradient": text}


def _no_change(text: str) -> dict[str, object]:
    return {"change": False, "gradient": text}
