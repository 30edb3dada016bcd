"""Everything of ours that goes back to a person: found by what they said, and by what was made of it. Reads only.

Links run from a recorded call to the gradients about it, to the causes these gradients make, to the edits because of
these causes, to the candidates that hold the edits, to the releases of these, and from what a reviewer wrote about such
a release to gradients again.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from deploy.gating.anchoring import anchor_id
from deploy.gating.suite import case_id
from deploy.lifecycle import RELEASE_TRANSITIONS, ReleaseState, is_final
from deploy.store.database import chunks
from deploy.store.forgotten import alias_of
from deploy.store.schema import case_result, cause, cycle, edit, generation, gradient, release
from optimizer.identity import digest
from optimizer.types import CaseOrigin, Generation

Key = tuple[str, str]
"""A cycle's id, and the id of something in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A release whose candidate goes back to the person.

    Attributes:
        final: nothing more will become of it.
        version: 0 for one that never was published.
    """

    run_id: str
    prompt: str
    candidate: Key
    state: ReleaseState
    version: int

    @property
    def final(self) -> bool:
        return is_final(RELEASE_TRANSITIONS, self.state)


@dataclass(slots=True, kw_only=True)
class Person:
    """What goes back to one person, as it was found.

    Attributes:
        sources: under what their texts are stored -> the alias that will stand there: source keys, the aliases
            themselves, and the ids of anchors that were made of them.
        calls: ids of recorded calls -> the alias; empty for a reviewer's, who is not the person, but may have quoted.
        cases: ids of cases that were made of these calls -> the alias.
        traces: ids of the traces of these calls.
        running: cycles that have not ended and may hold words of theirs.
    """

    keys: tuple[str, ...]
    sources: dict[str, str] = field(default_factory=dict)
    calls: dict[str, str] = field(default_factory=dict)
    cases: dict[str, str] = field(default_factory=dict)
    traces: set[str] = field(default_factory=set)
    prompts: set[str] = field(default_factory=set)
    gradients: set[Key] = field(default_factory=set)
    causes: set[Key] = field(default_factory=set)
    candidates: set[Key] = field(default_factory=set)
    runs: dict[str, Run] = field(default_factory=dict)
    running: tuple[str, ...] = ()

    @property
    def released(self) -> set[Key]:
        """Candidates that were published, or may still be."""
        cycles = set(self.running)
        waiting = {key for key in self.candidates if key[0] in cycles}
        return waiting | {run.candidate for run in self.runs.values() if run.version or not run.final}

    @property
    def waiting(self) -> tuple[str, ...]:
        """What has to end before the rest can be erased: cycles, and releases that are not published yet."""
        open_runs = (run.run_id for run in self.runs.values() if not run.version and not run.final)
        return tuple(sorted({*self.running, *open_runs}))


def find(connection: sa.Connection, keys: Iterable[str], traces: Collection[str] = (), *, began: datetime) -> Person:
    """Everything that goes back to the sources with these keys.

    Args:
        traces: ids of more traces of theirs, which only Langfuse could name.
        began: since when nothing of theirs is stored.
    """
    person = Person(keys=tuple(keys), traces=set(traces))
    person.sources |= {name: alias_of(key) for key in person.keys for name in (key, alias_of(key))}
    _add_calls(connection, person)
    known = -1
    while len(person.calls) > known:  # a review of an edit may have led to the next edit
        known = len(person.calls)
        _follow(connection, person)
        _add_reviews(connection, person)
    anchors = {anchor_id(name, case): alias for name in person.prompts for case, alias in person.cases.items()}
    person.cases |= anchors
    person.sources |= anchors  # what is read back from a dataset has its own id for a source
    held = sa.select(case_result.c.case_id, case_result.c.source_key)
    for id_, source in _among(connection, held, case_result.c.source_key, person.sources):
        person.cases.setdefault(id_, person.sources[source])
    person.running = _running(connection, person.prompts, began)
    return person


def _add_calls(connection: sa.Connection, person: Person) -> None:
    for some in chunks(person.sources):
        for row in connection.execute(sa.select(generation).where(generation.c.source_key.in_(some))):
            _add_call(person, row)


def _add_call(person: Person, row: sa.Row[Any]) -> None:
    alias = person.sources[row.source_key]
    person.calls[row.id] = alias
    person.traces.add(row.trace_id)
    person.prompts.add(row.prompt_name)
    call = Generation(
        id=row.id,
        trace_id=row.trace_id,
        prompt_name=row.prompt_name,
        prompt_version=row.prompt_version,
        environment=row.environment,
        at=row.at,
        input="",  # not needed here, and large
        output="",
        model=row.model,
        source_key=row.source_key,
    )
    person.cases |= {case_id(origin, call): alias for origin in (CaseOrigin.REPLAY, CaseOrigin.COMPLAINT)}


def _follow(connection: sa.Connection, person: Person) -> None:
    """From recorded calls to releases."""
    found = sa.select(gradient.c.cycle_id, gradient.c.id)
    person.gradients |= {(row[0], row[1]) for row in _among(connection, found, gradient.c.generation_id, person.calls)}
    cycles = {cycle_id for cycle_id, _ in person.gradients}
    for some in chunks(cycles):
        for row in connection.execute(sa.select(cause).where(cause.c.cycle_id.in_(some))):
            if any((row.cycle_id, id_) in person.gradients for id_ in row.gradient_ids):
                person.causes.add((row.cycle_id, row.id))
        for row in connection.execute(sa.select(edit).where(edit.c.cycle_id.in_(some))):
            if (row.cycle_id, row.cause_id) in person.causes:
                person.candidates.add((row.cycle_id, row.candidate_id))
        for row in connection.execute(sa.select(release).where(release.c.cycle_id.in_(some))):
            candidate = (row.cycle_id, row.candidate_id)
            if candidate in person.candidates:
                state = ReleaseState(row.state)
                person.runs[row.run_id] = Run(
                    run_id=row.run_id, prompt=row.prompt, candidate=candidate, state=state, version=row.version
                )
        prompts = sa.select(cycle.c.prompt).where(cycle.c.id.in_(some))
        person.prompts |= set(connection.execute(prompts).scalars())


def _add_reviews(connection: sa.Connection, person: Person) -> None:
    reviews = {digest("review", run_id) for run_id in person.runs}
    for (id_,) in _among(connection, sa.select(generation.c.id), generation.c.id, reviews):
        person.calls.setdefault(id_, "")


def _running(connection: sa.Connection, prompts: Iterable[str], began: datetime) -> tuple[str, ...]:
    found = sa.select(cycle.c.id).where(cycle.c.ended_at.is_(None), cycle.c.started_at <= began)
    return tuple(sorted(id_ for (id_,) in _among(connection, found, cycle.c.prompt, prompts)))


def _among(
    connection: sa.Connection, found: sa.Select[Any], column: sa.Column[str], ids: Iterable[str]
) -> list[tuple[str, ...]]:
    return [tuple(row) for some in chunks(ids) for row in connection.execute(found.where(column.in_(some)))]
