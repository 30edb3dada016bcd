"""How far a person's words went, and what an erasure cannot reach: lines, versions, pull requests. Reads only."""

from dataclasses import dataclass

import sqlalchemy as sa

from deploy.forgetting.person import Person, Run
from deploy.store.database import chunks
from deploy.store.schema import edit, effect
from deploy.store.schema_releases import pull_request


@dataclass(frozen=True, slots=True, kw_only=True)
class Influenced:
    """A line of a version that was published, which the person's words had a part in.

    Attributes:
        line: as published; what a person made of it in a pull request is not known here.
        op: whether the line was added, replaced, or removed, and then `line` is empty.
    """

    prompt: str
    version: int
    run_id: str
    op: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What goes on after the erasure.

    Attributes:
        versions: (prompt, number) of everything that stands in the registry because of them, also what no label
            ever pointed to.
        pull_requests: addresses.
    """

    influenced: tuple[Influenced, ...] = ()
    versions: tuple[tuple[str, int], ...] = ()
    pull_requests: tuple[str, ...] = ()


def reach(connection: sa.Connection, person: Person) -> Reach:
    """What the releases that go back to a person have left in the world."""
    runs = sorted(person.runs.values(), key=lambda run: (run.prompt, run.version, run.run_id))
    versions = {(run.prompt, number) for run in runs for number in (run.version, *_strays(connection, run)) if number}
    urls: set[str] = set()
    for some in chunks(person.runs):
        urls |= set(connection.execute(sa.select(pull_request.c.url).where(pull_request.c.run_id.in_(some))).scalars())
    return Reach(
        influenced=tuple(line for run in runs if run.version for line in _lines(connection, person, run)),
        versions=tuple(sorted(versions)),
        pull_requests=tuple(sorted(urls - {""})),
    )


def _lines(connection: sa.Connection, person: Person, run: Run) -> list[Influenced]:
    cycle_id, candidate_id = run.candidate
    mine = (edit.c.cycle_id == cycle_id) & (edit.c.candidate_id == candidate_id)
    return [
        Influenced(prompt=run.prompt, version=run.version, run_id=run.run_id, op=row.op, line=row.text)
        for row in connection.execute(sa.select(edit).where(mine).order_by(edit.c.position))
        if (cycle_id, row.cause_id) in person.causes
    ]


def _strays(connection: sa.Connection, run: Run) -> list[int]:
    """A version that was made while somebody else made another one: it has no label, and stands there all the same."""
    found = sa.select(effect.c.result).where(effect.c.cycle_id == run.run_id)
    results = connection.execute(found).scalars()
    return [said["stray"] for said in results if isinstance(said, dict) and isinstance(said.get("stray"), int)]
