"""Train, validation and holdout: by a keyed hash of the source, so that a source stays where it is in every cycle.

All cases of one source are on one side: a model that was shown one of a person's questions is not tested on another.
The search never reads the holdout.
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from optimizer.errors import BadInput
from optimizer.types import Case

_BITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Three sets of cases without a common source, each in id order."""

    train: tuple[Case, ...]
    validation: tuple[Case, ...]
    holdout: tuple[Case, ...]


def split(cases: Iterable[Case], *, secret: bytes, shares: tuple[float, float, float] = (0.5, 0.25, 0.25)) -> Split:
    """Divide the cases. A case without a source stands for itself.

    Args:
        secret: whoever does not know it cannot choose the side that his cases fall on.
        shares: of train, validation and holdout; expected, since sources are not divided.

    Raises:
        BadInput: the shares are not shares.
    """
    if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise BadInput("the shares of train, validation and holdout do not add up to 1", "give three such numbers")
    ends = list(accumulate(shares))[:2]
    sides: tuple[list[Case], list[Case], list[Case]] = ([], [], [])
    for case in sorted(cases, key=lambda case: case.id):
        at = place(case.source_key or case.id, secret)
        sides[sum(at >= end for end in ends)].append(case)
    train, validation, holdout = map(tuple, sides)
    return Split(train=train, validation=validation, holdout=holdout)


def place(source: str, secret: bytes) -> float:
    """Where a source stands, in [0, 1)."""
    mac = hmac.new(secret, source.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return int.from_bytes(mac[: _BITS // 8], "big") / 2.0**_BITS
