"""What the simulated task model takes from a system prompt: ideas stated and contradicted, harm, length, orders.

A rewording that states the same ideas has the same features. It must not look at the question or the seed.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from sandbox.model.ideas import contradicts, sentences, states
from sandbox.model.world import World

STATED, UNSTATED = 0.92, 0.10
TORN, DENIED = 0.40, 0.02
"""How often an idea is followed that the prompt states, leaves out, states and contradicts, or only contradicts."""
HARMED = 0.08
"""What a harmful line leaves of every rate."""
LONG, ENDLESS = 3_000, 6_000
"""Prompts over these many characters lose a tenth, and four tenths, of every rate."""

_HARM = re.compile(
    r"\b(one|single) word\b"
    r"|\b(never|do not|don't|avoid) (mention\w*|us\w+|giv\w+|stat\w+) (any |all )?(numbers|details|facts|specifics)"
    r"|\bno (numbers|details|facts|specifics)\b"
    r"|\bas (short|brief|vague) as possible\b"
    r"|\b(only|just) (say|answer|reply)\b"
    r"|\bignore (the|every|all|what) (question|customer)",
    re.IGNORECASE,
)
_ORDER = re.compile(r"\balways tell (?:the |every )?customers? to (.+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """A prompt in the eyes of the simulated task model.

    Attributes:
        clarity: what length and harm leave of every rate, (0, 1].
        orders: what customers have to be told in every answer, word for word.
    """

    stated: frozenset[str]
    contradicted: frozenset[str]
    clarity: float
    orders: tuple[str, ...]

    def rate(self, key: str) -> float:
        """How often an answer follows this idea."""
        if key in self.contradicted:
            return self.clarity * (TORN if key in self.stated else DENIED)
        return self.clarity * (STATED if key in self.stated else UNSTATED)


@lru_cache(maxsize=1024)
def features(world: World, prompt: str) -> Features:
    """Read a rendered system prompt."""
    parts = sentences(prompt)
    length = 0.6 if len(prompt) > ENDLESS else 0.9 if len(prompt) > LONG else 1.0
    return Features(
        stated=frozenset(idea.key for idea in world.ideas if any(states(idea, part) for part in parts)),
        contradicted=frozenset(idea.key for idea in world.ideas if any(contradicts(idea, part) for part in parts)),
        clarity=length * (HARMED if _HARM.search(prompt) else 1.0),
        orders=tuple(found.group(1).strip().rstrip(".") for part in parts if (found := _ORDER.search(part))),
    )
