"""Average linkage that nobody can bend: clusters of voices whose every joint holds without any one source.

    voices  -- postings of their words: only those that share one are compared
      |
      v
    the first voices, as many as the work allows, found the clusters: the two nearest clusters are joined, again and
    again, as long as their members are alike in the mean, and would be without the words of any one source
      |
      v
    the others each join the best founded clusters that they are like, by the same rule, or are left over

The work is bounded whatever the texts are: it counts products of two vector entries, not pairs of texts. The outcome
depends on the voices and their order alone. Nothing here may look at a text.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TypeAlias

from optimizer.causes.likeness import Vector

WORK = 300_000
"""Products of two vector entries, at most, to found the clusters, and again to join the others to them: well under half
a second each. Criticisms of everyday words found clusters by the thousand within it."""

PAIR = 4
"""What a pair that is alike costs more, in products."""

ACTIVE = 64
"""Clusters, best founded first, that further voices can join: many more than one step can edit for."""

_ROUNDING = 1e-9

_Pair: TypeAlias = tuple[float, int, int]
"""Minus the mean likeness of two clusters, and which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """Everything that was said in the same words.

    Attributes:
        vector: of length 1.
        shares: how much each source counts in it.
    """

    vector: Vector
    shares: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """Positions of voices: in clusters, and left over because the work was bounded.

    Attributes:
        typical: of every voice in a cluster, its mean likeness to the cluster.
    """

    clusters: tuple[tuple[int, ...], ...]
    typical: Mapping[int, float]
    left: tuple[int, ...]


@dataclass(slots=True)
class _Part:
    """The sum of weighted vectors, and their weight."""

    vector: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    weight: float = 0.0

    def add(self, vector: Vector, weight: float, *, times: float = 1.0) -> None:
        self.weight += weight
        for key, value in vector.items():
            self.vector[key] += value * times


@dataclass(slots=True)
class _Cluster:
    """Members, their sum, and what each source has in it."""

    members: list[int] = field(default_factory=list)
    whole: _Part = field(default_factory=_Part)
    of: dict[str, _Part] = field(default_factory=dict)

    @classmethod
    def alone(cls, member: int, voice: Voice) -> "_Cluster":
        """One voice."""
        cluster = cls(members=[member])
        for source, share in voice.shares.items():
            cluster.of[source] = _Part()
            cluster.of[source].add(voice.vector, share, times=share)
        weight = sum(voice.shares.values())
        cluster.whole.add(voice.vector, weight, times=weight)
        return cluster

    def mean(self, other: "_Cluster") -> float:
        """How alike their members are, in the mean."""
        return _dot(self.whole.vector, other.whole.vector) / (self.whole.weight * other.whole.weight)

    def join(self, other: "_Cluster") -> None:
        self.members += other.members
        self.whole.add(other.whole.vector, other.whole.weight)
        for source, part in other.of.items():
            self.of.setdefault(source, _Part()).add(part.vector, part.weight)


def linked(voices: Sequence[Voice], alike: float) -> Linked:
    """Cluster the voices; those that come first found the clusters when there are too many.

    Args:
        alike: mean cosine from which two clusters say the same.
    """
    founders, pairs = _compared(voices, alike)
    clusters = _agglomerated(voices[:founders], pairs, alike)
    left = _joined(clusters, voices, range(founders, len(voices)), alike)
    means = {
        member: _dot(voices[member].vector, cluster.whole.vector) / cluster.whole.weight
        for cluster in clusters
        for member in cluster.members
    }
    return Linked(clusters=tuple(tuple(c.members) for c in clusters), typical=means, left=left)


def _compared(voices: Sequence[Voice], alike: float) -> tuple[int, list[_Pair]]:
    """How many voices, from the first, can all be compared within the work, and their pairs that are alike."""
    postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
    pairs: list[_Pair] = []
    work = 0
    for position, voice in enumerate(voices):
        work += sum(len(postings[key]) for key in voice.vector)
        if work + PAIR * len(pairs) > WORK:
            return position, pairs
        row: dict[int, float] = defaultdict(float)
        for key, value in voice.vector.items():
            for other, theirs in postings[key]:
                row[other] += value * theirs
            postings[key].append((position, value))
        pairs += [(-cosine, other, position) for other, cosine in row.items() if cosine >= alike - _ROUNDING]
    return len(voices), pairs


def _agglomerated(voices: Sequence[Voice], pairs: list[_Pair], alike: float) -> list[_Cluster]:
    """Join the two nearest clusters until none are alike; `pairs` are the voices that are.

    What is joined is no nearer to a third than the nearer of its two parts was: only those that were alike with one of
    them are looked at again.
    """
    clusters = {position: _Cluster.alone(position, voice) for position, voice in enumerate(voices)}
    near: dict[int, set[int]] = {position: set() for position in clusters}
    fresh = count(len(voices))
    for _, one, other in pairs:
        near[one].add(other)
        near[other].add(one)
    heapify(pairs)
    while pairs:
        minus, one, other = heappop(pairs)
        if one not in clusters or other not in clusters or not _holds(clusters[one], clusters[other], -minus, alike):
            continue
        large, small = sorted((clusters.pop(one), clusters.pop(other)), key=lambda c: -len(c.of))
        large.join(small)
        new = next(fresh)
        near[new] = set()
        for third in (near.pop(one) | near.pop(other)) & clusters.keys():
            mean = large.mean(clusters[third])
            if mean >= alike - _ROUNDING:
                near[new].add(third)
                near[third].add(new)
                heappush(pairs, (-mean, third, new))
        clusters[new] = large
    return list(clusters.values())


def _holds(one: _Cluster, other: _Cluster, mean: float, alike: float) -> bool:
    """Whether two clusters that are alike in the mean would be so without any one source."""
    small, large = sorted((one, other), key=lambda c: len(c.of))
    harmless = (mean - alike) / (1 - alike) * large.whole.weight  # so much of one side may go, were it all alike
    suspects = [source for source, part in large.of.items() if part.weight > harmless and source not in small.of]
    total = mean * small.whole.weight * large.whole.weight
    return all(_holds_without(source, small, large, total, alike) for source in (*small.of, *suspects))


def _holds_without(source: str, one: _Cluster, other: _Cluster, total: float, alike: float) -> bool:
    mine, theirs = one.of.get(source, _NOTHING), other.of.get(source, _NOTHING)
    weight = (one.whole.weight - mine.weight) * (other.whole.weight - theirs.weight)
    if weight < _ROUNDING:
        return True  # a side that is nobody else's joins nothing to anything
    rest = total + _dot(mine.vector, theirs.vector)
    rest -= _dot(mine.vector, other.whole.vector) + _dot(theirs.vector, one.whole.vector)
    return rest / weight >= alike - _ROUNDING


_NOTHING = _Part()


def _joined(clusters: Sequence[_Cluster], voices: Sequence[Voice], rest: range, alike: float) -> tuple[int, ...]:
    """Add each of the rest to the cluster that it is most like, as the clusters were founded; and who is left over."""
    active = sorted(clusters, key=lambda c: (-len(c.of), min(c.members)))[:ACTIVE]
    postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for position, cluster in enumerate(active):
        for key, value in cluster.whole.vector.items():
            postings[key].append((position, value / cluster.whole.weight))
    joining: list[tuple[int, int]] = []
    work = 0
    for position in rest:
        row: dict[int, float] = defaultdict(float)
        for key, value in voices[position].vector.items():
            work += len(postings.get(key, ()))
            for number, mean in postings.get(key, ()):
                row[number] += value * mean
        if work > WORK:
            break
        best = min(row, key=lambda number: (-row[number], number), default=None)
        newcomer = _Cluster.alone(position, voices[position])
        if best is not None and row[best] >= alike and _holds(active[best], newcomer, row[best], alike):
            joining.append((position, best))
    for position, best in joining:
        active[best].join(_Cluster.alone(position, voices[position]))
    joined = {position for position, _ in joining}
    return tuple(position for position in rest if position not in joined)


def _dot(one: Vector, other: Vector) -> float:
    if len(one) > len(other):
        one, other = other, one
    return sum(value * other[key] for key, value in one.items() if key in other)
