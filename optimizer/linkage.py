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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from optimizer.likeness import Vector

WORK = 3_000_000
"""Products of vector entries, at most, to found the clusters, and again to join the others to them: well under half a
second each. Criticisms of everyday words found clusters by the thousand within it."""

ACTIVE = 64
"""Clusters, best founded first, that further voices can join: many more than one step can edit for."""

_ROUNDING = 1e-9


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

    def take(self, members: Iterable[int], voices: Sequence[Voice]) -> None:
        for member in members:
            voice = voices[member]
            self.members.append(member)
            for source, share in voice.shares.items():
                self.of.setdefault(source, _Part()).add(voice.vector, share, times=share)
                self.whole.add(voice.vector, share, times=share)

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
    founders = _affordable([voice.vector for voice in voices])
    clusters = _agglomerated(voices[:founders], alike)
    left = _joined(clusters, voices, range(founders, len(voices)), alike)
    means = {
        member: _dot(voices[member].vector, cluster.whole.vector) / cluster.whole.weight
        for cluster in clusters
        for member in cluster.members
    }
    return Linked(clusters=tuple(tuple(c.members) for c in clusters), typical=means, left=left)


def _affordable(vectors: Sequence[Vector]) -> int:
    """How many vectors, from the first, can all be compared to one another within the work."""
    seen: dict[str, int] = defaultdict(int)
    work = 0
    for position, vector in enumerate(vectors):
        for key in vector:
            work += seen[key]
            seen[key] += 1
        if work > WORK:
            return position
    return len(vectors)


def _agglomerated(voices: Sequence[Voice], alike: float) -> list[_Cluster]:
    clusters = {}
    for position in range(len(voices)):
        clusters[position] = _Cluster()
        clusters[position].take([position], voices)
    near = _near(voices, clusters)
    pairs: list[tuple[float, int, int]] = []
    fresh = count(len(voices))

    def offer(one: int, other: int) -> None:
        mean = near[one][other] / (clusters[one].whole.weight * clusters[other].whole.weight)
        if mean >= alike - _ROUNDING:
            heappush(pairs, (-mean, one, other))

    for one, row in near.items():
        for other in row:
            if one < other:
                offer(one, other)
    while pairs:
        _, one, other = heappop(pairs)
        if one not in clusters or other not in clusters:
            continue
        if not _holds(clusters[one], clusters[other], near[one][other], alike):
            continue
        large, small = sorted((clusters.pop(one), clusters.pop(other)), key=lambda c: -len(c.of))
        large.join(small)
        new = next(fresh)
        clusters[new] = large
        near[new] = _sums(near.pop(one), near.pop(other), without=(one, other))
        for third, total in near[new].items():
            row = near[third]
            row.pop(one, None)
            row.pop(other, None)
            row[new] = total
            offer(third, new)
    return list(clusters.values())


def _near(voices: Sequence[Voice], clusters: Mapping[int, _Cluster]) -> dict[int, dict[int, float]]:
    """For every voice those that share a word with it, and the sum of their weighted likeness."""
    postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
    near: dict[int, dict[int, float]] = {}
    for position, voice in enumerate(voices):
        weight = clusters[position].whole.weight
        row: dict[int, float] = defaultdict(float)
        for key, value in voice.vector.items():
            for other, theirs in postings[key]:
                row[other] += value * theirs
            postings[key].append((position, value))
        near[position] = {}
        for other, cosine in row.items():
            near[position][other] = near[other][position] = cosine * weight * clusters[other].whole.weight
    return near


def _sums(one: Mapping[int, float], other: Mapping[int, float], *, without: tuple[int, int]) -> dict[int, float]:
    keys = (one.keys() | other.keys()) - set(without)
    return {key: one.get(key, 0.0) + other.get(key, 0.0) for key in keys}


def _holds(one: _Cluster, other: _Cluster, total: float, alike: float) -> bool:
    """Whether two clusters are alike in the mean, and would be without any one source.

    Args:
        total: the sum of the weighted likeness of their pairs.
    """
    small, large = sorted((one, other), key=lambda c: len(c.of))
    mean = total / (small.whole.weight * large.whole.weight)
    if mean < alike - _ROUNDING:
        return False
    harmless = (mean - alike) / (1 - alike) * large.whole.weight  # so much of one side may go, were it all alike
    suspects = [source for source, part in large.of.items() if part.weight > harmless and source not in small.of]
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
        if best is not None and _welcome(active[best], voices[position], row[best], alike):
            joining.append((position, best))
    for position, best in joining:
        active[best].take([position], voices)
    joined = {position for position, _ in joining}
    return tuple(position for position in rest if position not in joined)


def _welcome(cluster: _Cluster, voice: Voice, mean: float, alike: float) -> bool:
    newcomer = _Cluster()
    newcomer.take([0], [voice])
    return _holds(cluster, newcomer, mean * newcomer.whole.weight * cluster.whole.weight, alike)


def _dot(one: Vector, other: Vector) -> float:
    if len(one) > len(other):
        one, other = other, one
    return sum(value * other[key] for key, value in one.items() if key in other)
