"""How alike two criticisms are: cosine of their word vectors, rare words heavy.

Critics speak in template sentences: two criticisms that share "The prompt does not tell the assistant to mention" and
differ in one word say different things. So a word weighs the more the rarer it is, among the given criticisms (inverse
document frequency) and in the language of criticism (words that say nothing about a cause are not counted at all).
English, as the critic is told to write; other languages are compared without the second part.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Vector: TypeAlias = Mapping[str, float]

BACKGROUND = 8
"""How many other criticisms, besides the given ones, rarity is reckoned against: so that in a handful of criticisms
the words that all of them share still count."""

_WORD = re.compile(r"[^\W_]{2,}")
_ENDINGS = (
    "ations",
    "ation",
    "ises",
    "ise",
    "izes",
    "ize",
    "ings",
    "ing",
    "ies",
    "ied",
    "ed",
    "es",
    "ly",
    "s",
    "e",
    "y",
)


def vectors(texts: Sequence[str]) -> list[Vector]:
    """Texts as unit vectors over the stems of their words."""
    found = [stems_of(text) for text in texts]
    frequency = Counter(stem for stems in found for stem in stems)
    rarity = {stem: math.log((len(texts) + BACKGROUND) / (count + 1)) for stem, count in frequency.items()}
    return [_unit({stem: rarity[stem] for stem in sorted(stems)}) for stems in found]


def cosine(one: Vector, other: Vector) -> float:
    """From 0, no word in common, to 1, the same words."""
    return math.fsum(weight * other[stem] for stem, weight in one.items() if stem in other)


def _unit(vector: Vector) -> Vector:
    length = math.hypot(*vector.values())
    return {stem: weight / length for stem, weight in vector.items()}


def stems_of(text: str) -> frozenset[str]:
    """The stems that say something; of a text that has none, the text itself."""
    stems = frozenset(_stem(word.casefold()) for word in _WORD.findall(text)) - _SAYS_NOTHING
    return stems or frozenset({text.strip().casefold()})


def _stem(word: str) -> str:
    ending = next((end for end in _ENDINGS if word.endswith(end) and len(word) - len(end) >= 3), "")
    return word.removesuffix(ending)


_SAYS_NOTHING = frozenset(
    _stem(word)
    for word in _WORD.findall(
        """
        about above add after all already also although always an and another any anything are as at be because been
        before being but by can cannot could deal did disappoint do does doesn doing don either enough every explain
        explicit fail few for from further general get give had has have having he her here him his how however if in
        instead into is it its itself just lack leave left less let like little made make may me might more most much
        must my need never next no none nor not nothing now of on one only or other our out over own per please rather
        say said shall she should simply since so some something still such sure take than that the their them then
        there these they thing this those though through thus to too under until up upon us use very want was way we
        well were what when where whether which while who whom whose why will with within without won would yet you
        your

        acknowledge answer ask assistant behaviour behavior bot caused cause complain complaint concerning content
        cover criticism current customer describe feedback follow general guidance guideline handle include indicate
        information input instruct instruction line mention miss model name output people person prompt provide
        question reply request require respond response rule section sentence silent specify specific state system
        tell text user wording
        """
    )
)
"""What critics say about any prompt whatever."""
