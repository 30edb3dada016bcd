"""Gradients in the same words are one voice: what is compared, and how much each source counts in it.

However much a source says, it counts no more than a few times in all, shared evenly among its texts. Must never weigh
a text by how often it was said.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optimizer.causes.likeness import Likeness, unit
from optimizer.causes.linkage import Voice
from optimizer.identity import digest
from optimizer.types import Gradient


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A voice, and the gradients that are it."""

    voice: Voice
    gradients: tuple[Gradient, ...]


def heard(gradients: Sequence[Gradient], *, per_source: int, likeness: Likeness) -> list[Heard]:
    """The voices of the gradients, those of most people first: in a flood of one source no text is a whole person's.

    Args:
        gradients: in an order that depends on them alone.
        per_source: how much one source counts, at most, in all its texts together.
    """
    by_text: dict[str, list[Gradient]] = defaultdict(list)
    for gradient in gradients:
        by_text[gradient.text].append(gradient)
    texts = sorted(by_text, key=digest)  # an order that no writer of a text can be sure of
    sources = {text: sorted({g.source_key for g in by_text[text]}) for text in texts}
    texts_of = Counter(source for text in texts for source in sources[text])
    share = {source: min(1.0, per_source / count) for source, count in texts_of.items()}
    people = {text: math.fsum(1 / texts_of[source] for source in sources[text]) for text in texts}

    vectors = likeness.vectors(texts, [people[text] for text in texts])
    alike: dict[tuple[tuple[str, float], ...], list[str]] = defaultdict(list)
    for text, vector in zip(texts, vectors, strict=True):
        alike[tuple(unit(vector).items())].append(text)
    place = {text: place for place, text in enumerate(texts)}
    first = sorted(alike, key=lambda key: (-math.fsum(people[text] for text in alike[key]), place[alike[key][0]]))
    return [_heard(dict(key), [g for text in alike[key] for g in by_text[text]], sources, share) for key in first]


def _heard(
    vector: Mapping[str, float],
    gradients: Sequence[Gradient],
    sources: Mapping[str, Sequence[str]],
    share: Mapping[str, float],
) -> Heard:
    texts = sorted({g.text for g in gradients})
    said = [source for text in texts for source in sources[text]]
    shares: dict[str, float] = defaultdict(float)
    for source in sorted(said):
        shares[source] = min(1.0, shares[source] + share[source])
    return Heard(voice=Voice(vector=vector, shares=dict(shares)), gradients=tuple(gradients))
