"""What offline cases say of candidates: the best on development cases, the mean on fresh ones, the product's screen.

A case got better, got worse or stayed as it was. The screen is computed from these counts for thousands of prompts at
once, with the product's thresholds; `year_checks.py` compares it with `gates.screen.screen`. It never decides more.
"""

import numpy as np
from numpy.typing import NDArray
from year_world import Floats

from gates.rules import GateRules
from gates.screen import LOOKS
from gates.statistics import GRID

CHURN = 0.06
"""Share of cases that change each way by chance: the usual one in `gate_error.py`."""

NAIVE_CASES = 200
RULES = GateRules()
_LOOKS = tuple(look for look in LOOKS if look <= RULES.max_cases)
_BETS = np.array(GRID)

Truths = NDArray[np.bool_]
Changes = NDArray[np.int8]


def changes(draws: NDArray[np.float32], effects: Floats) -> Changes:
    """1, -1 or 0 for each case (the last axis), for candidates that are worth so much by this judge."""
    up = CHURN + np.maximum(effects, 0.0)
    down = CHURN + np.maximum(-effects, 0.0)
    better = draws < up[..., None]
    worse = draws > 1.0 - down[..., None]
    return better.astype(np.int8) - worse.astype(np.int8)


def best(development: Changes) -> NDArray[np.intp]:
    """Which candidate did best; the first of several."""
    found: NDArray[np.intp] = development.sum(axis=-1, dtype=np.int64).argmax(axis=-1)
    return found


def higher(fresh: Changes) -> Truths:
    """The naive rule: whether the mean is higher."""
    found: Truths = fresh[:, :NAIVE_CASES].sum(axis=1, dtype=np.int64) > 0
    return found


def screened(fresh: Changes) -> tuple[Truths, Floats]:
    """Whether each passes the product's screen, and by how many standard errors it is better."""
    hopeless = np.zeros(len(fresh), dtype=bool)
    for look in _LOOKS:
        seen = fresh[:, :look]
        better, worse = (seen > 0).sum(axis=1), (seen < 0).sum(axis=1)
        against = _e_below(better, worse, look, 0.0) >= RULES.enough_against
        if look < _LOOKS[-1]:
            against |= _e_below(better, worse, look, RULES.worthwhile_gain) >= RULES.enough_against
        hopeless |= against
    mean = (better - worse) / look
    spread = np.sqrt(np.maximum((better + worse) / look - mean**2, 1e-12) * look / (look - 1) / look)
    z: Floats = mean / spread
    return ~hopeless & (z >= RULES.screen_z), z


def _e_below(better: NDArray[np.int64], worse: NDArray[np.int64], cases: int, bound: float) -> Floats:
    width = 1.0 + bound
    logs = sum(
        count[:, None] * np.log1p(_BETS * (bound - change) / width)
        for count, change in ((better, 1.0), (worse, -1.0), (cases - better - worse, 0.0))
    )
    found: Floats = np.exp(np.minimum(logs, 700.0)).mean(axis=1)
    return found
