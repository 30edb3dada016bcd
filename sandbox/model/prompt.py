"""What the simulated task model takes from a system prompt: ideas stated and contradicted, harm, length, orders.

A rewording that states the same ideas has the same features. It must not look at the question or the seed.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from sandbox.model.ideas import contradicts, sentences, states
from sandbox.model.world import Traits, World

TORN, DENIED = 0.40, 0.02
"""How often an idea is followed that the prompt states and contradicts, or only contradicts."""
NAGGED = 0.70
"""What is left of an idea's rate when more lines state it than the world has patience for."""
HARMED = 0.08
"""What a harmful line leaves of every rate."""

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
        nagged: stated in more lines than the world has patience for.
        clarity: what length and harm leave of every rate, (0, 1].
        orders: what customers have to be told in every answer, word for word.
    """

    stated: frozenset[str]
    contradicted: frozenset[str]
    nagged: frozenset[str]
    clarity: float
    orders: tuple[str, ...]
    traits: Traits

    def rate(self, key: str) -> float:
        """How often an answer follows this idea."""
        if key in self.contradicted:
            return self.clarity * (TORN if key in self.stated else DENIED)
        if key in self.nagged:
            return self.clarity * self.traits.stated * NAGGED
        return self.clarity * (self.traits.stated if key in self.stated else self.traits.unstated)


@lru_cache(maxsize=1024)
def features(world: World, prompt: str) -> Features:
    """Read a rendered system prompt."""
    parts = sentences(prompt)
    long = world.traits.long
    length = 0.6 if len(prompt) > 2 * long else 0.9 if len(prompt) > long else 1.0
    times = {idea.key: sum(states(idea, part) for part in parts) for idea in world.ideas}
    patience = world.traits.patience or len(parts)
    return Features(
        stated=frozenset(key for key, count in times.items() if count),
        contradicted=frozenset(idea.key for idea in world.ideas if any(contradicts(idea, part) for part in parts)),
        nagged=frozenset(key for key, count in times.items() if count > patience),
        clarity=length * (HARMED if _HARM.search(prompt) else 1.0),
        orders=tuple(found.group(1).strip().rstrip(".") for part in parts if (found := _ORDER.search(part))),
        traits=world.traits,
    )
