"""Both state machines: their moves, their ends, and their drawings."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from deploy.lifecycle import (
    CYCLE_TRANSITIONS,
    RELEASE_TRANSITIONS,
    CycleState,
    ReleaseState,
    advance,
    diagram,
    document,
    is_final,
)
from optimizer.errors import IllegalMove

TABLES = [(CYCLE_TRANSITIONS, CycleState), (RELEASE_TRANSITIONS, ReleaseState)]


@pytest.mark.parametrize(("table", "states"), TABLES)
def test_every_pair_of_states_moves_or_raises_as_its_table_says(
    table: Mapping[Any, Any], states: type[StrEnum]
) -> None:
    before = {state: set(targets) for state, targets in table.items()}
    for state in states:
        for to in states:
            if to in before[state]:
                assert advance(table, state, to) is to
            else:
                with pytest.raises(IllegalMove, match=f"from {state} to {to}"):
                    advance(table, state, to)
    assert table == before


@pytest.mark.parametrize(("table", "states"), TABLES)
def test_every_state_is_in_its_table_and_can_be_reached_from_the_first(
    table: Mapping[Any, Any], states: type[StrEnum]
) -> None:
    assert set(table) == set(states)
    reached: set[Any] = set()
    ahead = [next(iter(table))]
    while ahead:
        state = ahead.pop()
        if state not in reached:
            reached.add(state)
            ahead.extend(table[state])
    assert reached == set(states)


def test_the_ends_are_ends() -> None:
    assert {s for s in CycleState if is_final(CYCLE_TRANSITIONS, s)} == {"done", "skipped", "failed"}
    assert {s for s in ReleaseState if is_final(RELEASE_TRANSITIONS, s)} == {
        "rolled_back",
        "retired",
        "rejected",
        "expired",
        "superseded",
    }


def test_nothing_is_published_without_approval_and_no_cycle_proposes_without_a_gate() -> None:
    assert {s for s, to in RELEASE_TRANSITIONS.items() if ReleaseState.PUBLISHED in to} == {ReleaseState.APPROVED}
    assert {s for s, to in CYCLE_TRANSITIONS.items() if CycleState.PROPOSING in to} == {CycleState.GATING}


def test_a_diagram_holds_every_move_once() -> None:
    lines = diagram(RELEASE_TRANSITIONS).splitlines()
    for state, targets in RELEASE_TRANSITIONS.items():
        for to in targets:
            assert lines.count(f"    {state} --> {to}") == 1


def test_the_drawn_page_equals_the_tables() -> None:
    page = Path(__file__).parents[2] / "docs" / "lifecycle.md"
    assert page.read_text() == document(), "draw it again: python -m deploy.lifecycle > docs/lifecycle.md"
