"""Which of two prompts is better: paired, on the validation cases that both answered.

Two bars. To become the best so far, a prompt must gain more than its extra length costs, or gain nothing and lose
nothing while it answers the training rows better. To replace the seed, its gain must be one that chance alone gives
once in twenty times, so that luck on a few cases is not taken for an improvement. This is a screen: the best of several
was picked on the same cases, and only a gate's fresh cases prove it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum, log2, sqrt

_SURE = 1.645
"""Standard errors that chance exceeds once in twenty times, in one direction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What one prompt gains over another one, in scores summed over the cases that both answered.

    Attributes:
        error: standard error of the sum, were both equally good.
    """

    total: float
    error: float
    cases: int

    @property
    def mean(self) -> float:
        """Per case, 0 when there is none."""
        return self.total / self.cases if self.cases else 0.0

    @property
    def proven(self) -> bool:
        """True when the gain is more than chance would easily give."""
        return self.total > _SURE * self.error and self.total > 0


def gain(new: Mapping[str, float], old: Mapping[str, float]) -> Gain:
    """What `new` gains over `old`."""
    differences = [new[case] - value for case, value in old.items() if case in new]
    return Gain(total=fsum(differences), error=sqrt(fsum(d * d for d in differences)), cases=len(differences))


def length_cost(new_chars: int, old_chars: int, penalty: float) -> float:
    """What a prompt's length costs against another one's: the penalty for every doubling, negative when shorter."""
    return penalty * log2(max(1, new_chars) / max(1, old_chars))


def is_better(validation: Gain, training: Gain, cost: float) -> bool:
    """True when a prompt is to become the best so far."""
    return bool(validation.cases) and (
        validation.mean > max(0.0, cost) or (validation.total >= 0 and (training.total > 0 or cost < 0))
    )
