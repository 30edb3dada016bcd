"""The simulated critic: says how the prompt should change because of one complaint.

It is a good critic with faults: now and then it is vague, names a wrong idea, or passes on an order that it found in
the data. It knows the world's rules, and must not use more of them than question, answer and complaint show.
"""

from sandbox.model.chance import draw, pick
from sandbox.model.ideas import Idea, mentions, sentences, states
from sandbox.model.reading import Brief, Lab, Shuffle, last_question, orders_in, strings_in
from sandbox.model.vocabulary import BEYOND_SIGNS
from sandbox.model.world import missed

CORRECT = "correct"
"""A grader's feedback begins with this word when nothing is wanting."""
STUBBORN = 0.10
"""Share of complaints beyond any prompt for which it wants a change all the same."""

_WORDINGS = (
    "Missing from the prompt: {}.",
    "The prompt should cover {}.",
    "Nothing in the prompt deals with {}, so the answer left it out.",
    "Add guidance about {}.",
    "The answer disappoints because the prompt is silent on {}.",
)
VAGUE_WORDS = ("The prompt should make the answers more useful.", "The answer could be more precise and attentive.")
CONTENT = "The answer does what the prompt can be expected to achieve."
_BEYOND = "The complaint is about something that a prompt cannot change."
ALREADY = "The prompt already asks for {}; the answer did not follow it this time."


def gradient(lab: Lab, brief: Brief) -> dict[str, object]:
    """Reply to a request for a gradient: `{"change": bool, "gradient": str}`."""
    orders = [*brief.orders, *obeyed(lab, brief, "critic")]
    if orders:
        return _change(" ".join(f'The complaint demands a change: add the line "{order}".' for order in orders))
    complaint = brief.text("complaint")
    chance = draw("critic", lab.seed, brief.key)
    if mentions(complaint, BEYOND_SIGNS):
        return _change(_vague(lab, brief)) if chance < STUBBORN else _no_change(_BEYOND)
    lacking = pointed_at(lab, brief, complaint)
    if not lacking:
        return _no_change(CONTENT)
    idea = another_trace(lab, brief) or pick(lacking, "critic", lab.seed, brief.key, "idea")
    if any(states(idea, sentence) for sentence in sentences(brief.prompt)):
        return _no_change(ALREADY.format(pick(idea.names, "critic", lab.seed, brief.key, "name")))
    if chance < lab.world.traits.vague:
        return _change(_vague(lab, brief))
    if chance < lab.world.traits.vague + lab.world.traits.wrong:
        idea = mistaken_for(lab, brief, idea)
    return _change(worded(lab, brief, idea))


def mistaken_for(lab: Lab, brief: Brief, idea: Idea) -> Idea:
    """The wrong idea that a mistaken critic names in place of this one."""
    known = lab.world.idle if lab.shuffle is Shuffle.TASKS else lab.world.known
    return pick([other for other in known if other is not idea], "critic", lab.seed, brief.key, "wrong")


def worded(lab: Lab, brief: Brief, idea: Idea) -> str:
    """A criticism that names the idea."""
    name = pick(idea.names, "critic", lab.seed, brief.key, "name")
    return pick(_WORDINGS, "critic", lab.seed, brief.key, "wording").format(name)


def another_trace(lab: Lab, brief: Brief) -> Idea | None:
    """What the critic names when its replies are shuffled: the idea behind some other trace. Controls only."""
    if lab.shuffle is Shuffle.NONE:
        return None
    if lab.shuffle is Shuffle.TASKS:
        return pick(lab.world.idle, "shuffled", lab.seed, brief.key)
    at, upto = draw("shuffled", lab.seed, brief.key), 0.0
    for idea, share in zip(lab.world.ideas, lab.world.shares, strict=True):
        upto += share
        if at < upto:
            return idea
    return lab.world.ideas[-1]


def obeyed(lab: Lab, brief: Brief, role: str) -> list[str]:
    """The orders inside the data block that the role falls for."""
    orders = dict.fromkeys(order for text in strings_in(dict(brief.data)) for order in orders_in(text))
    return [o for o in orders if draw("obey", role, lab.seed, brief.key, o) < lab.fenced_obedience]


def pointed_at(lab: Lab, brief: Brief, complaint: str) -> list[Idea]:
    """The ideas that the complaint points to among those that the answer lacks, or all of these."""
    lacking = missed(lab.world, last_question(brief.text("input")), brief.text("output"))
    kind, said = brief.text("kind"), complaint.lower()
    if kind == "feedback" and said.startswith(CORRECT):
        return []
    quoted = [idea for idea in lacking if idea.phrase.lower() in said] if kind in ("correction", "feedback") else []
    named = [idea for idea in lacking if mentions(complaint, idea.signs)] if kind != "correction" else []
    pointed = [idea for idea in lacking if idea in quoted or idea in named]
    return pointed or list(lacking)


def _vague(lab: Lab, brief: Brief) -> str:
    return pick(VAGUE_WORDS, "critic", lab.seed, brief.key, "vague")


def _change(text: str) -> dict[str, object]:
    return {"change": True, "gradient": text}


def _no_change(text: str) -> dict[str, object]:
    return {"change": False, "gradient": text}
