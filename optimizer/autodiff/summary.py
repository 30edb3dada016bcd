"""Many gradients in few words: counted, and none of them left out silently."""

from collections import Counter
from collections.abc import Iterable, Sequence

from optimizer.causes.grouping import group
from optimizer.fence import excerpt
from optimizer.types import Gradient

_LEAST_CHARS = 120
"""What is left of a criticism that is cut still says something."""


def told(gradients: Sequence[Gradient], chars: int) -> str:
    """What the gradients say, in at most about so many characters: one alone as it stands, several counted.

    The same words stand once. When the budget does not hold them all, those that say the same stand once, too.
    """
    counts = Counter(gradient.text for gradient in gradients)
    if len(counts) == 1:
        return next(iter(counts))
    if sum(len(text) for text in counts) <= chars:
        return _listed(counts.items(), len(gradients), chars)
    causes = group(gradients, quorum=1, per_source=len(gradients), quarantine=False).causes
    return _listed([(cause.summary, len(cause.gradients)) for cause in causes], len(gradients), chars)


def _listed(counted: Iterable[tuple[str, int]], of: int, chars: int) -> str:
    entries = list(counted)
    shown = entries[: max(1, chars // _LEAST_CHARS)]
    left = of - sum(count for _, count in shown)
    lines = [
        excerpt(f"{number}. {f'({count} times) ' if count > 1 else ''}{text}", chars // len(shown))
        for number, (text, count) in enumerate(shown, start=1)
    ]
    return "\n".join([*lines, f"({left} more)"] if left else lines)
