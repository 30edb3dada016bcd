"""Every field of a report comes back, also one that is added tomorrow, and reports from before claims had stakes."""

import shutil
from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from conftest import SetClock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import T0, moments, names, report, texts

from deploy.store.database import open_database
from deploy.store.encoding import decoded, encoded
from deploy.store.facade import Store
from optimizer.prompts import Message
from optimizer.proof import GateReport
from optimizer.types import Arm, Case, Evaluation, Missing, Pair

CYCLE = "support@2026-11-21T02:30Z"
PLAIN = {
    str: texts,
    int: st.integers(-(2**40), 2**40),
    bool: st.booleans(),
    float: st.floats(allow_nan=False),
    datetime: moments,
    NoneType: st.none(),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type of ours."""
    if kind in PLAIN:
        return PLAIN[kind]
    if get_origin(kind) in (Union, UnionType):
        return st.one_of([values(each) for each in get_args(kind)])
    if get_origin(kind) is tuple:
        first, *others = get_args(kind)
        if others == [Ellipsis]:
            return st.lists(values(first), max_size=2).map(tuple)
        return st.tuples(values(first), *map(values, others))
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    return built(kind)


def built(kind: Any) -> st.SearchStrategy[Any]:
    """A dataclass; where a text is a name, or fields depend on one another, it is put right."""
    assert is_dataclass(kind)
    if kind is Message:
        return st.builds(Message, role=texts, content=texts)
    hints = get_type_hints(kind)
    made = st.builds(kind, **{field.name: values(hints[field.name]) for field in fields(kind)})
    if kind is Case:
        no_time = st.just(Missing.NOT_RECORDED)
        return st.builds(replace, made, id=names, source_key=st.just("") | names, at=moments | no_time)
    return made.map(matched) if kind is Pair else made


def matched(pair: Pair) -> Pair:
    def of(answer: Evaluation, arm: Arm) -> Evaluation:
        return replace(answer, case_id=pair.case.id, arm=arm)

    return replace(pair, baseline=of(pair.baseline, Arm.BASELINE), candidate=of(pair.candidate, Arm.CANDIDATE))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(made=values(GateReport))
def test_every_field_of_a_report_comes_back(migrated: Path, made: GateReport) -> None:
    with TemporaryDirectory() as folder:
        shutil.copy(migrated, folder)
        store = Store(open_database(f"sqlite:///{folder}/{migrated.name}"), SetClock())
        store.reports.save(CYCLE, "candidate", made, at=T0)
        assert store.reports.load(CYCLE) == made
        store.close()


def test_of_two_reports_of_a_cycle_the_first_stays_whole(store: Store) -> None:
    some = replace(report().evidence, pairs=report().evidence.pairs[:1])
    first = replace(report(), evidence=some, claim=None)
    store.reports.save(CYCLE, "candidate", first, at=T0)
    store.reports.save(CYCLE, "candidate", report(said="another"), at=T0)
    assert store.reports.load(CYCLE) == first


def test_a_field_that_an_older_row_does_not_have_gets_its_default() -> None:
    said = encoded(replace(report(), evidence=replace(report().evidence, pairs=()), claim=None))
    assert isinstance(said, dict)
    for name in ("slices", "judge", "cases"):
        del said[name]
    loaded = decoded(GateReport, said)
    assert (loaded.slices, loaded.judge, loaded.cases.sealed) == ((), None, 0)
    assert loaded.resources == report().resources


def test_what_is_no_value_of_a_report_is_not_encoded() -> None:
    with pytest.raises(TypeError, match="set is no value of a report"):
        encoded({1, 2})
