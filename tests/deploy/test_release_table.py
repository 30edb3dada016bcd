"""The release table, move by move: through the real store, and by what the twin house really does."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from house_samples import rows
from release_samples import EVIDENCE, released

from deploy.lifecycle import RELEASE_TRANSITIONS, ReleaseState
from deploy.store.facade import Store
from optimizer.errors import IllegalMove
from optimizer.identity import Json

R = ReleaseState
BEGAN = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
LATER = BEGAN + timedelta(days=1)


class Move(NamedTuple):
    """From one state to another."""

    state: ReleaseState
    to: ReleaseState

    def __str__(self) -> str:
        return f"{self.state}-{self.to}"


LEGAL = [Move(state, to) for state, targets in RELEASE_TRANSITIONS.items() for to in R if to in targets]
ILLEGAL = [Move(state, to) for state in R for to in R if to is not state and to not in RELEASE_TRANSITIONS[state]]


@pytest.mark.parametrize("move", LEGAL, ids=str)
def test_a_move_of_the_table_is_made_and_told(store: Store, move: Move) -> None:
    row = released(store, move.state, at=BEGAN)
    made = store.releases.events(row.run_id)
    seen: dict[str, Json] = {"share": 0.5}
    after = store.releases.advance(row.run_id, move.to, at=LATER, reason="why", actor="ada", evidence=seen)
    assert (after.state, after.reason, after.updated_at) == (move.to, "why", LATER)
    *before, last = store.releases.events(row.run_id)
    assert tuple(before) == made
    assert (last.state, last.reason, last.at, last.actor, last.evidence) == (move.to, "why", LATER, "ada", seen)


@pytest.mark.parametrize("move", ILLEGAL, ids=str)
def test_any_other_move_is_refused_and_changes_nothing(store: Store, move: Move) -> None:
    """Even one that the release made earlier in its life."""
    row = released(store, move.state, at=BEGAN)
    kept = rows(store)
    with pytest.raises(IllegalMove, match=f"from {move.state} to {move.to}$"):
        store.releases.advance(row.run_id, move.to, at=LATER, reason="why", version=9, approver="eve", actor="eve")
    assert rows(store) == kept


@pytest.mark.parametrize("state", R, ids=str)
def test_the_last_move_once_more_changes_nothing(store: Store, state: ReleaseState) -> None:
    row = released(store, state, at=BEGAN)
    kept = rows(store)
    again = store.releases.advance(row.run_id, state, at=LATER, reason="why", evidence=EVIDENCE.get(state))
    assert again == row
    assert rows(store) == kept


def test_a_move_that_was_made_before_can_be_made_again_from_another_state(store: Store) -> None:
    row = released(store, R.PROMOTED, at=BEGAN)
    store.releases.advance(row.run_id, R.HALTED, at=LATER)
    again = store.releases.advance(row.run_id, R.PROMOTED, at=LATER, evidence=EVIDENCE[R.PROMOTED])
    assert again.state is R.PROMOTED
    assert [event.state for event in store.releases.events(row.run_id)][-2:] == [R.HALTED, R.PROMOTED]
