"""Slices that only a person's cases were in: an application may have written anything into a tag, and tags name slices.

Must run before the tags of the cases are gone: from these it follows whose a slice is.
"""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from deploy.forgetting.person import Person
from deploy.store.database import chunks
from deploy.store.schema import case_result, cycle, cycle_event, gate_report, release, release_event
from gates.slices import names
from optimizer.identity import Json
from optimizer.types import Case, CaseInput, CaseOrigin, Missing


def erase_slices(connection: sa.Connection, person: Person, erased: str) -> int:
    """Take the names of such slices out of reports and of the sentences that repeat these; how many reports."""
    found = sa.select(case_result.c.cycle_id).where(case_result.c.tags != [])
    cycles = {
        id_
        for some in chunks(person.sources)
        for id_ in connection.execute(found.where(case_result.c.source_key.in_(some))).scalars()
    }
    return sum(
        _erase(connection, cycle_id, gone, erased)
        for cycle_id in cycles
        if (gone := _gone(connection, person, cycle_id))
    )


def _gone(connection: sa.Connection, person: Person, cycle_id: str) -> frozenset[str]:
    """Slices of a gate that nobody else had a part in."""
    hers, others = set[str](), set[str]()
    found = sa.select(case_result.c.source_key, case_result.c.tags).where(case_result.c.cycle_id == cycle_id)
    for row in connection.execute(found):
        (hers if row.source_key in person.sources else others).update(_names(row.tags))
    return frozenset(hers - others)


def _names(tags: Iterable[str]) -> frozenset[str]:
    missing = Missing.NO_REFERENCE
    blank = Case(id="", origin=CaseOrigin.REPLAY, input=CaseInput(), reference=missing, source_key="", tags=tuple(tags))
    return names(blank)


def _erase(connection: sa.Connection, cycle_id: str, gone: frozenset[str], erased: str) -> int:
    here = gate_report.c.cycle_id == cycle_id
    numbers = connection.execute(sa.select(gate_report.c.numbers).where(here)).scalar()
    without = _without(numbers, gone, erased)
    connection.execute(sa.update(gate_report).where(here).values(numbers=without))
    runs = sa.select(release.c.run_id).where(release.c.cycle_id == cycle_id).scalar_subquery()
    for table, mine in (
        (cycle, cycle.c.id == cycle_id),
        (cycle_event, cycle_event.c.cycle_id == cycle_id),
        (release, release.c.cycle_id == cycle_id),
        (release_event, release_event.c.run_id.in_(runs)),
    ):
        for reason in set(connection.execute(sa.select(table.c.reason).where(mine)).scalars()):
            said = _without(reason, gone, erased)
            if said != reason:
                connection.execute(sa.update(table).where(mine, table.c.reason == reason).values(reason=said))
    return int(without != numbers)


def _without(said: Json, gone: frozenset[str], erased: str) -> Json:
    """The same JSON with the names taken out of every text, the longest first: one may be part of another."""
    if isinstance(said, str):
        for name in sorted(gone, key=len, reverse=True):
            said = said.replace(name, erased)
        return said
    if isinstance(said, list):
        return [_without(item, gone, erased) for item in said]
    if isinstance(said, Mapping):
        return {key: _without(item, gone, erased) for key, item in said.items()}
    return said
