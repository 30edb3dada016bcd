"""Scoring in looks: more cases only while they can still change the answer. Each start of a runner costs seconds."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from gates.screen import LOOKS
from optimizer.types import Evidence


def looks(total: int) -> Iterator[tuple[int, int, bool]]:
    """(start, end, last) of each look at that many cases; one empty look at none."""
    ends = [end for end in LOOKS if end < total] + [total]
    for start, end in zip([0, *ends], ends, strict=False):
        yield start, end, end == total


def joined(parts: Sequence[Evidence]) -> Evidence:
    """Evidence of several runs of the same arms, as of one: complete if every part is."""
    return replace(
        parts[0],
        pairs=tuple(sorted((pair for part in parts for pair in part.pairs), key=lambda pair: pair.case.id)),
        evaluator=", ".join(dict.fromkeys(part.evaluator for part in parts)),
        complete=all(part.complete for part in parts),
        note="; ".join(dict.fromkeys(part.note for part in parts if part.note)),
        repeats=tuple(repeat for part in parts for repeat in part.repeats),
        swaps=tuple(swap for part in parts for swap in part.swaps),
    )
