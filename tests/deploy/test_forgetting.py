"""A person is forgotten: none of their words is left in anything of ours, and nobody else loses a byte."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import SetClock
from house_samples import BODY, FIXED, ScriptedEvaluator, World, rows

from connectors.memory import MemoryCaseSource
from deploy import overview
from deploy.collecting import collect
from deploy.forgetting.erasing import ERASED
from deploy.forgetting.forgetting import Erased, Source, forget, resume
from deploy.gating.stage import gate
from deploy.lifecycle import CycleState
from deploy.lineage.blame import blame
from deploy.lineage.showing import shown
from deploy.optimizing import find_candidate
from deploy.releases.proposing import propose
from deploy.store.database import open_database
from deploy.store.facade import Store
from deploy.store.fence import Run
from deploy.store.forgotten import Forgotten, alias_of
from deploy.store.orders import OrderKind
from optimizer.ports import ModelReply, ModelRequest
from optimizer.types import Arm, Case, Evaluation, Scored, ScoreKind, Usage

SECRET = b"of the tests"
ANNA = Source.of("anna", secret=SECRET)
KEY = ANNA.keys[0]
MARK = "zyxanna"
"""In every word of hers, and in nobody else's."""

WORDS = [
    f"{MARK}{what}"
    for what in ("asked", "heard", "complained", "corrected", "tagged", "quoted", "replied", "edited", "reason")
]


@dataclass
class TwinCopies:
    """Copies in memory: the world's datasets, and traces of experiments by case."""

    cases: MemoryCaseSource
    experiments: dict[str, str] = field(default_factory=dict)
    calls: int = 0
    break_at: int = 0

    def _call(self) -> None:
        self.calls += 1
        if self.calls == self.break_at:
            raise Killed

    async def traces_of(self, *, user_id: str = "", session_id: str = "") -> frozenset[str]:
        self._call()
        return frozenset({"t-unread"}) if user_id == "anna" else frozenset()

    async def experiments_of(self, case_ids: Iterable[str]) -> frozenset[str]:
        self._call()
        wanted = set(case_ids)
        return frozenset(trace for trace, case in self.experiments.items() if case in wanted)

    async def delete_experiments(self, trace_ids: Iterable[str]) -> None:
        self._call()
        for id_ in trace_ids:
            self.experiments.pop(id_, None)

    async def items_of(self, dataset: str) -> frozenset[str]:
        self._call()
        return frozenset(case.id for case in self.cases.datasets.get(dataset, ()))

    async def delete_items(self, ids: Iterable[str]) -> None:
        self._call()
        gone = set(ids)
        for name, kept in self.cases.datasets.items():
            self.cases.datasets[name] = [case for case in kept if case.id not in gone]


class Killed(BaseException):
    """Stands for the end of the process."""


class Echo(ScriptedEvaluator):
    """Answers with what it was asked, and judges with it as well."""

    def _answer(self, case: Case, arm: Arm) -> Evaluation:
        said = json.dumps([message.content for message in case.input.history])
        result = Scored(value=self.scores[arm], reason=f"judged {said}")
        return Evaluation(case_id=case.id, arm=arm, output=said, result=result, usage=Usage(calls=1), latency_s=0.0)


def echoing(request: ModelRequest) -> ModelReply:
    """A critic that quotes everybody, and a rewriter that gives the quotation as its reason."""
    told = " ".join(message.content for message in request.messages)
    if request.purpose == "backward":
        quoted = f"{MARK}quoted" if MARK in told else "nothing"
        said: dict[str, Any] = {"change": True, "gradient": f"Ask for the order number first, they said {quoted}."}
    else:
        text = FIXED if FIXED not in told else f"Ask {MARK}edited, too."
        edit = {"op": "add", "line": "2", "text": text, "cause": "c1", "reason": f"{MARK}reason was not understood"}
        said = {"edits": [edit]}
    return ModelReply(text=json.dumps(said), model=request.model, usage=Usage(calls=1, cost_usd=0.001))


class Life:
    """Some days of a shop: Anna complains, others do, one candidate is released and one is refused."""

    def __init__(self, store: Store, clock: SetClock) -> None:
        self.world = World(store, clock, prompt={"gate": GATE})
        self.world.model.__init__(echoing)  # type: ignore[misc]
        self.world.judge = Echo()
        self.copies = TwinCopies(self.world.cases)

    async def lived(self) -> "Life":
        world = self.world
        self.people(0, version=1)
        run = await self.proposed("first")
        world.order(OrderKind.APPROVE)
        await world.tick()
        assert (await world.registry.head("support")).production.version == 2, world.store.releases.get(run.cycle_id)
        world.pass_time(days=1)
        self.people(10, version=2)
        run = await self.proposed("second")
        world.order(OrderKind.REJECT, why=f"no, she wrote {MARK}replied")
        await world.tick()
        assert world.store.releases.get(run.cycle_id).state == "rejected"
        world.pass_time(days=1)
        return self

    def people(self, first: int, *, version: int) -> None:
        """Anna's answer and three others', each with a complaint; and one of hers that she liked."""
        self.anna(first, version=version)
        for number in range(first + 1, first + 4):
            self.world.answer(number, prompt_version=version, input=asked(f"Where is parcel {number}?", version))
            self.world.judge_it(number)
        self.anna(first + 4, version=version, liked=True)

    def anna(self, number: int, *, version: int, liked: bool = False) -> None:
        self.world.answer(
            number,
            source_key=KEY,
            prompt_version=version,
            input=asked(f"{MARK}asked {number}", version),
            output=f"No idea {MARK}heard {number}",
            tags=(f"intent:{MARK}tagged",),
        )
        if liked:
            return
        self.world.judge_it(number, comment=f"{MARK}complained {number}")
        self.world.judge_it(
            number, id=f"c{number}", name="correction", kind=ScoreKind.CORRECTION, value=f"{MARK}corrected", comment=""
        )

    async def cycle(self, slot: str) -> tuple[Run, dict[str, Any]]:
        world = self.world
        run = world.cycle(slot)
        ended = await world.walk(run, collect, find_candidate, gate)
        return run, ended

    async def proposed(self, slot: str) -> Run:
        run, state = await self.cycle(slot)
        assert "ended" not in state, state
        await propose(self.world.house, run, state)
        self.world.store.cycles.advance(run.cycle_id, CycleState.DONE, at=self.world.clock.now())
        report = self.world.store.reports.load(run.cycle_id)
        assert report is not None
        for pair in report.evidence.pairs:
            self.copies.experiments[f"x{len(self.copies.experiments)}"] = pair.case.id
        return run

    async def forget(self, **given: Any) -> Erased:
        return await forget(self.world.store, self.copies, ANNA, at=self.world.clock.now(), **given)


GATE = {"datasets": ["curated"], "sealed_datasets": ["sealed"], "replayed": 10, "sealed": 10}


def asked(question: str, version: int) -> str:
    body = BODY if version == 1 else f"{BODY}\n{FIXED}"
    return json.dumps([{"role": "system", "content": body}, {"role": "user", "content": question}])


@pytest.fixture
async def life(owned: Store, clock: SetClock) -> Life:
    return await Life(owned, clock).lived()


def held(store: Store) -> list[str]:
    """Which of her words stand in which table."""
    found = []
    for table, lines in rows(store).items():
        found += [f"{table}: {word}" for word in WORDS if any(word in line for line in lines)]
    return sorted(found)


def in_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and MARK.encode() in path.read_bytes())


async def test_her_words_are_everywhere_and_then_nowhere(life: Life, tmp_path: Path) -> None:
    store = life.world.store
    before = held(store)
    print(before)
    assert {line.partition(":")[0] for line in before} >= {
        "generation",
        "source_text",
        "gradient",
        "edit",
        "candidate",
        "refused_edit",
        "release",
        "release_event",
        "release_order",
    }
    assert "tracegrad.db" in " ".join(in_files(tmp_path))
    assert any(MARK in repr(case) for case in life.world.cases.datasets["tracegrad-anchors-support"])
    erased = await life.forget()
    assert held(store) == []
    assert in_files(tmp_path) == []
    assert MARK not in repr(life.world.cases.datasets)
    assert KEY not in repr(rows(store))
    assert erased.whole and not erased.waiting
    print(erased)
