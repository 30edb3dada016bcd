"""The two state machines: a cycle (minutes) and a release (days), each one table of legal moves.

This file must never act on a state; it only says where one may go. The diagrams in `docs/lifecycle.md` are drawn from
these tables by `document`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from optimizer.errors import IllegalMove


class CycleState(StrEnum):
    """Where one scheduled pass over one prompt stands."""

    IDLE = "idle"
    COLLECTING = "collecting"
    OPTIMIZING = "optimizing"
    GATING = "gating"
    PROPOSING = "proposing"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


class ReleaseState(StrEnum):
    """Where one version stands on its way to, or back from, production."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    PUBLISHED = "published"
    PROGRESSING = "progressing"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    RETIRED = "retired"
    HALTED = "halted"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


StateT = TypeVar("StateT", bound=StrEnum)

C, R = CycleState, ReleaseState

# A cycle may be skipped wherever "no change" can turn out to be the answer, and may fail wherever it works.
CYCLE_TRANSITIONS: Mapping[CycleState, frozenset[CycleState]] = {
    C.IDLE: frozenset({C.COLLECTING, C.SKIPPED, C.FAILED}),
    C.COLLECTING: frozenset({C.OPTIMIZING, C.SKIPPED, C.FAILED}),
    C.OPTIMIZING: frozenset({C.GATING, C.SKIPPED, C.FAILED}),
    C.GATING: frozenset({C.PROPOSING, C.DONE, C.SKIPPED, C.FAILED}),
    C.PROPOSING: frozenset({C.DONE, C.SKIPPED, C.FAILED}),
    C.DONE: frozenset(),
    C.SKIPPED: frozenset(),
    C.FAILED: frozenset(),
}

# Progressing follows itself: one move per stage of traffic; promoted does, when its holdback ends. A person resolves a
# halt, in either direction, or a newer release does.
RELEASE_TRANSITIONS: Mapping[ReleaseState, frozenset[ReleaseState]] = {
    R.PROPOSED: frozenset({R.APPROVED, R.REJECTED, R.EXPIRED, R.SUPERSEDED}),
    R.APPROVED: frozenset({R.PUBLISHED, R.REJECTED, R.EXPIRED, R.SUPERSEDED}),
    R.PUBLISHED: frozenset({R.PROGRESSING, R.PROMOTED, R.ROLLED_BACK, R.RETIRED, R.SUPERSEDED}),
    R.PROGRESSING: frozenset({R.PROGRESSING, R.PROMOTED, R.ROLLED_BACK, R.RETIRED, R.HALTED, R.SUPERSEDED}),
    R.PROMOTED: frozenset({R.PROMOTED, R.ROLLED_BACK, R.HALTED, R.SUPERSEDED}),
    R.HALTED: frozenset({R.PROMOTED, R.ROLLED_BACK, R.SUPERSEDED}),
    R.ROLLED_BACK: frozenset(),
    R.RETIRED: frozenset(),
    R.REJECTED: frozenset(),
    R.EXPIRED: frozenset(),
    R.SUPERSEDED: frozenset(),
}


def advance(table: Mapping[StateT, frozenset[StateT]], state: StateT, to: StateT) -> StateT:
    """The state after a move.

    Raises:
        IllegalMove: the table does not hold the move; nothing was changed.
    """
    if to not in table[state]:
        raise IllegalMove(f"{type(state).__name__} may not go from {state} to {to}")
    return to


def is_final(table: Mapping[StateT, frozenset[StateT]], state: StateT) -> bool:
    """True when no move leads out of the state."""
    return not table[state]


def diagram(table: Mapping[StateT, frozenset[StateT]]) -> str:
    """The table as a Mermaid state diagram; its first state is where everything starts."""
    lines = ["stateDiagram-v2", f"    [*] --> {next(iter(table))}"]
    for state, targets in table.items():
        lines += [f"    {state} --> {to}" for to in table if to in targets]
        lines += [f"    {state} --> [*]"] if not targets else []
    return "\n".join(lines)


def document() -> str:
    """The text of `docs/lifecycle.md`."""
    return f"""# Lifecycles

Drawn from the tables in `deploy/lifecycle.py`; a test keeps them equal. To draw again: `python -m deploy.lifecycle`.

## Cycle: one scheduled pass over one prompt (minutes)

```mermaid
{diagram(CYCLE_TRANSITIONS)}
```

`skipped` always carries its reason: nothing to learn from, or no candidate. `done` means that
the gate has spoken; only a pass goes through `proposing`.

## Release: one version on its way to, or back from, production (days)

```mermaid
{diagram(RELEASE_TRANSITIONS)}
```

`progressing` follows itself, once for each stage of traffic, and `promoted` when the part that kept the old version is
shown the new one, too. `retired`: futile or undecided, the old version stays.
`halted`: the candidate is worse and the previous version is not healthy either; a person is called.
"""


if __name__ == "__main__":
    print(document(), end="")
