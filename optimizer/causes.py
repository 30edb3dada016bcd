"""From gradients to root causes: criticisms that say the same, from enough independent people.

Clustering calls no model: it is average linkage over the likeness of the texts. A cause never counts more than a few
gradients of one source, and stands only with a quorum of sources. A criticism that says more than the others joins
their cause all the same, so the one that says least alone speaks for it: nobody rides on other people's quorum. The
result depends on the set of gradients, never on their order.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import combinations, count

from optimizer.likeness import cosine, stems_of, vectors
from optimizer.quarantine import reason_against
from optimizer.types import Gradient, RootCause

ALIKE = 0.30
"""Mean cosine from which two clusters say the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedCause:
    """Gradients that made no cause, and why."""

    gradients: tuple[Gradient, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """Root causes, best founded first, and what was refused."""

    causes: tuple[RootCause, ...]
    refused: tuple[RefusedCause, ...]


def group(gradients: Sequence[Gradient], *, quorum: int, per_source: int, quarantine: bool = True) -> Grouped:
    """Cluster the gradients that want a change.

    Args:
        quorum: independent sources that a cause needs; all gradients without a source are one source together.
        per_source: gradients of one source that count in one cause; the most typical ones.
        quarantine: keep texts out that give orders instead of criticising.
    """
    wanted = sorted({g.id: g for g in gradients if g.warrants_change}.values(), key=lambda g: g.id)
    against = {g.id: reason_against(g.text) if quarantine else "" for g in wanted}
    refused = [RefusedCause(gradients=(g,), reason=against[g.id]) for g in wanted if against[g.id]]
    founded = []
    for cluster in _clusters([g for g in wanted if not against[g.id]]):
        counted, capped = _capped(cluster, per_source)
        sources = _sources(counted)
        if capped:
            refused.append(RefusedCause(gradients=capped, reason=f"more than {per_source} from one source"))
        if sources < quorum:
            refused.append(RefusedCause(gradients=counted, reason=f"{sources} of {quorum} independent sources"))
        else:
            founded.append(_least_alone(counted))
    founded.sort(key=lambda c: (-_sources(c), -math.fsum(g.loss.weight for g in c), c[0].id))
    causes = (
        RootCause(label=f"c{number}", summary=cluster[0].text, gradients=cluster)
        for number, cluster in enumerate(founded, start=1)
    )
    return Grouped(causes=tuple(causes), refused=tuple(refused))


def _sources(gradients: Sequence[Gradient]) -> int:
    return len({g.source_key for g in gradients})


def _capped(cluster: Sequence[Gradient], per_source: int) -> tuple[tuple[Gradient, ...], tuple[Gradient, ...]]:
    """The first few gradients of every source, and the rest."""
    seen: Counter[str] = Counter()
    counted: list[Gradient] = []
    rest: list[Gradient] = []
    for gradient in cluster:
        seen[gradient.source_key] += 1
        (counted if seen[gradient.source_key] <= per_source else rest).append(gradient)
    return tuple(counted), tuple(rest)


def _least_alone(cluster: Sequence[Gradient]) -> tuple[Gradient, ...]:
    """The same, those first of which the least is said by one source alone; among equals the order stays."""
    said = {g.id: stems_of(g.text) for g in cluster}
    by = Counter(stem for _, stem in {(g.source_key, stem) for g in cluster for stem in said[g.id]})
    return tuple(sorted(cluster, key=lambda g: sum(by[stem] == 1 for stem in said[g.id])))


def _clusters(gradients: Sequence[Gradient]) -> list[tuple[Gradient, ...]]:
    """Clusters in which the gradient nearest to all others stands first."""
    words = vectors([g.text for g in gradients])
    near = [[cosine(one, other) for other in words] for one in words]

    def typical(index: int, cluster: Sequence[int]) -> tuple[float, str]:
        return -math.fsum(near[index][other] for other in cluster), gradients[index].id

    return [tuple(gradients[i] for i in sorted(c, key=lambda i: typical(i, c))) for c in _linked(near)]


def _linked(near: Sequence[Sequence[float]]) -> list[list[int]]:
    """Average linkage: join the two clusters whose members are nearest in the mean, until none are alike."""
    clusters = {index: [index] for index in range(len(near))}
    total = {(one, other): near[one][other] for one, other in combinations(clusters, 2)}
    pairs: list[tuple[float, int, int]] = []
    fresh = count(len(near))

    def offer(one: int, other: int) -> None:
        mean = total[one, other] / (len(clusters[one]) * len(clusters[other]))
        if mean >= ALIKE:
            heappush(pairs, (-mean, one, other))

    for one, other in total:
        offer(one, other)
    while pairs:
        _, one, other = heappop(pairs)
        if one not in clusters or other not in clusters:
            continue
        joined, new = clusters.pop(one) + clusters.pop(other), next(fresh)
        for third in clusters:
            total[third, new] = math.fsum(total[min(third, old), max(third, old)] for old in (one, other))
        clusters[new] = joined
        for third in clusters:
            if third != new:
                offer(third, new)
    return list(clusters.values())
