"""Which cases a gate uses. A candidate is never judged on the complaints that it was made from."""

from collections.abc import Collection, Iterable, Iterator, Sequence

from optimizer.identity import digest
from optimizer.types import Case


def choose(
    curated: Iterable[Case], replayed: Iterable[Case], *, gradient_sources: Collection[str], limit: int
) -> tuple[Case, ...]:
    """Curated cases first, then replayed ones: one per source, and none of a source that gave a gradient.

    The order within each group is by hash, so the same cases give the same choice and no group of users comes first.
    A replayed case whose source was not recorded might come from anybody: such cases count as one source, together.
    """
    chosen: list[Case] = []
    for case in (*_shuffled(curated), *_one_per_source(_shuffled(replayed), gradient_sources)):
        if len(chosen) == limit:
            break
        if all(case.id != other.id for other in chosen):
            chosen.append(case)
    return tuple(chosen)


def _shuffled(cases: Iterable[Case]) -> Sequence[Case]:
    return sorted(cases, key=lambda case: digest("gate", case.id))


def _one_per_source(cases: Iterable[Case], excluded: Collection[str]) -> Iterator[Case]:
    seen = set(excluded)
    for case in cases:
        if case.source_key not in seen:
            seen.add(case.source_key)
            yield case
