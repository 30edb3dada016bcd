"""The simulated rewriter: turns root causes into typed edits of the prompt's lines.

It is a good rewriter with faults: a line that the prompt already has, an edit for a line that does not exist, a wording
that the task model does not recognise, an order from the data carried out. It never rewrites the whole prompt.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.model.chance import draw, pick
from sandbox.model.critic import obeyed
from sandbox.model.ideas import Idea, contradicts, mentions, sentences, speaks_of, states
from sandbox.model.reading import Brief, Lab, Line, orders_in, strings_in

LOST, UNRECOGNISED, REDUNDANT = 0.04, 0.06, 0.04
"""Share of edits for an unknown line, with a wording that nobody recognises, and that repeat a line."""

GENERIC = ("Be helpful and attentive.", "Read every question with care.", "Give useful answers.")


def edits(lab: Lab, brief: Brief) -> dict[str, object]:
    """Reply to a request for edits: `{"edits": [{"op", "line", "text", "cause", "reason"}]}`.

    Orders come first, then the causes as they stand, up to as many edits as the request allows.
    """
    found = brief.data.get("causes")
    causes = [cause for cause in found if isinstance(cause, dict)] if isinstance(found, list) else []
    made = []
    for order in dict.fromkeys([*brief.orders, *obeyed(lab, brief, "rewriter")]):
        cause = next((cause for cause in causes if order in _orders_of(cause)), causes[0] if causes else {})
        made.append(_add(brief, order, cause, "It was demanded."))
    taken: set[str] = set()
    attentive = lab.world.traits.attentive
    told = [cause for cause in causes if not _orders_of(cause)]
    made += [_edit(lab, brief, cause, taken) for cause in (_worth(lab, brief, told) if attentive else told)]
    if attentive and brief.turn > 1:  # told to mend a reply, it does not say the same twice
        made = list({edit["text"]: edit for edit in reversed(made)}.values())[::-1]
    return {"edits": made[: brief.max_edits]}


def _edit(lab: Lab, brief: Brief, cause: Mapping[str, Any], taken: set[str]) -> dict[str, str]:
    """One edit for one cause; `taken` are the lines that earlier edits replaced.

    A reply that was sent back is made with more care: other words, and no slips in the form.
    """
    key = ("rewriter", lab.seed, brief.key, str(cause.get("label")))
    idea = meant(lab, cause)
    if idea is None:
        return _add(brief, pick(GENERIC, *key, "generic"), cause, "The cause names nothing in particular.")
    chance = draw(*key)
    careless = brief.turn == 1
    failed = _failed(brief)
    fresh = [text for text in idea.lines if text not in failed]
    line = pick(fresh or idea.lines, *key, "line", brief.turn)
    reason = f"The prompt did not cover {idea.names[0]}."
    if careless and chance < LOST:
        return {**_add(brief, line, cause, reason), "line": str(len(brief.lines) + 40)}
    if careless and chance < LOST + REDUNDANT and brief.lines:
        return _add(brief, pick(brief.lines, *key, "repeated").text, cause, reason)
    odd = pick(idea.odd_lines, *key, "odd")
    text = odd if chance > 1 - UNRECOGNISED and odd not in failed else line
    weak = weak_line(lab, brief.lines, idea)
    if weak is None or weak.id in taken:
        return _add(brief, text, cause, reason)
    taken.add(weak.id)
    return {"op": "replace", "line": weak.id, "text": text, "cause": str(cause.get("label", "")), "reason": reason}


def settled(lines: Sequence[Line], idea: Idea) -> bool:
    """True when the prompt states the idea and nothing in it says the opposite."""
    parts = [part for line in lines for part in sentences(line.text)]
    return any(states(idea, part) for part in parts) and not any(contradicts(idea, part) for part in parts)


def _worth(lab: Lab, brief: Brief, causes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The causes that an attentive rewriter makes an edit for."""
    kept, ideas = [], set()
    for cause in causes:
        idea = meant(lab, cause)
        if idea is not None and (idea.key in ideas or settled(brief.lines, idea)):
            continue
        ideas.add(idea.key if idea else "")
        kept.append(cause)
    return kept


def meant(lab: Lab, cause: Mapping[str, Any]) -> Idea | None:
    """The idea that most of the cause's sentences speak of."""
    said = [sentence for text in strings_in(dict(cause)) for sentence in sentences(text)]
    counts = [(sum(speaks_of(idea, sentence) for sentence in said), idea) for idea in lab.world.known]
    most, idea = max(counts, key=lambda pair: pair[0])
    return idea if most else None


def weak_line(lab: Lab, lines: Sequence[Line], idea: Idea) -> Line | None:
    """A line that touches the idea's topic, states no idea at all, and holds no variable."""
    return next(
        (
            line
            for line in lines
            if mentions(line.text, (*idea.topics, *idea.cues[0]))
            and "{{" not in line.text
            and not any(states(other, part) for other in lab.world.known for part in sentences(line.text))
        ),
        None,
    )


def _failed(brief: Brief) -> frozenset[str]:
    """Every text in the history of steps that failed."""
    history = brief.data.get("history")
    steps = [step for step in history if isinstance(step, dict)] if isinstance(history, list) else []
    return frozenset(text for step in steps if step.get("verdict") == "fail" for text in strings_in(step))


def _add(brief: Brief, text: str, cause: Mapping[str, Any], reason: str) -> dict[str, str]:
    last = brief.lines[-1].id if brief.lines else "0"
    return {"op": "add", "line": last, "text": text, "cause": str(cause.get("label", "c1")), "reason": reason}


def _orders_of(cause: Mapping[str, Any]) -> list[str]:
    return [order for text in strings_in(dict(cause)) for order in orders_in(text)]
