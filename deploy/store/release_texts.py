"""What people made of candidates in pull requests: the texts that are released in the candidates' stead."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from deploy.store.database import Records, insert_new, waiting_out
from deploy.store.schema import release
from deploy.store.schema_releases import release_text
from optimizer.prompts import Body, body_from_json, body_json


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseText:
    """A person's text for a release, and the commit that it was read from."""

    run_id: str
    revision: str
    body: Body
    author: str
    at: datetime


class ReleaseTexts(Records):
    """Texts by release and revision."""

    @waiting_out
    def keep(self, text: ReleaseText) -> None:
        """Keep a text; the first of a revision stays."""
        row = {"run_id": text.run_id, "revision": text.revision, "author": text.author, "at": text.at}
        with self._write() as connection:
            insert_new(connection, release_text, [{**row, "body": body_json(text.body)}])

    @waiting_out
    def of(self, run_id: str) -> ReleaseText | None:
        """The newest text that a person made of a release; None when nobody changed it."""
        return self._newest(release_text.c.run_id == run_id)

    @waiting_out
    def at_revision(self, prompt: str, revision: str) -> ReleaseText | None:
        """A prompt's text that was read from a commit, which may hold the texts of others as well."""
        mine = sa.select(release.c.run_id).where(release.c.prompt == prompt)
        return self._newest((release_text.c.revision == revision) & release_text.c.run_id.in_(mine))

    def _newest(self, which: sa.ColumnElement[bool]) -> ReleaseText | None:
        found = sa.select(release_text).where(which).order_by(release_text.c.at.desc(), release_text.c.revision)
        with self._read() as connection:
            row = connection.execute(found.limit(1)).one_or_none()
        if row is None:
            return None
        return ReleaseText(
            run_id=row.run_id, revision=row.revision, body=body_from_json(row.body), author=row.author, at=row.at
        )
