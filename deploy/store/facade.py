"""Everything that is stored, one attribute per noun. Methods block: call them with `asyncio.to_thread` from a loop."""

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.exc import DatabaseError

from deploy.store.agreements import Agreements
from deploy.store.case_uses import CaseUses
from deploy.store.cycles import Cycles
from deploy.store.database import migrate, open_database
from deploy.store.effects import Effects
from deploy.store.exposures import Exposures
from deploy.store.freezes import Freezes
from deploy.store.journal import Journal
from deploy.store.ledger import Ledgers
from deploy.store.limits import Limits
from deploy.store.lineage import Lineage
from deploy.store.looks import Looks
from deploy.store.orders import Orders
from deploy.store.polls import Polls
from deploy.store.pull_requests import PullRequests
from deploy.store.refusals import Refusals
from deploy.store.refused_edits import RefusedEdits
from deploy.store.release_texts import ReleaseTexts
from deploy.store.releases import Releases
from deploy.store.reports import Reports
from deploy.store.splits import Splits
from deploy.store.texts import Texts
from deploy.store.traces import Traces
from optimizer.errors import BadSettings
from optimizer.ports import Clock


class Store:
    """The tables, over one engine that is migrated already."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self.engine = engine
        self.texts = Texts(engine)
        self.traces = Traces(engine)
        self.polls = Polls(engine)
        self.limits = Limits(engine)
        self.cycles = Cycles(engine)
        self.lineage = Lineage(engine)
        self.refusals = Refusals(engine)
        self.reports = Reports(engine)
        self.releases = Releases(engine)
        self.release_texts = ReleaseTexts(engine)
        self.orders = Orders(engine)
        self.freezes = Freezes(engine)
        self.pull_requests = PullRequests(engine)
        self.splits = Splits(engine)
        self.exposures = Exposures(engine)
        self.looks = Looks(engine)
        self.refused_edits = RefusedEdits(engine)
        self.ledgers = Ledgers(engine)
        self.case_uses = CaseUses(engine)
        self.agreements = Agreements(engine)
        self.journal = Journal(engine, clock)
        self.effects = Effects(engine, clock)

    @classmethod
    def open(cls, url: str, clock: Clock) -> "Store":
        """Open and migrate a database. Raises BadSettings when it is none, or not ours."""
        engine = open_database(url)
        where = engine.url.render_as_string(hide_password=True).removeprefix("sqlite:///")
        try:
            migrate(engine)
        except DatabaseError as error:
            engine.dispose()
            raise BadSettings(
                f"{where} cannot be used as Tracegrad's database ({error.orig})",
                "move what is there away, or set another `state_dir`",
            ) from error
        except CommandError as error:
            engine.dispose()
            raise BadSettings(
                f"{where} was made by another version of Tracegrad", "use that version, or set another `state_dir`"
            ) from error
        return cls(engine, clock)

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()
