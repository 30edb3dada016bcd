"""How alike two criticisms are: cosine of their word vectors, rare words heavy.

Critics speak in template sentences: two criticisms that share "The prompt does not tell the assistant to mention" and
differ in one word say different things. So a word weighs the more the rarer it is, among the given criticisms (inverse
document frequency) and in the language of criticism (words that say nothing about a cause are not counted at all).
English, as the critic is told to write; other languages are compared without the second part.

Anything else that makes vectors of texts, an embedding for instance, can take the place of the words: see `Likeness`.
"""

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

Vector: TypeAlias = Mapping[str, float]
"""A sparse vector: what is not in it is 0."""

ALIKE = 0.27
"""Mean cosine of word vectors from which two clusters of criticisms say the same."""

BACKGROUND = 8
"""How many other criticisms, besides the given ones, rarity is reckoned against: so that in a handful of criticisms
the words that all of them share still count."""

_WORD = re.compile(r"[^\W_]{2,}")
_ENDING = re.compile(
    r"(?<=\w{3})(?:ibilit(?:y|ies)|abilit(?:y|ies)|it(?:y|ies)|ations?|i[sz]es?|ings?|l(?:y|ies|ied)|ies|ied|ed|es|s|e|y)$"
)
_DOUBLED = re.compile(r"([^\W\daeiou_])\1$")


class Likeness(Protocol):
    """What makes texts comparable. The same arguments must make the same vectors."""

    @property
    def alike(self) -> float:
        """Mean cosine from which two clusters say the same, in (0, 1)."""

    def vectors(self, texts: Sequence[str], weights: Sequence[float]) -> Sequence[Vector | Sequence[float]]:
        """One vector for each text, sparse or dense, of any length but 0; nothing below 0 in a sparse one.

        Args:
            texts: different texts, in an order that depends on the texts alone.
            weights: how many independent people said each, about.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class RareWords:
    """The default: texts as vectors over the stems of their words, rare ones heavy."""

    alike: float = ALIKE

    def vectors(self, texts: Sequence[str], weights: Sequence[float]) -> list[Vector]:
        """How rare a word is goes by how many people use it, not by how often they do."""
        known: dict[str, str] = {}
        found = [stems_of(text, known) for text in texts]
        frequency: dict[str, float] = defaultdict(float)
        for stems, weight in zip(found, weights, strict=True):
            for stem in stems:
                frequency[stem] += weight
        everybody = math.fsum(weights) + BACKGROUND
        rarity = {stem: math.log(everybody / (count + 1)) for stem, count in frequency.items()}
        return [{stem: rarity[stem] for stem in sorted(stems)} for stems in found]


def unit(vector: Vector | Sequence[float]) -> Vector:
    """The same direction at length 1, sparse; a dense vector is keyed by position."""
    sparse = vector if isinstance(vector, Mapping) else {str(place): value for place, value in enumerate(vector)}
    length = math.hypot(*sparse.values()) or 1.0
    return {key: value / length for key, value in sparse.items()}


def stems_of(text: str, known: dict[str, str] | None = None) -> frozenset[str]:
    """The stems that say something; of a text that has none, the text itself.

    Args:
        known: stems of words that were met before; filled as more are met.
    """
    known = {} if known is None else known
    words = set(_WORD.findall(text.casefold()))
    known.update({word: _stem(word) for word in words if word not in known})
    stems = frozenset(known[word] for word in words) - _SAYS_NOTHING
    return stems or frozenset({text.strip().casefold()})


def _stem(word: str) -> str:
    """The word without its ending: cancel, cancelled, cancelling, cancellation are one."""
    return _DOUBLED.sub(r"\1", _ENDING.sub("", word, count=1))


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
