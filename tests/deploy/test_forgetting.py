"""A person is forgotten: none of their words is left in anything of ours, and nobody else loses a byte."""

import asyncio
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import SetClock
from forgetting_samples import MARK, SECRET, Echo, asked, echoing
from house_samples import BODY, FIXED, Stage, World, rows
from house_samples import asked as question

from connectors.memory import MemoryCaseSource, MemoryTraceSource, ScriptedModel
from connectors.source_keys import source_key
from deploy import overview
from deploy.collecting import collect
from deploy.forgetting.erasing import ERASED
from deploy.forgetting.forgetting import Erased, Source, forget
from deploy.forgetting.reach import Influenced, Reach
from deploy.forgetting.resuming import Resuming
from deploy.gating.stage import gate
from deploy.lifecycle import CycleState
from deploy.lineage.blame import blame
from deploy.lineage.showing import shown
from deploy.optimizing import find_candidate
from deploy.releases.proposing import propose
from deploy.store.agreements import AgreementRow
from deploy.store.database import open_database
from deploy.store.facade import Store
from deploy.store.fence import Run
from deploy.store.forgotten import Forgotten, alias_of
from deploy.store.orders import OrderKind
from deploy.store.pull_requests import Asked
from deploy.store.schema import source_text
from optimizer.errors import BadInput
from optimizer.ports import ModelReply, ModelRequest, PullRequest, PullState
from optimizer.rollouts import Exposure
from optimizer.types import CaseInput, Evidence, Score, Scored, ScoreKind, Window

ANNA, BOB = Source.of("anna", secret=SECRET), Source.of("bob", secret=SECRET)
KEY = ANNA.keys[0]
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
        return frozenset({"t-unread"}) if user_id == "anna" and not session_id else frozenset()

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


GATE = {"datasets": ["curated"], "sealed_datasets": ["sealed"], "replayed": 10, "sealed": 10}


class Life:
    """A shop, Anna among its customers, and what is to be forgotten of them.

    `live` is some days of it: Anna complains, others do, one candidate is released, one refused, one dropped.
    """

    def __init__(self, store: Store, clock: SetClock) -> None:
        self.world = World(store, clock, prompt={"gate": GATE})
        self.world.model = ScriptedModel(echoing)
        self.world.judge = Echo()
        self.copies = TwinCopies(self.world.cases)
        sealed = self.world.cases.datasets["sealed"]
        sealed += [replace(case, id=f"{case.id}x", input=question(f"{case.id}x")) for case in sealed]
        self.world.cases.datasets["curated"] = self.world.cases.datasets["curated"][:60]

    @property
    def store(self) -> Store:
        return self.world.store

    async def live(self) -> None:
        world = self.world
        self.people(0, version=1)
        await self.proposed("first")
        world.order(OrderKind.APPROVE, why="reads well")
        await world.tick()
        assert (await world.registry.head("support")).production.version == 2
        world.pass_time(days=1)
        self.people(10, version=2)
        refused = await self.proposed("second")
        world.order(OrderKind.REJECT, why=f"no, she wrote {MARK}replied")
        await world.tick()
        assert self.store.releases.get(refused.cycle_id).state == "rejected"
        world.pass_time(days=1)
        self.people(20, version=2)
        dropped, _ = await self.walk("third")
        assert self.store.cycles.get(dropped.cycle_id).verdict == "pass"
        self.end(dropped)
        world.pass_time(days=1)
        self.leave_other_traces()

    def people(self, first: int, *, version: int) -> None:
        """Anna's answer and three others', each with a complaint; one that Anna liked; Bob and Fay only ask."""
        self.anna(first, version=version)
        for number in range(first + 1, first + 4):
            self.world.answer(number, prompt_version=version, input=asked(f"Where is parcel {number}?", version))
            self.world.judge_it(number)
        self.anna(first + 4, version=version, liked=True)
        tags = (f"language:{MARK}bobs", "language:de")
        told = {"input": asked(f"{MARK}bob {first}", version), "prompt_version": version, "tags": tags}
        self.world.answer(first + 5, source_key=BOB.keys[0], **told)
        fay = Source.of("fay", secret=SECRET).keys[0]
        self.world.answer(first + 6, source_key=fay, input=asked("Hello?", version), tags=("language:de",))

    def anna(self, number: int, *, version: int, liked: bool = False, **given: Any) -> None:
        self.world.answer(
            number,
            source_key=KEY,
            prompt_version=version,
            input=asked(f"{MARK}asked {number}", version),
            output=f"No idea {MARK}heard {number}",
            tags=(f"intent:{MARK}tagged",),
            **given,
        )
        if liked:
            return
        self.world.judge_it(number, comment=f"{MARK}complained {number}")
        said = f"{MARK}corrected"
        self.world.judge_it(number, id=f"c{number}", name="fix", kind=ScoreKind.CORRECTION, value=said, comment="")

    def leave_other_traces(self) -> None:
        """What only a canary, the comparison of judges, and an interrupted collection leave."""
        at = self.world.clock.now()
        unread = Score(**{**fields_of(self.world.judge_it(99)), "trace_id": "t-unread", "comment": f"{MARK}complained"})
        self.store.traces.save((), [unread], at=at)
        rows = [AgreementRow(score_id=id_, human=0.0, judged=1.0, at=at) for id_ in ("s0", "s1")]
        self.store.agreements.save("p", "judge", rows)
        shown = [
            Exposure(trace_id=f"e{n}", unit=unit, place=0.5, at=at, version=2, model="m", failed=False)
            for n, unit in enumerate((KEY, KEY, "somebody else"))
        ]
        window = Window(start=at - timedelta(days=1), end=at)
        self.store.exposures.save("support@first", shown, [], scored=window, until=at)
        asked_for = PullRequest(number=7, url="http://forge/pulls/7", branch="b")
        self.store.pull_requests.keep(
            Asked(run_id="support@first", request=asked_for, state=PullState.MERGED, checked_at=at)
        )

    async def walk(self, slot: str, *stages: Stage) -> tuple[Run, dict[str, Any]]:
        run = self.world.cycle(slot)
        return run, await self.world.walk(run, *(stages or (collect, find_candidate, gate)))

    async def proposed(self, slot: str) -> Run:
        run, state = await self.walk(slot)
        await propose(self.world.house, run, state)
        self.end(run)
        return run

    def end(self, run: Run) -> None:
        """As the worker does it; and what the gate exported."""
        cycles, now = self.store.cycles, self.world.clock.now()
        if cycles.get(run.cycle_id).state is not CycleState.PROPOSING:
            cycles.advance(run, CycleState.PROPOSING, at=now)
        cycles.advance(run, CycleState.DONE, at=now)
        report = self.store.reports.load(run.cycle_id)
        for pair in report.evidence.pairs if report else ():
            self.copies.experiments[f"x{len(self.copies.experiments)}"] = pair.case.id

    def end_at_once(self, run: Run) -> None:
        self.store.cycles.advance(run, CycleState.SKIPPED, at=self.world.clock.now())

    async def resume(self) -> int:
        return await Resuming(self.store, self.world.clock, lambda: nullcontext(self.copies)).round()

    async def forget(self, whom: Source | None = None, **given: Any) -> Erased:
        return await forget(self.store, self.copies, whom or ANNA, at=self.world.clock.now(), **given)


def fields_of(score: Score) -> dict[str, Any]:
    return {name: getattr(score, name) for name in Score.__slots__}


@dataclass(frozen=True, kw_only=True)
class Past:
    """Three days that every test begins after: lived once, and copied."""

    folder: Path
    clock: SetClock
    life: Life


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Past:
    folder, clock = tmp_path_factory.mktemp("past"), SetClock()
    shutil.copy(migrated, folder / "tracegrad.db")
    (folder / "source.key").write_bytes(SECRET)  # who is sealed follows from it
    store = Store(open_database(f"sqlite:///{folder}/tracegrad.db"), clock)
    with store.engine.begin() as connection:
        connection.execute(sa.text("create table workflow_status (workflow_uuid text primary key, owner_xid text)"))
    life = Life(store, clock)
    asyncio.run(life.live())
    store.close()
    return Past(folder=folder, clock=clock, life=life)


@pytest.fixture
def again(past: Past, tmp_path: Path) -> Iterator[Callable[[str], Life]]:
    """The life after these days, as often as it is asked for: each in a folder of its own."""
    opened: list[Store] = []

    def copied(name: str) -> Life:
        folder = tmp_path / name
        shutil.copytree(past.folder, folder)
        clock = SetClock()
        clock.time = past.clock.time
        opened.append(Store(open_database(f"sqlite:///{folder}/tracegrad.db"), clock))
        life, old = Life(opened[-1], clock), past.life
        life.world.traces = MemoryTraceSource(old.world.traces.all_scores, old.world.traces.all_generations)
        life.world.registry = deepcopy(old.world.registry)
        life.world.cases.datasets = {name: list(cases) for name, cases in old.world.cases.datasets.items()}
        life.copies.experiments = dict(old.copies.experiments)
        return life

    yield copied
    for store in opened:
        store.close()


@pytest.fixture
def life(again: Callable[[str], Life]) -> Life:
    return again("state")


def held(store: Store, words: Iterable[str] = WORDS) -> list[str]:
    """Which of the words stand in which table."""
    found = []
    for table, lines in rows(store).items():
        found += [f"{table}: {word}" for word in words if any(word in line for line in lines)]
    return sorted(found)


def in_files(folder: Path, word: str = MARK) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes())


# ---- all of hers -----------------------------------------------------------------------------------------------------


async def test_her_words_are_everywhere_and_then_nowhere(life: Life, tmp_path: Path) -> None:
    assert {line.partition(":")[0] for line in held(life.store)} >= {
        *("generation", "source_text", "gradient", "edit", "candidate", "refused_edit"),
        *("release", "release_event", "release_order"),
    }
    assert any("db" in name for name in in_files(tmp_path / "state"))
    assert MARK in repr(life.world.cases.datasets["tracegrad-anchors-support"])
    for whom in (ANNA, BOB):
        erased = await life.forget(whom)
        assert erased.whole
        assert erased.waiting == ()
    assert held(life.store, [MARK]) == []
    assert in_files(tmp_path / "state") == []
    assert MARK not in repr(life.world.cases.datasets)
    assert all(key not in repr(rows(life.store)) for key in (KEY, BOB.keys[0]))


async def test_what_was_deleted_long_ago_leaves_the_file_as_well(life: Life, tmp_path: Path) -> None:
    row = {"id": "old", "kind": "input", "text": f"{MARK}old" * 1000, "source_key": "", "created_at": SetClock().time}
    with life.store.engine.begin() as connection:
        connection.exec_driver_sql("pragma secure_delete = off")
        connection.execute(sa.insert(source_text).values(row))
    with life.store.engine.begin() as connection:
        connection.exec_driver_sql("pragma secure_delete = off")
        connection.execute(sa.delete(source_text).where(source_text.c.id == "old"))
    assert in_files(tmp_path / "state", f"{MARK}old") != []
    assert (await life.forget()).whole
    assert in_files(tmp_path / "state", f"{MARK}old") == []


async def test_a_reader_who_keeps_the_log_open_is_told_of(life: Life) -> None:
    await life.forget(dry=True)
    patient = sa.event.listens_for(life.store.engine, "connect")
    patient(lambda connection, _: connection.execute("pragma busy_timeout=100"))
    life.store.engine.dispose()
    with life.store.engine.execution_options(reading=True).begin() as reader:
        reader.execute(sa.select(source_text)).all()
        erased = await life.forget()
        assert not erased.whole
        assert {pending.source_key for pending in Forgotten(life.store.engine).pending()} == set(ANNA.keys)
    assert await life.resume() == len(ANNA.keys)


async def test_what_came_of_it_is_told_without_a_word_of_hers(life: Life) -> None:
    dry = await life.forget(dry=True)
    erased = await life.forget()
    assert (dry.counts, dry.reach, dry.anchors, dry.traces) == (
        erased.counts,
        erased.reach,
        erased.anchors,
        erased.traces,
    )
    assert erased.reach == Reach(
        influenced=(
            Influenced(prompt="support", version=2, run_id="support@first", op="add", line="Ask for the order number."),
        ),
        versions=(("support", 2),),
        pull_requests=("http://forge/pulls/7",),
    )
    assert set(erased.counts) == {
        *("texts", "recorded calls", "scores", "agreements", "exposures", "model replies"),
        *("gradients", "causes", "edits", "candidates", "reviewers' words"),
    }
    assert erased.anchors == {"tracegrad-anchors-support": 1}
    assert set(erased.traces) == {"t0", "t4", "t10", "t14", "t20", "t24", "t-unread"}
    assert MARK not in repr(erased)


async def test_somebody_who_only_asked_is_in_the_cases_of_gates(life: Life) -> None:
    dry = await life.forget(BOB, dry=True)
    erased = await life.forget(BOB)
    assert erased.counts.keys() == {"texts", "recorded calls", "case results", "names of slices", "model replies"}
    assert f"{MARK}bobs" not in repr(rows(life.store))
    told = overview.cycle(life.store, life.world.house.settings, "support@first")["report"]
    assert ERASED in [reading["name"] for reading in told["slices"]]
    assert "language:de" in repr(life.store.reports.load("support@first"))
    assert (dry.counts, dry.experiments) == (erased.counts, erased.experiments)
    assert erased.experiments > 0
    assert erased.reach == Reach()
    assert held(life.store, [f"{MARK}bob"]) == []
    reports = [life.store.reports.load(f"support@{slot}") for slot in ("first", "second", "third")]
    theirs = [pair for r in reports if r for pair in r.evidence.pairs if pair.case.source_key == alias_of(BOB.keys[0])]
    assert {(p.case.input, p.case.recorded_output, p.baseline.output) for p in theirs} == {
        (CaseInput(), ERASED, ERASED)
    }
    assert all(isinstance(pair.candidate.result, Scored) for pair in theirs)


async def test_a_dry_run_changes_nothing(life: Life) -> None:
    before, datasets = rows(life.store), deepcopy(life.world.cases.datasets)
    assert (await life.forget(dry=True)).dry
    assert rows(life.store) == before
    assert life.world.cases.datasets == datasets


async def test_to_forget_again_changes_nothing(life: Life) -> None:
    await life.forget()
    before = rows(life.store)
    erased = await life.forget()
    assert (erased.counts, erased.anchors, erased.experiments) == ({}, {}, 0)
    assert rows(life.store) == before


async def test_nobody_else_loses_a_byte(life: Life) -> None:
    before, others = rows(life.store), deepcopy(life.world.cases.datasets)
    her_traces = [f"'t{n}'" for n in (0, 4, 10, 14, 20, 24)] + ["'t-unread'"]
    await life.forget()
    after = rows(life.store)
    hers = {
        "source_text": (MARK, KEY, "'reply'"),
        "derivation": ("",),  # of texts that are gone; looked at below
        "generation": (KEY, "'review-"),  # the reviewer quoted her
        "score": her_traces,
        "gradient": ("'g0'", "'g10'", "'g20'", MARK),
        "cause": ("support@",),
        "edit": (MARK,),
        "candidate": (MARK,),
        "agreement": ("'s0'",),
        "exposure": (KEY,),
        "journal": ("reply",),
        # why people decided about a change of hers: they may have quoted her
        **dict.fromkeys(
            ("refused_edit", "release", "release_event", "release_order"), (f"{MARK}replied", "reads well")
        ),
        "effect": (),
    }
    for table, lines in before.items():
        lost = [line for line in lines if line not in after[table]]
        assert all(any(mark in line for mark in hers.get(table, ())) for line in lost), (table, lost)
    added = {table: [line for line in lines if line not in before[table]] for table, lines in after.items()}
    marks = ("erased", "EmptyReply", "'review-", "'rejected', ''")
    assert [line for lines in added.values() for line in lines if not any(mark in line for mark in marks)] == []
    texts = {line.split("'")[1] for line in after["source_text"]}
    gone = [line for line in before["derivation"] if line not in after["derivation"]]
    assert all(not any(f"'{text}'" in line for text in texts) or "'g" in line or "'s" in line for line in gone), gone
    assert [case for case in others["curated"]] == life.world.cases.datasets["curated"]
    anchors = life.world.cases.datasets["tracegrad-anchors-support"]
    assert len(anchors) == len(others["tracegrad-anchors-support"]) - 1


async def test_the_same_words_of_somebody_else_stay(life: Life) -> None:
    said = f"{MARK}complained 0"
    life.world.judge_it(1, id="same", comment=said)
    run = life.world.cycle("fourth")
    await collect(life.world.house, run, {})
    life.end_at_once(run)
    await life.forget()
    kept = [score.comment for score in life.store.traces.scores(["s0", "same"])]
    assert kept == [said]


# ---- what is shown of it ---------------------------------------------------------------------------------------------


async def test_blame_show_and_status_say_that_it_was_erased(life: Life) -> None:
    store, world = life.store, life.world
    settings = world.house.settings
    await life.forget()
    found = shown(await blame(store, world.registry, "support", label="production"), "")
    line = found["lines"][2]
    assert (line["text"], line["version"], line["release"]) == (FIXED, 2, "support@first")
    assert (line["edit"]["reason"], line["edit"]["cause"], line["edit"]["complaints"]) == (ERASED, ERASED, 5)
    losses = {g.loss.trace.generation.id: g.loss.text for g in store.lineage.gradients("support@first")}
    assert losses["g0"] == ERASED
    assert losses["g1"] == "It did not help me at all, said customer 1"
    for slot in ("first", "second", "third"):
        said = overview.cycle(store, settings, f"support@{slot}")
        assert said["changes"][0]["reason"] == ERASED
        assert said["changes"][0]["new"] == (FIXED if slot == "first" else ERASED)
        assert said["report"]["verdict"] == "pass"
    assert overview.status(store, settings, world.clock.now())["prompts"][0]["published"] == 2


# ---- afterwards, and meanwhile ---------------------------------------------------------------------------------------


async def test_later_cycles_do_not_read_her_again(life: Life) -> None:
    await life.forget()
    life.people(30, version=2)
    run = await life.proposed("fourth")
    assert held(life.store, WORDS[:5]) == []
    complaints = {g.source_key for g in life.store.lineage.gradients(run.cycle_id)}
    assert complaints == {f"user{n}" for n in (11, 12, 13, 21, 22, 23, 31, 32, 33)} | {
        g.source_key for g in life.store.lineage.gradients(run.cycle_id) if not g.source_key.startswith("user")
    }
    assert KEY not in repr(rows(life.store))


async def test_a_score_of_hers_that_came_before_its_trace(life: Life) -> None:
    await life.forget()
    said = life.world.judge_it(50, comment=f"{MARK}complained")
    life.store.traces.save((), [said], at=life.world.clock.now())
    late = life.world.answer(50, source_key=KEY, input=f"{MARK}asked")
    life.store.traces.save([late], (), at=life.world.clock.now())
    life.store.traces.save((), [said], at=life.world.clock.now())
    assert held(life.store, [f"{MARK}asked", f"{MARK}complained"]) == []
    assert life.store.traces.scores(["s50"]) == ()


MOMENTS = ["collected", "rewritten", "compared", "proposed"]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_cycle_at_work_goes_on_and_what_it_made_goes_later(life: Life, moment: str) -> None:
    world = life.world
    told: list[Erased] = []

    async def now(reached: str) -> None:
        if reached == moment and not told:
            told.append(await life.forget())

    async def script(request: ModelRequest) -> ModelReply:
        if request.purpose != "backward":
            await now("rewritten")
        return echoing(request)

    class Interrupted(Echo):
        async def compare(self, *args: Any, **given: Any) -> Evidence:
            await now("compared")
            return await super().compare(*args, **given)

    world.model, world.judge = ScriptedModel(script), Interrupted()
    life.people(30, version=2)
    run = world.cycle("fourth")
    state: dict[str, Any] = {}
    for stage, reached in (
        (collect, "collected"),
        (find_candidate, "optimised"),
        (gate, "gated"),
        (propose, "proposed"),
    ):
        state = await stage(world.house, run, state)
        await now(reached)
    assert told[0].waiting
    assert run.cycle_id in told[0].waiting
    assert life.store.releases.get(run.cycle_id).state == "proposed"
    assert not [line for line in rows(life.store)["source_text"] if KEY in line]  # nothing came back
    life.end(run)
    # what waits for a person is not finished either, if she had a part in it
    await life.resume()
    pending = Forgotten(life.store.engine).pending()
    assert [one.source_key for one in pending] == [KEY] * (moment != "collected")
    assert [one.waiting for one in pending] == [(run.cycle_id,)] * (moment != "collected")
    asked = life.copies.calls
    await life.resume()
    assert life.copies.calls == asked  # nothing has ended meanwhile
    world.order(OrderKind.APPROVE)
    await world.tick()
    served = (await world.registry.head("support")).production
    assert served.version == 3
    assert str(served.body).startswith(f"{BODY}\nAsk {MARK}edited")
    assert str(served.body).endswith(FIXED)
    await life.resume()
    assert Forgotten(life.store.engine).pending() == ()
    # what a model made up without her is not hers
    assert held(life.store, [*WORDS[:7], *([WORDS[8]] if moment != "collected" else [])]) == []
    assert KEY not in repr(rows(life.store))
    assert MARK not in repr([c for c in world.cases.datasets["tracegrad-anchors-support"] if "bob" not in repr(c)])


# ---- interrupted -----------------------------------------------------------------------------------------------------


async def killed(life: Life, *, statement: int = 0, call: int = 0) -> int:
    """Forget, and die before that statement or that call to Langfuse; how many statements there were."""
    count = 0

    def before(*_: Any) -> None:
        nonlocal count
        count += 1
        if count == statement:
            raise Killed

    life.copies.calls, life.copies.break_at = 0, call
    sa.event.listen(life.store.engine, "before_cursor_execute", before)
    try:
        await life.forget()
    except Killed:
        return count
    finally:
        sa.event.remove(life.store.engine, "before_cursor_execute", before)
        life.copies.break_at = 0
    assert not statement
    assert not call
    return count


async def test_killed_anywhere_and_repeated_it_ends_the_same(again: Callable[[str], Life]) -> None:
    whole = again("whole")
    statements, calls = await killed(whole), whole.copies.calls
    expected = rows(whole.store), whole.world.cases.datasets, whole.copies.experiments
    life = again("killed")
    for place in range(1, statements + 1, statements // 8):
        assert await killed(life, statement=place) == place
    await life.forget()
    assert (rows(life.store), life.world.cases.datasets, life.copies.experiments) == expected
    for call in range(1, calls + 1):
        life = again(f"call{call}")
        await killed(life, call=call)
        begun = {pending.source_key for pending in Forgotten(life.store.engine).pending()}
        assert begun == (set(ANNA.keys) if call > 2 else set())  # Langfuse is asked for names first
        if begun:
            await life.resume()
        else:
            await life.forget()
        assert (rows(life.store), life.world.cases.datasets, life.copies.experiments) == expected


# ---- whom ------------------------------------------------------------------------------------------------------------


def test_a_source_is_a_user_a_session_or_a_key() -> None:
    assert (
        Source(keys=(source_key("anna", "", secret=SECRET), source_key("", "anna", secret=SECRET)), raw="anna") == ANNA
    )
    assert Source.of(KEY, secret=SECRET).keys[2] == KEY
    assert Source.of(KEY, secret=SECRET).raw == ""
    with pytest.raises(BadInput, match="the source is empty; name a user"):
        Source.of(" ", secret=SECRET)


async def test_somebody_whom_nobody_knows(life: Life) -> None:
    before = rows(life.store, but=["effect"])
    erased = await life.forget(Source.of("nobody", secret=SECRET))
    assert (erased.counts, erased.traces, erased.waiting) == ({}, (), ())
    assert rows(life.store, but=["effect"]) == before
