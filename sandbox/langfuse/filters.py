"""The JSON filter language of the observation and metrics endpoints, as SQL. Column names come from our table only."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.langfuse.database import marks
from sandbox.langfuse.errors import Issue, custom, invalid, refused, wrong_option
from sandbox.langfuse.instants import parse

Clause = tuple[str, list[Any]]

OPERATORS: Mapping[str, list[str]] = {
    "string": ["=", "contains", "does not contain", "starts with", "ends with", "matches"],
    "stringOptions": ["any of", "none of"],
    "number": ["=", ">", "<", ">=", "<="],
    "datetime": [">", "<", ">=", "<="],
    "arrayOptions": ["any of", "none of", "all of"],
    "stringObject": ["=", "contains", "does not contain", "starts with", "ends with"],
    "numberObject": ["=", ">", "<", ">=", "<="],
    "boolean": ["=", "<>"],
    "null": ["is null", "is not null"],
}
KINDS: Mapping[str, frozenset[str]] = {
    "text": frozenset({"string", "stringOptions", "null"}),
    "number": frozenset({"number", "null"}),
    "instant": frozenset({"datetime", "null"}),
    "list": frozenset({"arrayOptions"}),
    "object": frozenset({"stringObject"}),
    "flag": frozenset({"boolean"}),
}


@dataclass(frozen=True, slots=True)
class Column:
    """Where a filter column is found, and which kinds of conditions it takes."""

    sql: str
    kind: str


Columns = Mapping[str, Column]


def conditions(raw: str | None) -> list[dict[str, Any]]:
    """The conditions of a `filter` parameter, checked for their shape.

    Raises:
        Refusal: 400, it is no JSON or a condition is malformed.
    """
    if raw is None:
        return []
    try:
        given = json.loads(raw)
    except ValueError:
        raise refused("Invalid JSON in filter parameter") from None
    if not isinstance(given, list):
        raise refused("Invalid JSON in filter parameter")
    issues = [issue for index, item in enumerate(given) for issue in _issues(item, index)]
    if issues:
        raise invalid(*issues)
    return given


def clause(condition: Mapping[str, Any], columns: Columns) -> Clause:
    """One condition as SQL and its values.

    Raises:
        Refusal: 400, the column is unknown or does not take this type of condition.
    """
    column = columns.get(condition["column"])
    if column is None:
        raise refused(f"Column {condition['column']} does not match a UI / CH table mapping.")
    kind = condition["type"]
    if kind not in KINDS[column.kind]:
        raise refused(f"Filter type {kind} is not compatible with column {condition['column']}.")
    if kind == "null":
        empty = f"({column.sql} IS NULL OR {column.sql} = '')"
        return (empty if condition["operator"] == "is null" else f"NOT {empty}"), []
    return WRITERS[kind](column.sql, condition)


def _text(sql: str, condition: Mapping[str, Any]) -> Clause:
    operator, value = condition["operator"], str(condition["value"])
    if operator == "=":
        return f"{sql} = ?", [value]
    if operator == "starts with":
        return f"substr({sql}, 1, ?) = ?", [len(value), value]
    if operator == "ends with":
        return f"substr({sql}, -?) = ?", [len(value), value]
    found = f"instr({sql}, ?) > 0"
    return (f"NOT coalesce({found}, 0)" if operator == "does not contain" else found), [value]


def _options(sql: str, condition: Mapping[str, Any]) -> Clause:
    values = list(condition["value"])
    negation = "NOT " if condition["operator"] == "none of" else ""
    return f"{sql} {negation}IN ({marks(values)})", values


def _number(sql: str, condition: Mapping[str, Any]) -> Clause:
    return f"{sql} {condition['operator']} ?", [condition["value"]]


def _instant(sql: str, condition: Mapping[str, Any]) -> Clause:
    try:
        return f"{sql} {condition['operator']} ?", [parse(condition["value"])]
    except (TypeError, ValueError):
        raise invalid(custom("Invalid ISO datetime", "filter", condition["column"])) from None


def _flag(sql: str, condition: Mapping[str, Any]) -> Clause:
    return f"{sql} {condition['operator']} ?", [int(condition["value"])]


def _list(sql: str, condition: Mapping[str, Any]) -> Clause:
    values = list(condition["value"])
    held = f"(SELECT count(DISTINCT value) FROM json_each({sql}) WHERE value IN ({marks(values)}))"
    if condition["operator"] == "all of":
        return f"{held} = ?", [*values, len(set(values))]
    return f"{held} {'>' if condition['operator'] == 'any of' else '='} 0", values


def _object(sql: str, condition: Mapping[str, Any]) -> Clause:
    # the key is bound, so no text of the request becomes a JSON path
    held = f"(SELECT value FROM json_each({sql}) WHERE key = ?)"
    text, values = _text(held, condition)
    return text, [*values[: text[: text.find(held)].count("?")], condition["key"], *values]


WRITERS: Mapping[str, Callable[[str, Mapping[str, Any]], Clause]] = {
    "string": _text,
    "stringOptions": _options,
    "number": _number,
    "datetime": _instant,
    "arrayOptions": _list,
    "stringObject": _object,
    "boolean": _flag,
}


def _issues(item: Any, index: int) -> list[Issue]:
    if not isinstance(item, dict) or item.get("type") not in OPERATORS:
        return [wrong_option(list(OPERATORS), "filter", index, "type")]
    if item.get("operator") not in OPERATORS[item["type"]]:
        return [wrong_option(OPERATORS[item["type"]], "filter", index, "operator")]
    if not isinstance(item.get("column"), str):
        return [custom("Invalid input: expected string", "filter", index, "column")]
    if item["type"] == "null":
        return []
    value, wanted = item.get("value"), VALUES[item["type"]]
    if not isinstance(value, wanted) or (wanted is not bool and isinstance(value, bool)):
        return [custom(f"Invalid value for a {item['type']} filter", "filter", index, "value")]
    if value in ("", []):
        return [custom("Filter values must not be empty", "filter", index, "value")]
    if item["type"].endswith("Object") and not isinstance(item.get("key"), str):
        return [custom("Invalid input: expected string", "filter", index, "key")]
    return []


VALUES: Mapping[str, Any] = {
    "string": str,
    "stringOptions": list,
    "number": int | float,
    "datetime": str,
    "arrayOptions": list,
    "stringObject": str,
    "numberObject": int | float,
    "boolean": bool,
}
