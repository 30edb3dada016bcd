"""The error budget: what one prompt stakes in any 365 ledger days is at most its budget, whatever happens meanwhile."""

import math
import shutil
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa
from conftest import SetClock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import T0

from deploy.store.database import open_database
from deploy.store.facade import Store
from deploy.store.ledger import Ledger, StakeRow
from deploy.store.schema import ledger_day
from gates.error_budget import SHARE, YEAR_DAYS
from optimizer.errors import BadInput, OverBudget

BUDGET = 0.2
EPOCH = date(1500, 1, 1)
"""Long before any date that a test lets the clock show."""


def open_stake(
    store: Store,
    prompt: str,
    release: str,
    *,
    at: datetime = T0,
    ledger: Ledger = Ledger.PROPOSAL,
    budget: float = BUDGET,
) -> StakeRow:
    return store.ledgers.open(prompt, ledger, release_id=release, candidate=f"text of {release}", budget=budget, at=at)


def days_pass(store: Store, prompt: str, first: int, days: int) -> None:
    """So many dates on which something happened, numbered from `first`."""
    if days:
        rows = [{"prompt_id": prompt, "date": EPOCH + timedelta(days=first + n)} for n in range(days)]
        with store.engine.begin() as connection:
            connection.execute(sa.insert(ledger_day), rows)


def worst_year(stakes: Sequence[StakeRow]) -> float:
    """The greatest sum of stakes in 365 ledger days in a row."""
    years = [[s.stake for s in stakes if first.day <= s.day < first.day + YEAR_DAYS] for first in stakes]
    return max(map(math.fsum, years), default=0.0)


def test_a_stake_is_a_tenth_of_what_is_left_and_is_gone(store: Store) -> None:
    prompt = store.ledgers.prompt_id("support")
    assert store.ledgers.left(prompt, Ledger.PROPOSAL, BUDGET) == BUDGET
    first, second = (open_stake(store, prompt, release) for release in ("r1", "r2"))
    assert (first.stake, first.left, first.day) == (pytest.approx(0.02), pytest.approx(0.18), 1)
    assert (second.stake, second.left, second.day) == (pytest.approx(0.018), pytest.approx(0.162), 1)
    assert store.ledgers.left(prompt, Ledger.PROPOSAL, BUDGET) == pytest.approx(0.162)
    assert store.ledgers.stakes(prompt, Ledger.PROPOSAL) == (first, second)


def test_a_release_opens_one_stake_however_often_it_asks(store: Store) -> None:
    prompt = store.ledgers.prompt_id("support")
    first = open_stake(store, prompt, "r1")
    again = open_stake(store, prompt, "r1", at=T0 + timedelta(days=400), budget=1.0)
    assert again == first
    assert store.ledgers.stakes(prompt, Ledger.PROPOSAL) == (first,)


@pytest.mark.parametrize(("name", "candidate"), [("support", "another text"), ("billing", "text of r1")])
def test_a_stake_is_for_one_text_of_one_prompt(store: Store, name: str, candidate: str) -> None:
    first = open_stake(store, store.ledgers.prompt_id("support"), "r1")
    asked = store.ledgers.prompt_id(name)
    with pytest.raises(BadInput, match="'r1' has opened its stake for another text"):
        store.ledgers.open(asked, Ledger.PROPOSAL, release_id="r1", candidate=candidate, budget=BUDGET, at=T0)
    assert store.ledgers.stakes(first.prompt_id, Ledger.PROPOSAL) == (first,)


def test_prompts_and_ledgers_spend_apart(store: Store) -> None:
    prompt, other = store.ledgers.prompt_id("support"), store.ledgers.prompt_id("billing")
    rows = [
        open_stake(store, prompt, "r1"),
        open_stake(store, prompt, "r1", ledger=Ledger.RELEASE),
        open_stake(store, other, "r2"),
    ]
    assert [row.left for row in rows] == [pytest.approx(0.18)] * 3


@pytest.mark.parametrize("budget", [0.0, -1.0, 0.01])
def test_nothing_is_opened_when_nothing_is_left(store: Store, budget: float) -> None:
    prompt = store.ledgers.prompt_id("support")
    open_stake(store, prompt, "r1")
    with pytest.raises(OverBudget, match="error budget"):
        open_stake(store, prompt, "r2", at=T0 + timedelta(days=1), budget=budget)
    assert [row.release_id for row in store.ledgers.stakes(prompt, Ledger.PROPOSAL)] == ["r1"]


def test_a_ledger_year_is_365_days_on_which_something_happened(store: Store) -> None:
    prompt = store.ledgers.prompt_id("support")
    open_stake(store, prompt, "r1")
    days_pass(store, prompt, 0, YEAR_DAYS - 1)
    assert store.ledgers.left(prompt, Ledger.PROPOSAL, BUDGET) == pytest.approx(0.18)
    assert store.ledgers.record_day(prompt, EPOCH - timedelta(days=1)) == YEAR_DAYS + 1
    assert store.ledgers.left(prompt, Ledger.PROPOSAL, BUDGET) == BUDGET


def test_a_clock_that_jumps_adds_one_day_and_coming_back_adds_none(store: Store) -> None:
    prompt = store.ledgers.prompt_id("support")
    century = timedelta(days=36_500)
    days = [
        store.ledgers.record_day(prompt, T0.date() + jump) for jump in (timedelta(0), century, timedelta(0), -century)
    ]
    assert days == [1, 2, 2, 3]
    moments = [T0 + jump for jump in (century, -century, timedelta(0))] * 20
    for number, at in enumerate(moments):
        assert open_stake(store, prompt, f"r{number}", at=at).day == 3
    assert worst_year(store.ledgers.stakes(prompt, Ledger.PROPOSAL)) <= BUDGET


def test_a_day_is_a_date_in_utc(store: Store) -> None:
    prompt = store.ledgers.prompt_id("support")
    late = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
    assert store.ledgers.record_day(prompt, late.date()) == 1
    assert (
        open_stake(store, prompt, "r1", at=late.astimezone(datetime.fromisoformat("2026-01-01T00+09:00").tzinfo)).day
        == 1
    )


def test_a_rename_keeps_the_ledger(store: Store) -> None:
    prompt = store.ledgers.prompt_id("support")
    opened = open_stake(store, prompt, "r1")
    for name, formerly in (("help", ["support"]), ("help desk", ["help"]), ("help desk", []), ("support", [])):
        assert store.ledgers.prompt_id(name, formerly=formerly) == prompt
    assert store.ledgers.prompt_id("billing") != prompt
    assert store.ledgers.stakes(store.ledgers.prompt_id("help desk"), Ledger.PROPOSAL) == (opened,)
    assert open_stake(store, store.ledgers.prompt_id("help desk"), "r1") == opened


def test_a_name_that_ran_before_its_former_one_was_told_brings_its_stakes_along(store: Store) -> None:
    old, new = store.ledgers.prompt_id("support"), store.ledgers.prompt_id("help")
    open_stake(store, old, "r1")
    days_pass(store, old, 0, YEAR_DAYS - 10)
    open_stake(store, new, "r2", at=T0)
    assert old != new
    assert store.ledgers.prompt_id("help", formerly=["support"]) == old == store.ledgers.prompt_id("support")
    assert store.ledgers.left(old, Ledger.PROPOSAL, BUDGET) == pytest.approx(0.16)
    days_pass(store, old, YEAR_DAYS, 20)
    assert store.ledgers.left(old, Ledger.PROPOSAL, BUDGET) == pytest.approx(0.18), "the stake of today still counts"


def test_a_rename_keeps_what_was_used_and_what_people_said(store: Store) -> None:
    old, new = store.ledgers.prompt_id("support"), store.ledgers.prompt_id("help")
    store.case_uses.use(old, "g1", ["a"], at=T0)
    store.case_uses.use(new, "g2", ["a", "b"], at=T0)
    assert store.ledgers.prompt_id("help", formerly=["support"]) == old
    assert store.case_uses.counts(old) == {"a": 2, "b": 1}
    assert store.case_uses.draw(old, "g3", ["a", "b", "c"], limit=5, at=T0) == ("c",)


visits = st.lists(
    st.tuples(
        st.integers(0, 200),  # dates that pass
        st.lists(st.integers(-40_000, 40_000), max_size=6),  # where the clock stands at each release
        st.sampled_from(["support", "help"]),  # by which name
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(visits)
def test_in_any_365_ledger_days_the_stakes_sum_to_at_most_the_budget(
    migrated: Path, visited: list[tuple[int, list[int], str]]
) -> None:
    with TemporaryDirectory() as folder:
        shutil.copy(migrated, folder)
        store = Store(open_database(f"sqlite:///{folder}/{migrated.name}"), SetClock())
        prompt, passed, number = store.ledgers.prompt_id("support"), 0, 0
        for days, jumps, name in visited:
            days_pass(store, prompt, passed, days)
            passed += days
            for jump in jumps:
                here = store.ledgers.prompt_id(name, formerly=["support"])
                before = store.ledgers.left(here, Ledger.PROPOSAL, BUDGET)
                row = open_stake(store, here, f"r{number}", at=T0 + timedelta(days=jump))
                assert row.stake >= SHARE * before, "a new day can only give something back"
                number += 1
        stakes = store.ledgers.stakes(prompt, Ledger.PROPOSAL)
        assert len(stakes) == number
        assert worst_year(stakes) <= BUDGET
        store.close()
