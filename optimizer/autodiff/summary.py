"""Many gradients in few words: counted, cut to a budget, none of them left out silently."""

from collections import Counter
from collections.abc import Sequence

from optimizer.fence import excerpt
from optimizer.types import Gradient

_LEAST_CHARS = 120
"""What is left of a criticism that is cut still says something."""


def told(gradients: Sequence[Gradient], chars: int) -> str:
    """What the gradients say, the same words once and counted, in at most about so many characters."""
    counts = Counter(gradient.text for gradient in gradients)
    if len(counts) == 1:
        return next(iter(counts))
    room = max(1, chars // (_LEAST_CHARS + 1))
    shown = list(counts.items())[:room]
    each = chars // len(shown)
    lines = [
        excerpt(f"{number}. {f'({count} times) ' if count > 1 else ''}{text}", each)
        for number, (text, count) in enumerate(shown, start=1)
    ]
    left = sum(counts.values()) - sum(count for _, count in shown)
    return "\n".join([*lines, f"({left} more)"] if left else lines)
