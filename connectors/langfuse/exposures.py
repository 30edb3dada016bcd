"""Production's answers as exposures: who was shown what, how long it took and what it cost, without a word of it.

The raw user or session key is seen here, given to the flag service's hash and to our own, and goes no further.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, FiniteFloat, TypeAdapter, with_config

from connectors.langfuse.paging import Page
from connectors.langfuse.rows import WIRE
from connectors.source_keys import source_key
from optimizer.rollouts import Exposure
from optimizer.types import Missing

EXPOSURE_FIELDS = "core,basic,model,usage,prompt,metrics,trace_context"
"""All groups but the texts and the metadata."""

FAILED = "ERROR"
"""The level of a call that ended in an error."""


@with_config(WIRE)
@dataclass(slots=True, kw_only=True)
class AnswerRow:
    """A row of GET /api/public/v2/observations with the groups of `EXPOSURE_FIELDS`; latency in s, cost in USD."""

    id: str
    trace_id: str
    type: str
    start_time: AwareDatetime
    environment: str
    level: str | None = None
    model: str | None = None
    provided_model_name: str | None = None
    prompt_version: int | None = None
    user_id: str | None = None
    session_id: str | None = None
    tags: list[str] | None = None
    experiment_id: str | None = None
    latency: FiniteFloat | None = None
    total_cost: FiniteFloat | None = None


ANSWERS: TypeAdapter[Page[AnswerRow | Any]] = TypeAdapter(
    Page[Annotated[AnswerRow | Any, Field(union_mode="left_to_right")]]
)


def to_exposure(row: AnswerRow, *, place: Callable[[str], float], by: str, secret: bytes) -> Exposure | None:
    """The exposure of an answer; None when nobody knows whose it was."""
    user, session = (row.user_id or "", "") if by == "user" else ("", row.session_id or "")
    if not (key := user or session):
        return None
    return Exposure(
        trace_id=row.trace_id,
        unit=source_key(user, session, secret=secret),
        place=place(key),
        at=row.start_time,
        version=row.prompt_version or 0,
        model=row.model or row.provided_model_name or "",
        failed=row.level == FAILED,
        latency_s=Missing.NOT_RECORDED if row.latency is None else row.latency,
        cost_usd=Missing.NOT_RECORDED if row.total_cost is None else row.total_cost,
    )
