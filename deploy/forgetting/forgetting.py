"""Forgetting a person: what they said, and what repeats it, is erased from everything that is ours.

First it is written down what has to be done, so that it goes on when it is interrupted, and so that nothing of
theirs is stored any more; then come our copies in Langfuse; then our tables, in one transaction. Cycles that are at
work are left alone: what they make of the words is erased by the next `forget`, or by the daemon, after their end.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from connectors.source_keys import source_key
from deploy.forgetting.erasures import Erasures
from deploy.forgetting.person import Person
from deploy.forgetting.reach import Reach
from deploy.gating.suite import anchors_of
from deploy.store.facade import Store
from deploy.store.forgotten import Forgotten
from optimizer.errors import BadInput

_KEY = re.compile(r"[0-9a-f]{64}")


class Copies(Protocol):
    """What we wrote into the trace store ourselves. Deleting again, or what is not there, changes nothing."""

    async def traces_of(self, *, user_id: str = "", session_id: str = "") -> frozenset[str]:
        """Ids of everything that the application recorded for a user, or for a session."""
        ...

    async def experiments_of(self, case_ids: Iterable[str]) -> frozenset[str]:
        """Ids of the traces in which experiments of ours show these cases."""
        ...

    async def delete_experiments(self, trace_ids: Iterable[str]) -> None:
        """Delete traces that `experiments_of` found."""
        ...

    async def items_of(self, dataset: str) -> frozenset[str]:
        """Ids of the items of a dataset; none when there is no such dataset."""
        ...

    async def delete_items(self, ids: Iterable[str]) -> None:
        """Delete items of datasets."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Whom to forget.

    Attributes:
        keys: the source keys that may be theirs.
        raw: the user's or session's own id; empty when only the hash was given.
        traces: of theirs, which only Langfuse could name.
    """

    keys: tuple[str, ...]
    raw: str = ""
    traces: tuple[str, ...] = ()

    @classmethod
    def of(cls, key: str, *, secret: bytes) -> "Source":
        """The source that a person named: the id of a user or a session, or a source key as it is stored.

        Raises:
            BadInput: the key is empty.
        """
        if not key.strip():
            raise BadInput("the source is empty", "name a user, a session, or a source key")
        hashed = source_key(key, "", secret=secret), source_key("", key, secret=secret)
        return cls(keys=(*hashed, key), raw="") if _KEY.fullmatch(key) else cls(keys=hashed, raw=key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What came of it; counts and places, never a word of the person.

    Attributes:
        counts: how much of ours was erased, by kind.
        anchors, experiments: items and traces of ours that were deleted in Langfuse; by dataset for the items.
        traces: ids of the application's own traces of them, as far as they are known.
        waiting: cycles and releases that have to end before the rest can be erased.
        whole: nothing of it is left in the database's own files.
    """

    dry: bool
    counts: Mapping[str, int] = field(default_factory=dict)
    anchors: Mapping[str, int] = field(default_factory=dict)
    experiments: int = 0
    reach: Reach = field(default_factory=Reach)
    traces: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    whole: bool = True


async def forget(store: Store, copies: Copies, source: Source, *, at: datetime, dry: bool = False) -> Erased:
    """Erase a person, or with `dry` say what would be erased.

    Raises:
        Transient, Permanent: Langfuse's own. What was begun is written down: forget again, or let the daemon do it.
    """
    erasures, forgotten = Erasures(store.engine), Forgotten(store.engine)
    theirs = frozenset(source.traces)
    if source.raw:
        theirs |= await copies.traces_of(user_id=source.raw) | await copies.traces_of(session_id=source.raw)
    began = at if dry else await asyncio.to_thread(forgotten.begin, source.keys, theirs, at=at)
    person = await asyncio.to_thread(erasures.find, source.keys, theirs, began=began)
    anchors, experiments = await _delete_copies(copies, person, dry=dry)
    found = await asyncio.to_thread(erasures.erase, source.keys, theirs, began=began, dry=dry)
    whole = dry or await asyncio.to_thread(erasures.scrub)
    if not dry and whole:
        await asyncio.to_thread(forgotten.erased, source.keys, found.person.waiting)
    return Erased(
        dry=dry,
        counts=found.counts,
        anchors=anchors,
        experiments=experiments,
        reach=found.reach,
        traces=tuple(sorted(person.traces)),
        waiting=found.person.waiting,
        whole=whole,
    )


async def _delete_copies(copies: Copies, person: Person, *, dry: bool) -> tuple[Mapping[str, int], int]:
    """Delete our copies of a person's cases; how many items of each dataset, and how many traces of experiments."""
    items = await _anchors(copies, person.prompts, person)
    traces = await copies.experiments_of(sorted(person.cases))
    if not dry:
        await copies.delete_items([id_ for ids in items.values() for id_ in ids])
        await copies.delete_experiments(traces)
    return {dataset: len(ids) for dataset, ids in items.items()}, len(traces)


async def _anchors(copies: Copies, prompts: Iterable[str], person: Person) -> Mapping[str, Sequence[str]]:
    found = {}
    for prompt in sorted(prompts):
        dataset = anchors_of(prompt)
        if mine := sorted((await copies.items_of(dataset)) & person.cases.keys()):
            found[dataset] = mine
    return found
