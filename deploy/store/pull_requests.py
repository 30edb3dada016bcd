"""Which pull request asks about which release, and what became of it when somebody last looked."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from deploy.store.database import Records, upsert, waiting_out
from deploy.store.schema import release
from deploy.store.schema_releases import pull_request
from optimizer.ports import PullRequest, PullState

OPEN = PullState.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One release's pull request."""

    run_id: str
    request: PullRequest
    state: PullState
    checked_at: datetime


class PullRequests(Records):
    """Pull requests by release."""

    @waiting_out
    def keep(self, asked: Asked) -> None:
        """Remember a pull request as it stands."""
        row = {
            "run_id": asked.run_id,
            "number": asked.request.number,
            "url": asked.request.url,
            "branch": asked.request.branch,
            "state": asked.state.value,
            "checked_at": asked.checked_at,
        }
        with self._write() as connection:
            upsert(connection, pull_request, [row])

    @waiting_out
    def of(self, run_id: str) -> Asked | None:
        """The pull request of a release, None when none was opened."""
        with self._read() as connection:
            row = connection.execute(sa.select(pull_request).where(pull_request.c.run_id == run_id)).one_or_none()
        return None if row is None else _asked(row)

    @waiting_out
    def in_state(self, prompt: str, state: PullState) -> tuple[Asked, ...]:
        """Pull requests of a prompt's releases that stood like this when somebody last looked, oldest first."""
        mine = sa.select(pull_request).join(release, release.c.run_id == pull_request.c.run_id)
        found = mine.where(release.c.prompt == prompt, pull_request.c.state == state.value)
        with self._read() as connection:
            rows = connection.execute(found.order_by(release.c.created_at, release.c.run_id))
            return tuple(_asked(row) for row in rows)

    @waiting_out
    def prompt_of(self, branch: str) -> str:
        """The prompt that a branch is about; empty for a branch that is not ours."""
        named = sa.select(release.c.prompt).join(pull_request, pull_request.c.run_id == release.c.run_id)
        with self._read() as connection:
            found = connection.execute(named.where(pull_request.c.branch == branch).limit(1)).scalar_one_or_none()
        return found or ""


def _asked(row: sa.Row[Any]) -> Asked:
    return Asked(
        run_id=row.run_id,
        request=PullRequest(number=row.number, url=row.url, branch=row.branch),
        state=PullState(row.state),
        checked_at=row.checked_at,
    )
