"""Who may act for a cycle now: the one question that is asked inside every transaction that permits an effect.

DBOS gives every execution of a workflow an ownership token and takes it away at hand-over and cancel, but looks at it
only when it writes its own rows. Between two of those a process that slept may wake up and go on. So whoever is about
to pay or to publish asks first, in the same transaction that records the intent. This file must never give a token
back from the row: the row may already hold the successor's.
"""

from dataclasses import dataclass

import sqlalchemy as sa


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of one cycle.

    Attributes:
        cycle_id: `prompt@slot`; journal and lineage are kept under it.
        workflow_id: DBOS's id; another one when a cycle was forked.
        token: proof of ownership, taken from the running workflow's context.
    """

    cycle_id: str
    prompt: str
    workflow_id: str
    token: str


class LeaseLost(Exception):
    """This execution no longer owns its cycle; it must stop, and change nothing on its way out.

    Not a TracegradError, so that a stage that turns failures into values does not swallow it.
    """


# A shared lock on PostgreSQL, so that calls run in parallel; an update that changes nothing takes SQLite's write lock.
_POSTGRES = sa.text("select owner_xid from dbos.workflow_status where workflow_uuid = :id for share")
_SQLITE = sa.text("update workflow_status set owner_xid = owner_xid where workflow_uuid = :id returning owner_xid")


def hold(connection: sa.Connection, run: Run) -> None:
    """Keep the cycle ours until this transaction ends. Its first statement, always.

    Raises:
        LeaseLost: somebody else owns the cycle, or nobody does.
    """
    statement = _POSTGRES if connection.dialect.name == "postgresql" else _SQLITE
    if connection.execute(statement, {"id": run.workflow_id}).scalar() != run.token:
        raise LeaseLost(run.cycle_id)
