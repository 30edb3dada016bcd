"""A store with the first tables and something in them becomes one with the newest, and nothing is lost."""

import json

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from conftest import SetClock
from store_samples import request, run

from deploy.store.database import MIGRATIONS, open_database
from deploy.store.facade import Store
from deploy.store.schema_releases import metadata
from optimizer.errors import OverBudget
from optimizer.proof import Proof
from optimizer.types import Missing, Scored, Unscored, Usage, Verdict

CYCLE, AT = run().cycle_id, "2026-11-21 02:30:00.000000"
PAID = {"calls": 1, "cost_usd": {"missing": "not priced"}, "input_tokens": 3, "output_tokens": 2}
NUMBERS = {
    "baseline_mean": 0.25,
    "candidate_mean": 0.75,
    "complete": True,
    "e_value": "inf",
    "effect": 0.5,
    "evaluator": "promptfoo",
    "interval": [-1.0, "inf"],
    "model": "m",
    "note": "",
    "reasons": ["passed with an e-value of 25"],
    "scored_pairs": 2,
    "threshold": 20.0,
    "unscored_pairs": 1,
    "usage": {"calls": 4, "cost_usd": 0.25, "input_tokens": 10, "output_tokens": 5},
}


def move(engine: sa.Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        step = command.downgrade if revision == "base" else command.upgrade
        step(config, revision)


def answer(score: float | None) -> str:
    said = {"latency_s": 0.125, "output_id": "o", "reason_id": "", "score": score, "usage": PAID}
    return json.dumps(said)


def fill(connection: sa.Connection, verdict: str) -> None:
    """A cycle that was judged, as the first tables held it; one call of it is in flight."""
    report = "insert into gate_report values (:cycle, 'c', :verdict, :numbers, :at)"
    result = "insert into case_result values (:cycle, :n, :id, 'replay', 's', '[]', :texts, :baseline, :candidate)"
    call = "insert into journal values (:cycle, :key, 1, 'judge', 'm', :outcome, '', 1, 3, 2, :cost, '', :at)"
    text = "insert into source_text values ('o', 'answer', :said, 's', :at)"
    shared = {"cycle": CYCLE, "at": AT}
    connection.execute(sa.text(report), {**shared, "verdict": verdict, "numbers": json.dumps(NUMBERS)})
    connection.execute(sa.text(text), {"said": b"an answer", "at": AT})
    texts = {"complaint": "", "input": "erased", "recorded_output": "", "reference": {"missing": "no reference"}}
    for n, (before, after) in enumerate([(0.0, 1.0), (0.5, 0.5), (1.0, None)]):
        row = {"n": n, "id": f"case-{n}", "texts": json.dumps(texts)}
        arms = {"baseline": answer(before), "candidate": answer(after)}
        connection.execute(sa.text(result), {"cycle": CYCLE, **row, **arms})
    for key, outcome, cost in (("k1", "reply", 0.25), ("k2", "Refused", None), ("k3", "", None), ("k4", "reply", 0.5)):
        connection.execute(sa.text(call), {**shared, "key": key, "outcome": outcome, "cost": cost})
    connection.execute(sa.text("create table workflow_status (workflow_uuid text primary key, owner_xid text)"))
    connection.execute(sa.text("insert into workflow_status values (:cycle, 'mine')"), shared)


@pytest.fixture(params=["pass", "fail"])
def upgraded(request: pytest.FixtureRequest, url: str) -> tuple[Store, str]:
    engine = open_database(url)
    move(engine, "0001")
    with engine.begin() as connection:
        fill(connection, request.param)
    engine.dispose()
    return Store.open(url, SetClock()), request.param


def test_a_report_of_the_first_format_is_read_as_one_without_a_claim(upgraded: tuple[Store, str]) -> None:
    store, verdict = upgraded
    loaded = store.reports.load(CYCLE)
    assert loaded is not None
    assert loaded.verdict == Verdict(verdict)
    assert loaded.proof == (Proof.SCREENED if verdict == "pass" else Proof.NONE), "no stake was opened for it"
    assert (loaded.reasons, loaded.claim, loaded.findings) == (("passed with an e-value of 25",), None, ())
    numbers = loaded.numbers
    assert (numbers.scored, numbers.unscored, numbers.better, numbers.worse) == (2, 1, 1, 0)
    assert (numbers.baseline_mean, numbers.candidate_mean, numbers.effect) == (0.25, 0.75, 0.5)
    assert (numbers.interval, numbers.z) == ((-1.0, float("inf")), Missing.NOT_RECORDED)
    assert loaded.usage == Usage(calls=4, input_tokens=10, output_tokens=5, cost_usd=0.25)
    assert [pair.case.id for pair in loaded.evidence.pairs] == ["case-0", "case-1", "case-2"]
    first, _, last = loaded.evidence.pairs
    assert (first.candidate.output, first.candidate.result) == ("an answer", Scored(value=1.0, reason=""))
    assert (first.case.at, last.candidate.result) == (Missing.NOT_RECORDED, Unscored(reason=""))
    store.close()


def test_calls_that_were_made_before_count_against_the_budget(upgraded: tuple[Store, str]) -> None:
    store, _ = upgraded
    # spent .75, and the call in flight and the next are taken to cost .5 each
    with pytest.raises(OverBudget):
        store.journal.reserve(run(), request("one more"), budget_usd=1.74)
    assert store.journal.reserve(run(), request("one more"), budget_usd=1.76) is None
    store.close()


def test_the_tables_can_be_taken_back_and_built_again(upgraded: tuple[Store, str]) -> None:
    store, _ = upgraded
    move(store.engine, "base")
    with store.engine.begin() as connection:
        assert set(sa.inspect(connection).get_table_names()) == {"alembic_version", "workflow_status"}
    move(store.engine, "head")
    with store.engine.begin() as connection:
        connection.execute(sa.text("drop table workflow_status"))
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    store.close()
