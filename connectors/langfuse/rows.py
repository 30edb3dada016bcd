"""Langfuse's rows as far as we need them, and how they become the loop's values.

A row that does not fit stays what it was in JSON, so that it can be counted; it must never fail its page. Rows are
slotted dataclasses, which pydantic fills: its own models are three objects each, and a pull makes 20,000 of them.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field, FiniteFloat, StrictBool, TypeAdapter, with_config
from pydantic.alias_generators import to_camel

from connectors.langfuse.paging import Page
from connectors.source_keys import source_key
from optimizer.types import Generation, Score, ScoreKind

WIRE = ConfigDict(alias_generator=to_camel, extra="ignore")


@with_config(WIRE)
@dataclass(slots=True, kw_only=True)
class Subject:
    """What a score is about."""

    kind: Literal["trace", "observation", "session", "experiment"]
    id: str
    trace_id: str | None = None


@with_config(WIRE)
@dataclass(slots=True, kw_only=True)
class ScoreRow:
    """A row of GET /api/public/v3/scores with the groups details and subject."""

    id: str
    name: str
    data_type: ScoreKind
    value: StrictBool | FiniteFloat | str
    comment: str | None = None
    subject: Subject
    environment: str
    timestamp: AwareDatetime
    updated_at: AwareDatetime


@with_config(WIRE)
@dataclass(slots=True, kw_only=True)
class ObservationRow:
    """A row of GET /api/public/v2/observations with the groups basic, io, model, prompt and trace_context.

    `provided_model_name` is what some versions call `model`.
    """

    id: str
    trace_id: str
    type: str
    start_time: AwareDatetime
    environment: str
    input: str | None = None
    output: str | None = None
    model: str | None = None
    provided_model_name: str | None = None
    prompt_name: str | None = None
    prompt_version: int | None = None
    user_id: str | None = None
    session_id: str | None = None
    tags: list[str] | None = None
    experiment_id: str | None = None


_Unread = Any
"""Whatever JSON a row was that is not one of ours."""

SCORES: TypeAdapter[Page[ScoreRow | _Unread]] = TypeAdapter(
    Page[Annotated[ScoreRow | _Unread, Field(union_mode="left_to_right")]]
)
OBSERVATIONS: TypeAdapter[Page[ObservationRow | _Unread]] = TypeAdapter(
    Page[Annotated[ObservationRow | _Unread, Field(union_mode="left_to_right")]]
)

_TYPES = {ScoreKind.NUMERIC: float, ScoreKind.BOOLEAN: bool}


def is_score(row: ScoreRow | _Unread) -> bool:
    """True when the row was read, its value has the type it names, and it says which trace it is about."""
    return (
        isinstance(row, ScoreRow)
        and type(row.value) is _TYPES.get(row.data_type, str)
        and (row.subject.kind != "observation" or bool(row.subject.trace_id))
    )


def to_score(row: ScoreRow) -> Score:
    """The loop's value of a score row about a trace or an observation."""
    on_observation = row.subject.kind == "observation"
    return Score(
        id=row.id,
        name=row.name,
        kind=row.data_type,
        value=row.value,
        comment=row.comment or "",
        trace_id=(row.subject.trace_id or "") if on_observation else row.subject.id,
        observation_id=row.subject.id if on_observation else "",
        environment=row.environment,
        at=row.timestamp,
        updated_at=row.updated_at,
    )


def to_generation(row: ObservationRow, *, source_secret: bytes) -> Generation:
    """The loop's value of a generation row; who was behind it is hashed here and goes no further."""
    return Generation(
        id=row.id,
        trace_id=row.trace_id,
        prompt_name=row.prompt_name or "",
        prompt_version=row.prompt_version or 0,
        environment=row.environment,
        at=row.start_time,
        input=row.input or "",
        output=row.output or "",
        model=row.model or row.provided_model_name or "",
        source_key=source_key(row.user_id or "", row.session_id or "", secret=source_secret),
        tags=tuple(row.tags or ()),
    )
