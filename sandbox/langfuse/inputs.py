"""Reads query parameters and JSON bodies, and collects what is wrong with them the way zod reports it.

All issues of one request are reported together; nothing is guessed or repaired.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from starlette.datastructures import QueryParams

from sandbox.langfuse.errors import Issue, custom, invalid, wrong_option, wrong_type
from sandbox.langfuse.instants import parse

SURROGATE = "\\ud"
JSON_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (str, "string"),
    (int, "number"),
    (float, "number"),
    (list, "array"),
    (dict, "object"),
)


def json_type(value: object) -> str:
    """The name JavaScript's validators give this value's type."""
    return next((name for kind, name in JSON_TYPES if isinstance(value, kind)), "null")


class Query:
    """The parameters of one GET. Read them all, then call `check`."""

    def __init__(self, params: QueryParams, *, known: Collection[str] | None = None) -> None:
        self._params = params
        self.issues: list[Issue] = []
        unknown = sorted(set(params) - set(known)) if known is not None else []
        if unknown:
            named = ", ".join(f'"{name}"' for name in unknown)
            message = f"Unrecognized key{'s' if len(unknown) > 1 else ''}: {named}"
            self.issues.append({"code": "unrecognized_keys", "keys": unknown, "path": [], "message": message})

    def check(self) -> None:
        """Raise what was found wrong, if anything."""
        if self.issues:
            raise invalid(*self.issues)

    def text(self, name: str) -> str | None:
        """One value, or None when it is absent."""
        return self._params.get(name)

    def every(self, name: str) -> list[str]:
        """All values of a repeated parameter."""
        return self._params.getlist(name)

    def csv(self, name: str) -> list[str]:
        """The parts of a comma separated list."""
        return [part for part in (self._params.get(name) or "").split(",") if part]

    def number(self, name: str) -> float | None:
        """A number, or None when it is absent."""
        raw = self._params.get(name)
        if raw is None:
            return None
        try:
            return float(raw)
        except ValueError:
            self.issues.append(wrong_type("number", "NaN", name))
            return None

    def whole(self, name: str, default: int, *, most: int | None = None) -> int:
        """A whole number of at least 1."""
        number = self.number(name)
        value = default if number is None else int(number)
        if value < 1:
            self.issues.append(_bound("too_small", "minimum", 1, ">=", name))
        if most is not None and value > most:
            self.issues.append(_bound("too_big", "maximum", most, "<=", name))
        return value

    def instant(self, name: str, *, required: bool = False) -> int | None:
        """An instant in milliseconds, or None when it is absent."""
        raw = self._params.get(name)
        if raw is None:
            if required:
                self.issues.append(wrong_type("string", "undefined", name))
            return None
        try:
            return parse(raw)
        except ValueError:
            self.issues.append(_format("Invalid ISO datetime", name))
            return None

    def flag(self, name: str) -> bool | None:
        """`true` or `false`, or None when it is absent."""
        raw = self._params.get(name)
        if raw not in (None, "true", "false"):
            self.issues.append(wrong_option(["true", "false"], name))
        return None if raw is None else raw == "true"


class Body:
    """The fields of one JSON object. Read them all, then call `check`."""

    def __init__(self, value: object) -> None:
        if not isinstance(value, dict):
            raise invalid(wrong_type("object", json_type(value)))
        self.fields: Mapping[str, Any] = value
        self.issues: list[Issue] = []

    def check(self) -> None:
        """Raise what was found wrong, if anything."""
        if self.issues:
            raise invalid(*self.issues)

    def text(self, name: str, *, most: int | None = None) -> str:
        """A string that must be there and say something."""
        value = self._typed(name, str, "string")
        if value == "":
            self.issues.append(_bound("too_small", "minimum", 1, ">=", name, origin="string"))
        if most is not None and value is not None and len(value) > most:
            self.issues.append(_bound("too_big", "maximum", most, "<=", name, origin="string"))
        return value or ""

    def maybe_text(self, name: str, *, most: int | None = None) -> str | None:
        """A string, null or nothing."""
        return self.text(name, most=most) if self.fields.get(name) is not None else None

    def maybe_number(self, name: str) -> float | None:
        """A number, null or nothing."""
        return self._typed(name, int | float, "number") if self.fields.get(name) is not None else None

    def maybe_flag(self, name: str) -> bool | None:
        """A boolean, null or nothing."""
        return self._typed(name, bool, "boolean") if self.fields.get(name) is not None else None

    def texts(self, name: str) -> list[str]:
        """A list of strings; nothing is the empty list."""
        values = self._typed(name, list, "array") if self.fields.get(name) is not None else []
        for index, value in enumerate(values or []):
            if not isinstance(value, str):
                self.issues.append(wrong_type("string", json_type(value), name, index))
        return values or []

    def option(self, name: str, options: list[str], default: str | None = None) -> str:
        """One word of a fixed set."""
        value = self.fields.get(name, default)
        if value not in options:
            self.issues.append(wrong_option(options, name))
            return options[0]
        return str(value)

    def maybe_instant(self, name: str) -> int | None:
        """An instant in milliseconds, null or nothing."""
        raw = self.maybe_text(name)
        try:
            return parse(raw) if raw is not None else None
        except ValueError:
            self.issues.append(_format("Invalid ISO datetime", name))
            return None

    def _typed(self, name: str, kind: Any, expected: str) -> Any:
        value = self.fields.get(name)
        if isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool):
            return value
        self.issues.append(wrong_type(expected, json_type(value) if name in self.fields else "undefined", name))
        return None


def decoded(raw: bytes) -> Any:
    """The JSON value of a request body.

    Raises:
        Refusal: 400, it is not JSON.
    """
    try:
        return storable(raw.decode())
    except (ValueError, RecursionError):
        raise invalid(custom("Invalid JSON body")) from None


def storable(text: str) -> Any:
    """The value of a JSON text; half characters (lone surrogates), which no database keeps, become question marks.

    Raises:
        ValueError: it is not JSON.
    """
    value = json.loads(text)
    if SURROGATE in text.lower():
        return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    return value


def _bound(code: str, key: str, limit: int, sign: str, name: str, *, origin: str = "number") -> Issue:
    size = "Too big" if code == "too_big" else "Too small"
    noun = "string to have" if origin == "string" else "number to be"
    unit = " characters" if origin == "string" else ""
    message = f"{size}: expected {noun} {sign}{limit}{unit}"
    return {"origin": origin, "code": code, key: limit, "inclusive": True, "path": [name], "message": message}


def _format(message: str, name: str) -> Issue:
    return {"code": "invalid_format", "format": "datetime", "path": [name], "message": message}
