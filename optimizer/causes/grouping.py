"""From gradients to root causes: criticisms that say the same, from enough independent people.

Clustering calls no model: it is average linkage over the likeness of the texts (`linkage`, `likeness`). The result
depends on the set of gradients, never on their order.

One source, a user or a session, can do little. It counts as one person in how rare a word is, a few times at most in
the linkage and in a cause, and a cause needs a quorum of sources. What stands also survives leaving any one source out:

- the cause does not fall apart: every two parts that were joined into it are alike in the mean without the words of
  any one source, so nobody's text is the only bridge between criticisms that say different things;
- it keeps its meaning: a criticism counts only when at least half of its words are also another source's in the same
  cause, so whoever speaks for the cause says what others say; and the one that says least alone speaks first. Of other
  wordings only those without any one source's own words are passed on.

With a quorum of 1 there are no others, and nobody has to say the same. Three limits: a cause of exactly as many sources
as its quorum stands, though one fewer would be too few; one source still weighs as one person in how rare a word is,
which can tip two criticisms that are all but alike among a handful of people; and whoever has as many accounts as the
quorum is a quorum.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.causes.likeness import Likeness, RareWords, stems_of
from optimizer.causes.linkage import linked
from optimizer.causes.quarantine import reason_against
from optimizer.causes.voices import heard
from optimizer.types import Gradient, RootCause

ALONE = 0.5
"""Share of a criticism's words that may be its own source's alone in a cause."""

NO_ROOM = "too many different criticisms at once"
RIDER = "says mostly what no other source of its cause says"


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


def group(
    gradients: Sequence[Gradient],
    *,
    quorum: int,
    per_source: int,
    quarantine: bool = True,
    likeness: Likeness | None = None,
) -> Grouped:
    """Cluster the gradients that want a change.

    Args:
        quorum: independent sources that a cause needs; gradients without a source are one together, and none beside
            others.
        per_source: gradients of one source that count in one cause; the most typical ones.
        quarantine: keep texts out that give orders instead of criticising.
        likeness: what makes texts comparable; their rare words when it is None.
    """
    by_id = {g.id: g for g in gradients if g.warrants_change}
    wanted = [by_id[key] for key in sorted(by_id)]
    against = {text: reason_against(text) if quarantine else "" for text in {g.text for g in wanted}}
    refused = [RefusedCause(gradients=(g,), reason=against[g.text]) for g in wanted if against[g.text]]
    founded = []
    clusters, left = _clusters([g for g in wanted if not against[g.text]], per_source, likeness or RareWords())
    for cluster in clusters:
        counted, rest = _counted(cluster, per_source, quorum)
        sources = _sources(counted)
        refused += rest
        if sources < quorum:
            refused.append(RefusedCause(gradients=counted, reason=f"{sources} of {quorum} independent sources"))
        else:
            founded.append(counted)
    if left:
        refused.append(RefusedCause(gradients=left, reason=NO_ROOM))
    founded.sort(key=lambda c: (-_sources(c), -math.fsum(g.loss.weight for g in c), c[0].id))
    causes = (
        RootCause(label=f"c{number}", summary=cluster[0].text, gradients=cluster)
        for number, cluster in enumerate(founded, start=1)
    )
    return Grouped(causes=tuple(causes), refused=tuple(refused))


def shared_wordings(cause: RootCause) -> tuple[str, ...]:
    """The texts of the cause, the summary apart, of which every word is also another source's: safe to pass on."""
    alone = _alone(cause.gradients)
    texts = dict.fromkeys(g.text for g in cause.gradients if g.text != cause.summary)
    return tuple(text for text in texts if not alone[text][0])


def _sources(gradients: Sequence[Gradient]) -> int:
    """Independent sources. Whoever gives no name may be anybody, so nameless ones are one only when nobody else is."""
    return len(_named(gradients)) or min(1, len(gradients))


def _named(gradients: Sequence[Gradient]) -> set[str]:
    return {g.source_key for g in gradients if g.source_key}


# ---- which gradients of a cluster count ----------------------------------------------------------------------------


def _counted(
    cluster: Sequence[Gradient], per_source: int, quorum: int
) -> tuple[tuple[Gradient, ...], list[RefusedCause]]:
    """The gradients that count, those first of which the least is said by one source alone; and the others, why not."""
    alone = _alone(cluster) if quorum > 1 and _sources(cluster) > 1 else {}
    riders = tuple(g for g in cluster if alone.get(g.text, (0, 0.0))[1] > ALONE)
    counted, capped = _capped([g for g in cluster if alone.get(g.text, (0, 0.0))[1] <= ALONE], per_source)
    refused = [
        RefusedCause(gradients=gradients, reason=reason)
        for gradients, reason in ((riders, RIDER), (capped, f"more than {per_source} from one source"))
        if gradients
    ]
    return tuple(sorted(counted, key=lambda g: alone.get(g.text, (0, 0.0)))), refused


def _alone(cluster: Sequence[Gradient]) -> dict[str, tuple[int, float]]:
    """Of every text, how many of its words only one source of the cluster says, and which share of them."""
    known: dict[str, str] = {}
    said = {text: stems_of(text, known) for text in {g.text for g in cluster}}
    by = Counter(stem for _, stem in {(g.source_key, stem) for g in cluster if g.source_key for stem in said[g.text]})
    own = {g.text: 1 for g in cluster if g.source_key}
    alone = {text: sum(by[stem] <= own.get(text, 0) for stem in stems) for text, stems in said.items()}
    return {text: (number, number / len(said[text])) for text, number in alone.items()}


def _capped(cluster: Sequence[Gradient], per_source: int) -> tuple[tuple[Gradient, ...], tuple[Gradient, ...]]:
    """The first few gradients of every source, and the rest."""
    seen: Counter[str] = Counter()
    counted: list[Gradient] = []
    rest: list[Gradient] = []
    for gradient in cluster:
        seen[gradient.source_key] += 1
        (counted if seen[gradient.source_key] <= per_source else rest).append(gradient)
    return tuple(counted), tuple(rest)


# ---- clusters ------------------------------------------------------------------------------------------------------


def _clusters(
    gradients: Sequence[Gradient], per_source: int, likeness: Likeness
) -> tuple[list[tuple[Gradient, ...]], tuple[Gradient, ...]]:
    """Clusters in which the gradient nearest to all others stands first, and the gradients that were left over."""
    voices = heard(gradients, per_source=per_source, likeness=likeness)
    found = linked([v.voice for v in voices], likeness.alike)
    place = {id(gradient): place for place, gradient in enumerate(gradients)}

    def ordered(positions: Sequence[int]) -> tuple[Gradient, ...]:
        """Those that are nearest to all others first; among equals the order stays."""
        ranked = [(-found.typical.get(p, 0.0), place[id(g)], g) for p in positions for g in voices[p].gradients]
        return tuple(g for *_, g in sorted(ranked, key=lambda item: item[:2]))

    return [ordered(cluster) for cluster in found.clusters], ordered(found.left)
