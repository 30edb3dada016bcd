"""Task families for benchmarks: worlds of several kinds, drawn from a seed when the benchmark starts.

The kinds differ in what an optimizer finds hard: how many rules there are and how uneven, how the prompt starts, how
noisy the models are, how much the feedback says, and whether rules get in each other's way. Nobody may tune on the
seeds that are reported: development uses seeds below `FIRST_REPORTED`.
"""

import re
from dataclasses import replace
from enum import StrEnum

from sandbox.model.chance import draw, pick, shuffled
from sandbox.model.ideas import Idea, contradicts
from sandbox.model.visitor_ideas import VISITOR_IDEAS
from sandbox.model.vocabulary import VOCABULARY
from sandbox.model.world import Traits, World

POOL = (*VOCABULARY, *VISITOR_IDEAS)
FIRST_REPORTED = 1_000
"""Seeds below are for development; reports draw theirs above."""
_IDLE = 6


class Kind(StrEnum):
    """What is hard about a family."""

    PLAIN = "plain"
    """6 to 9 rules, two of them in the first prompt, feedback in words."""
    MANY = "many"
    """12 to 16 rules with very uneven shares, none in the first prompt."""
    POOR = "poor"
    """7 to 10 rules; the feedback is a score and the expected phrase, and the critic errs more often."""
    NOISY = "noisy"
    """6 to 10 rules that are followed less reliably, and answers that change with every rewording."""
    CLASHING = "clashing"
    """7 to 10 rules, half of them prohibitions, two of which the first prompt breaks by permitting what they forbid;
    repeated rules and length hurt."""
    LONG = "long"
    """8 to 12 rules, half of them inside a long first prompt that leaves little room."""


_FRAME = ("You answer the questions of customers and visitors.", "Be friendly and keep to the point.")
_FILLER = (
    "Our house was founded two generations ago and is proud of it.",
    "Write in whole sentences.",
    "Use the words of everyday life.",
    "People write to us from all over the country.",
    "Do not use exclamation marks in a row.",
    "Stay calm when somebody is upset.",
    "Avoid jargon.",
    "Prefer the active voice.",
    "Do not repeat the whole message.",
    "Leave politics and religion aside.",
    "Spell names as people spell them.",
    "Use no emoticons.",
    "Be patient with long messages.",
    "Do not guess at a person's age or origin.",
    "Keep a light touch.",
    "Put the most important thing first.",
)
_CLASHES = 2
_NEGATION = re.compile(r"^(?:Never|Do not) ")


def family(kind: Kind, seed: int) -> World:
    """The family of this kind and seed, the same in every process."""
    key = ("family", kind.value, seed)
    ideas = _ideas(kind, key)
    base = _first_prompt(kind, ideas, key)
    clashing = tuple(line for line in base if any(contradicts(idea, line) for idea in ideas))
    stated = {line for idea in ideas for line in idea.lines}
    rest = [line for line in base if line not in clashing and line not in stated]
    best = "\n".join([*rest, *(idea.lines[0] for idea in ideas)])
    return World(
        name=f"{kind.value}-{seed}",
        ideas=ideas,
        shares=_shares(kind, ideas, key),
        base_prompt="\n".join(base),
        best_prompt=best,
        traits=_traits(kind, key, best),
        idle=tuple(shuffled([idea for idea in POOL if idea not in ideas], *key, "idle")[:_IDLE]),
    )


_COUNTS = {
    Kind.PLAIN: (6, 9),
    Kind.MANY: (12, 16),
    Kind.POOR: (7, 10),
    Kind.NOISY: (6, 10),
    Kind.CLASHING: (7, 10),
    Kind.LONG: (8, 12),
}


def _ideas(kind: Kind, key: tuple[object, ...]) -> tuple[Idea, ...]:
    count = _between(*_COUNTS[kind], *key, "count")
    order = shuffled(POOL, *key, "ideas")
    if kind is not Kind.CLASHING:
        return tuple(order[:count])
    bans = [idea for idea in order if idea.prohibition][: count // 2]
    return tuple(shuffled([*bans, *[i for i in order if not i.prohibition][: count - len(bans)]], *key, "mixed"))


def _shares(kind: Kind, ideas: tuple[Idea, ...], key: tuple[object, ...]) -> tuple[float, ...]:
    uneven = 3.0 if kind is Kind.MANY else 1.2
    raw = [(0.4 + draw(*key, "share", idea.key)) ** uneven for idea in ideas]
    return tuple(weight / sum(raw) for weight in raw)


def _first_prompt(kind: Kind, ideas: tuple[Idea, ...], key: tuple[object, ...]) -> list[str]:
    known = {Kind.MANY: 0, Kind.LONG: len(ideas) // 2, Kind.CLASHING: 1}.get(kind, 2)
    lines = [pick(idea.lines, *key, "stated", idea.key) for idea in ideas[:known]]
    if kind is Kind.CLASHING:
        lines += [_permission(idea) for idea in ideas[known:] if idea.prohibition][:_CLASHES]
    if kind is Kind.LONG:
        lines = shuffled([*lines, *_FILLER], *key, "order")
    return [*_FRAME, *lines]


def _traits(kind: Kind, key: tuple[object, ...], best: str) -> Traits:
    usual = Traits(
        stated=0.90 + 0.06 * draw(*key, "stated"), unstated=0.02 + 0.10 * draw(*key, "unstated"), attentive=True
    )
    if kind is Kind.POOR:
        return replace(usual, vague=0.15, wrong=0.12, rich=False)
    if kind is Kind.NOISY:
        fickle = 0.12 + 0.08 * draw(*key, "fickle")
        return replace(usual, stated=usual.stated - 0.06, unstated=usual.unstated + 0.15, fickle=fickle)
    if kind is Kind.CLASHING:
        return replace(usual, patience=1, long=len(best) + 300)
    if kind is Kind.LONG:
        return replace(usual, long=len(best) + 200)
    return usual


def _permission(idea: Idea) -> str:
    """A line that permits what the idea forbids."""
    turned = (f"Gladly {_NEGATION.sub('', line)}" for line in idea.lines if _NEGATION.match(line))
    return next(line for line in turned if contradicts(idea, line))


def _between(low: int, high: int, *key: object) -> int:
    return low + int(draw(*key) * (high - low + 1))
