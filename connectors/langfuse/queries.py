"""What to ask Langfuse for: parameters of the scores endpoint, and filters of the observations endpoint.

The server's filters are there to save traffic. What they cannot say exactly (a bound that is exclusive, a name with a
comma) is asked for more widely and must be filtered again by the caller.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from optimizer.rules import BooleanRule, CategoryRule, CorrectionRule, Direction, EveryScore, NumericRule, ScoreRule
from optimizer.types import ScoreKind, Window

Condition: TypeAlias = "dict[str, str | list[str]]"

IDS_PER_REQUEST = 100
"""Trace ids in one filter: about 4,400 bytes of address, well under the usual 8 KiB."""

_ALMOST_A_MS = timedelta(microseconds=999)
"""Rounds an end up: a window that is a little too wide loses nothing."""

OBSERVATION_FIELDS = "core,basic,io,model,prompt,trace_context"


def score_params(rule: ScoreRule, window: Window, environments: Sequence[str]) -> dict[str, str]:
    """Parameters of GET /api/public/v3/scores for one rule."""
    params = {
        "fields": "details,subject",
        "environment": ",".join(environments),
        "fromTimestamp": moment(window.start),
        "toTimestamp": moment(window.end + _ALMOST_A_MS),
    }
    match rule:
        case CorrectionRule():
            return {**params, "dataType": ScoreKind.CORRECTION}
        case NumericRule():
            bound = "valueMax" if rule.direction is Direction.HIGHER_IS_BETTER else "valueMin"
            params |= {"dataType": ScoreKind.NUMERIC, bound: repr(rule.threshold)}
        case BooleanRule():
            params |= {"dataType": ScoreKind.BOOLEAN, "value": str(rule.bad).lower()}
        case CategoryRule():
            params |= {"dataType": ScoreKind.CATEGORICAL, **_listed("value", rule.bad)}
        case EveryScore():
            pass  # of any type, with any value
    return params | _listed("name", [rule.name])


def any_of(column: str, values: Sequence[str]) -> Condition:
    """A condition: the column holds one of the values."""
    return {"type": "stringOptions", "column": column, "operator": "any of", "value": list(values)}


def started_since(start: datetime) -> Condition:
    """A condition: started at `start` or later."""
    return {"type": "datetime", "column": "startTime", "operator": ">=", "value": moment(start)}


def started_before(end: datetime) -> Condition:
    """A condition: started before `end`."""
    return {"type": "datetime", "column": "startTime", "operator": "<", "value": moment(end + _ALMOST_A_MS)}


def observation_params(
    environments: Sequence[str], *conditions: Condition, fields: str = OBSERVATION_FIELDS
) -> dict[str, str]:
    """Parameters of GET /api/public/v2/observations for generations.

    Every condition is in `filter`: whether plain parameters count beside it depends on the server's version.
    """
    every = [any_of("type", ["GENERATION"]), any_of("environment", environments), *conditions]
    return {"fields": fields, "filter": json.dumps(every, separators=(",", ":"))}


def moment(at: datetime) -> str:
    """A moment as Langfuse writes it: UTC, milliseconds, rounded down."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _listed(name: str, values: Sequence[str]) -> dict[str, str]:
    """A comma-separated parameter, or none when a value holds a comma itself."""
    return {} if any("," in value for value in values) else {name: ",".join(values)}
