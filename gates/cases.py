"""Which cases a gate uses. A candidate is never judged on the complaints that it was made from."""

import hmac
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from optimizer.identity import Json, canonical, digest
from optimizer.prompts import Message
from optimizer.search.split import place
from optimizer.types import UNDATED, Case, CaseInput, Missing

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
    chosen: dict[str, Case] = {}
    for case in (*shuffled(curated), *_one_per_source(shuffled(replayed), gradient_sources)):
        if len(chosen) == limit:
            break
        chosen.setdefault(case.id, case)
    return tuple(chosen.values())


def content(case: Case) -> str:
    """The same for two cases that ask the same, whatever their ids, so that nothing is new by another name."""
    asked = case.input
    return digest(
        "asked",
        canonical(
            {
                "variables": dict(asked.variables),
                "placeholders": {name: _said(messages) for name, messages in asked.placeholders},
                "history": _said(asked.history),
                "tools": asked.tools_json,
            }
        ),
    )


def _said(messages: Iterable[Message]) -> list[Json]:
    return [[message.role, message.content] for message in messages]


def divided(cases: Iterable[Case], *, secret: bytes, share: float) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """Recorded cases that may be looked at, and those kept for claims: (open, sealed).

    A source stays on its side for as long as the share stays; cases without a source count as one source, together.
    Of each source there is its newest case that is not longer than `REPLAYED_CHARS`, so new traffic gives new cases.
    Both sides are in an order that nobody without the secret can choose.

    Args:
        secret: whoever does not know it cannot choose the side that his cases fall on.
        share: of the sources that are sealed, in [0, 1]; expected, since it is a hash that decides.
    """
    newest: dict[str, Case] = {}
    for case in cases:
        other = newest.get(case.source_key)
        if _chars(case.input) <= REPLAYED_CHARS and (other is None or _freshness(case) > _freshness(other)):
            newest[case.source_key] = case
    # a hash of its own: the search divides the same sources by the same secret, and trains on one side of that
    placed = {source: place(f"sealed {source}", secret) for source in newest}
    ordered = sorted(newest.values(), key=lambda case: hmac.digest(secret, case.id.encode(), "sha256"))
    closed = tuple(case for case in ordered if placed[case.source_key] < share)
    return tuple(case for case in ordered if placed[case.source_key] >= share), closed


def _freshness(case: Case) -> tuple[datetime, str]:
    return UNDATED if isinstance(case.at, Missing) else case.at, case.id


def shuffled(cases: Iterable[Case]) -> tuple[Case, ...]:
    """In the order of a hash of their ids, so that the first of them are like the others."""
    return tuple(sorted(cases, key=lambda case: digest("gate", case.id)))


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
