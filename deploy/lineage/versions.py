"""The versions of a prompt, from the newest back: out of the registry, or of the store where somebody deleted them.

Reads only. Asks the registry for no more than a walk needs, and a few versions ahead, which are asked for at once.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from deploy.store.database import Records, waiting_out
from deploy.store.facade import Store
from deploy.store.lineage import Lineage
from deploy.store.release_texts import ReleaseText, ReleaseTexts
from deploy.store.releases import ReleaseRow, Releases
from deploy.store.schema import candidate, prompt_name
from optimizer.errors import NotFound
from optimizer.ports import PromptRegistry
from optimizer.prompts import Body, PromptVersion, body_from_json
from optimizer.types import Candidate

AHEAD = 8
"""Versions that are asked for at once while a walk goes back one by one."""

MOST_RELEASES = 10_000
"""Of one name; far more than a prompt can have in ten years of daily cycles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version as far as it is known.

    Attributes:
        commit_message: None for a version that is deleted in the registry.
    """

    name: str
    number: int
    body: Body
    commit_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """A version that we released.

    Attributes:
        row: None when the store knows nothing of the run that the version names.
        candidate: None with it, or when the candidate's text was erased.
        text: what a person made of it before it was released.
    """

    run_id: str
    row: ReleaseRow | None = None
    candidate: Candidate | None = None
    text: ReleaseText | None = None


class Versions:
    """Versions of one prompt under all its names.

    Args:
        names: the prompt's name, then those that it had before, the latest first.
    """

    def __init__(self, store: Store, registry: PromptRegistry, names: Sequence[str]) -> None:
        self._registry = registry
        self._lineage = store.lineage
        self._texts = ReleaseTexts(store.engine)
        self._parents = _Parents(store.engine)
        self._releases = _releases(store.releases, names)
        self._asked: dict[tuple[str, int], PromptVersion | None] = {}

    async def get(self, name: str, number: int) -> Version | None:
        """One version; None when neither the registry nor the store has it."""
        if (name, number) not in self._asked:
            numbers = [n for n in range(number, max(0, number - AHEAD), -1) if (name, n) not in self._asked]
            found = await asyncio.gather(*(self._read(name, n) for n in numbers))
            self._asked |= {(name, n): version for n, version in zip(numbers, found, strict=True)}
        version = self._asked[name, number]
        if version is not None:
            return Version(name=name, number=number, body=version.body, commit_message=version.commit_message)
        body = await asyncio.to_thread(self._stored, name, number)
        return None if body is None else Version(name=name, number=number, body=body)

    async def ours(self, version: Version) -> Ours | None:
        """What we know of a version of ours; None for one that a person wrote."""
        run_id, row = self._released(version)
        if not run_id:
            return None
        if row is None:
            return Ours(run_id=run_id)
        made = await asyncio.to_thread(_candidate, self._lineage, row)
        return Ours(run_id=run_id, row=row, candidate=made, text=await asyncio.to_thread(self._texts.of, run_id))

    def _released(self, version: Version) -> tuple[str, ReleaseRow | None]:
        """The run behind a version. What its commit message says counts: numbers are given again after deletions."""
        if version.commit_message is None:
            row = self._by_number(version.name, version.number)
            return (row.run_id if row else "", row)
        run_id = run_in(version.commit_message)
        row = self._releases.get(run_id)
        copied = row is not None and (row.prompt != version.name or row.version not in (0, version.number))
        return ("", None) if copied else (run_id, row)

    def _by_number(self, name: str, number: int) -> ReleaseRow | None:
        found = (row for row in self._releases.values() if (row.prompt, row.version) == (name, number))
        return next(found, None)

    async def _read(self, name: str, number: int) -> PromptVersion | None:
        try:
            return await self._registry.get(name, number)
        except NotFound:
            return None

    def _stored(self, name: str, number: int) -> Body | None:
        """What the store holds of a deleted version: as a release of ours, or as what a candidate was made from."""
        row = self._by_number(name, number)
        made = _candidate(self._lineage, row) if row else None
        text = self._texts.of(row.run_id) if row else None
        if text is not None:
            return text.body
        return made.body if made else self._parents.body(name, number)


class _Parents(Records):
    @waiting_out
    def body(self, name: str, number: int) -> Body | None:
        """A version that any candidate was made from."""
        mine = (candidate.c.prompt == name) & (candidate.c.parent_version == number)
        with self._read() as connection:
            found = connection.execute(sa.select(candidate.c.parent_body).where(mine).limit(1)).scalar()
        return None if found is None else body_from_json(found)

    @waiting_out
    def names(self, name: str) -> frozenset[str]:
        """Every name of a prompt that the store has heard of."""
        id_ = sa.select(prompt_name.c.prompt_id).where(prompt_name.c.name == name).scalar_subquery()
        with self._read() as connection:
            return frozenset(
                connection.execute(sa.select(prompt_name.c.name).where(prompt_name.c.prompt_id == id_)).scalars()
            )


def names_of(store: Store, prompt: str, formerly: Sequence[str]) -> tuple[str, ...]:
    """The prompt's name, then those that it had before: the settings know their order, the store may know more."""
    known = _Parents(store.engine).names(prompt)
    return tuple(dict.fromkeys((prompt, *reversed(formerly), *sorted(known))))


def run_in(commit_message: str) -> str:
    """The run that a version's commit message names; empty when it names none."""
    _, mark, rest = commit_message.rpartition("[run ")
    run_id, end, _ = rest.partition("]")
    return run_id if mark and end else ""


def _releases(releases: Releases, names: Sequence[str]) -> Mapping[str, ReleaseRow]:
    return {row.run_id: row for name in names for row in releases.of_prompt(name, limit=MOST_RELEASES)}


def _candidate(lineage: Lineage, row: ReleaseRow) -> Candidate | None:
    try:
        return lineage.load_candidate(row.candidate_id, row.cycle_id)
    except NotFound:
        return None
