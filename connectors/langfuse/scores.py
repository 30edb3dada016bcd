"""Writes scores into Langfuse: a list at once where the server takes one, one by one below 4.59.

Ids are content addresses, so writing twice changes nothing. A rejected score is reported and never sent again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from pydantic import BaseModel, TypeAdapter

from connectors.langfuse.border import read
from connectors.langfuse.client import LangfuseClient
from connectors.langfuse.limiter import Bucket, RateLimiter
from connectors.langfuse.queries import moment
from connectors.langfuse.settings import LangfuseAccess
from optimizer.errors import BadAnswer
from optimizer.identity import Json, digest
from optimizer.types import ScoreKind

_BATCH = 100
"""Scores per POST: far below the server's limit of 1 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreDraft:
    """A score to be written: one per subject and name.

    Attributes:
        trace_id: with `observation_id` for one observation of it; empty for a score of a whole experiment.
    """

    trace_id: str
    name: str
    kind: ScoreKind
    value: float | bool | str
    at: datetime
    observation_id: str = ""
    experiment_id: str = ""
    comment: str = ""

    @property
    def id(self) -> str:
        """The same judgement has the same id, so a later one replaces it."""
        return digest("score", self.trace_id or self.experiment_id, self.observation_id, self.name)[:32]


class _Rejection(BaseModel):
    message: str = "no reason given"


class _Partly(BaseModel):
    errors: list[_Rejection] = []


_PARTLY = TypeAdapter(_Partly)


class LangfuseScores:
    """Writes into our own environment of one project. An async context manager.

    Args:
        batch: what the probe of the server said: `Server.batch_scores`.
    """

    def __init__(self, access: LangfuseAccess, *, batch: bool, limiter: RateLimiter | None = None) -> None:
        self._access = access
        self._batch = batch
        self._client = LangfuseClient(access, limiter)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def write(self, drafts: Sequence[ScoreDraft]) -> tuple[str, ...]:
        """Write all, and return why some were rejected: empty when none was."""
        bodies = [self._body(draft) for draft in drafts]
        if not self._batch:
            return tuple([reason for body in bodies for reason in await self._one(body)])
        groups = [bodies[start : start + _BATCH] for start in range(0, len(bodies), _BATCH)]
        return tuple([reason for group in groups for reason in await self._many(group)])

    async def _one(self, body: Json) -> list[str]:
        try:
            await self._client.post("/api/public/scores", body, bucket=Bucket.GENERAL)
        except BadAnswer as error:
            return [error.what]
        return []

    async def _many(self, bodies: list[Json]) -> list[str]:
        answer = await self._client.post("/api/public/scores", bodies, bucket=Bucket.GENERAL)
        if answer.status != 207:
            return []
        return [rejection.message for rejection in read(_PARTLY, answer.body, host=self._access.base_url).errors]

    def _body(self, draft: ScoreDraft) -> Json:
        body: dict[str, Json] = {
            "id": draft.id,
            "name": draft.name,
            "dataType": draft.kind,
            # the server wants 0 or 1 for a boolean
            "value": int(draft.value) if isinstance(draft.value, bool) else draft.value,
            "environment": self._access.own_environment,
            "timestamp": moment(draft.at),
        }
        optional = {
            "traceId": draft.trace_id,
            "observationId": draft.observation_id,
            "datasetRunId": draft.experiment_id,  # the wire's older word for an experiment
            "comment": draft.comment,
        }
        return body | {name: value for name, value in optional.items() if value}
