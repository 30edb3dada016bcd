"""Which cases a gate uses. A candidate is never judged on the complaints that it was made from."""

from collections.abc import Collection, Iterable, Iterator, Sequence

from optimizer.identity import digest
from optimizer.types import Case, CaseInput

REPLAYED_CHARS = 20_000
"""Longest production input that is replayed, about 5,000 tokens: what strangers wrote must not eat up the budget."""


def choose(
    curated: Iterable[Case], replayed: Iterable[Case], *, gradient_sources: Collection[str], limit: int
) -> tuple[Case, ...]:
    """Curated cases first, then replayed ones: one per source, and none of a source that gave a gradient.

    The order within each group is by hash, so the same cases give the same choice and no group of users comes first.
    A replayed case whose source was not recorded might come from anybody: such cases count as one source, together.
    Inputs longer than `REPLAYED_CHARS` are not replayed.
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
        if case.source_key not in seen and _chars(case.input) <= REPLAYED_CHARS:
            seen.add(case.source_key)
            yield case


def _chars(case_input: CaseInput) -> int:
    said = [*case_input.history, *(message for _, slot in case_input.placeholders for message in slot)]
    values = sum(len(value) for _, value in case_input.variables)
    return values + sum(len(message.content) for message in said) + len(case_input.tools_json)
