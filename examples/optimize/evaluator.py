"""An evaluator for `tracegrad optimize`: is what was expected in the answer?"""

from typing import Any


def evaluate(row: dict[str, Any]) -> tuple[float, str]:
    """A score from 0 (worst) to 1 (best), and why, in words that help somebody to write a better prompt."""
    if row["expected"].casefold() in row["output"].casefold():
        return 1.0, "holds what was expected"
    return 0.0, f"The answer does not say “{row['expected']}”."
