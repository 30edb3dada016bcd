"""Two prompt ids that turn out to be one prompt: what is kept under the one goes to the other.

It happens when a prompt was renamed and somebody ran it before the settings named its former name. Merging must never
free anything: stakes count anew from today, and a case that either has used stays used.
"""

import sqlalchemy as sa

from deploy.store.database import insert_new
from deploy.store.schema import agreement, case_use, ledger_day, prompt_name, stake


def merge(connection: sa.Connection, prompt_id: str, *, into: str, day: int) -> None:
    """Move everything inside the caller's transaction, stakes to this ledger day; the ledger days are dropped."""
    connection.execute(sa.update(stake).where(stake.c.prompt_id == prompt_id).values(prompt_id=into, day=day))
    connection.execute(sa.update(prompt_name).where(prompt_name.c.prompt_id == prompt_id).values(prompt_id=into))
    for table in (case_use, agreement):
        rows = connection.execute(sa.select(table).where(table.c.prompt_id == prompt_id)).mappings().all()
        insert_new(connection, table, [{**row, "prompt_id": into} for row in rows])
    for table in (case_use, agreement, ledger_day):
        connection.execute(sa.delete(table).where(table.c.prompt_id == prompt_id))
