"""Why every line of a prompt is there: the version that brought it in, and the release, cause and people behind that.

Reads the registry and the store, writes nothing. A line whose past cannot be known says so; it is never guessed.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from deploy.lifecycle import ReleaseState
from deploy.lineage.attributing import Line, Made, Match, Walk, lines_of, made_by, matched
from deploy.lineage.versions import Ours, Version, Versions, names_of
from deploy.store.facade import Store
from optimizer.errors import NotFound
from optimizer.ports import PromptRegistry
from optimizer.proof import GateReport
from optimizer.types import Candidate, Edit


class Author(StrEnum):
    """Who wrote a line."""

    RELEASE = "release"
    PULL_REQUEST = "pull request"
    PERSON = "person"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a line came from.

    Attributes:
        name, version: the version that brought it in; `name` is what the prompt was called then.
        since: the first of the deleted versions right before it, each of which may have brought it in instead; 0 for
            none.
        run_id: the release behind the version; empty for a version that is not ours.
        edit: of ours, None for a line that a person wrote.
        who: the person, where the pull request says so.
    """

    author: Author
    name: str
    version: int
    since: int = 0
    run_id: str = ""
    edit: Edit | None = None
    who: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A release that some line came from.

    Attributes:
        approver: who let it go on, and when; empty and None for one that nobody has approved.
    """

    run_id: str
    cycle_id: str
    state: ReleaseState
    version: int
    report: GateReport | None
    approver: str
    approved_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """Every line of the version that a label points to, and its origin. Both tuples are in the order of the lines."""

    prompt: str
    label: str
    version: int
    lines: tuple[Line, ...]
    origins: tuple[Origin, ...]
    releases: Mapping[str, Released]


async def blame(
    store: Store, registry: PromptRegistry, prompt: str, *, label: str, formerly: Sequence[str] = ()
) -> Blame:
    """The origin of every line that production reads.

    Args:
        formerly: names that the prompt had before, the oldest first.

    Raises:
        NotFound: the prompt does not exist, or no version has the label.
    """
    head = (await registry.head(prompt, label=label)).production
    names = await asyncio.to_thread(names_of, store, prompt, formerly)
    versions = await asyncio.to_thread(Versions, store, registry, names)
    here = Version(name=prompt, number=head.version, body=head.body, commit_message=head.commit_message)
    lines = lines_of(head.body)
    origins = await _walked(_History(versions, registry, names, label), here, Walk.of(lines))
    runs = sorted({origin.run_id for origin in origins.values() if origin.run_id})
    known = await asyncio.gather(*(asyncio.to_thread(_release, store, run_id) for run_id in runs))
    return Blame(
        prompt=prompt,
        label=label,
        version=head.version,
        lines=lines,
        origins=tuple(origins[place] for place in range(len(lines))),
        releases={release.run_id: release for release in known if release is not None},
    )


async def _walked(history: "_History", here: Version, walk: Walk) -> dict[int, Origin]:
    """The origins by place, going back until every line has one."""
    origins: dict[int, Origin] = {}
    while walk.open:
        ours = await history.versions.ours(here)
        before, since = await history.before(here, ours)
        candidate = ours.candidate if ours else None
        made = made_by(here.body, base=candidate.parent.body, edits=candidate.edits) if candidate else None
        walk, came = walk.back(_match(here, before, made, candidate))
        for first, place in came.items():
            origins[first] = _origin(here, place, ours, made, since)
        if before is not None:
            here = before
    return origins


def _match(here: Version, before: Version | None, made: Made | None, candidate: Candidate | None) -> Match:
    """Which lines of a version the one before had; none, when there is none before."""
    if before is None:
        return {}
    if made is None or candidate is None:
        return matched(lines_of(here.body), lines_of(before.body))
    same = matched(lines_of(candidate.parent.body), lines_of(before.body))
    return {place: same[there] for place, there in made.match.items() if there in same}


def _origin(here: Version, place: int, ours: Ours | None, made: Made | None, since: int) -> Origin:
    where = Origin(author=Author.PERSON, name=here.name, version=here.number, since=since)
    if ours is None:
        # of a deleted version nobody knows any more who wrote it
        return where if here.commit_message is not None else replace(where, author=Author.UNKNOWN)
    if made is None:
        return replace(where, author=Author.UNKNOWN, run_id=ours.run_id)
    if place in made.edits:
        return replace(where, author=Author.RELEASE, run_id=ours.run_id, edit=made.edits[place])
    if place in made.by_hand:
        who = ours.text.author if ours.text else ""
        return replace(where, author=Author.PULL_REQUEST, run_id=ours.run_id, who=who)
    # the base had it, and the base is not known any more
    base = ours.row.base_version if ours.row else 0
    return Origin(author=Author.UNKNOWN, name=here.name, version=base, since=since)


class _History:
    """Which version came before another one."""

    def __init__(self, versions: Versions, registry: PromptRegistry, names: Sequence[str], label: str) -> None:
        self.versions = versions
        self._registry = registry
        self._names = names
        self._label = label

    async def before(self, version: Version, ours: Ours | None) -> tuple[Version | None, int]:
        """The version that this one was made from, and the first of the deleted ones in between; 0 for none.

        Ours were made from what production read then; a person's, as far as anybody knows, from the one before it.
        """
        if ours and ours.candidate and ours.candidate.parent.version < version.number:
            base = ours.candidate.parent
            known = await self.versions.get(version.name, base.version)
            return known or Version(name=version.name, number=base.version, body=base.body), 0
        since = 0
        for number in range(version.number - 1, 0, -1):
            found = await self.versions.get(version.name, number)
            if found is not None:
                return found, since
            since = number
        return await self._under_former_name(version.name), since

    async def _under_former_name(self, name: str) -> Version | None:
        """What production read when the prompt got its present name: where its label was left."""
        for former in self._names[self._names.index(name) + 1 :]:
            try:
                left = (await self._registry.head(former, label=self._label)).production
            except NotFound:
                continue
            return Version(name=former, number=left.version, body=left.body, commit_message=left.commit_message)
        return None


def _release(store: Store, run_id: str) -> Released | None:
    try:
        row = store.releases.get(run_id)
    except NotFound:
        return None
    approved = next((e for e in store.releases.events(run_id) if e.state is ReleaseState.APPROVED), None)
    return Released(
        run_id=run_id,
        cycle_id=row.cycle_id,
        state=row.state,
        version=row.version,
        report=store.reports.load(row.cycle_id),
        approver=row.approver or (approved.actor if approved else ""),
        approved_at=approved.at if approved else None,
    )
