"""A house of in-memory twins over the real store, and a world of users who complain."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from conftest import SetClock

from connectors.langfuse.server import Server
from connectors.memory import MemoryCaseSource, MemoryRegistry, MemoryTraceSource, ScriptedModel
from connectors.memory_flags import MemoryFlags
from connectors.memory_forge import MemoryForge
from deploy.gating.order import Evaluators
from deploy.releases.proposing import propose
from deploy.releases.tending import tend
from deploy.settings import PromptSettings, Settings
from deploy.store.facade import Store
from deploy.store.fence import Run
from deploy.store.orders import Order, OrderKind
from deploy.store.schema_releases import metadata
from deploy.wiring import House, silent
from optimizer.identity import Json
from optimizer.ports import ModelReply, ModelRequest
from optimizer.prompts import Message, PromptVersion
from optimizer.types import (
    Arm,
    Case,
    CaseInput,
    CaseOrigin,
    Evaluation,
    Evidence,
    Generation,
    Pair,
    Score,
    Scored,
    ScoreKind,
    Unscored,
    Usage,
)

BODY = "You help the customers of a shop.\nBe brief."
FIXED = "Ask for the order number."
RULES = ({"kind": "numeric", "score": "helpful", "below": 0.5}, {"kind": "correction"})
State = dict[str, Json]
Stage = Callable[[House, Run, State], Awaitable[State]]


def asked(question: str) -> CaseInput:
    """An input that is one question."""
    return CaseInput(history=(Message(role="user", content=question),))


class ScriptedEvaluator:
    """Gives every baseline answer and every candidate answer one score each, and remembers the cases.

    It is a judge of single answers as well: an answer that says nothing useful is worth 0.
    """

    name = "scripted 1"

    def __init__(self) -> None:
        self.scores = {Arm.BASELINE: 0.2, Arm.CANDIDATE: 0.9}
        self.note = ""
        self.compared: list[tuple[Case, ...]] = []
        self.judged: list[Case] = []
        self.arms: Mapping[Arm, PromptVersion] = {}

    async def judge(self, case: Case, output: str) -> Scored | Unscored:
        self.judged.append(case)
        return Scored(value=0.0 if "No idea" in output else 1.0, reason="by the script")

    async def compare(self, arms: Mapping[Arm, PromptVersion], cases: Sequence[Case], *, sample: int = 0) -> Evidence:  # noqa: ARG002
        self.arms = arms
        ordered = tuple(sorted(cases, key=lambda case: case.id))
        self.compared.append(ordered)
        pairs = tuple(
            Pair(case=case, baseline=self._answer(case, Arm.BASELINE), candidate=self._answer(case, Arm.CANDIDATE))
            for case in ordered
        )
        return Evidence(pairs=pairs, model="m", evaluator=self.name, complete=not self.note, note=self.note)

    def _answer(self, case: Case, arm: Arm) -> Evaluation:
        result = Scored(value=self.scores[arm], reason="by the script")
        return Evaluation(case_id=case.id, arm=arm, output="", result=result, usage=Usage(calls=1), latency_s=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinHouse(House):
    """A house whose evaluator is scripted."""

    judge: ScriptedEvaluator

    @asynccontextmanager
    async def evaluators(self, *_: object, **_given: object) -> AsyncIterator[Evaluators]:
        yield Evaluators(screen=self.judge, plain=self.judge, judge=self.judge)


def critic_and_rewriter(request: ModelRequest) -> ModelReply:
    """Every complaint asks for the order number, and the rewriter adds that line."""
    if request.purpose == "backward":
        said = {"change": True, "gradient": "The prompt should have the assistant ask for the order number first."}
    else:
        edit = {"op": "add", "line": "2", "text": FIXED, "cause": "c1", "reason": "customers were not understood"}
        said = {"edits": [edit]}  # type: ignore[dict-item]
    return ModelReply(text=json.dumps(said), model=request.model, usage=Usage(calls=1, cost_usd=0.001))


@dataclass
class World:
    """Everything a cycle touches, in memory but for the store."""

    store: Store
    clock: SetClock
    prompt: dict[str, Any] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    calls_at_once: int = 8

    def __post_init__(self) -> None:
        self.traces = MemoryTraceSource()
        cases = [
            Case(
                id=f"d{n:03}", origin=CaseOrigin.DATASET, input=asked(f"d{n:03}"), reference="r", source_key=f"d{n:03}"
            )
            for n in range(100)
        ]
        sealed = [replace(case, id=f"s{case.id}", input=asked(f"s{case.id}")) for case in cases]
        self.cases = MemoryCaseSource({"curated": cases, "sealed": sealed})
        self.registry = MemoryRegistry()
        self.registry.add("support", BODY, labels=["production"])
        self.model = ScriptedModel(critic_and_rewriter)
        self.judge = ScriptedEvaluator()
        self.flags = MemoryFlags()
        self.forge: MemoryForge | None = None

    @property
    def house(self) -> TwinHouse:
        gate = {"datasets": ["curated"], "sealed_datasets": ["sealed"], "replayed": 10, "sealed": 10}
        given = {"name": "support", "rules": RULES, "gate": gate, **self.prompt}
        others = [PromptSettings(name=name) for name in self.others]
        return TwinHouse(
            settings=Settings(
                prompts=(PromptSettings.model_validate(given), *others),
                model={"task": "t", "critic": "c", "judge": "j"},
                state_dir=Path(str(self.store.engine.url.database)).parent,
            ),
            clock=self.clock,
            store=self.store,
            server=Server(version="4.59.0", project_id="p1", clock_ahead_s=0.0, batch_scores=True),
            traces=self.traces,
            cases=self.cases,
            registry=self.registry,
            model=self.model,
            experiments=None,
            forge=self.forge,
            flag_services={"ofrep": self.flags},
            capacity=asyncio.Semaphore(self.calls_at_once),
            progress=silent,
            judge=self.judge,
        )

    def cycle(self, slot: str = "2026-11-21T02:30Z") -> Run:
        """A cycle of a slot, which we own."""
        row = self.store.cycles.open("support", slot, at=self.clock.now())
        with self.store.engine.begin() as connection:
            connection.execute(sa.text("delete from workflow_status where workflow_uuid = :id"), {"id": row.id})
            connection.execute(sa.text("insert into workflow_status values (:id, 'mine')"), {"id": row.id})
        return Run(cycle_id=row.id, prompt="support", workflow_id=row.id, token="mine")

    async def tick(self, house: House | None = None) -> State:
        """One tick of the prompt's releases."""
        with self.store.engine.begin() as connection:
            connection.execute(sa.text("delete from workflow_status where workflow_uuid = 'tick'"))
            connection.execute(sa.text("insert into workflow_status values ('tick', 'mine')"))
        run = Run(cycle_id="", prompt="support", workflow_id="tick", token="mine")
        return await tend(house or self.house, run, {})

    async def release(self, run: Run, state: State) -> str:
        """A cycle's candidate is proposed, approved by a person, and walks as far as it can; its state and reason."""
        ended = await propose(self.house, run, state)
        row = self.store.releases.of_prompt("support", limit=1)
        if not row or row[0].run_id != run.cycle_id:
            return str(ended["reason"])
        self.order(OrderKind.APPROVE, run_id=run.cycle_id)
        await self.tick()
        row = self.store.releases.of_prompt("support", limit=1)
        return f"{row[0].state}: {row[0].reason}"

    def order(self, kind: OrderKind, *, run_id: str = "", argument: Json = None, why: str = "") -> Order:
        """A person tells a release what to do."""
        at = self.clock.now()
        given = Order(
            id=f"{kind}-{at.isoformat()}-{run_id}",
            prompt="support",
            run_id=run_id,
            kind=kind,
            argument=argument,
            actor="ada",
            why=why,
            at=at,
        )
        return self.store.orders.give(given)

    async def walk(self, run: Run, *stages: Stage) -> State:
        """The stages one after the other, until one ends the cycle."""
        state: State = {}
        for stage in stages:
            state = await stage(self.house, run, state)
            if "ended" in state:
                break
        return state

    # ---- what production does ------------------------------------------------------------------------------------

    def answer(
        self, number: int, *, ago: timedelta = timedelta(hours=2), visible: bool = True, **given: Any
    ) -> Generation:
        """The application answers a customer."""
        messages = [{"role": "system", "content": BODY}, {"role": "user", "content": f"Where is parcel {number}?"}]
        made = Generation(
            **{
                "id": f"g{number}",
                "trace_id": f"t{number}",
                "prompt_name": "support",
                "prompt_version": 1,
                "environment": "production",
                "at": self.clock.now() - ago,
                "input": json.dumps(messages),
                "output": f"No idea {number}.",
                "model": "m",
                "source_key": f"user{number}",
                **given,
            }
        )
        if visible:
            self.traces.all_generations.append(made)
        return made

    def judge_it(self, number: int, *, ago: timedelta = timedelta(hours=1), **given: Any) -> Score:
        """The customer says what they think of it."""
        at = given.pop("at", self.clock.now() - ago)
        said = Score(
            **{
                "id": f"s{number}",
                "name": "helpful",
                "kind": ScoreKind.NUMERIC,
                "value": 0.0,
                "comment": f"It did not help me at all, said customer {number}",
                "trace_id": f"t{number}",
                "observation_id": "",
                "environment": "production",
                "at": at,
                "updated_at": at,
                **given,
            }
        )
        self.traces.all_scores.append(said)
        return said

    def complaint(self, number: int, **given: Any) -> Score:
        """An answer and a complaint about it."""
        self.answer(number)
        return self.judge_it(number, **given)

    def edit(self, score: Score, **changes: Any) -> None:
        """The customer changes their mind: same id and time, later `updated_at`."""
        self.traces.all_scores.append(replace(score, updated_at=self.clock.now(), **changes))

    def pass_time(self, **span: float) -> datetime:
        self.clock.time += timedelta(**span)
        return self.clock.time


def rows(store: Store, *, but: Sequence[str] = ()) -> dict[str, list[Any]]:
    """Every row of every table of ours."""
    with store.engine.execution_options(reading=True).begin() as connection:
        return {
            table.name: sorted(repr(row) for row in connection.execute(sa.select(table)))
            for table in metadata.sorted_tables
            if table.name not in but
        }
